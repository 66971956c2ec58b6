//! The type of an object, asked for beside what the client asks for.
//!
//! The GraphQL library makes null of an object of which nothing is selected, where the specification has an empty object,
//! and it does not say which object stood where an interface was promised. So in such places `__typename` is asked for
//! under a name of our own, once a document, and is taken out of every answer again.

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{
    BaseType, DocumentOperations, ExecutableDocument, Field, Selection, SelectionSet, Type,
    TypeCondition,
};
use async_graphql::{Name, Pos, Positioned, Value};

use super::Prepared;
use super::shape::Shape;

/// The name it is asked for under. Clients cannot use it.
pub(crate) const KEY: &str = "__tidings_type";

/// An object's fields in an answer.
pub(crate) type Object = IndexMap<Name, Value>;

/// The type of an object that was asked for it.
pub(crate) fn told(fields: &Object) -> Option<&str> {
    match fields.get(KEY)? {
        Value::String(name) => Some(name),
        _ => None,
    }
}

/// Asks for the type of every object that stands for an interface or union, or of which nothing may be selected. The
/// root is left alone. True when there is such an object. The document spreads no fragment within itself.
pub(super) fn add(document: &mut ExecutableDocument, shape: &Shape) -> bool {
    let before = document.clone();
    let mut hidden = Hidden {
        document: &before,
        shape,
        added: false,
    };
    let operations: Vec<_> = match &mut document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    };
    for operation in operations {
        if let Some(root) = shape.root(operation.node.ty) {
            hidden.walk(&mut operation.node.selection_set.node, root);
        }
    }
    for fragment in document.fragments.values_mut() {
        let ty = fragment.node.type_condition.node.on.node.clone();
        hidden.walk(&mut fragment.node.selection_set.node, &ty);
    }
    hidden.added
}

struct Hidden<'a> {
    document: &'a ExecutableDocument,
    shape: &'a Shape,
    added: bool,
}

impl Hidden<'_> {
    fn walk(&mut self, set: &mut SelectionSet, ty: &str) {
        for item in &mut set.items {
            match &mut item.node {
                Selection::Field(field) => self.field(&mut field.node, ty),
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    let of = condition.map(|condition| condition.node.on.node.clone());
                    let ty = of.as_deref().unwrap_or(ty);
                    self.walk(&mut inline.node.selection_set.node, ty);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn field(&mut self, field: &mut Field, ty: &str) {
        let Some(known) = self.shape.field(ty, &field.name.node) else {
            return; // Introspection, or the validator's to refuse.
        };
        let (of, set) = (named(&known.ty), &mut field.selection_set.node);
        if !self.shape.is_composite(of) || set.items.is_empty() {
            return;
        }
        self.walk(set, of);
        if self.shape.possible(of).is_some() || !self.surely_selects(set, of) {
            set.items.push(type_field());
            self.added = true;
        }
    }

    /// Whether something is selected on an object of this type, whatever the variables.
    fn surely_selects(&self, set: &SelectionSet, ty: &str) -> bool {
        set.items.iter().any(|item| {
            if !item.node.directives().is_empty() {
                return false;
            }
            match &item.node {
                Selection::Field(_) => true,
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    self.surely_spreads(condition, &inline.node.selection_set.node, ty)
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let fragment = self.document.fragments.get(name);
                    fragment.is_some_and(|fragment| {
                        let fragment = &fragment.node;
                        let condition = Some(&fragment.type_condition);
                        self.surely_spreads(condition, &fragment.selection_set.node, ty)
                    })
                }
            }
        })
    }

    fn surely_spreads(
        &self,
        condition: Option<&Positioned<TypeCondition>>,
        set: &SelectionSet,
        ty: &str,
    ) -> bool {
        let applies = condition.is_none_or(|it| self.shape.applies(&it.node.on.node, ty));
        applies && self.surely_selects(set, ty)
    }
}

fn type_field() -> Positioned<Selection> {
    let unplaced = |name| Positioned::new(Name::new(name), Pos::default());
    let field = Field {
        alias: Some(unplaced(KEY)),
        name: unplaced("__typename"),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: Positioned::default(),
    };
    let field = Positioned::new(field, Pos::default());
    Positioned::new(Selection::Field(field), Pos::default())
}

/// Takes out of an answer what [`add`] asked for. Goes by the document, so that a client's own JSON is left as it is.
pub(crate) fn remove(prepared: &Prepared, shape: &Shape, data: &mut Value) {
    let remove = Remove {
        document: &prepared.document,
        shape,
    };
    if let (Some(operation), Value::Object(fields)) = (prepared.operation(), data) {
        remove.below(&operation.selection_set.node, fields);
    }
}

struct Remove<'a> {
    document: &'a ExecutableDocument,
    shape: &'a Shape,
}

impl Remove<'_> {
    fn below(&self, set: &SelectionSet, fields: &mut Object) {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => {
                    let set = &field.node.selection_set.node;
                    if !set.items.is_empty()
                        && let Some(value) = fields.get_mut(&field.node.response_key().node)
                    {
                        self.from(set, value);
                    }
                }
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    self.spread(condition, &inline.node.selection_set.node, fields);
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if let Some(fragment) = self.document.fragments.get(name) {
                        let fragment = &fragment.node;
                        let condition = Some(&fragment.type_condition);
                        self.spread(condition, &fragment.selection_set.node, fields);
                    }
                }
            }
        }
    }

    /// Two fragments on different types may use one name for different things.
    fn spread(
        &self,
        condition: Option<&Positioned<TypeCondition>>,
        set: &SelectionSet,
        fields: &mut Object,
    ) {
        let applies = match (condition, told(fields)) {
            (Some(condition), Some(ty)) => self.shape.applies(&condition.node.on.node, ty),
            _ => true,
        };
        if applies {
            self.below(set, fields);
        }
    }

    fn from(&self, set: &SelectionSet, value: &mut Value) {
        match value {
            Value::List(items) => items.iter_mut().for_each(|item| self.from(set, item)),
            Value::Object(fields) => {
                self.below(set, fields);
                fields.shift_remove(KEY);
            }
            _ => {}
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
