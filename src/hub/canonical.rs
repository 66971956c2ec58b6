//! What subscribers share: the operation with everything taken out that does not shape its payloads.
//!
//! Variables are replaced by their values, `@skip` and `@include` are decided, fragments are spread out (type conditions
//! stay) and the root field's arguments are dropped, since they choose events but do not shape them. Two documents that
//! ask for the same end as the same text, and that text is the key of the operation.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use async_graphql::parser::types::{
    BaseType, Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition,
    InlineFragment, OperationDefinition, OperationType, Selection, SelectionSet, Type,
    TypeCondition,
};
use async_graphql::{Name, Pos, Positioned, Value as ConstValue, Variables};
use async_graphql_value::Value;

use crate::document::{Kind, Prepared, Shape, included};

/// An operation as its subscribers share it.
#[derive(Debug)]
pub(super) struct Canonical {
    /// The operation without variables, and without the root field's arguments (required ones hold a placeholder).
    pub(super) prepared: Prepared,
    /// The operation as text: equal for all that share it.
    pub(super) key: String,
    /// It selects a field that depends on who asks.
    pub(super) per_viewer: bool,
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
    #[error(
        "the subscription selects more than {SELECTIONS_MAX} fields after its fragments are spread out"
    )]
    TooLarge,
    #[error("the document does not fit the schema")]
    Unfit,
}

/// Above what the query guard lets through (500), so that it is met by nothing but a defect.
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
        per_viewer: false,
    };
    let mut items = Vec::new();
    inliner.inline(subscription, &operation.selection_set.node, &mut items)?;
    let per_viewer = inliner.per_viewer;
    let mut root = merge_root(items)?;
    root.arguments = placeholders(shape, subscription, &root);
    let mut key = String::with_capacity(256);
    print_field(&mut key, &root);
    Ok(Canonical {
        prepared: prepared_of(root, prepared.hides),
        key,
        per_viewer,
    })
}

struct Inliner<'a> {
    shape: &'a Shape,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    variables: &'a Variables,
    left: usize,
    per_viewer: bool,
}

type Items = Vec<Positioned<Selection>>;
type Arguments = Vec<(Positioned<Name>, Positioned<Value>)>;

impl Inliner<'_> {
    fn inline(&mut self, on: &str, set: &SelectionSet, out: &mut Items) -> Result<(), Refusal> {
        for item in &set.items {
            self.left = self.left.checked_sub(1).ok_or(Refusal::TooLarge)?;
            if !included(item.node.directives(), self.variables) {
                continue;
            }
            match &item.node {
                Selection::Field(field) => {
                    let field = self.field(on, &field.node)?;
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

    fn spread(
        &mut self,
        on: &str,
        of: Option<&Name>,
        set: &SelectionSet,
        out: &mut Items,
    ) -> Result<(), Refusal> {
        let Some(of) = of.filter(|of| of.as_str() != on) else {
            return self.inline(on, set, out);
        };
        let mut items = Vec::new();
        self.inline(of, set, &mut items)?;
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

    fn field(&mut self, on: &str, field: &Field) -> Result<Field, Refusal> {
        let name = field.name.node.as_str();
        let mut items = Vec::new();
        let mut arguments = Vec::new();
        if name != "__typename" {
            let shape = self.shape;
            let known = shape.field(on, name).ok_or(Refusal::Unfit)?;
            let (ty, list) = innermost(&known.ty, false);
            if ty.ends_with("Connection") || list && ty == "User" {
                let field = format!("{on}.{name}");
                return Err(Refusal::List { field });
            }
            self.per_viewer |= known.per_viewer;
            self.inline(ty, &field.selection_set.node, &mut items)?;
            if items.is_empty() && !field.selection_set.node.items.is_empty() {
                items.push(nothing());
            }
            arguments = self.arguments(&field.arguments, Some(&known.args))?;
        }
        let mut directives = Vec::new();
        for directive in field.directives.iter().map(|directive| &directive.node) {
            if !matches!(directive.name.node.as_str(), "skip" | "include") {
                directives.push(unplaced(Directive {
                    name: unplaced(directive.name.node.clone()),
                    arguments: self.arguments(&directive.arguments, None)?,
                }));
            }
        }
        let alias = field.alias.as_ref().map(|alias| &alias.node);
        Ok(Field {
            // An alias that repeats the name is none.
            alias: alias
                .filter(|alias| alias.as_str() != name)
                .map(|alias| unplaced(alias.clone())),
            name: unplaced(field.name.node.clone()),
            arguments,
            directives,
            selection_set: unplaced(SelectionSet { items }),
        })
    }

    /// By name, with their values; those that are null are left out, which means the same everywhere in this schema.
    fn arguments(
        &self,
        given: &[(Positioned<Name>, Positioned<Value>)],
        types: Option<&HashMap<String, Type>>,
    ) -> Result<Arguments, Refusal> {
        let mut arguments = Vec::new();
        for (name, value) in given {
            let mut value = self.value(&value.node)?;
            if value == ConstValue::Null {
                continue;
            }
            if let Some(ty) = types.and_then(|types| types.get(name.node.as_str())) {
                value = self.as_literal(value, ty);
            }
            arguments.push((unplaced(name.node.clone()), unplaced(Value::from(value))));
        }
        arguments.sort_by(|(a, _), (b, _)| a.node.cmp(&b.node));
        Ok(arguments)
    }

    fn value(&self, value: &Value) -> Result<ConstValue, Refusal> {
        value
            .clone()
            .into_const_with(|name| self.variables.get(&name).cloned().ok_or(Refusal::Unfit))
    }

    fn is_enum(&self, ty: &Type) -> bool {
        matches!(self.shape.kind(innermost(ty, false).0), Some(Kind::Enum(_)))
    }

    /// A variable holds an enum's value as a string; in a document it stands without quotes.
    fn as_literal(&self, value: ConstValue, ty: &Type) -> ConstValue {
        match value {
            ConstValue::String(text) if self.is_enum(ty) => ConstValue::Enum(Name::new(text)),
            ConstValue::List(items) => {
                let items = items.into_iter().map(|item| self.as_literal(item, ty));
                ConstValue::List(items.collect())
            }
            other => other,
        }
    }
}

/// What stands where everything was skipped: an object cannot be selected without a selection set, nor with an empty one.
fn nothing() -> Positioned<Selection> {
    let skip = Directive {
        name: unplaced(Name::new("skip")),
        arguments: vec![(unplaced(Name::new("if")), unplaced(Value::Boolean(true)))],
    };
    unplaced(Selection::Field(unplaced(Field {
        alias: None,
        name: unplaced(Name::new("__typename")),
        arguments: Vec::new(),
        directives: vec![unplaced(skip)],
        selection_set: Positioned::default(),
    })))
}

/// One root field; the same one written several times is one.
fn merge_root(items: Items) -> Result<Field, Refusal> {
    let mut root: Option<Field> = None;
    for item in items {
        let Selection::Field(Positioned { node: field, .. }) = item.node else {
            return Err(Refusal::RootFields);
        };
        match &mut root {
            None => root = Some(field),
            Some(root) if root.response_key() == field.response_key() => {
                let more = field.selection_set.node.items;
                root.selection_set.node.items.extend(more);
            }
            Some(_) => return Err(Refusal::RootFields),
        }
    }
    root.filter(|root| root.name.node != *"__typename")
        .ok_or(Refusal::RootFields)
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

fn print_field(out: &mut String, field: &Field) {
    if let Some(alias) = &field.alias {
        out.push_str(&alias.node);
        out.push(':');
    }
    out.push_str(&field.name.node);
    print_arguments(out, &field.arguments);
    for directive in &field.directives {
        out.push('@');
        out.push_str(&directive.node.name.node);
        print_arguments(out, &directive.node.arguments);
    }
    print_selections(out, &field.selection_set.node.items);
}

fn print_arguments(out: &mut String, arguments: &[(Positioned<Name>, Positioned<Value>)]) {
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

fn print_selections(out: &mut String, items: &[Positioned<Selection>]) {
    if items.is_empty() {
        return;
    }
    out.push('{');
    for item in items {
        match &item.node {
            Selection::Field(field) => print_field(out, &field.node),
            Selection::InlineFragment(inline) => {
                if let Some(condition) = &inline.node.type_condition {
                    out.push_str("...on ");
                    out.push_str(&condition.node.on.node);
                }
                print_selections(out, &inline.node.selection_set.node.items);
            }
            // None is left.
            Selection::FragmentSpread(_) => {}
        }
        out.push(' ');
    }
    out.push('}');
}
