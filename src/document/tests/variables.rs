//! Variables: what is refused, and what is filled in.

use super::*;

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
