//! Every limit from both sides, picking, variables, root fields and persisted queries.

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

/// Levels and number of fields once fragments are spread out.
fn size(document: &ExecutableDocument, set: &SelectionSet) -> (usize, usize) {
    let sizes = set.items.iter().map(|item| match &item.node {
        Selection::Field(field) => {
            let (levels, fields) = size(document, &field.node.selection_set.node);
            (levels + 1, fields + 1)
        }
        Selection::InlineFragment(inline) => size(document, &inline.node.selection_set.node),
        Selection::FragmentSpread(spread) => {
            let fragment = &document.fragments[&spread.node.fragment_name.node];
            size(document, &fragment.node.selection_set.node)
        }
    });
    sizes.fold((0, 0), |(levels, fields), (below, more)| {
        (levels.max(below), fields + more)
    })
}

#[test]
fn introspection_larger_than_any_tools_passes_and_needs_no_token() {
    let prepared = prepare(INTROSPECTION).unwrap();
    assert!(prepared.introspection);
    let operation = prepared.operation().unwrap();
    let (levels, fields) = size(&prepared.document, &operation.selection_set.node);
    // What GraphiQL and code generators send is 15 deep and has 230.
    assert!(
        levels >= 15 && fields >= 230,
        "{levels} levels, {fields} fields"
    );
    let fragment = "query { __schema { types { ...D } } } fragment D on __Type ".to_owned();
    prepare(&(fragment + &"{ ofType".repeat(12) + "{ name }" + &"}".repeat(12))).unwrap();
}

#[test]
fn introspection_that_multiplies_lists_is_refused() {
    let lists = |levels: usize| {
        let open = "fields { type { ".repeat(levels);
        format!(
            "{{ __type(name: \"Query\") {{ {open} name {} }} }}",
            "} }".repeat(levels)
        )
    };
    prepare(&lists(2)).unwrap();
    refused_for(&lists(3), "lists of introspection");
}

#[test]
fn introspection_of_everything_passes_once_and_what_multiplies_it_is_refused() {
    let about = |name: &str| format!("{{ __schema {{ types {{ {name} }} }} }}");
    prepare(INTROSPECTION).unwrap();
    // What 15 aliases could multiply: the schema, its types, their fields; in fragments too.
    let aliased = |count: usize, what: &str| {
        let aliases = (0..count).map(|n| format!("a{n}: {what} "));
        aliases.collect::<String>()
    };
    let of_field =
        "args { name type { name kind ofType { name kind ofType { name } } } } type { name kind }";
    let field = format!("fields {{ {of_field} }}");
    prepare(&about(&field)).unwrap();
    refused_for(&about(&aliased(15, &field)), "values to introspect");
    let types = format!("types {{ {field} }}");
    let in_schema = format!("{{ __schema {{ {} }} }}", aliased(15, &types));
    refused_for(&in_schema, "values to introspect");
    let schemas = format!("{{ {} }}", aliased(15, &format!("__schema {{ {types} }}")));
    refused_for(&schemas, "values to introspect");
    let fragment = format!(
        "{{ ...F }} fragment F on Query {{ {} }}",
        aliased(15, &format!("__schema {{ {types} }}"))
    );
    refused_for(&fragment, "values to introspect");
    // One type is cheap, however often.
    let one = format!("__type(name: \"Query\") {{ {field} }}");
    prepare(&format!("{{ {} }}", aliased(15, &one))).unwrap();
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
fn a_document_over_a_limit_is_refused_each_time() {
    let documents = documents(Limits::default());
    for _ in 0..2 {
        documents
            .prepare(&nested(11), None, Variables::default())
            .unwrap_err();
    }
}

#[test]
fn a_document_is_parsed_once() {
    let documents = documents(Limits::default());
    let prepare = |text| documents.prepare(text, None, Variables::default()).unwrap();
    let (one, two, other) = (prepare("{n}"), prepare("{n}"), prepare("{n }"));
    assert!(Arc::ptr_eq(&one.document, &two.document));
    assert!(!Arc::ptr_eq(&one.document, &other.document));
}

#[test]
fn documents_that_were_not_used_longest_are_parsed_anew() {
    let reused = |limits: Limits, texts: &[&str]| {
        let documents = documents(limits);
        let prepare = |text| documents.prepare(text, None, Variables::default()).unwrap();
        let first = prepare(texts[0]);
        texts[1..].iter().for_each(|text| drop(prepare(text)));
        Arc::ptr_eq(&first.document, &prepare(texts[0]).document)
    };
    let two = Limits {
        cached: 2,
        ..Limits::default()
    };
    assert!(reused(two.clone(), &["{n}", "{ n}"]));
    assert!(!reused(two, &["{n}", "{ n}", "{n }"]));
    // Three tokens each, at what a token weighs, and the text.
    let cached_bytes = 2 * (3 * TOKEN_BYTES + 4);
    let bytes = |cached_bytes| Limits {
        cached_bytes,
        ..Limits::default()
    };
    assert!(reused(bytes(cached_bytes), &["{ n}", "{n }"]));
    assert!(!reused(bytes(cached_bytes - 1), &["{ n}", "{n }"]));
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
fn a_bad_variable_is_bad_user_input_that_says_where() {
    let send = "mutation($input: SendInput!) { send(input: $input) { id } }";
    let find = "query($filter: Filter, $tags: [String!], $kind: Kind, $deep: [[Int]]) { find(filter: $filter, tags: $tags, kind: $kind, deep: $deep) { id } }";
    for (text, variables, why) in [
        (
            send,
            json!({}),
            "variable \"$input\" of type \"SendInput!\" was not given",
        ),
        (
            send,
            json!({ "input": null }),
            "variable \"$input\": expected \"SendInput!\", found null",
        ),
        (
            send,
            json!({ "input": "x" }),
            "variable \"$input\": expected \"SendInput\", found a string",
        ),
        (
            send,
            json!({ "input": { "roomId": "x" } }),
            "variable \"$input\": field \"body\" of type \"String!\" is missing",
        ),
        (
            send,
            json!({ "input": { "roomId": 1.5, "body": "" } }),
            "variable \"$input\" at \"roomId\": expected \"ID\", found 1.5",
        ),
        (
            send,
            json!({ "input": { "roomId": 1, "body": "", "x": 1 } }),
            "variable \"$input\": \"SendInput\" has no field \"x\"",
        ),
        (
            send,
            json!({ "input": { "roomId": 1, "body": "", "nested": { "roomId": "", "body": 3 } } }),
            "variable \"$input\" at \"nested.body\": expected \"String\", found 3",
        ),
        (
            find,
            json!({ "tags": ["a", null] }),
            "variable \"$tags\" at \"[1]\": expected \"String!\", found null",
        ),
        (
            find,
            json!({ "kind": "THREE" }),
            "variable \"$kind\": expected \"Kind\", found a string",
        ),
        (
            find,
            json!({ "deep": [[1], [2147483648_u64]] }),
            "variable \"$deep\" at \"[1][0]\": expected \"Int\", found 2147483648",
        ),
        (
            find,
            json!({ "filter": { "on": 1 } }),
            "variable \"$filter\" at \"on\": expected \"Boolean\", found 1",
        ),
        (
            find,
            json!({ "filter": [] }),
            "variable \"$filter\": expected \"Filter\", found a list",
        ),
    ] {
        assert_eq!(
            refused(prepare_with(text, variables)),
            format!("BAD_USER_INPUT: {why}")
        );
    }
}

#[test]
fn good_variables_pass_and_what_is_left_out_gets_a_value() {
    let text = "query($filter: Filter, $tags: [String!], $kind: Kind = TWO, $deep: [[Int]]) { find(filter: $filter, tags: $tags, kind: $kind, deep: $deep) { id } }";
    let variables =
        json!({ "filter": { "ratio": 1, "name": null }, "tags": "one", "deep": 5, "other": true });
    let prepared = prepare_with(text, variables).unwrap();
    let variables = serde_json::to_value(&prepared.variables).unwrap();
    assert_eq!(
        variables,
        json!({ "filter": { "ratio": 1, "name": null }, "tags": "one", "kind": "TWO", "deep": 5 })
    );
    let null = prepare_with("query($kind: Kind) { find(kind: $kind) { id } }", json!({})).unwrap();
    assert_eq!(
        serde_json::to_value(&null.variables).unwrap(),
        json!({ "kind": null })
    );
}

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

#[test]
fn only_pure_introspection_needs_no_token() {
    let introspection = |text| prepare(text).unwrap().introspection;
    assert!(introspection("{ __typename }"));
    assert!(introspection("mutation { __typename }"));
    assert!(introspection(
        "{ ...F } fragment F on Query { __typename __schema { types { name } } }"
    ));
    assert!(!introspection("{ __typename n }"));
    assert!(!introspection("{ ...F } fragment F on Query { n }"));
    assert!(!introspection(
        "{ __typename ...F } fragment F on Node { id }"
    ));
}

fn persisted(query: Option<&str>, text: &str) -> Params {
    Params {
        query: query.map(str::to_owned),
        persisted: Some(Hasher::digest(text).into()),
        ..Params::default()
    }
}

#[test]
fn a_persisted_query_is_known_once_its_text_was_sent() {
    let documents = documents(Limits::default());
    let miss = documents
        .prepare_params(persisted(None, "{n}"))
        .unwrap_err();
    assert_eq!(miss.errors[0].message, "PersistedQueryNotFound");
    assert_eq!(
        (code(&miss).as_str(), miss.status),
        ("PERSISTED_QUERY_NOT_FOUND", 200)
    );
    documents
        .prepare_params(persisted(Some("{n}"), "{n}"))
        .unwrap();
    assert_eq!(
        documents
            .prepare_params(persisted(None, "{n}"))
            .unwrap()
            .root_fields,
        1
    );
}

#[test]
fn a_hash_of_another_text_is_refused_and_not_kept() {
    let documents = documents(Limits::default());
    let said = refused(documents.prepare_params(persisted(Some("{n}"), "{n }")));
    assert!(said.starts_with("BAD_USER_INPUT"), "{said}");
    documents
        .prepare_params(persisted(None, "{n }"))
        .unwrap_err();
    documents
        .prepare_params(persisted(Some("{"), "{"))
        .unwrap_err();
    let miss = documents.prepare_params(persisted(None, "{")).unwrap_err();
    assert_eq!(code(&miss), "PERSISTED_QUERY_NOT_FOUND");
}

#[test]
fn persisted_queries_are_bounded() {
    let documents = documents(Limits {
        persisted_bytes: 6,
        ..Limits::default()
    });
    for text in ["{n}", "{a{id}}", "{ n", "{n }"] {
        let _ = documents.prepare_params(persisted(Some(text), text));
    }
    documents
        .prepare_params(persisted(None, "{n}"))
        .unwrap_err();
    documents
        .prepare_params(persisted(None, "{a{id}}"))
        .unwrap_err();
    documents.prepare_params(persisted(None, "{n }")).unwrap();
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
