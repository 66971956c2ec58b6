//! The root fields of an operation, after fragments are spread out and `@skip` and `@include` are applied.
//!
//! The GraphQL library runs each root field as often as it is written, where the specification merges those with one
//! response key: a mutation spread twice would be done twice. It also finds no root field of a subscription within a
//! fragment. Both are mended here by writing the root out flat.

use std::collections::HashSet;

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType,
    Selection, SelectionSet,
};
use async_graphql::{Name, Positioned, Value, Variables};
use async_graphql_value::Value as Literal;

use super::Rejection;
use super::uses::forget_unused;

/// The root fields of an operation.
pub(super) struct Roots<'a> {
    /// In order, as often as they are written.
    pub(super) fields: Vec<&'a Positioned<Field>>,
    /// Each response key once.
    keys: HashSet<&'a str>,
    /// What was opened to get at the fields.
    opened: HashSet<&'a Name>,
    /// Something was opened or left out.
    nested: bool,
    /// Something cannot be opened: the validator will refuse it.
    opaque: bool,
}

impl<'a> Roots<'a> {
    /// Finds the root fields of an operation on the type `root`.
    pub(super) fn of(
        document: &'a ExecutableDocument,
        operation: &'a OperationDefinition,
        variables: &Variables,
        root: &str,
    ) -> Self {
        let mut roots = Self {
            fields: Vec::new(),
            keys: HashSet::new(),
            opened: HashSet::new(),
            nested: false,
            opaque: false,
        };
        roots.open(document, &operation.selection_set, variables, root);
        roots
    }

    /// How many there are: fields with one response key count once.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// All of them are `__typename`, `__schema` or `__type`.
    pub(super) fn introspect(&self) -> bool {
        !self.opaque
            && self
                .fields
                .iter()
                .all(|field| is_introspection(&field.node))
    }

    /// The specification's rule for subscriptions: one root field, and not one of introspection.
    pub(super) fn check_subscription(&self) -> Result<(), Rejection> {
        let at = self.fields.first().map(|field| field.pos);
        if self
            .fields
            .iter()
            .any(|field| is_introspection(&field.node))
        {
            let message = "a subscription cannot select introspection at its root";
            return Err(Rejection::invalid(message, at));
        }
        if self.len() != 1 && !self.opaque {
            let count = self.len();
            let message = format!("a subscription selects exactly one root field, not {count}");
            return Err(Rejection::invalid(message, at));
        }
        Ok(())
    }

    /// The document with this operation's root fields written out, each response key once; `None` where it is so already.
    pub(super) fn flatten(
        &self,
        document: &ExecutableDocument,
        operation_name: Option<&str>,
        kind: OperationType,
    ) -> Result<Option<ExecutableDocument>, Rejection> {
        let doubled = self.fields.len() > self.len();
        // Of a mutation too: what it costs goes by the fields that are run.
        let needed = doubled || (kind != OperationType::Query && self.nested);
        if !needed || self.opaque {
            return Ok(None);
        }
        let before = document;
        let mut document = before.clone();
        let items = self.merged()?;
        if let Some(operation) = pick_mut(&mut document.operations, operation_name) {
            operation.selection_set.node.items = items;
        }
        forget_unused(&mut document, before, operation_name);
        Ok(Some(document))
    }

    fn open(
        &mut self,
        document: &'a ExecutableDocument,
        set: &'a Positioned<SelectionSet>,
        variables: &Variables,
        root: &str,
    ) {
        for selection in &set.node.items {
            let directives = selection.node.directives();
            if !included(directives, variables) {
                self.nested = true;
                continue;
            }
            let (condition, set) = match &selection.node {
                Selection::Field(field) => {
                    self.keys.insert(field.node.response_key().node.as_str());
                    self.fields.push(field);
                    continue;
                }
                Selection::InlineFragment(inline) => (
                    inline.node.type_condition.as_ref(),
                    &inline.node.selection_set,
                ),
                Selection::FragmentSpread(spread) => {
                    let Some((name, fragment)) = document
                        .fragments
                        .get_key_value(&spread.node.fragment_name.node)
                    else {
                        self.opaque = true;
                        continue;
                    };
                    // The specification collects a fragment once.
                    if !self.opened.insert(name) {
                        self.nested = true;
                        continue;
                    }
                    self.opaque |= !fragment.node.directives.is_empty();
                    (
                        Some(&fragment.node.type_condition),
                        &fragment.node.selection_set,
                    )
                }
            };
            self.nested = true;
            self.opaque |= condition.is_some_and(|condition| condition.node.on.node != root);
            self.opaque |= directives
                .iter()
                .any(|directive| condition_of(&directive.node).is_none());
            self.open(document, set, variables, root);
        }
    }

    fn merged(&self) -> Result<Vec<Positioned<Selection>>, Rejection> {
        let mut merged: Vec<Positioned<Field>> = Vec::with_capacity(self.len());
        for &field in &self.fields {
            let key = &field.node.response_key().node;
            match merged
                .iter_mut()
                .find(|seen| seen.node.response_key().node == *key)
            {
                None => merged.push(field.clone()),
                Some(seen) => merge(seen, field)?,
            }
        }
        Ok(merged
            .into_iter()
            .map(|field| Positioned::new(Selection::Field(field.clone()), field.pos))
            .collect())
    }
}

/// Merges a field into the one with its response key: the same field with the same arguments, or an error.
fn merge(seen: &mut Positioned<Field>, field: &Positioned<Field>) -> Result<(), Rejection> {
    let (one, other) = (&mut seen.node, &field.node);
    let same_arguments = one.arguments.len() == other.arguments.len()
        && one.arguments.iter().all(|(name, value)| {
            other
                .get_argument(&name.node)
                .is_some_and(|other| other.node == value.node)
        });
    if one.name.node != other.name.node || !same_arguments {
        let key = &other.response_key().node;
        return Err(Rejection::invalid(
            format!(
                "fields \"{key}\" conflict: they are different fields or have different arguments"
            ),
            Some(field.pos),
        ));
    }
    let more = other.selection_set.node.items.iter().cloned();
    one.selection_set.node.items.extend(more);
    Ok(())
}

/// An operation by name, or the only one.
pub(super) fn pick<'a>(
    operations: &'a DocumentOperations,
    name: Option<&str>,
) -> Option<&'a Positioned<OperationDefinition>> {
    match (operations, name) {
        (DocumentOperations::Single(operation), None) => Some(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name),
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => {
            operations.values().next()
        }
        _ => None,
    }
}

pub(super) fn pick_mut<'a>(
    operations: &'a mut DocumentOperations,
    name: Option<&str>,
) -> Option<&'a mut OperationDefinition> {
    let operation = match (operations, name) {
        (DocumentOperations::Single(operation), _) => Some(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get_mut(name),
        (DocumentOperations::Multiple(operations), None) => operations.values_mut().next(),
    };
    operation.map(|operation| &mut operation.node)
}

fn is_introspection(field: &Field) -> bool {
    matches!(
        field.name.node.as_str(),
        "__typename" | "__schema" | "__type"
    )
}

/// Whether `@skip` and `@include` leave a selection in. Every variable has a value.
pub(crate) fn included(directives: &[Positioned<Directive>], variables: &Variables) -> bool {
    directives.iter().all(|directive| {
        let Some((wanted, condition)) = condition_of(&directive.node) else {
            return true;
        };
        let value = match condition {
            Literal::Variable(name) => variables.get(name) == Some(&Value::Boolean(true)),
            Literal::Boolean(value) => *value,
            _ => false,
        };
        value == wanted
    })
}

/// Of `@include` and `@skip`: which value leaves the selection in, and the condition.
fn condition_of(directive: &Directive) -> Option<(bool, &Literal)> {
    let wanted = match directive.name.node.as_str() {
        "include" => true,
        "skip" => false,
        _ => return None,
    };
    Some((wanted, &directive.get_argument("if")?.node))
}
