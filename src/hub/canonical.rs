//! What subscribers share: the operation with everything taken out that does not shape its payloads.
//!
//! Two operations are one when they give the same fields, in the same order, of every type of object that may stand where
//! they select something (CollectFields of the specification). That is written down as a text (`collected.rs`), and the
//! text is the key. What is executed for all is the first subscriber's operation with variables replaced by their values,
//! `@skip` and `@include` decided, fragments spread out (type conditions stay) and the root field's arguments dropped,
//! since they choose events but do not shape them.

mod collected;
mod values;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::parser::types::{
    BaseType, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, InlineFragment,
    OperationDefinition, OperationType, Selection, SelectionSet, Type, TypeCondition,
};
use async_graphql::{Name, Pos, Positioned, Variables};
use async_graphql_value::Value;

use self::collected::{Collected, collect};
use self::values::arguments;
use crate::document::{Prepared, Shape, included};

/// An operation as its subscribers share it.
#[derive(Debug)]
pub(super) struct Canonical {
    /// The operation without variables, and without the root field's arguments (required ones hold a placeholder).
    pub(super) prepared: Prepared,
    /// The operation as text: equal for all that share it.
    pub(super) text: String,
    /// It selects a field that depends on who asks.
    pub(super) per_viewer: bool,
    /// How many fields and fragments it was spread out to, skipped ones included.
    pub(super) selections: usize,
}

/// Why an operation cannot be followed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("a subscription has exactly one root field")]
    RootFields,
    #[error(
        "{field} cannot be selected under a subscription: a payload is about its event; query it"
    )]
    List { field: String },
    #[error("fields \"{key}\" conflict: they are different fields or have different arguments")]
    Conflict { key: String },
    #[error(
        "the subscription selects more than {SELECTIONS_MAX} fields after its fragments are spread out"
    )]
    TooLarge,
    #[error("the document does not fit the schema")]
    Unfit,
}

/// Above what the query guard lets through (500 fields), unless fragments are piled up within fragments.
const SELECTIONS_MAX: usize = 2_000;

/// The shared form of an operation that has been validated against the schema.
///
/// # Errors
/// What it selects cannot be followed.
pub(super) fn canonical(shape: &Shape, prepared: &Prepared) -> Result<Canonical, Refusal> {
    let operation = prepared.operation().ok_or(Refusal::Unfit)?;
    let subscription = shape.root(operation.ty).ok_or(Refusal::Unfit)?;
    let mut inliner = Inliner {
        shape,
        fragments: &prepared.document.fragments,
        variables: &prepared.variables,
        left: SELECTIONS_MAX,
    };
    let root = Standing::of(shape, subscription);
    let mut items = Vec::new();
    inliner.inline(&root, &operation.selection_set.node, &mut items)?;
    let mut root = only_field(items)?;
    root.arguments = placeholders(shape, subscription, &root);
    let Collected { text, per_viewer } = collect(shape, subscription, &root)?;
    Ok(Canonical {
        prepared: prepared_of(root, prepared.hides),
        text,
        per_viewer,
        selections: SELECTIONS_MAX - inliner.left,
    })
}

struct Inliner<'a> {
    shape: &'a Shape,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    variables: &'a Variables,
    left: usize,
}

type Items = Vec<Positioned<Selection>>;
type Arguments = Vec<(Positioned<Name>, Positioned<Value>)>;

/// What stands where something is selected.
struct Standing<'a> {
    /// The type by which its fields are known there.
    ty: &'a str,
    /// Which objects it can be: those of the type, less what the fragments around it leave out.
    objects: Vec<&'a str>,
}

impl<'a> Standing<'a> {
    fn of(shape: &'a Shape, ty: &'a str) -> Self {
        let objects = match shape.possible(ty) {
            Some(objects) => objects.iter().map(String::as_str).collect(),
            None => vec![ty],
        };
        Self { ty, objects }
    }
}

impl<'a> Inliner<'a> {
    fn inline(
        &mut self,
        on: &Standing<'a>,
        set: &'a SelectionSet,
        out: &mut Items,
    ) -> Result<(), Refusal> {
        for item in &set.items {
            self.left = self.left.checked_sub(1).ok_or(Refusal::TooLarge)?;
            if !included(item.node.directives(), self.variables) {
                continue;
            }
            match &item.node {
                Selection::Field(field) => {
                    let field = self.field(on.ty, &field.node)?;
                    out.push(unplaced(Selection::Field(unplaced(field))));
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let fragment = &self.fragments.get(name).ok_or(Refusal::Unfit)?.node;
                    let of = &fragment.type_condition.node.on.node;
                    self.spread(on, Some(of), &fragment.selection_set.node, out)?;
                }
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    let of = condition.map(|condition| &condition.node.on.node);
                    self.spread(on, of, &inline.node.selection_set.node, out)?;
                }
            }
        }
        Ok(())
    }

    /// A fragment without the condition where that always holds, and nothing where it never does: a document may be written so
    /// that two fragments next to one another have objects in common, and the outermost and innermost none.
    fn spread(
        &mut self,
        on: &Standing<'a>,
        of: Option<&'a Name>,
        set: &'a SelectionSet,
        out: &mut Items,
    ) -> Result<(), Refusal> {
        let Some(of) = of.filter(|of| of.as_str() != on.ty) else {
            return self.inline(on, set, out);
        };
        let mut narrowed = Standing {
            ty: of,
            objects: on.objects.clone(),
        };
        narrowed.objects.retain(|it| self.shape.applies(of, it));
        if narrowed.objects.is_empty() {
            return Ok(());
        }
        if on.objects == [on.ty] {
            return self.inline(on, set, out);
        }
        let mut items = Vec::new();
        self.inline(&narrowed, set, &mut items)?;
        let condition = TypeCondition {
            on: unplaced(of.clone()),
        };
        if !items.is_empty() {
            out.push(unplaced(Selection::InlineFragment(unplaced(
                InlineFragment {
                    type_condition: Some(unplaced(condition)),
                    directives: Vec::new(),
                    selection_set: unplaced(SelectionSet { items }),
                },
            ))));
        }
        Ok(())
    }

    fn field(&mut self, on: &str, field: &'a Field) -> Result<Field, Refusal> {
        let name = &field.name.node;
        let (mut items, mut given) = (Vec::new(), Vec::new());
        if name != "__typename" {
            let shape = self.shape;
            let known = shape.field(on, name).ok_or(Refusal::Unfit)?;
            let (ty, list) = innermost(&known.ty, false);
            // Who is there comes with the signal; who has reacted would have to be read.
            let users = list && ty == "User" && on != "RoomPresence";
            if ty.ends_with("Connection") || users {
                let field = format!("{on}.{name}");
                return Err(Refusal::List { field });
            }
            let below = Standing::of(shape, ty);
            self.inline(&below, &field.selection_set.node, &mut items)?;
            given = arguments(shape, &known.args, &field.arguments, self.variables)?;
        }
        let alias = field.alias.as_ref().map(|alias| &alias.node);
        Ok(Field {
            // An alias that repeats the name is none.
            alias: alias
                .filter(|alias| *alias != name)
                .map(|alias| unplaced(alias.clone())),
            name: unplaced(name.clone()),
            arguments: given,
            directives: Vec::new(),
            selection_set: unplaced(SelectionSet { items }),
        })
    }
}

fn only_field(items: Items) -> Result<Field, Refusal> {
    match <[_; 1]>::try_from(items).map(|[item]| item.node) {
        Ok(Selection::Field(Positioned { node: field, .. })) => Ok(field),
        _ => Err(Refusal::RootFields),
    }
}

/// Something for each required argument, so that the document stays valid; the resolver does not look at it.
fn placeholders(shape: &Shape, subscription: &str, root: &Field) -> Arguments {
    let known = shape.field(subscription, &root.name.node);
    let required = known.into_iter().flat_map(|field| &field.args);
    let mut arguments: Vec<_> = required
        .filter(|(_, ty)| !ty.nullable)
        .map(|(name, ty)| {
            let value = match innermost(ty, false) {
                (_, true) => Value::List(Vec::new()),
                ("Int" | "Float", _) => Value::Number(0.into()),
                ("Boolean", _) => Value::Boolean(false),
                _ => Value::String(String::new()),
            };
            (unplaced(Name::new(name)), unplaced(value))
        })
        .collect();
    arguments.sort_by(|(a, _), (b, _)| a.node.cmp(&b.node));
    arguments
}

fn prepared_of(root: Field, hides: bool) -> Prepared {
    let items = vec![unplaced(Selection::Field(unplaced(root)))];
    let operation = OperationDefinition {
        ty: OperationType::Subscription,
        variable_definitions: Vec::new(),
        directives: Vec::new(),
        selection_set: unplaced(SelectionSet { items }),
    };
    Prepared {
        document: Arc::new(ExecutableDocument {
            operations: DocumentOperations::Single(unplaced(operation)),
            fragments: HashMap::new(),
        }),
        operation_name: None,
        variables: Variables::default(),
        kind: OperationType::Subscription,
        root_fields: 1,
        introspection: false,
        hides,
    }
}

/// The name inside all lists, and whether there was one.
fn innermost(ty: &Type, in_list: bool) -> (&str, bool) {
    match &ty.base {
        BaseType::Named(name) => (name, in_list),
        BaseType::List(of) => innermost(of, true),
    }
}

/// A place in the first subscriber's text would mean nothing to the others.
fn unplaced<T>(node: T) -> Positioned<T> {
    Positioned::new(node, Pos::default())
}
