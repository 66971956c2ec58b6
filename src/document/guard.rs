//! Limits that depend on the document alone: aliases, directives, and what it grows to when fragments are spread out.
//!
//! A fragment is measured once and its measure reused, so a document that doubles thirty times costs thirty steps here,
//! where a walk over what it stands for would take a billion.

use std::collections::HashMap;

use async_graphql::parser::types::{
    ExecutableDocument, Field, FragmentDefinition, Selection, SelectionSet,
};
use async_graphql::{Pos, Positioned};

use super::{Limits, Rejection, hidden};

/// Refuses a document that is over a limit or spreads a fragment within itself.
pub(super) fn check(document: &ExecutableDocument, limits: &Limits) -> Result<(), Rejection> {
    let mut guard = Guard {
        document,
        limits,
        fragments: HashMap::new(),
        aliases: 0,
        directives: 0,
    };
    // Fragments that no operation spreads are measured too: the validator walks them.
    for (name, fragment) in &document.fragments {
        guard.fragment(name, fragment)?;
    }
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        guard.directives += operation.directives.len();
        guard.directives += operation
            .variable_definitions
            .iter()
            .map(|definition| definition.node.directives.len())
            .sum::<usize>();
        let (set, pos) = (&operation.selection_set, operation.selection_set.pos);
        let measure = guard.selection_set(set)?;
        guard.judge_selections(&measure, pos)?;
        // Asked of operations only: a fragment for use under `__schema` may be deeper.
        refuse_over("levels of fields", measure.depth, limits.depth, pos)?;
        let what = "values to introspect";
        refuse_over(what, measure.introspected, limits.introspected, pos)?;
    }
    let nowhere = Pos::default();
    refuse_over("aliases", guard.aliases, limits.aliases, nowhere)?;
    refuse_over("directives", guard.directives, limits.directives, nowhere)
}

fn refuse_over(what: &str, count: usize, limit: usize, pos: Pos) -> Result<(), Rejection> {
    if count <= limit {
        return Ok(());
    }
    Err(Rejection::invalid(
        format!("the document has too many {what}; the limit is {limit}"),
        (pos != Pos::default()).then_some(pos),
    ))
}

/// What a selection set comes to once its fragments are spread out.
#[derive(Clone, Copy, Default, Debug)]
struct Measure {
    selections: usize,
    depth: usize,
    /// Lists within lists, should this lie under `__schema` or `__type`.
    lists: usize,
    /// Values, should it lie there.
    values: usize,
    /// Values that do lie there.
    introspected: usize,
}

impl Measure {
    fn join(self, other: Self) -> Self {
        Self {
            selections: self.selections.saturating_add(other.selections),
            depth: self.depth.max(other.depth),
            lists: self.lists.max(other.lists),
            values: self.values.saturating_add(other.values),
            introspected: self.introspected.saturating_add(other.introspected),
        }
    }
}

struct Guard<'a> {
    document: &'a ExecutableDocument,
    limits: &'a Limits,
    /// `None` while it is being measured: meeting it again then is a cycle.
    fragments: HashMap<&'a str, Option<Measure>>,
    aliases: usize,
    directives: usize,
}

impl<'a> Guard<'a> {
    fn fragment(
        &mut self,
        name: &'a str,
        fragment: &'a Positioned<FragmentDefinition>,
    ) -> Result<Measure, Rejection> {
        match self.fragments.get(name) {
            Some(Some(measure)) => return Ok(*measure),
            Some(None) => {
                return Err(Rejection::invalid(
                    format!("fragment \"{name}\" spreads itself"),
                    Some(fragment.pos),
                ));
            }
            None => self.fragments.insert(name, None),
        };
        self.directives += fragment.node.directives.len();
        let measure = self.selection_set(&fragment.node.selection_set)?;
        self.judge_selections(&measure, fragment.pos)?;
        self.fragments.insert(name, Some(measure));
        Ok(measure)
    }

    fn selection_set(&mut self, set: &'a Positioned<SelectionSet>) -> Result<Measure, Rejection> {
        set.node
            .items
            .iter()
            .try_fold(Measure::default(), |sum, selection| {
                Ok(sum.join(self.selection(&selection.node)?))
            })
    }

    fn selection(&mut self, selection: &'a Selection) -> Result<Measure, Rejection> {
        self.directives += selection.directives().len();
        match selection {
            Selection::Field(field) => self.field(field),
            Selection::InlineFragment(inline) => self.selection_set(&inline.node.selection_set),
            Selection::FragmentSpread(spread) => {
                match self
                    .document
                    .fragments
                    .get_key_value(&spread.node.fragment_name.node)
                {
                    Some((name, fragment)) => self.fragment(name, fragment),
                    // The validator says so.
                    None => Ok(Measure::default()),
                }
            }
        }
    }

    fn field(&mut self, field: &'a Positioned<Field>) -> Result<Measure, Rejection> {
        if let Some(alias) = &field.node.alias {
            self.aliases += 1;
            let (what, limit) = ("characters in an alias", self.limits.alias_chars);
            refuse_over(what, alias.node.len(), limit, alias.pos)?;
        }
        if field.node.response_key().node == *hidden::KEY {
            let message = format!("the name \"{}\" is taken", hidden::KEY);
            return Err(Rejection::invalid(message, Some(field.pos)));
        }
        let below = self.selection_set(&field.node.selection_set)?;
        let name = field.node.name.node.as_str();
        let introspects = matches!(name, "__schema" | "__type");
        if introspects {
            let what = "lists of introspection within one another";
            let limit = self.limits.introspection_lists;
            refuse_over(what, below.lists, limit, field.pos)?;
        }
        let is_list = matches!(
            name,
            "fields" | "interfaces" | "possibleTypes" | "inputFields"
        );
        let values = below.values.saturating_mul(usually(name)).saturating_add(1);
        Ok(Measure {
            selections: below.selections.saturating_add(1),
            depth: if introspects { 1 } else { below.depth + 1 },
            lists: below.lists + usize::from(is_list),
            values,
            introspected: if introspects {
                values
            } else {
                below.introspected
            },
        })
    }

    fn judge_selections(&self, measure: &Measure, pos: Pos) -> Result<(), Rejection> {
        let what = "selections once fragments are spread out";
        refuse_over(what, measure.selections, self.limits.selections, pos)
    }
}

/// How many values of a schema such as this one a field of introspection has.
fn usually(name: &str) -> usize {
    match name {
        "types" => 130,
        "fields" | "directives" => 8,
        "args" | "inputFields" | "enumValues" | "possibleTypes" => 3,
        "interfaces" => 2,
        _ => 1,
    }
}
