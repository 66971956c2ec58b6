//! Arguments by what they mean: variables replaced, and one way to write each value.

use std::collections::HashMap;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{BaseType, Type};
use async_graphql::{Name, Positioned, Value as ConstValue, Variables};
use async_graphql_value::{Number, Value};

use super::{Arguments, Refusal, unplaced};
use crate::document::{Kind, Shape};

/// By name, with their values; those that are null are left out, which means the same everywhere in this schema.
pub(super) fn arguments(
    shape: &Shape,
    known: &HashMap<String, Type>,
    given: &[(Positioned<Name>, Positioned<Value>)],
    variables: &Variables,
) -> Result<Arguments, Refusal> {
    let mut arguments = Vec::new();
    for (name, value) in given {
        let ty = known.get(name.node.as_str()).ok_or(Refusal::Unfit)?;
        let value = value.node.clone();
        let value = value
            .into_const_with(|name| variables.get(&name).cloned().ok_or(Refusal::Unfit))
            .map(|value| coerced(shape, value, ty))?;
        if value != ConstValue::Null {
            arguments.push((unplaced(name.node.clone()), unplaced(Value::from(value))));
        }
    }
    arguments.sort_by(|(a, _), (b, _)| a.node.cmp(&b.node));
    Ok(arguments)
}

/// The value as its type has it (the specification's input coercion): a variable's JSON says some things otherwise than a
/// document does, and a document says some things in several ways.
fn coerced(shape: &Shape, value: ConstValue, ty: &Type) -> ConstValue {
    match (&ty.base, value) {
        (_, ConstValue::Null) => ConstValue::Null,
        (BaseType::List(item), ConstValue::List(items)) => {
            let items = items.into_iter().map(|value| coerced(shape, value, item));
            ConstValue::List(items.collect())
        }
        // One value stands for a list of it.
        (BaseType::List(item), value) => ConstValue::List(vec![coerced(shape, value, item)]),
        (BaseType::Named(name), value) => named(shape, value, name),
    }
}

fn named(shape: &Shape, value: ConstValue, ty: &str) -> ConstValue {
    match (ty, shape.kind(ty), value) {
        ("ID", _, ConstValue::Number(number)) => ConstValue::String(number.to_string()),
        ("Float", _, ConstValue::Number(number)) => {
            let float = number.as_f64().and_then(Number::from_f64);
            ConstValue::Number(float.unwrap_or(number))
        }
        (_, Some(Kind::Enum(_)), ConstValue::String(text)) => ConstValue::Enum(Name::new(text)),
        (_, Some(Kind::Input(known)), ConstValue::Object(mut given)) => {
            let mut fields = IndexMap::new();
            // In the schema's order, whichever the client's was.
            for field in known {
                let Some(value) = given.swap_remove(&field.name) else {
                    continue;
                };
                let value = coerced(shape, value, &field.ty);
                if value != ConstValue::Null || field.has_default {
                    fields.insert(field.name.clone(), value);
                }
            }
            ConstValue::Object(fields)
        }
        (_, _, value) => value,
    }
}
