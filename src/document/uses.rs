//! Which fragments and variables the operations of a document use, so that rewriting one leaves nothing unused.

use std::collections::HashSet;

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Name, Positioned};
use async_graphql_value::Value as Literal;

use super::root::pick_mut;

/// Drops the fragments and variables that only the opened part used: the validator refuses unused ones.
pub(super) fn forget_unused(
    document: &mut ExecutableDocument,
    before: &ExecutableDocument,
    operation_name: Option<&str>,
) {
    let (was, is) = (Uses::of(before), Uses::of(document));
    let keep_fragment = |name: &Name| is.fragments.contains(name) || !was.fragments.contains(name);
    let keep_variable = |name: &Name| is.variables.contains(name) || !was.variables.contains(name);
    document.fragments.retain(|name, _| keep_fragment(name));
    if let Some(operation) = pick_mut(&mut document.operations, operation_name) {
        operation
            .variable_definitions
            .retain(|definition| keep_variable(&definition.node.name.node));
    }
}

/// What the operations of a document use, directly or through fragments.
#[derive(Default)]
struct Uses {
    fragments: HashSet<Name>,
    variables: HashSet<Name>,
}

impl Uses {
    fn of(document: &ExecutableDocument) -> Self {
        let mut uses = Self::default();
        for (_, operation) in document.operations.iter() {
            uses.take(document, &operation.node.selection_set.node);
        }
        uses
    }

    fn take(&mut self, document: &ExecutableDocument, set: &SelectionSet) {
        for selection in &set.items {
            for directive in selection.node.directives() {
                self.take_arguments(&directive.node.arguments);
            }
            match &selection.node {
                Selection::Field(field) => {
                    self.take_arguments(&field.node.arguments);
                    self.take(document, &field.node.selection_set.node);
                }
                Selection::InlineFragment(inline) => {
                    self.take(document, &inline.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if self.fragments.insert(name.clone())
                        && let Some(fragment) = document.fragments.get(name)
                    {
                        self.take(document, &fragment.node.selection_set.node);
                    }
                }
            }
        }
    }

    fn take_arguments(&mut self, arguments: &[(Positioned<Name>, Positioned<Literal>)]) {
        for (_, value) in arguments {
            self.take_value(&value.node);
        }
    }

    fn take_value(&mut self, value: &Literal) {
        match value {
            Literal::Variable(name) => {
                self.variables.insert(name.clone());
            }
            Literal::List(values) => values.iter().for_each(|value| self.take_value(value)),
            Literal::Object(values) => values.values().for_each(|value| self.take_value(value)),
            _ => {}
        }
    }
}
