//! What bad input gets: a code, the field at fault, and where there is one, the limit.

use serde_json::{Value, json};

use super::world::World;

const ROOM: &str =
    "query($id: ID!, $first: Int, $after: String, $last: Int, $before: String) { room(id: $id) {
    messages(first: $first, after: $after, last: $last, before: $before) { nodes { id } } } }";
const MEMBERS: &str =
    "query($id: ID!, $first: Int, $after: String, $last: Int, $before: String) { room(id: $id) {
    members(first: $first, after: $after, last: $last, before: $before) { nodes { id } } } }";
const ROOMS: &str = "query($first: Int, $after: String, $last: Int, $before: String) {
    rooms(first: $first, after: $after, last: $last, before: $before) { nodes { id } } }";
const MINE: &str = "query($first: Int, $after: String, $last: Int, $before: String) {
    viewer { rooms(first: $first, after: $after, last: $last, before: $before) { nodes { id } } } }";
const CHANGES: &str =
    "query($after: Cursor, $first: Int) { changes(after: $after, first: $first) { cursor } }";

#[tokio::test]
async fn pages_that_cannot_be() {
    let world = World::new().await;
    let id = world.room("ada", "PRIVATE", &[]).await;
    for query in [ROOM, MEMBERS, ROOMS, MINE] {
        for (args, field, limit) in [
            (json!({"first": 1, "last": 1}), "last", None),
            (json!({"first": 0, "last": 0}), "last", None),
            (json!({"first": -1}), "first", Some(100)),
            (json!({"last": -1}), "last", Some(100)),
            (json!({"first": 101}), "first", Some(100)),
            (json!({"last": 2_147_483_647}), "last", Some(100)),
            (json!({"after": "garbage"}), "after", None),
            (json!({"before": ""}), "before", None),
            (json!({"after": "00000000000000000000x"}), "after", None),
            (json!({"last": 1, "before": "É".repeat(10)}), "before", None),
        ] {
            let mut variables = args.clone();
            variables["id"] = json!(id);
            let refusal = world.refused("ada", query, variables).await;
            assert_eq!(refusal["code"], "BAD_USER_INPUT", "{query} {args}");
            assert_eq!(refusal["field"], field, "{query} {args}");
            assert_eq!(refusal["retryable"], false);
            assert_eq!(
                refusal.get("limit").and_then(Value::as_u64),
                limit,
                "{query} {args}"
            );
        }
    }
}

#[tokio::test]
async fn a_whole_number_that_would_be_rounded_is_refused_wherever_it_stands() {
    let world = World::new().await;
    let id = world.room("ada", "PRIVATE", &[]).await;
    let said = |number: &str| -> [(String, Value); 2] {
        let text = format!(
            r#"{{"input": {{"roomId": "{id}", "body": "", "data": {{"n": [{number}]}}}}}}"#
        );
        let query = "mutation($input: SendMessageInput!) { sendMessage(input: $input) { message { data } } }";
        let literal = format!(
            r#"mutation {{ sendMessage(input: {{roomId: "{id}", body: "", data: {{n: [{number}]}}}}) {{ message {{ data }} }} }}"#
        );
        [
            (query.to_owned(), serde_json::from_str(&text).unwrap()),
            (literal, json!({})),
        ]
    };
    for (query, variables) in said("18446744073709551615")
        .into_iter()
        .chain(said("-9223372036854775808"))
    {
        let answer = world.ask("ada", &query, variables).await;
        let kept = answer["sendMessage"]["message"]["data"]["n"][0].to_string();
        assert!(
            kept == "18446744073709551615" || kept == "-9223372036854775808",
            "{kept}"
        );
    }
    for (query, variables) in said("18446744073709551617")
        .into_iter()
        .chain(said("-18446744073709551617"))
    {
        let refusal = world.refused("ada", &query, variables).await;
        assert_eq!(refusal["code"], "BAD_USER_INPUT", "{query}");
        assert_eq!(refusal["field"], "data");
    }
}

#[tokio::test]
async fn a_cursor_of_another_list_is_garbage() {
    let world = World::new().await;
    let id = world.room("ada", "PRIVATE", &[]).await;
    world.send("ada", &id, "hello", None).await;
    let query = "query($id: ID!) { room(id: $id) { messages { edges { cursor } } members { edges { cursor } } }
        viewer { rooms { edges { cursor } } } }";
    let seen = world.ask("ada", query, json!({"id": id})).await;
    let cursor = |list: &Value| list["edges"][0]["cursor"].clone();
    let message = cursor(&seen["room"]["messages"]);
    let member = cursor(&seen["room"]["members"]);
    let room = cursor(&seen["viewer"]["rooms"]);
    for (query, strangers) in [
        (ROOM, [&member, &room]),
        (MEMBERS, [&message, &room]),
        (MINE, [&message, &member]),
    ] {
        for stranger in strangers {
            let refusal = world
                .refused("ada", query, json!({"id": id, "after": stranger}))
                .await;
            assert_eq!(refusal["code"], "BAD_USER_INPUT");
            assert_eq!(refusal["field"], "after");
        }
    }
}

#[tokio::test]
async fn changes_that_cannot_be() {
    let world = World::new().await;
    for (args, field, limit) in [
        (json!({"first": 501}), "first", Some(500)),
        (json!({"first": -1}), "first", Some(500)),
        (json!({"after": "garbage"}), "after", None),
        (json!({"after": ""}), "after", None),
    ] {
        let refusal = world.refused("ada", CHANGES, args).await;
        assert_eq!(refusal["code"], "BAD_USER_INPUT");
        assert_eq!(refusal["field"], field);
        assert_eq!(refusal.get("limit").and_then(Value::as_u64), limit);
    }
}

#[tokio::test]
async fn ids_that_are_none() {
    let world = World::new().await;
    for id in [
        "",
        "lobby",
        "01890A5D-AC96-774B-BCCE-B302099A8057",
        "{01890a5d-ac96-774b-bcce-b302099a8057}",
    ] {
        for field in ["room", "message"] {
            let query = format!("query($id: ID!) {{ {field}(id: $id) {{ id }} }}");
            let refusal = world.refused("ada", &query, json!({"id": id})).await;
            assert_eq!(
                (&refusal["code"], &refusal["field"]),
                (&json!("BAD_USER_INPUT"), &json!("id"))
            );
        }
    }
    let query = "query($id: ID!) { user(id: $id) { id } }";
    let refusal = world
        .refused("ada", query, json!({"id": "a".repeat(256)}))
        .await;
    assert_eq!(
        (&refusal["field"], &refusal["limit"]),
        (&json!("id"), &json!(255))
    );
}

#[tokio::test]
async fn mutations_that_cannot_be() {
    let world = World::new().await;
    let room = world.room("ada", "PRIVATE", &[]).await;
    let message = world.send("ada", &room, "hello", None).await;
    let elsewhere = world.room("ada", "PRIVATE", &[]).await;
    let absent = "01890a5d-ac96-774b-bcce-b302099a8057";
    let big = json!({"a": "b".repeat(5000)});
    for (who, field, input, code, at) in [
        (
            "ada",
            "createRoom",
            json!({"name": " "}),
            "BAD_USER_INPUT",
            "name",
        ),
        (
            "ada",
            "createRoom",
            json!({"name": "a".repeat(201)}),
            "BAD_USER_INPUT",
            "name",
        ),
        (
            "ada",
            "createRoom",
            json!({"name": "a", "id": "a"}),
            "BAD_USER_INPUT",
            "id",
        ),
        (
            "ada",
            "createRoom",
            json!({"name": "a", "id": room}),
            "CONFLICT",
            "",
        ),
        (
            "ada",
            "openDirectRoom",
            json!({"userId": ""}),
            "BAD_USER_INPUT",
            "userId",
        ),
        (
            "ada",
            "openDirectRoom",
            json!({"userId": "ada"}),
            "BAD_USER_INPUT",
            "userId",
        ),
        (
            "eve",
            "createRoom",
            json!({"name": "a", "id": room}),
            "CONFLICT",
            "",
        ),
        (
            "ada",
            "createRoom",
            json!({"name": "a", "id": message}),
            "CONFLICT",
            "",
        ),
        (
            "ada",
            "createRoom",
            json!({"name": "a", "memberIds": [""]}),
            "BAD_USER_INPUT",
            "memberIds",
        ),
        (
            "ada",
            "createRoom",
            json!({"name": "a", "data": big}),
            "BAD_USER_INPUT",
            "data",
        ),
        (
            "ada",
            "updateRoom",
            json!({"roomId": room, "name": ""}),
            "BAD_USER_INPUT",
            "name",
        ),
        (
            "eve",
            "updateRoom",
            json!({"roomId": room, "name": "a"}),
            "NOT_FOUND",
            "",
        ),
        (
            "ada",
            "deleteRoom",
            json!({"roomId": absent}),
            "NOT_FOUND",
            "",
        ),
        (
            "ada",
            "deleteRoom",
            json!({"roomId": "x"}),
            "BAD_USER_INPUT",
            "roomId",
        ),
        ("eve", "joinRoom", json!({"roomId": room}), "NOT_FOUND", ""),
        (
            "ada",
            "leaveRoom",
            json!({"roomId": "x"}),
            "BAD_USER_INPUT",
            "roomId",
        ),
        (
            "ada",
            "addMember",
            json!({"roomId": room, "userId": "a\u{0}"}),
            "BAD_USER_INPUT",
            "userId",
        ),
        (
            "ada",
            "addMember",
            json!({"roomId": room, "userId": "ada", "role": "READER"}),
            "CONFLICT",
            "",
        ),
        (
            "ada",
            "removeMember",
            json!({"roomId": room, "userId": ""}),
            "BAD_USER_INPUT",
            "userId",
        ),
        (
            "ada",
            "sendMessage",
            json!({"roomId": "x", "body": "a"}),
            "BAD_USER_INPUT",
            "roomId",
        ),
        (
            "ada",
            "sendMessage",
            json!({"roomId": room, "body": " \n"}),
            "BAD_USER_INPUT",
            "body",
        ),
        (
            "ada",
            "sendMessage",
            json!({"roomId": room, "body": "a".repeat(16_385)}),
            "BAD_USER_INPUT",
            "body",
        ),
        (
            "ada",
            "sendMessage",
            json!({"roomId": room, "body": "a", "data": big}),
            "BAD_USER_INPUT",
            "data",
        ),
        (
            "ada",
            "sendMessage",
            json!({"roomId": room, "body": "a", "id": "A"}),
            "BAD_USER_INPUT",
            "id",
        ),
        (
            "ada",
            "sendMessage",
            json!({"roomId": room, "body": "a", "id": room}),
            "CONFLICT",
            "",
        ),
        (
            "ada",
            "sendMessage",
            json!({"roomId": room, "body": "a", "replyToId": "x"}),
            "BAD_USER_INPUT",
            "replyToId",
        ),
        (
            "ada",
            "sendMessage",
            json!({"roomId": elsewhere, "body": "a", "replyToId": message}),
            "NOT_FOUND",
            "",
        ),
        (
            "eve",
            "sendMessage",
            json!({"roomId": room, "body": "a"}),
            "NOT_FOUND",
            "",
        ),
        (
            "eve",
            "editMessage",
            json!({"messageId": message, "body": "a"}),
            "NOT_FOUND",
            "",
        ),
        (
            "ada",
            "editMessage",
            json!({"messageId": message, "body": ""}),
            "BAD_USER_INPUT",
            "body",
        ),
        (
            "ada",
            "editMessage",
            json!({"messageId": message, "body": "a", "expectedVersion": -1}),
            "BAD_USER_INPUT",
            "expectedVersion",
        ),
        (
            "ada",
            "editMessage",
            json!({"messageId": message, "body": "a", "expectedVersion": 9}),
            "CONFLICT",
            "",
        ),
        (
            "eve",
            "deleteMessage",
            json!({"messageId": message}),
            "NOT_FOUND",
            "",
        ),
        (
            "ada",
            "deleteMessage",
            json!({"messageId": absent}),
            "NOT_FOUND",
            "",
        ),
        (
            "ada",
            "deleteMessage",
            json!({"messageId": "x"}),
            "BAD_USER_INPUT",
            "messageId",
        ),
        (
            "eve",
            "addReaction",
            json!({"messageId": message, "emoji": "👍"}),
            "NOT_FOUND",
            "",
        ),
        (
            "ada",
            "removeReaction",
            json!({"messageId": "x", "emoji": "👍"}),
            "BAD_USER_INPUT",
            "messageId",
        ),
    ] {
        let ty = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
        let query =
            format!("mutation($input: {ty}!) {{ {field}(input: $input) {{ __typename }} }}");
        let variables = json!({"input": input});
        if code.is_empty() {
            world.ask(who, &query, variables).await;
            continue;
        }
        let refusal = world.refused(who, &query, variables).await;
        assert_eq!(refusal["code"], code, "{field} {input}");
        assert_eq!(
            refusal["field"].as_str().unwrap_or_default(),
            at,
            "{field} {input}"
        );
    }
}
