//! The schema's types by its text, for tests that walk it.

use std::collections::HashMap;

use async_graphql::Positioned;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, FieldDefinition, Type, TypeKind, TypeSystemDefinition,
};

use super::super::sdl;

/// Fields of objects and interfaces, in order, and the objects behind each interface.
pub(super) struct Types {
    pub(super) fields: HashMap<String, Vec<FieldDefinition>>,
    pub(super) behind: HashMap<String, Vec<String>>,
}

impl Types {
    pub(super) fn read() -> Self {
        let (mut fields, mut behind) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        let plain = |fields: Vec<Positioned<FieldDefinition>>| {
            fields.into_iter().map(|it| it.node).collect()
        };
        for definition in parse_schema(sdl()).unwrap().definitions {
            let TypeSystemDefinition::Type(ty) = definition else {
                continue;
            };
            let name = ty.node.name.node.to_string();
            match ty.node.kind {
                TypeKind::Object(object) => {
                    for interface in &object.implements {
                        let objects = behind.entry(interface.node.to_string()).or_default();
                        objects.push(name.clone());
                    }
                    fields.insert(name, plain(object.fields));
                }
                TypeKind::Interface(interface) => {
                    fields.insert(name, plain(interface.fields));
                }
                TypeKind::Union(union) => {
                    let members = union.members.iter().map(|it| it.node.to_string());
                    behind.insert(name.clone(), members.collect());
                    fields.insert(name, Vec::new());
                }
                _ => {}
            }
        }
        Self { fields, behind }
    }

    /// A field by name.
    pub(super) fn field(&self, ty: &str, name: &str) -> &FieldDefinition {
        let field = self.fields[ty].iter().find(|it| it.name.node == *name);
        field.unwrap_or_else(|| panic!("{ty}.{name}"))
    }

    /// Whether it has fields.
    pub(super) fn is_composite(&self, ty: &str) -> bool {
        self.fields.contains_key(ty)
    }

    /// Those that an object implements, and unions it is in.
    pub(super) fn interfaces<'a>(&'a self, object: &'a str) -> impl Iterator<Item = &'a str> {
        let of =
            move |(_, objects): &(&String, &Vec<String>)| objects.iter().any(|it| it == object);
        self.behind.iter().filter(of).map(|(name, _)| name.as_str())
    }

    /// Whether a fragment on `condition` applies to an object.
    pub(super) fn applies(&self, condition: &str, object: &str) -> bool {
        let behind = |objects: &Vec<String>| objects.iter().any(|it| it == object);
        condition == object || self.behind.get(condition).is_some_and(behind)
    }
}

/// The name of a type without its lists.
pub(super) fn named(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => named(item),
    }
}
