//! Every limit from both sides, picking, variables, root fields and persisted queries.

mod introspection;
mod remembered;
mod roots;
mod variables;

use std::time::{Duration, Instant};

use async_graphql::parser::types::{Selection, SelectionSet};
use serde_json::{Value as Json, json};

use super::*;

const SDL: &str = r#"
    type Query {
        room(id: ID!): Room
        rooms(first: Int, after: String, last: Int, before: String): RoomConnection!
        changes(after: String, first: Int): ChangePage!
        find(filter: Filter, tags: [String!], kind: Kind, deep: [[Int]]): Room
        a: Room
        n: Int
    }
    type Mutation { send(input: SendInput!): Room leave(id: ID!): Room }
    type Subscription { sent(roomId: ID!): Room other: Room }
    type ChangePage { room: Room }
    type RoomConnection { edges: [RoomEdge!]! nodes: [Room!]! }
    type RoomEdge { node: Room! }
    interface Node { id: ID! }
    type Room implements Node {
        id: ID!
        rooms(first: Int, last: Int): RoomConnection!
        a: Room
    }
    input SendInput { roomId: ID! body: String! data: Any nested: SendInput count: Int! = 1 }
    input Filter { name: String ratio: Float on: Boolean }
    enum Kind { ONE TWO }
    scalar Any
    schema { query: Query mutation: Mutation subscription: Subscription }
"#;

const INTROSPECTION: &str = include_str!("introspection.graphql");

fn documents(limits: Limits) -> Documents {
    Documents::new(limits, Arc::new(Shape::read(SDL).unwrap()))
}

fn prepare_with(text: &str, variables: Json) -> Result<Prepared, Rejection> {
    documents(Limits::default()).prepare(text, None, Variables::from_json(variables))
}

fn prepare(text: &str) -> Result<Prepared, Rejection> {
    prepare_with(text, json!({}))
}

fn code(rejection: &Rejection) -> String {
    let extensions = rejection.errors[0].extensions.as_ref().unwrap();
    extensions.get("code").unwrap().to_string().replace('"', "")
}

/// Code and text of what must be refused.
fn refused(result: Result<Prepared, Rejection>) -> String {
    let rejection = result.unwrap_err();
    format!("{}: {}", code(&rejection), rejection.errors[0].message)
}

fn refused_for(text: &str, what: &str) {
    let said = refused(prepare(text));
    assert!(
        said.starts_with("GRAPHQL_VALIDATION_FAILED") && said.contains(what),
        "{said}"
    );
}

/// Fields within one another, the innermost a leaf.
fn nested(levels: usize) -> String {
    "{ a ".repeat(levels - 1) + "{ id }" + &"}".repeat(levels - 1)
}

/// `{...a} fragment a on Query{...b ...b} …`, each fragment spread twice in the one before.
fn doubling(levels: usize) -> String {
    let name = |level: usize| format!("f{level}");
    let mut text = "{...f0}".to_owned();
    for level in 0..levels {
        let (this, next) = (name(level), name(level + 1));
        text += &format!("fragment {this} on Query{{...{next} ...{next}}}");
    }
    text + &format!("fragment {} on Query{{n}}", name(levels))
}

#[test]
fn fifteen_thousand_characters_pass_and_one_more_is_refused() {
    let text = |chars: usize| "{n}#".to_owned() + &"é".repeat(chars - 4);
    prepare(&text(15_000)).unwrap();
    refused_for(&text(15_001), "characters; the limit is 15000");
}

#[test]
fn a_thousand_tokens_pass_and_one_more_is_refused() {
    // One pair of braces; the same field over and over is 499 selections at most, so names and arguments fill up.
    let text = |tokens: usize| {
        let arguments = "rooms(first:1 last:1) { nodes { id } } ";
        let fields = "n ".repeat(tokens - 2 - 15);
        format!("{{ {arguments} {fields} }}")
    };
    let limits = Limits {
        selections: usize::MAX,
        ..Limits::default()
    };
    let documents = documents(limits);
    let prepare = |tokens| documents.prepare(&text(tokens), None, Variables::default());
    prepare(1_000).unwrap();
    assert!(refused(prepare(1_001)).contains("tokens; the limit is 1000"));
}

#[test]
fn ten_levels_of_fields_pass_and_eleven_are_refused() {
    prepare(&nested(10)).unwrap();
    refused_for(&nested(11), "levels of fields; the limit is 10");
    let spread = "{ ...F } fragment F on Query ".to_owned();
    prepare(&(spread.clone() + &nested(10))).unwrap();
    refused_for(&(spread + &nested(11)), "levels of fields");
    let inline = |levels| nested(levels).replacen("{ a", "{ ... on Query { a", 1) + "}";
    prepare(&inline(10)).unwrap();
    refused_for(&inline(11), "levels of fields");
}

#[test]
fn an_alias_of_100_characters_passes_and_a_longer_one_is_refused() {
    let text = |chars: usize| format!("{{ {}: n }}", "a".repeat(chars));
    assert!(prepare(&text(100)).is_ok());
    refused_for(&text(101), "characters in an alias; the limit is 100");
}

#[test]
fn fifteen_aliases_pass_and_sixteen_are_refused() {
    let text = |count: usize| {
        let fields: Vec<_> = (0..count).map(|index| format!("a{index}: n")).collect();
        format!("{{ {} }}", fields.join(" "))
    };
    prepare(&text(15)).unwrap();
    refused_for(&text(16), "aliases; the limit is 15");
}

#[test]
fn a_name_of_our_own_is_refused() {
    let text = format!(
        "{{ ...F }} fragment F on Query {{ a {{ {}: id }} }}",
        hidden::KEY
    );
    refused_for(&text, "is taken");
}

#[test]
fn fifty_directives_pass_and_one_more_is_refused() {
    let text = |count: usize| format!("{{ {} }}", "n @skip(if: false) ".repeat(count));
    prepare(&text(50)).unwrap();
    refused_for(&text(51), "directives; the limit is 50");
    let spread = format!(
        "query @d {{ n {} ...F @d }} fragment F on Query @d {{ ... @d {{ n }} }}",
        "n @d ".repeat(46)
    );
    prepare(&spread).unwrap();
    refused_for(&spread.replacen("n @d", "n @d n @d", 1), "directives");
}

#[test]
fn five_hundred_expanded_selections_pass_and_one_more_is_refused() {
    let text = |more: usize| {
        let spreads = "...F ".repeat(49);
        let fields = "n ".repeat(more);
        format!(
            "{{ {fields} {spreads} }} fragment F on Query {{ {} }}",
            "n ".repeat(10)
        )
    };
    prepare(&text(10)).unwrap();
    refused_for(
        &text(11),
        "selections once fragments are spread out; the limit is 500",
    );
}

#[test]
fn doubling_fragments_are_refused_before_they_cost_anything() {
    let text = doubling(30);
    assert!((800..1_200).contains(&text.len()), "{}", text.len());
    let time = |_| {
        let began = Instant::now();
        refused_for(&text, "selections once fragments are spread out");
        began.elapsed()
    };
    // The quickest of a few, so that a busy machine is not mistaken for a slow guard.
    let quickest = (0..10).map(time).min().unwrap();
    assert!(quickest < Duration::from_millis(10), "{quickest:?}");
    // Where no operation spreads them, the validator would still walk them.
    refused_for(&text.replacen("{...f0}", "{n}", 1), "selections once");
    prepare(&doubling(8)).unwrap();
}

#[test]
fn fragments_that_spread_each_other_are_refused() {
    refused_for("{...A} fragment A on Query {...A}", "spreads itself");
    refused_for(
        "{...A} fragment A on Query {...B} fragment B on Query {a{...A}}",
        "spreads itself",
    );
    refused_for(
        "{n} fragment A on Query {...B} fragment B on Query {...A}",
        "spreads itself",
    );
}

#[test]
fn brackets_within_one_another_stop_before_the_parser() {
    let lists = |levels: usize| {
        format!(
            "{{ find(deep: {}{}) {{ id }} }}",
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    prepare(&lists(48)).unwrap();
    refused_for(&lists(49), "brackets within one another");
    for open in [
        "{",
        "[",
        "(",
        "{a",
        "query($a:[",
        "{a(b:[",
        "{a(b:{c:",
        "{a(b:\"\"\"",
        "{...{",
        "@",
    ] {
        let began = Instant::now();
        for levels in [49, 400, 7_000] {
            prepare(&open.repeat(levels)).unwrap_err();
        }
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{open}: {:?}",
            began.elapsed()
        );
    }
}

#[test]
fn ten_thousand_nodes_pass_and_one_more_is_refused() {
    let text = |outer, inner| {
        format!(
            "{{ rooms(first: {outer}) {{ nodes {{ rooms(last: {inner}) {{ nodes {{ id }} }} }} }} }}"
        )
    };
    prepare(&text(100, 99)).unwrap();
    refused_for(&text(100, 100), "up to 10100 nodes; the limit is 10000");
    // 50 + 50 x 50 + 50 x 50 x 50
    let pages =
        "{ rooms { edges { node { rooms { edges { node { rooms { nodes { id } } } } } } } } }";
    refused_for(pages, "up to 127550 nodes");
    prepare("{ rooms { edges { node { rooms { edges { node { id } } } } } } }").unwrap();
}

#[test]
fn page_sizes_count_wherever_they_come_from() {
    let text = "query($n: Int = 3) { rooms(first: $n) { nodes { ...R } } } fragment R on Room { rooms { nodes { rooms(first: $n) { nodes { id } } } } }";
    // n + 50n + 50n²
    prepare_with(text, json!({ "n": 13 })).unwrap();
    assert!(refused(prepare_with(text, json!({ "n": 14 }))).contains("up to 10514 nodes"));
    prepare(text).unwrap();
    refused_for(
        "{ changes { room { rooms { nodes { id } } } } }",
        "up to 10200 nodes",
    );
    prepare("{ changes(first: 100) { room { rooms { nodes { id } } } } }").unwrap();
    prepare("{ rooms(first: -5) { nodes { id } } }").unwrap();
    let nested = |size: i32| {
        format!(
            "{{ rooms(first: {size}) {{ nodes {{ rooms(first: {size}) {{ nodes {{ rooms(first: {size}) {{ nodes {{ id }} }} }} }} }} }} }}"
        )
    };
    refused_for(&nested(100), "up to 1010100 nodes");
    // More than a page may hold is for the field to refuse, by its own code: nothing is read.
    for over in [101, i32::MAX] {
        prepare(&nested(over)).unwrap();
    }
}

#[test]
fn the_operation_is_picked_as_the_specification_says() {
    let documents = documents(Limits::default());
    let prepare = |text, name| documents.prepare(text, name, Variables::default());
    let two = "query A {n} mutation B { leave(id: 1) { id } }";
    assert_eq!(
        prepare(two, Some("B")).unwrap().kind,
        OperationType::Mutation
    );
    assert_eq!(
        prepare("query A {n}", None).unwrap().kind,
        OperationType::Query
    );
    assert!(refused(prepare(two, None)).contains("several operations"));
    assert!(refused(prepare(two, Some("C"))).contains("no operation named \"C\""));
    assert!(refused(prepare("{n}", Some("C"))).contains("no operation named \"C\""));
}

#[test]
fn a_mark_reaches_all_that_may_stand_in_for_one_another() {
    let sdl = |marked: &str| {
        let types = [
            "interface A",
            "interface B",
            "interface C",
            "type X implements A & B",
            "type Y implements B & C",
        ];
        let types = types.map(|ty| {
            let mark = if ty.contains(marked) {
                "@perViewer"
            } else {
                ""
            };
            format!("{ty} {{ id: ID! {mark} other: ID! }}")
        });
        format!(
            "{} type Z {{ id: ID! }} type Query {{ x: X y: Y z: Z }}",
            types.join(" ")
        )
    };
    for marked in [
        "interface A",
        "interface B",
        "interface C",
        "type X",
        "type Y",
    ] {
        let shape = Shape::read(&sdl(marked)).unwrap();
        let is_marked = |ty, field| shape.field(ty, field).unwrap().per_viewer;
        for ty in ["A", "B", "C", "X", "Y"] {
            assert!(
                is_marked(ty, "id") && !is_marked(ty, "other"),
                "{marked}, {ty}"
            );
        }
        assert!(!is_marked("Z", "id"));
    }
}
