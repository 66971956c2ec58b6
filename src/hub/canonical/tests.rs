//! What is one operation and what is not, by its text.

use async_graphql::Variables;
use serde_json::{Value as Json, json};

use super::*;
use crate::document::{Documents, Limits};

const SDL: &str = r#"
    type Query { n: Int }
    type Subscription { events(roomIds: [ID!], after: Cursor): Event! sent(roomId: ID!, after: Cursor): Message! }
    scalar Cursor
    scalar JSON
    enum Kind { ONE TWO }
    input Look { id: ID kind: Kind kinds: [Kind!] ratio: Float tags: [String!] deep: Look size: Int = 1 }
    interface Event { cursor: Cursor! seen: Boolean @perViewer }
    interface RoomEvent { cursor: Cursor! seen: Boolean at: String! room: Room! }
    type Sent implements Event & RoomEvent { cursor: Cursor! seen: Boolean at: String! room: Room! message: Message! }
    type Left implements Event & RoomEvent { cursor: Cursor! seen: Boolean at: String! @perViewer room: Room! }
    type CaughtUp implements Event { cursor: Cursor! seen: Boolean }
    union Thing = Room | Message
    type Room { id: ID! name: String role: String @perViewer things: [Thing!]! users: [User!]! members: MemberConnection! }
    type Message {
        id: ID! body(upper: Boolean, kind: Kind, kinds: [Kind!], id: ID, ids: [ID!], size: Int, ratio: Float,
            text: String, look: Look, any: JSON): String
        room: Room! replyTo: Message thing: Thing
    }
    type User { id: ID! }
    type MemberConnection { nodes: [User!]! }
    schema { query: Query subscription: Subscription }
"#;

fn shared_with(text: &str, variables: Json) -> Result<Canonical, Refusal> {
    let shape = Arc::new(Shape::read(SDL).unwrap());
    let documents = Documents::new(Limits::default(), shape.clone());
    let prepared = documents.prepare(text, None, Variables::from_json(variables));
    canonical(&shape, &prepared.unwrap())
}

fn text_with(text: &str, variables: Json) -> String {
    shared_with(text, variables).unwrap().text
}

fn text(text: &str) -> String {
    text_with(text, json!({}))
}

/// Selections of `sent`, each one operation with the first.
fn one(selections: &[&str]) {
    let texts = selections
        .iter()
        .map(|it| text(&format!("subscription {{ sent(roomId: 1) {it} }}")));
    let texts: Vec<_> = texts.collect();
    for (selection, text) in selections.iter().zip(&texts) {
        assert_eq!(*text, texts[0], "{selection}");
    }
}

/// Selections of `sent`, no two of which are one operation.
fn several(selections: &[&str]) {
    let mut seen = HashMap::new();
    for selection in selections {
        let text = text(&format!("subscription {{ sent(roomId: 1) {selection} }}"));
        if let Some(other) = seen.insert(text, selection) {
            panic!("{selection} and {other}");
        }
    }
}

#[test]
fn how_a_document_is_written_does_not_count() {
    let first = text("subscription { sent(roomId: 1) { id room { id name } } }");
    for other in [
        "subscription{sent(roomId:1){id room{id name}}}",
        "\u{feff}subscription ,,{\r\n\tsent ( roomId : 1 , ) { id, # a comment\n room { id,,name }, } } # end",
        "subscription Name { sent(roomId: 1) { id room { id name } } }",
        "subscription { sent: sent(roomId: 1) { id: id room: room { id name: name } } }",
    ] {
        assert_eq!(text(other), first, "{other}");
    }
}

#[test]
fn fragments_do_not_count_but_what_they_give() {
    let first = text("subscription { sent(roomId: 1) { id room { id name } body } }");
    for other in [
        "subscription { sent(roomId: 1) { ...M } } fragment M on Message { id room { ...R } body } fragment R on Room { id name }",
        "fragment A on Room { id name } subscription { sent(roomId: 1) { ...B } } fragment B on Message { id room { ...A } body }",
        "subscription { sent(roomId: 1) { ... on Message { id room { ... { id } ... on Room { name } } } body } }",
        "subscription { ...S } fragment S on Subscription { sent(roomId: 1) { id room { id name } body } }",
        "subscription { ... on Subscription { sent(roomId: 1) { id room { id name } body } } }",
        // A fragment spread twice gives its fields once.
        "subscription { sent(roomId: 1) { id ...M ...M body } } fragment M on Message { ...N id } fragment N on Message { room { id name } }",
    ] {
        assert_eq!(text(other), first, "{other}");
    }
}

#[test]
fn fields_that_merge_are_one() {
    one(&[
        "{ id room { id name } }",
        "{ id room { id } id room { name } }",
        "{ id room { id id } room { id name name } ... { id } }",
        "{ id ... on Message { room { id } } room { id name } }",
    ]);
    one(&["{ body(size: 1) }", "{ body(size: 1) body(size: 1) }"]);
    one(&["{ a: id }", "{ a: id a: id }"]);
}

#[test]
fn two_things_of_one_name_are_refused() {
    for selection in [
        "{ a: id a: body }",
        "{ body(size: 1) ... { body(size: 2) } }",
        "{ thing { ... on Room { id } ... on Thing { ... on Room { id: name } } } }",
    ] {
        let text = format!("subscription {{ sent(roomId: 1) {selection} }}");
        let refused = shared_with(&text, json!({})).unwrap_err();
        assert!(matches!(refused, Refusal::Conflict { .. }), "{selection}");
    }
    // Of different objects they may be different things.
    several(&[
        "{ thing { ... on Room { a: id } ... on Message { a: body } } }",
        "{ thing { ... on Room { a: id } ... on Message { a: id } } }",
    ]);
}

fn events(selections: &str) -> String {
    text(&format!("subscription {{ events {{ {selections} }} }}"))
}

#[test]
fn what_an_interface_gives_is_compared_object_by_object() {
    let first = events("cursor ... on RoomEvent { at } ... on Sent { message { id } }");
    for other in [
        "... on RoomEvent { cursor at } ... on CaughtUp { cursor } ... on Sent { message { id } }",
        "... on Left { cursor at } ... on CaughtUp { cursor } ... on Sent { cursor at message { id } }",
        "cursor ... on Sent { ... on RoomEvent { at cursor } message { id } at } ... on RoomEvent { cursor at }",
        "... on Event { cursor ... on RoomEvent { ... on Event { ... on RoomEvent { at } } } } ... on Sent { message { id } }",
    ] {
        assert_eq!(events(other), first, "{other}");
    }
    for other in [
        "cursor ... on RoomEvent { at }",
        "... on RoomEvent { cursor at } ... on Sent { message { id } }",
        "... on RoomEvent { at } cursor ... on Sent { message { id } }",
        "cursor ... on Sent { message { id } } ... on RoomEvent { at }",
        "cursor ... on Sent { at message { id } }",
        "cursor __typename ... on RoomEvent { at } ... on Sent { message { id } }",
    ] {
        assert_ne!(events(other), first, "{other}");
    }
    one(&[
        "{ thing { ... on Room { id } ... on Message { id } } }",
        "{ thing { ... on Message { id } ... on Room { id } } }",
        "{ thing { ... on Thing { ... on Message { id id } } ... on Room { id } } }",
    ]);
}

#[test]
fn what_is_skipped_was_never_asked_for() {
    one(&[
        "{ id room { id } }",
        "{ id @include(if: true) room @skip(if: false) { id @skip(if: false) @include(if: true) } }",
        "{ id body @skip(if: true) room { id name @include(if: false) ... @include(if: false) { things { ... on Room { role } } } } }",
        "{ ... @include(if: true) { id } ... @skip(if: true) { body } room { id } }",
        "{ id room { id } room @skip(if: true) { name } }",
    ]);
    let by_variables = "subscription($yes: Boolean!, $no: Boolean = false) {
        sent(roomId: 1) { id @include(if: $yes) body @include(if: $no) ...R @skip(if: $no) } }
        fragment R on Message { room { id } replyTo @skip(if: $yes) { id } }";
    let asked = text_with(by_variables, json!({ "yes": true }));
    assert_eq!(
        asked,
        text("subscription { sent(roomId: 1) { id room { id } } }")
    );
    let asked = text_with(by_variables, json!({ "yes": true, "no": true }));
    assert_eq!(asked, text("subscription { sent(roomId: 1) { id body } }"));
    // What is left is nothing, which is not the same as nothing asked for.
    several(&[
        "{ id room { id @skip(if: true) } }",
        "{ id }",
        "{ id room { id } }",
    ]);
}

#[test]
fn variables_count_by_their_values() {
    let first = text("subscription { sent(roomId: 1) { body(size: 3, upper: true) id } }");
    for (other, variables) in [
        (
            "subscription($s: Int, $u: Boolean) { sent(roomId: 1) { body(size: $s, upper: $u) id } }",
            json!({ "u": true, "s": 3 }),
        ),
        (
            "subscription($upper: Boolean!, $size: Int!) { sent(roomId: 1) { body(size: $size, upper: $upper) id } }",
            json!({ "upper": true, "size": 3, "other": "not declared" }),
        ),
        (
            "subscription($s: Int = 3, $u: Boolean! = true, $unused: ID = 4) { sent(roomId: 1) { body(size: $s, upper: $u) id } }",
            json!({}),
        ),
        (
            "subscription($s: Int = 4) { sent(roomId: 1) { ...M } } fragment M on Message { body(upper: true, size: $s) id }",
            json!({ "s": 3 }),
        ),
    ] {
        assert_eq!(text_with(other, variables), first, "{other}");
    }
    let other = "subscription($s: Int = 3) { sent(roomId: 1) { body(size: $s, upper: true) id } }";
    for size in [json!(4), json!(null)] {
        assert_ne!(text_with(other, json!({ "s": size })), first, "{size}");
    }
}

#[test]
fn arguments_count_by_what_they_mean() {
    one(&[
        "{ body(size: 1, upper: true) }",
        "{ body(upper: true, size: 1) }",
        "{ body(upper: true, size: 1, kind: null) }",
    ]);
    one(&["{ body }", "{ body(size: null) }"]);
    one(&[
        r#"{ body(text: "two\nlines of \"é\"") }"#,
        r#"{ body(text: "two\u000Alines of \u0022\u00e9\"") }"#,
        "{ body(text: \"\"\"\n    two\n    lines of \"é\"\n\"\"\") }",
    ]);
    one(&[r#"{ body(id: 7) }"#, r#"{ body(id: "7") }"#]);
    one(&[
        r#"{ body(ids: ["7"], kinds: [ONE]) }"#,
        r#"{ body(ids: 7, kinds: ONE) }"#,
    ]);
    one(&[
        "{ body(ratio: 1) }",
        "{ body(ratio: 1.0) }",
        "{ body(ratio: 1e0) }",
    ]);
    one(&[
        "{ body(look: { id: 7, kind: ONE, kinds: ONE, ratio: 2, deep: { tags: \"a\", kind: TWO } }) }",
        "{ body(look: { kinds: [ONE], id: \"7\", ratio: 2.0, tags: null, deep: { kind: TWO, tags: [\"a\"] }, kind: ONE }) }",
    ]);
    let by_variables = "subscription($id: ID, $kind: Kind, $kinds: [Kind!], $ratio: Float, $look: Look) {
        sent(roomId: 1) { body(id: $id, kind: $kind, kinds: $kinds, ratio: $ratio, look: $look) } }";
    let literal = r#"subscription { sent(roomId: 1) {
        body(id: "7", kind: ONE, kinds: [TWO], ratio: 1.0, look: { kind: TWO, kinds: [ONE, TWO] }) } }"#;
    for variables in [
        json!({ "id": 7, "kind": "ONE", "kinds": "TWO", "ratio": 1, "look": { "kinds": ["ONE", "TWO"], "kind": "TWO" } }),
        json!({ "id": "7", "kind": "ONE", "kinds": ["TWO"], "ratio": 1.0, "look": { "id": null, "kind": "TWO", "kinds": ["ONE", "TWO"] } }),
    ] {
        assert_eq!(text_with(by_variables, variables), text(literal));
    }
}

#[test]
fn arguments_that_mean_different_things_split() {
    several(&[
        "{ body }",
        "{ body(size: 1) }",
        "{ body(size: 2) }",
        "{ body(kind: ONE) }",
        r#"{ body(text: "ONE") }"#,
        r#"{ body(text: "1") }"#,
        r#"{ body(text: "") }"#,
        r#"{ body(text: "\u001f") }"#,
        r#"{ body(text: "\\u0031") }"#,
        r#"{ body(text: "1\", size: 1") }"#,
        r#"{ body(text: "a,size:1") }"#,
        r#"{ body(text: "a" size: 1) }"#,
        r#"{ body(id: "1") }"#,
        r#"{ body(id: "01") }"#,
        r#"{ body(ids: []) }"#,
        r#"{ body(ids: ["1"]) }"#,
        r#"{ body(ids: ["1", "1"]) }"#,
        r#"{ body(ids: ["1, 1"]) }"#,
        r#"{ body(kinds: [ONE, TWO]) }"#,
        r#"{ body(kinds: [TWO, ONE]) }"#,
        r#"{ body(look: {}) }"#,
        r#"{ body(look: { size: null }) }"#,
        r#"{ body(look: { deep: {} }) }"#,
        r#"{ body(any: 1) }"#,
        r#"{ body(any: "1") }"#,
        r#"{ body(any: true) }"#,
        r#"{ body(any: "true") }"#,
        r#"{ body(any: [1]) }"#,
        r#"{ body(any: { a: 1 }) }"#,
        r#"{ body(any: { a: { b: 1 } }) }"#,
    ]);
}

#[test]
fn what_shapes_a_payload_splits() {
    several(&[
        "{ id }",
        "{ id body }",
        // The answer's fields stand in the order in which they were asked for (7.2.2 of the specification).
        "{ body id }",
        "{ a: id body }",
        "{ id room { id } }",
        "{ id room { name } }",
        "{ id room { id name } }",
        "{ id room { name id } }",
        "{ id r: room { id } }",
        "{ id replyTo { id } }",
        "{ id replyTo { id replyTo { id } } }",
        "{ id __typename }",
        "{ id t: __typename }",
        "{ id room { id __typename } }",
        "{ id thing { __typename } }",
        "{ id thing { ... on Room { __typename } } }",
        "{ id thing { ... on Message { __typename } } }",
    ]);
    let sent = |field: &str| text(&format!("subscription {{ {field} {{ id }} }}"));
    assert_ne!(sent("sent(roomId: 1)"), sent("s: sent(roomId: 1)"));
    let events = text("subscription { events { __typename } }");
    assert_ne!(
        events,
        text("subscription { events: sent(roomId: 1) { __typename } }")
    );
    assert_ne!(
        events,
        text("subscription { sent(roomId: 1) { __typename } }")
    );
}

#[test]
fn what_the_root_chooses_does_not_count() {
    let first = text("subscription { events { cursor } }");
    for (other, variables) in [
        (
            r#"subscription { events(after: "x") { cursor } }"#,
            json!({}),
        ),
        (
            r#"subscription { events(roomIds: ["a", "b"]) { cursor } }"#,
            json!({}),
        ),
        (
            "subscription($r: [ID!], $a: Cursor) { events(after: $a, roomIds: $r) { cursor } }",
            json!({ "r": ["a"], "a": "x" }),
        ),
    ] {
        assert_eq!(text_with(other, variables), first, "{other}");
    }
    let sent = "subscription($r: ID!, $a: Cursor) { sent(roomId: $r, after: $a) { id } }";
    assert_eq!(
        text_with(sent, json!({ "r": "a" })),
        text_with(sent, json!({ "r": 7, "a": "x" }))
    );
}

#[test]
fn the_mark_of_any_object_that_may_stand_there_counts() {
    let per_viewer = |selections: &str| {
        let text = format!("subscription {{ events {{ {selections} }} }}");
        shared_with(&text, json!({})).unwrap().per_viewer
    };
    for selections in [
        "... on Sent { room { role } }",
        "... on Sent { message { replyTo { room { r: role } } } }",
        "... on Sent { message { thing { ... on Room { role } } } }",
        "... on Sent { room { things { ... on Message { room { role } } } } }",
        // Marked on `Left` alone: its interface and that one's other objects follow.
        "... on RoomEvent { at }",
        "... on Sent { at }",
        "... on Left { at }",
        // Marked on `Event` alone.
        "seen",
        "... on CaughtUp { seen }",
        "... on RoomEvent { s: seen }",
    ] {
        assert!(per_viewer(selections), "{selections}");
    }
    for selections in [
        "cursor",
        "... on RoomEvent { room { id name } }",
        "... on Sent { room { role @skip(if: true) } }",
        "... on RoomEvent { ... @include(if: false) { at } }",
    ] {
        assert!(!per_viewer(selections), "{selections}");
    }
}

#[test]
fn lists_of_what_one_may_read_now_cannot_be_followed() {
    for selection in [
        "{ room { members { nodes { id } } } }",
        "{ room { users { id } } }",
        "{ thing { ... on Room { users { id } } } }",
        "{ ...M } fragment M on Message { replyTo { room { users { id } } } }",
    ] {
        let (selection, fragments) = selection.split_once(" fragment").unwrap_or((selection, ""));
        let fragments = fragments.replacen(" M", "fragment M", 1);
        let text = format!("subscription {{ sent(roomId: 1) {selection} }} {fragments}");
        let refused = shared_with(&text, json!({})).unwrap_err();
        assert!(matches!(refused, Refusal::List { .. }), "{refused}");
    }
    several(&["{ thing { ... on Room { things { ... on Room { id } } } } }"]);
}

#[test]
fn fragments_piled_up_within_fragments_are_refused() {
    // Few fields, so the query guard lets it through: 450 spreads, each of a field within nine fragments.
    let spreads = "...F ".repeat(450);
    let open = "... on Message { ".repeat(9);
    let text = format!(
        "subscription {{ sent(roomId: 1) {{ {spreads} }} }} fragment F on Message {{ {open} id {} }}",
        "}".repeat(9)
    );
    let refused = shared_with(&text, json!({})).unwrap_err();
    assert_eq!(refused, Refusal::TooLarge);
    let fewer = text.replacen(&spreads, &"...F ".repeat(150), 1);
    assert!(shared_with(&fewer, json!({})).is_ok());
}

#[test]
fn a_fragment_that_can_apply_to_nothing_is_left_out() {
    // Valid as they are written: any two types that are next to one another have objects in common.
    for selections in [
        "... on Sent { ... on Event { ... on Left { at } cursor } }",
        "... on RoomEvent { cursor ... on Event { ... on CaughtUp { at: seen } } }",
    ] {
        let text = format!("subscription {{ events {{ {selections} }} }}");
        let shared = shared_with(&text, json!({})).unwrap();
        let spread = format!("{:?}", shared.prepared.document);
        assert!(
            spread.contains("cursor") && !spread.contains("\"at\""),
            "{spread}"
        );
        assert!(!shared.per_viewer);
    }
}

#[test]
fn what_is_executed_for_all_has_the_same_text() {
    let shape = Shape::read(SDL).unwrap();
    let text = "subscription($r: ID!, $u: Boolean, $no: Boolean!) { sent(roomId: $r) {
        ...M body(upper: $u, size: 1) thing { ... on Room { id @skip(if: $no) } } } }
        fragment M on Message { room { id } room { name @include(if: $no) } }";
    let variables = json!({ "r": "a", "u": true, "no": false });
    let shared = shared_with(text, variables).unwrap();
    assert!(shared.prepared.variables.is_empty() && shared.prepared.hides);
    let again = canonical(&shape, &shared.prepared).unwrap();
    assert_eq!(again.text, shared.text);
}
