//! Variables checked against their declared types before anything is executed (CoerceVariableValues).

use async_graphql::parser::types::{BaseType, OperationDefinition, Type, VariableDefinition};
use async_graphql::{Name, Positioned, Value, Variables};

use super::shape::{InputShape, Kind, Shape};
use super::{Rejection, rejection::coded};
use crate::error::Code;

/// The declared variables, each with its value, else its default, else null; those that are not declared are dropped.
///
/// Null stands for what was left out: the schema has no defaults, so they mean the same, and the GraphQL library checks an
/// input object only when every variable in it has a value.
pub(super) fn coerce(
    operation: &OperationDefinition,
    mut given: Variables,
    shape: &Shape,
) -> Result<Variables, Rejection> {
    let mut coerced = Variables::default();
    let mut errors = Vec::new();
    for definition in &operation.variable_definitions {
        match value(
            &definition.node,
            given.remove(&definition.node.name.node),
            shape,
        ) {
            Ok(value) => {
                coerced.insert(definition.node.name.node.clone(), value);
            }
            Err(why) => errors.push(refusal(definition, &why)),
        }
    }
    if errors.is_empty() {
        return Ok(coerced);
    }
    Err(Rejection {
        errors,
        status: 400,
        retry_after_ms: None,
    })
}

fn refusal(definition: &Positioned<VariableDefinition>, why: &str) -> async_graphql::ServerError {
    let name = &definition.node.name.node;
    let message = format!("variable \"${name}\"{why}");
    let error = async_graphql::ServerError::new(message, Some(definition.pos));
    coded(error, Code::BadUserInput)
}

fn value(
    definition: &VariableDefinition,
    given: Option<Value>,
    shape: &Shape,
) -> Result<Value, String> {
    let ty = &definition.var_type.node;
    match (given, &definition.default_value) {
        (Some(value), _) => {
            Path::Root.check(&value, ty, shape)?;
            Ok(value)
        }
        (None, Some(default)) => Ok(default.node.clone()),
        (None, None) if ty.nullable => Ok(Value::Null),
        (None, None) => Err(format!(" of type \"{ty}\" was not given")),
    }
}

/// Where in a variable's value.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn check(&self, value: &Value, ty: &Type, shape: &Shape) -> Result<(), String> {
        if *value == Value::Null {
            return match ty.nullable {
                true => Ok(()),
                false => Err(self.say(&format!("expected \"{ty}\", found null"))),
            };
        }
        match (&ty.base, value) {
            (BaseType::List(item), Value::List(values)) => values
                .iter()
                .enumerate()
                .try_for_each(|(index, value)| Path::Index(self, index).check(value, item, shape)),
            // One value stands for a list of it.
            (BaseType::List(item), value) => self.check(value, item, shape),
            (BaseType::Named(name), value) => self.check_named(value, name, shape),
        }
    }

    fn check_named(&self, value: &Value, ty: &Name, shape: &Shape) -> Result<(), String> {
        let fits = match (shape.kind(ty), value) {
            (Some(Kind::Input(fields)), Value::Object(values)) => {
                return self.check_input(values, fields, ty, shape);
            }
            (Some(Kind::Enum(names)), Value::String(name)) => names.contains(name),
            (Some(Kind::Enum(names)), Value::Enum(name)) => names.contains(name.as_str()),
            (Some(Kind::Enum(_) | Kind::Input(_)), _) => false,
            // The resolver parses a custom scalar; the validator refuses a variable of an object type.
            (Some(Kind::Scalar | Kind::Fields(_)), _) => true,
            (None, value) => fits_built_in(value, ty),
        };
        if fits {
            return Ok(());
        }
        Err(self.say(&format!("expected \"{ty}\", found {}", kind_of(value))))
    }

    fn check_input(
        &self,
        values: &async_graphql::indexmap::IndexMap<Name, Value>,
        fields: &[InputShape],
        ty: &Name,
        shape: &Shape,
    ) -> Result<(), String> {
        for field in fields {
            match values.get(&field.name) {
                Some(value) => Path::Field(self, &field.name).check(value, &field.ty, shape)?,
                None if field.ty.nullable || field.has_default => {}
                None => {
                    let (name, of) = (&field.name, &field.ty);
                    return Err(self.say(&format!("field \"{name}\" of type \"{of}\" is missing")));
                }
            }
        }
        match values
            .keys()
            .find(|&name| !fields.iter().any(|field| field.name == *name))
        {
            Some(name) => {
                let name: String = name.chars().take(64).collect();
                Err(self.say(&format!(
                    "\"{ty}\" has no field \"{}\"",
                    name.escape_debug()
                )))
            }
            None => Ok(()),
        }
    }

    fn say(&self, what: &str) -> String {
        match self {
            Path::Root => format!(": {what}"),
            path => format!(" at \"{}\": {what}", path.text()),
        }
    }

    fn text(&self) -> String {
        match self {
            Path::Root => String::new(),
            Path::Field(Path::Root, name) => (*name).to_owned(),
            Path::Field(above, name) => format!("{}.{name}", above.text()),
            Path::Index(above, index) => format!("{}[{index}]", above.text()),
        }
    }
}

/// The specification's own scalars. A type that nobody knows is the validator's to refuse.
fn fits_built_in(value: &Value, ty: &str) -> bool {
    match (ty, value) {
        ("Int", Value::Number(number)) => number
            .as_i64()
            .is_some_and(|number| i32::try_from(number).is_ok()),
        ("Float", Value::Number(_)) | ("String" | "ID", Value::String(_)) => true,
        ("ID", Value::Number(number)) => number.is_i64(),
        ("Boolean", Value::Boolean(_)) => true,
        ("Int" | "Float" | "String" | "ID" | "Boolean", _) => false,
        _ => true,
    }
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Number(number) => return number.to_string(),
        Value::Null => "null",
        Value::String(_) => "a string",
        Value::Boolean(_) => "a boolean",
        Value::Enum(_) => "another name",
        Value::List(_) => "a list",
        Value::Object(_) | Value::Binary(_) => "an object",
    }
    .to_owned()
}
