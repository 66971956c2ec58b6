//! How many rows an operation may ask for: the sum over paths of multiplied page sizes.

use std::collections::HashMap;

use async_graphql::parser::types::{
    BaseType, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet, Type,
};
use async_graphql::{Positioned, Value, Variables};
use async_graphql_value::Value as Literal;

use super::shape::Shape;
use super::{Limits, Rejection};

/// Refuses an operation that asks for too many rows. Its document spreads no fragment within itself.
pub(super) fn check(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
    shape: &Shape,
    limits: &Limits,
) -> Result<(), Rejection> {
    let mut nodes = Nodes {
        document,
        variables,
        shape,
        limits,
        fragments: HashMap::new(),
    };
    let Some(root) = shape.root(operation.ty) else {
        return Ok(()); // The validator says so.
    };
    let count = nodes.selection_set(&operation.selection_set, root);
    if count <= limits.nodes {
        return Ok(());
    }
    let limit = limits.nodes;
    Err(Rejection::invalid(
        format!(
            "the operation asks for up to {count} nodes; the limit is {limit}: ask for smaller pages"
        ),
        Some(operation.selection_set.pos),
    ))
}

struct Nodes<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    shape: &'a Shape,
    limits: &'a Limits,
    fragments: HashMap<&'a str, u64>,
}

impl<'a> Nodes<'a> {
    fn selection_set(&mut self, set: &'a Positioned<SelectionSet>, ty: &'a str) -> u64 {
        set.node.items.iter().fold(0, |sum: u64, selection| {
            sum.saturating_add(self.selection(&selection.node, ty))
        })
    }

    fn selection(&mut self, selection: &'a Selection, ty: &'a str) -> u64 {
        match selection {
            Selection::Field(field) => self.field(&field.node, ty),
            Selection::InlineFragment(inline) => {
                let condition = inline.node.type_condition.as_ref();
                let ty = condition.map_or(ty, |condition| condition.node.on.node.as_str());
                self.selection_set(&inline.node.selection_set, ty)
            }
            Selection::FragmentSpread(spread) => {
                self.fragment(spread.node.fragment_name.node.as_str())
            }
        }
    }

    fn fragment(&mut self, name: &'a str) -> u64 {
        if let Some(&count) = self.fragments.get(name) {
            return count;
        }
        let Some(fragment) = self.document.fragments.get(name) else {
            return 0;
        };
        let ty = fragment.node.type_condition.node.on.node.as_str();
        let count = self.selection_set(&fragment.node.selection_set, ty);
        self.fragments.insert(name, count);
        count
    }

    fn field(&mut self, field: &'a Field, ty: &'a str) -> u64 {
        let (name, shape) = (field.name.node.as_str(), self.shape);
        let Some(known) = shape.field(ty, name) else {
            return 0;
        };
        let below = self.selection_set(&field.selection_set, named(&known.ty));
        if known.paged {
            self.page(field, name)
                .saturating_mul(below.saturating_add(1))
        } else {
            below
        }
    }

    fn page(&self, field: &Field, name: &str) -> u64 {
        let (unless_said, most) = match name {
            "changes" => (self.limits.changes_page, self.limits.changes_page_max),
            // Of a reaction. A message's reactions themselves count as part of it: there are 20 at most.
            "users" => (self.limits.users_page, self.limits.page_max),
            _ => (self.limits.page, self.limits.page_max),
        };
        let asked = ["first", "last"].map(|argument| self.size(field, argument));
        let asked = asked.into_iter().flatten().max().unwrap_or(unless_said);
        // Over the limit, as a negative one, is the field's own to refuse, with a code that says so: nothing is read.
        if asked > most { 0 } else { asked }
    }

    fn size(&self, field: &Field, argument: &str) -> Option<u64> {
        match &field.get_argument(argument)?.node {
            Literal::Variable(name) => match self.variables.get(name)? {
                Value::Number(size) => Some(size.as_u64().unwrap_or(0)),
                _ => None,
            },
            Literal::Number(size) => Some(size.as_u64().unwrap_or(0)),
            _ => None,
        }
    }
}

/// The name of a type without its lists.
fn named(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(item) => named(item),
    }
}
