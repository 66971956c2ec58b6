//! The schema against the file, the contract, and the promise that everything is described.

use std::collections::BTreeSet;

use async_graphql::Positioned;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    ConstDirective, FieldDefinition, InputValueDefinition, TypeDefinition, TypeKind,
    TypeSystemDefinition,
};

use super::super::{build, is_connection, sdl};

#[test]
fn the_file_says_what_the_schema_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    if std::env::var_os("WRITE_SCHEMA").is_some() {
        std::fs::write(path, sdl()).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == sdl(),
        "schema.graphql is stale: `tidings schema > schema.graphql`"
    );
}

/// Facts of a schema, one a line, as in `contract.txt`.
fn facts(sdl: &str) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for definition in parse_schema(sdl).unwrap().definitions {
        match definition {
            TypeSystemDefinition::Schema(_) => {}
            TypeSystemDefinition::Type(ty) => take_type(&ty.node, &mut facts),
            TypeSystemDefinition::Directive(directive) => {
                let directive = directive.node;
                let on: Vec<_> = directive
                    .locations
                    .iter()
                    .map(|it| format!("{:?}", it.node))
                    .collect();
                let on = on.join("|").replace("FieldDefinition", "FIELD_DEFINITION");
                facts.insert(format!("directive @{} on {on}", directive.name.node));
            }
        }
    }
    facts
}

fn take_type(ty: &TypeDefinition, facts: &mut BTreeSet<String>) {
    let name = &ty.name.node;
    match &ty.kind {
        TypeKind::Scalar => {
            let url = ty
                .directives
                .first()
                .map(|it| it.node.arguments[0].1.node.to_string());
            let url = url.map_or_else(String::new, |url| format!(" {url}"));
            facts.insert(format!("scalar {name}{url}"));
        }
        TypeKind::Object(it) => fields("type", name, &it.implements, &it.fields, facts),
        TypeKind::Interface(it) => fields("interface", name, &it.implements, &it.fields, facts),
        TypeKind::Union(_) => panic!("the contract has no unions"),
        TypeKind::Enum(values) => {
            facts.insert(format!("enum {name}"));
            let values = values.values.iter();
            facts.extend(values.map(|it| format!("{name}.{}", it.node.value.node)));
        }
        TypeKind::InputObject(input) => {
            facts.insert(format!("input {name}"));
            facts.extend(
                input
                    .fields
                    .iter()
                    .map(|it| format!("{name}.{}", value(&it.node))),
            );
        }
    }
}

fn fields(
    kind: &str,
    name: &str,
    implements: &[Positioned<async_graphql::Name>],
    fields: &[Positioned<FieldDefinition>],
    facts: &mut BTreeSet<String>,
) {
    let mut interfaces: Vec<_> = implements.iter().map(|it| it.node.to_string()).collect();
    interfaces.sort();
    let implements = match &interfaces[..] {
        [] => String::new(),
        some => format!(" implements {}", some.join(" & ")),
    };
    facts.insert(format!("{kind} {name}{implements}"));
    for field in fields {
        let field = &field.node;
        let mut args: Vec<_> = field.arguments.iter().map(|it| value(&it.node)).collect();
        args.sort();
        let args = match &args[..] {
            [] => String::new(),
            some => format!("({})", some.join(", ")),
        };
        let marks: String = field.directives.iter().map(mark).collect();
        facts.insert(format!(
            "{name}.{}{args}: {}{marks}",
            field.name.node, field.ty.node
        ));
    }
}

fn mark(directive: &Positioned<ConstDirective>) -> String {
    format!(" @{}", directive.node.name.node)
}

fn value(value: &InputValueDefinition) -> String {
    assert!(
        value.default_value.is_none(),
        "{} has a default",
        value.name.node
    );
    format!("{}: {}", value.name.node, value.ty.node)
}

#[test]
fn nothing_of_the_contract_is_missing() {
    let facts = facts(&sdl());
    let contract = include_str!("contract.txt").lines();
    let missing: Vec<_> = contract.filter(|fact| !facts.contains(*fact)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The names of what has no description, by what introspection says.
fn undescribed(of: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    match of {
        serde_json::Value::Array(items) => {
            for item in items {
                undescribed(item, path, found);
            }
        }
        serde_json::Value::Object(object) => {
            let name = object
                .get("name")
                .and_then(|name| name.as_str())
                .unwrap_or_default();
            if name.starts_with("__") {
                return;
            }
            let path = format!("{path}.{name}");
            if object
                .get("description")
                .is_some_and(|it| it.as_str().is_none_or(str::is_empty))
            {
                found.push(path.clone());
            }
            for (key, value) in object {
                if key != "type" {
                    undescribed(value, &path, found);
                }
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn everything_is_described() {
    let query = "{ __schema {
        types { name description
            fields(includeDeprecated: true) { name description args { name description } }
            inputFields { name description }
            enumValues(includeDeprecated: true) { name description } }
        directives { name description args { name description } }
    } }";
    let answer = build().finish().execute(query).await.into_result().unwrap();
    let mut found = Vec::new();
    undescribed(&answer.data.into_json().unwrap(), "", &mut found);
    // The specification's own, whose descriptions are the library's.
    let built_in = ["include", "skip", "deprecated", "specifiedBy", "oneOf"];
    found.retain(|path| !built_in.iter().any(|name| path.contains(name)));
    found.retain(|path| {
        !["Boolean", "Float", "ID", "Int", "String"]
            .iter()
            .any(|name| path.ends_with(name))
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn clients_see_what_implements_an_event() {
    let query = "{ __type(name: \"RoomEvent\") { possibleTypes { name } }
        sent: __type(name: \"MessageSent\") { interfaces { name } }
        json: __type(name: \"JSON\") { specifiedByURL } }";
    let answer = build().finish().execute(query).await.into_result().unwrap();
    let answer = answer.data.into_json().unwrap();
    assert_eq!(
        answer["__type"]["possibleTypes"].as_array().unwrap().len(),
        10
    );
    assert_eq!(answer["sent"]["interfaces"].as_array().unwrap().len(), 2);
    assert!(answer["json"]["specifiedByURL"].is_string());
}

#[test]
fn connections_are_told_by_their_names() {
    let facts = facts(&sdl());
    let connections = facts
        .iter()
        .filter(|it| it.starts_with("type ") && is_connection(it));
    assert_eq!(connections.count(), 3);
}
