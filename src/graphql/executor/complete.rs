//! The answer's data where a field has failed.
//!
//! The GraphQL library leaves a field that failed out of its object, and an object whose fields all failed is null. The
//! specification (6.4.4, Handling Field Errors) wants null in its place, or, where the field is not nullable, in place of
//! the nearest nullable object or field above. So the data is walked again along the selections, which also puts fields in
//! the order in which they were asked for.

use async_graphql::parser::types::{BaseType, Field, Selection, SelectionSet, Type};
use async_graphql::{Name, PathSegment, ServerError, Value};

use crate::document::hidden::{self, Object};
use crate::document::{Prepared, Shape, included};

/// The data made whole; `None` where an error reaches the root.
pub(super) fn complete(
    shape: &Shape,
    prepared: &Prepared,
    data: Value,
    errors: &[ServerError],
) -> Option<Value> {
    let operation = prepared.operation()?;
    let walk = Walk {
        shape,
        prepared,
        errors,
    };
    let fields = match data {
        Value::Object(fields) => fields,
        _ => Object::default(),
    };
    let root = shape.root(operation.ty)?;
    walk.object(
        fields,
        root,
        &[&operation.selection_set.node],
        &mut Vec::new(),
    )
}

struct Walk<'a> {
    shape: &'a Shape,
    prepared: &'a Prepared,
    errors: &'a [ServerError],
}

/// Fields with one response key.
struct Group<'a> {
    key: &'a Name,
    name: &'a str,
    sets: Vec<&'a SelectionSet>,
}

impl<'a> Walk<'a> {
    fn object(
        &self,
        mut fields: Object,
        ty: &str,
        sets: &[&'a SelectionSet],
        path: &mut Vec<PathSegment>,
    ) -> Option<Value> {
        let mut whole = Object::default();
        for group in self.groups(ty, sets) {
            let value = fields.shift_remove(group.key);
            path.push(PathSegment::Field(group.key.to_string()));
            let value = self.field(value, ty, &group, path);
            path.pop();
            whole.insert(group.key.clone(), value?);
        }
        Some(Value::Object(whole))
    }

    fn field(
        &self,
        value: Option<Value>,
        ty: &str,
        group: &Group<'a>,
        path: &mut Vec<PathSegment>,
    ) -> Option<Value> {
        match self.shape.field(ty, group.name) {
            Some(field) => self.value(value, &field.ty, &group.sets, path),
            // `__typename`, or introspection, which does not fail.
            None if group.name == "__typename" => Some(Value::String(ty.to_owned())),
            None => Some(value.unwrap_or(Value::Null)),
        }
    }

    fn value(
        &self,
        value: Option<Value>,
        ty: &'a Type,
        sets: &[&'a SelectionSet],
        path: &mut Vec<PathSegment>,
    ) -> Option<Value> {
        let whole = match (value, &ty.base) {
            (Some(Value::List(items)), BaseType::List(item)) => self.list(items, item, sets, path),
            (Some(Value::Object(fields)), BaseType::Named(name))
                if self.shape.is_composite(name) =>
            {
                self.promised(fields, name, sets, path)
            }
            // Nothing came of an object whose fields all failed, though the object was there.
            (Some(Value::Null), BaseType::Named(name)) if self.failed_below(path) => {
                self.promised(Object::default(), name, sets, path)
            }
            (Some(Value::Null) | None, _) => None,
            (Some(leaf), _) => Some(leaf),
        };
        match whole {
            None if ty.nullable => Some(Value::Null),
            whole => whole,
        }
    }

    fn list(
        &self,
        items: Vec<Value>,
        ty: &'a Type,
        sets: &[&'a SelectionSet],
        path: &mut Vec<PathSegment>,
    ) -> Option<Value> {
        let item = |(index, item)| {
            path.push(PathSegment::Index(index));
            let item = self.value(Some(item), ty, sets, path);
            path.pop();
            item
        };
        let items: Option<Vec<_>> = items.into_iter().enumerate().map(item).collect();
        items.map(Value::List)
    }

    /// An object where the schema promises one of this type, or an interface or union.
    fn promised(
        &self,
        fields: Object,
        promised: &'a str,
        sets: &[&'a SelectionSet],
        path: &mut Vec<PathSegment>,
    ) -> Option<Value> {
        let Some(possible) = self.shape.possible(promised) else {
            return self.object(fields, promised, sets, path);
        };
        let ty = hidden::told(&fields).and_then(|ty| possible.get(ty))?;
        self.object(fields, ty, sets, path)
    }

    /// The fields selected on an object, in order, those with one response key together (CollectFields).
    fn groups(&self, ty: &str, sets: &[&'a SelectionSet]) -> Vec<Group<'a>> {
        let mut groups = Vec::new();
        for set in sets {
            self.collect(ty, set, &mut groups);
        }
        groups
    }

    fn collect(&self, ty: &str, set: &'a SelectionSet, groups: &mut Vec<Group<'a>>) {
        for selection in &set.items {
            let selection = &selection.node;
            if !included(selection.directives(), &self.prepared.variables) {
                continue;
            }
            let (condition, set) = match selection {
                Selection::Field(field) => {
                    take(&field.node, groups);
                    continue;
                }
                Selection::InlineFragment(inline) => {
                    let inline = &inline.node;
                    (inline.type_condition.as_ref(), &inline.selection_set.node)
                }
                Selection::FragmentSpread(spread) => {
                    let fragments = &self.prepared.document.fragments;
                    let Some(fragment) = fragments.get(&spread.node.fragment_name.node) else {
                        continue;
                    };
                    let fragment = &fragment.node;
                    (Some(&fragment.type_condition), &fragment.selection_set.node)
                }
            };
            if condition.is_none_or(|condition| self.shape.applies(&condition.node.on.node, ty)) {
                self.collect(ty, set, groups);
            }
        }
    }

    fn failed_below(&self, path: &[PathSegment]) -> bool {
        self.failed_fields(path).next().is_some()
    }

    /// The fields of the object at a path in or under which something failed.
    fn failed_fields(&self, path: &[PathSegment]) -> impl Iterator<Item = &str> {
        self.errors.iter().filter_map(move |error| {
            match error.path.strip_prefix(path)?.first()? {
                PathSegment::Field(key) => Some(key.as_str()),
                PathSegment::Index(_) => None,
            }
        })
    }
}

fn take<'a>(field: &'a Field, groups: &mut Vec<Group<'a>>) {
    let key = &field.response_key().node;
    let set = &field.selection_set.node;
    match groups.iter_mut().find(|group| group.key == key) {
        Some(group) => group.sets.push(set),
        None => groups.push(Group {
            key,
            name: field.name.node.as_str(),
            sets: vec![set],
        }),
    }
}
