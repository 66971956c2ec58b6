//! The schema's shape, read from its SDL: which types have which fields, of which types, with which page arguments.
//!
//! The GraphQL library keeps its registry to itself; what it prints is public.

use std::collections::{HashMap, HashSet};

use async_graphql::Name;
use async_graphql::parser::types::{
    FieldDefinition, InputValueDefinition, OperationType, Type, TypeKind, TypeSystemDefinition,
};
use async_graphql::parser::{Error, parse_schema};
use async_graphql::{Positioned, parser::types::SchemaDefinition};

/// The types of a schema.
#[derive(Debug, Default)]
pub struct Shape {
    query: String,
    mutation: Option<String>,
    subscription: Option<String>,
    types: HashMap<String, Kind>,
    /// Interfaces and unions, each with the objects that may stand there.
    possible: HashMap<String, HashSet<String>>,
}

/// What a type is made of.
#[derive(Debug)]
pub(crate) enum Kind {
    /// An object, an interface, or a union (which has none).
    Fields(HashMap<String, FieldShape>),
    /// A custom scalar: any value.
    Scalar,
    /// Its values.
    Enum(HashSet<String>),
    /// Its fields.
    Input(Vec<InputShape>),
}

/// A field of an object or interface.
#[derive(Debug)]
pub(crate) struct FieldShape {
    /// What it gives.
    pub(crate) ty: Type,
    /// It takes `first`.
    pub(crate) paged: bool,
    /// It depends on who asks (`@perViewer`), here or in an interface or implementor of its type: an operation may select
    /// through either, and the strictest counts.
    pub(crate) per_viewer: bool,
    /// Its arguments.
    pub(crate) args: HashMap<String, Type>,
}

/// A field of an input object.
#[derive(Debug)]
pub(crate) struct InputShape {
    /// Its name.
    pub(crate) name: Name,
    /// What it takes.
    pub(crate) ty: Type,
    /// It may be left out though its type is not nullable.
    pub(crate) has_default: bool,
}

impl Shape {
    /// Reads a schema as `Schema::sdl` prints it.
    ///
    /// # Errors
    /// The text is not a schema.
    pub fn read(sdl: &str) -> Result<Self, Error> {
        let mut shape = Self {
            query: "Query".to_owned(),
            ..Self::default()
        };
        for definition in parse_schema(sdl)?.definitions {
            match definition {
                TypeSystemDefinition::Schema(schema) => shape.take_roots(schema.node),
                TypeSystemDefinition::Type(ty) => {
                    shape.take_type(ty.node.name.node.as_str(), ty.node.kind);
                }
                TypeSystemDefinition::Directive(_) => {}
            }
        }
        shape.share_marks();
        Ok(shape)
    }

    /// The type that an operation starts from.
    pub(crate) fn root(&self, operation: OperationType) -> Option<&str> {
        match operation {
            OperationType::Query => Some(&self.query),
            OperationType::Mutation => self.mutation.as_deref(),
            OperationType::Subscription => self.subscription.as_deref(),
        }
    }

    /// A field of an object or interface.
    pub(crate) fn field(&self, ty: &str, name: &str) -> Option<&FieldShape> {
        match self.types.get(ty)? {
            Kind::Fields(fields) => fields.get(name),
            _ => None,
        }
    }

    /// A type by name; `None` for one that is unknown or built in.
    pub(crate) fn kind(&self, ty: &str) -> Option<&Kind> {
        self.types.get(ty)
    }

    /// Whether its fields are those of an object, interface or union.
    pub(crate) fn is_composite(&self, ty: &str) -> bool {
        matches!(self.types.get(ty), Some(Kind::Fields(_)))
    }

    /// The objects that may stand where an interface or union is promised; `None` for other types.
    pub(crate) fn possible(&self, ty: &str) -> Option<&HashSet<String>> {
        self.possible.get(ty)
    }

    /// Whether a fragment on `condition` applies to an object of type `ty`.
    pub(crate) fn applies(&self, condition: &str, ty: &str) -> bool {
        condition == ty
            || self
                .possible
                .get(condition)
                .is_some_and(|objects| objects.contains(ty))
    }

    fn take_roots(&mut self, schema: SchemaDefinition) {
        let name = |root: Option<Positioned<Name>>| root.map(|name| name.node.to_string());
        if let Some(query) = name(schema.query) {
            self.query = query;
        }
        self.mutation = name(schema.mutation);
        self.subscription = name(schema.subscription);
    }

    fn take_type(&mut self, name: &str, kind: TypeKind) {
        let kind = match kind {
            TypeKind::Scalar => Kind::Scalar,
            TypeKind::Object(object) => {
                for interface in object.implements {
                    self.stands_for(interface.node.as_str(), name);
                }
                Kind::Fields(fields(object.fields))
            }
            TypeKind::Interface(interface) => {
                self.possible.entry(name.to_owned()).or_default();
                Kind::Fields(fields(interface.fields))
            }
            TypeKind::Union(union) => {
                for member in union.members {
                    self.stands_for(name, member.node.as_str());
                }
                Kind::Fields(HashMap::new())
            }
            TypeKind::Enum(values) => Kind::Enum(
                values
                    .values
                    .into_iter()
                    .map(|value| value.node.value.node.to_string())
                    .collect(),
            ),
            TypeKind::InputObject(input) => {
                Kind::Input(input.fields.into_iter().map(input_field).collect())
            }
        };
        self.types.insert(name.to_owned(), kind);
    }

    /// Marks do not travel between an interface and its implementors by themselves: up and down until there is nothing new,
    /// so that one reaches siblings too, and the other interfaces of each.
    fn share_marks(&mut self) {
        let pairs = self.possible.iter().flat_map(|(promised, objects)| {
            let pair = |object: &String| (promised.clone(), object.clone());
            objects.iter().map(pair)
        });
        let pairs: Vec<_> = pairs.collect();
        let mut more = true;
        while more {
            more = false;
            for (promised, object) in &pairs {
                more |= self.copy_marks(object, promised) | self.copy_marks(promised, object);
            }
        }
    }

    /// True when there was a mark to copy.
    fn copy_marks(&mut self, from: &str, to: &str) -> bool {
        let Some(Kind::Fields(fields)) = self.types.get(from) else {
            return false;
        };
        let marked = fields.iter().filter(|(_, field)| field.per_viewer);
        let marked: Vec<String> = marked.map(|(name, _)| name.clone()).collect();
        let Some(Kind::Fields(fields)) = self.types.get_mut(to) else {
            return false;
        };
        let mut copied = false;
        for name in marked {
            if let Some(field) = fields.get_mut(&name) {
                copied |= !std::mem::replace(&mut field.per_viewer, true);
            }
        }
        copied
    }

    fn stands_for(&mut self, promised: &str, object: &str) {
        self.possible
            .entry(promised.to_owned())
            .or_default()
            .insert(object.to_owned());
    }
}

fn fields(fields: Vec<Positioned<FieldDefinition>>) -> HashMap<String, FieldShape> {
    let shape = |field: Positioned<FieldDefinition>| {
        let field = field.node;
        let paged = field
            .arguments
            .iter()
            .any(|argument| argument.node.name.node == "first");
        let per_viewer = field
            .directives
            .iter()
            .any(|directive| directive.node.name.node == *"perViewer");
        let args = field.arguments.into_iter();
        let args = args.map(|arg| (arg.node.name.node.to_string(), arg.node.ty.node));
        let shape = FieldShape {
            ty: field.ty.node,
            paged,
            per_viewer,
            args: args.collect(),
        };
        (field.name.node.to_string(), shape)
    };
    fields.into_iter().map(shape).collect()
}

fn input_field(field: Positioned<InputValueDefinition>) -> InputShape {
    let field = field.node;
    InputShape {
        name: field.name.node,
        ty: field.ty.node,
        has_default: field.default_value.is_some(),
    }
}
