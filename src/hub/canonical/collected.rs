//! An operation written down by what it gives of each type of object: fields in order, each response key once, whatever
//! fragments they came from.

use std::collections::BTreeMap;
use std::fmt::Write;

use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::{Name, Positioned};
use async_graphql_value::Value;

use super::{Refusal, innermost};
use crate::document::{Shape, hidden};

/// See [`collect`].
pub(super) struct Collected {
    pub(super) text: String,
    /// A field among those collected depends on who asks.
    pub(super) per_viewer: bool,
}

/// Selections looked at, each once for every type of object that may stand there. A document within the limits, on an
/// interface of eleven types, stays well below.
const LOOKS_MAX: usize = 50_000;

/// The text of an operation that has neither variables nor named fragments, by its root field.
///
/// # Errors
/// `Conflict` where one response key means two things, which the GraphQL library overlooks in some places; `TooLarge`.
pub(super) fn collect(
    shape: &Shape,
    subscription: &str,
    root: &Field,
) -> Result<Collected, Refusal> {
    let mut collector = Collector {
        shape,
        left: LOOKS_MAX,
        per_viewer: false,
    };
    let mut text = String::with_capacity(256);
    let root = Group {
        field: root,
        sets: vec![&root.selection_set.node],
    };
    collector.write(&mut text, subscription, &root)?;
    Ok(Collected {
        text,
        per_viewer: collector.per_viewer,
    })
}

struct Collector<'a> {
    shape: &'a Shape,
    left: usize,
    per_viewer: bool,
}

/// Fields with one response key: the first of them, and the selections of all.
struct Group<'a> {
    field: &'a Field,
    sets: Vec<&'a SelectionSet>,
}

impl<'a> Collector<'a> {
    fn write(&mut self, out: &mut String, ty: &str, group: &Group<'a>) -> Result<(), Refusal> {
        let field = group.field;
        if let Some(alias) = &field.alias {
            out.push_str(&alias.node);
            out.push(':');
        }
        out.push_str(&field.name.node);
        write_arguments(out, &field.arguments);
        let shape = self.shape;
        let Some(known) = shape.field(ty, &field.name.node) else {
            return Ok(()); // `__typename`
        };
        self.per_viewer |= known.per_viewer;
        let of = innermost(&known.ty, false).0;
        if shape.is_composite(of) {
            self.write_selections(out, of, &group.sets)?;
        }
        Ok(())
    }

    /// `{…}` where all objects that may stand here give the same, else `{A,B…}{C…}` by their types.
    fn write_selections(
        &mut self,
        out: &mut String,
        ty: &str,
        sets: &[&'a SelectionSet],
    ) -> Result<(), Refusal> {
        let Some(possible) = self.shape.possible(ty) else {
            out.push_str(&self.object(ty, sets)?);
            return Ok(());
        };
        let mut by_text: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for object in possible {
            let text = self.object(object, sets)?;
            by_text.entry(text).or_default().push(object);
        }
        let is_one = by_text.len() == 1;
        for (text, mut objects) in by_text {
            if !is_one {
                objects.sort_unstable();
                out.push_str(&objects.join(","));
            }
            out.push_str(&text);
        }
        Ok(())
    }

    fn object(&mut self, ty: &str, sets: &[&'a SelectionSet]) -> Result<String, Refusal> {
        let mut groups = Vec::new();
        for set in sets {
            self.take(ty, set, &mut groups)?;
        }
        let mut out = "{".to_owned();
        for group in &groups {
            self.write(&mut out, ty, group)?;
            out.push(' ');
        }
        out.push('}');
        Ok(out)
    }

    fn take(
        &mut self,
        ty: &str,
        set: &'a SelectionSet,
        groups: &mut Vec<Group<'a>>,
    ) -> Result<(), Refusal> {
        for item in &set.items {
            self.left = self.left.checked_sub(1).ok_or(Refusal::TooLarge)?;
            match &item.node {
                Selection::Field(field) => take_field(&field.node, groups)?,
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    let of = condition.map(|condition| &condition.node.on.node);
                    if of.is_none_or(|of| self.shape.applies(of, ty)) {
                        self.take(ty, &inline.node.selection_set.node, groups)?;
                    }
                }
                // None is left.
                Selection::FragmentSpread(_) => return Err(Refusal::Unfit),
            }
        }
        Ok(())
    }
}

fn take_field<'a>(field: &'a Field, groups: &mut Vec<Group<'a>>) -> Result<(), Refusal> {
    let key = &field.response_key().node;
    if *key == *hidden::KEY {
        // Not asked for by the client, and not shown to it.
        return Ok(());
    }
    let set = &field.selection_set.node;
    let same = |group: &&mut Group<'_>| group.field.response_key().node == *key;
    match groups.iter_mut().find(same) {
        None => groups.push(Group {
            field,
            sets: vec![set],
        }),
        Some(group) => {
            let first = group.field;
            if first.name.node != field.name.node || !is_same(&first.arguments, &field.arguments) {
                let key = key.to_string();
                return Err(Refusal::Conflict { key });
            }
            group.sets.push(set);
        }
    }
    Ok(())
}

type Argument = (Positioned<Name>, Positioned<Value>);

/// Both in the order of their names.
fn is_same(one: &[Argument], other: &[Argument]) -> bool {
    let plain = |(name, value): &Argument| (name.node.clone(), value.node.clone());
    one.iter().map(plain).eq(other.iter().map(plain))
}

fn write_arguments(out: &mut String, arguments: &[Argument]) {
    if arguments.is_empty() {
        return;
    }
    out.push('(');
    for (name, value) in arguments {
        // Writing to a string cannot fail.
        let _ = write!(out, "{}:{},", name.node, value.node);
    }
    out.push(')');
}
