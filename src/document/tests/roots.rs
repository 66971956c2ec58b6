//! Root fields: counted and merged as the specification runs them.

use super::*;

#[test]
fn root_fields_are_counted_as_they_will_be_run() {
    let count = |text| prepare(text).unwrap().root_fields;
    assert_eq!(count("mutation { leave(id: 1) { id } }"), 1);
    assert_eq!(
        count("mutation { a: leave(id: 1) { id } b: leave(id: 2) { id } }"),
        2
    );
    assert_eq!(
        count(
            "mutation { ...M ...M leave(id: 1) { id } } fragment M on Mutation { leave(id: 1) { id } }"
        ),
        1
    );
    assert_eq!(
        count("mutation { a: leave(id: 1) @skip(if: true) { id } b: leave(id: 2) { id } }"),
        1
    );
    let optional = "mutation($no: Boolean = false) { ... @include(if: $no) { leave(id: 1) { id } } b: leave(id: 2) { id } }";
    assert_eq!(count(optional), 1);
}

#[test]
fn a_mutation_written_twice_is_run_once() {
    let text = "mutation($id: ID!, $yes: Boolean!) { ...A ...B @include(if: $yes) } fragment A on Mutation { leave(id: $id) { id } } fragment B on Mutation { leave(id: $id) { ...R } } fragment R on Room { a { id } }";
    let prepared = prepare_with(text, json!({ "id": "x", "yes": true })).unwrap();
    let operation = prepared.operation().unwrap();
    let [selection] = &operation.selection_set.node.items[..] else {
        panic!("{operation:?}");
    };
    let Selection::Field(field) = &selection.node else {
        panic!("{selection:?}");
    };
    assert_eq!(field.node.selection_set.node.items.len(), 2);
    // What nothing uses any more would fail validation.
    assert_eq!(
        prepared.document.fragments.keys().collect::<Vec<_>>(),
        ["R"]
    );
    let declared: Vec<_> = operation
        .variable_definitions
        .iter()
        .map(|d| d.node.name.node.as_str())
        .collect();
    assert_eq!(declared, ["id"]);
}

#[test]
fn root_fields_that_cannot_be_merged_are_refused() {
    refused_for(
        "mutation { ...A leave(id: 2) { id } } fragment A on Mutation { leave(id: 1) { id } }",
        "fields \"leave\" conflict",
    );
}

#[test]
fn a_subscription_selects_exactly_one_root_field() {
    let one = |text| {
        let prepared = prepare(text).unwrap();
        let operation = prepared.operation().unwrap();
        assert_eq!(prepared.root_fields, 1, "{text}");
        let items = &operation.selection_set.node.items;
        assert!(
            matches!(&items[..], [item] if matches!(item.node, Selection::Field(_))),
            "{text}"
        );
    };
    one("subscription { other { id } }");
    one("subscription { ...S } fragment S on Subscription { other { id } }");
    one("subscription { ... on Subscription { ... { other { id } } } }");
    one("subscription { other { id } other { a { id } } }");
    one("subscription { other { id } sent(roomId: 1) @skip(if: true) { id } }");
    refused_for(
        "subscription { other { id } sent(roomId: 1) { id } }",
        "exactly one root field, not 2",
    );
    refused_for(
        "subscription { ...S other { id } } fragment S on Subscription { x: other { id } }",
        "exactly one root field, not 2",
    );
    refused_for(
        "subscription { other @skip(if: true) { id } }",
        "exactly one root field, not 0",
    );
    refused_for("subscription { __typename }", "introspection");
    refused_for(
        "subscription { ...S } fragment S on Subscription { __typename }",
        "introspection",
    );
}

#[test]
fn a_mutations_root_holds_the_fields_that_are_run_and_no_others() {
    let roots = |text: &str| {
        let prepared = prepare(text).unwrap();
        let operation = prepared.operation().unwrap();
        let keys: Vec<String> = (operation.selection_set.node.items.iter())
            .map(|item| match &item.node {
                Selection::Field(field) => field.node.response_key().to_string(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(keys.len(), prepared.root_fields, "{text}");
        keys
    };
    let once = r#"(input: { roomId: "1", body: "" })"#;
    let text =
        format!("mutation {{ a: send{once} @skip(if: true) {{ id }} b: send{once} {{ id }} }}");
    assert_eq!(roots(&text), ["b"]);
    let text = format!("mutation {{ ...M }} fragment M on Mutation {{ b: send{once} {{ id }} }}");
    assert_eq!(roots(&text), ["b"]);
}
