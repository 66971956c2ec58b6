//! Reactions through the schema.

use serde_json::{Value, json};

use super::world::{World, each, text};

const SHOWN: &str =
    "{ message { id version reactions { id emoji count viewerReacted users { id } } } }";

async fn react(world: &World, who: &str, field: &str, message: &str, emoji: &str) -> Value {
    let query = mutation(field, SHOWN);
    let input = json!({"messageId": message, "emoji": emoji});
    let answer = world.ask(who, &query, json!({ "input": input })).await;
    answer[field]["message"].clone()
}

fn mutation(field: &str, selection: &str) -> String {
    let input = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
    format!("mutation($input: {input}!) {{ {field}(input: $input) {selection} }}")
}

/// A message in a room of these people.
async fn said(world: &World, people: &[&str]) -> (String, String) {
    let room = world.room(people[0], "PRIVATE", people).await;
    let message = world.send(people[0], &room, "hello", None).await;
    (room, message)
}

#[tokio::test]
async fn a_reaction_from_its_adding_to_its_removal() {
    let world = World::new().await;
    let (_, id) = said(&world, &["ada", "ben"]).await;
    let one = react(&world, "ben", "addReaction", &id, "👍").await;
    let again = react(&world, "ben", "addReaction", &id, "👍").await;
    assert_eq!(one, again);
    let reaction = &one["reactions"][0];
    assert_eq!(reaction["emoji"], "👍");
    assert_eq!(reaction["count"], 1);
    assert_eq!(reaction["viewerReacted"], true);
    assert_eq!(each(&reaction["users"], "id"), ["ben"]);
    let head = world.head().await;
    let two = react(&world, "ada", "addReaction", &id, "❤").await;
    assert_eq!(two["version"], 1);
    assert_eq!(each(&two["reactions"], "emoji"), ["👍", "❤️"]);
    assert_eq!(two["reactions"][0]["viewerReacted"], false);
    assert_eq!(two["reactions"][0]["id"], reaction["id"]);
    assert_ne!(two["reactions"][1]["id"], reaction["id"]);
    assert_eq!(world.head().await.seq, head.seq.next());
    // However the keyboard spells it.
    let left = react(&world, "ada", "removeReaction", &id, "\u{2764}\u{fe0f}").await;
    assert_eq!(each(&left["reactions"], "emoji"), ["👍"]);
    let left = react(&world, "ben", "removeReaction", &id, "👍").await;
    assert_eq!(left["reactions"], json!([]));
    let head = world.head().await;
    react(&world, "ben", "removeReaction", &id, "👍").await;
    assert_eq!(world.head().await, head);
    let back = react(&world, "ada", "addReaction", &id, "👍").await;
    assert_eq!(back["reactions"][0]["id"], reaction["id"]);
}

#[tokio::test]
async fn what_is_refused_says_which_field_and_which_limit() {
    let world = World::new().await;
    let (_, id) = said(&world, &["ada"]).await;
    let refused = async |field: &str, emoji: &str| {
        let input = json!({"messageId": id, "emoji": emoji});
        let query = mutation(field, "{ __typename }");
        let told = world.refused("ada", &query, json!({ "input": input }));
        told.await
    };
    for emoji in ["", "a", "👍👍", " ", &"👍".repeat(100)] {
        for field in ["addReaction", "removeReaction"] {
            let told = refused(field, emoji).await;
            assert_eq!(told["code"], "BAD_USER_INPUT", "{emoji}");
            assert_eq!(
                (&told["field"], &told["limit"]),
                (&json!("emoji"), &json!(64))
            );
        }
    }
    for n in 0..20 {
        let animal = char::from_u32(0x1f400 + n).unwrap().to_string();
        react(&world, "ada", "addReaction", &id, &animal).await;
    }
    let told = refused("addReaction", "👍").await;
    assert_eq!(told["code"], "BAD_USER_INPUT");
    assert_eq!(
        (&told["field"], &told["limit"]),
        (&json!("emoji"), &json!(20))
    );
}

#[tokio::test]
async fn the_first_to_react_are_told_20_unless_said_and_at_most_100() {
    let world = World::new().await;
    let people: Vec<String> = (0..25).map(|n| format!("user-{n}")).collect();
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    let (_, id) = said(&world, &names).await;
    for who in &names {
        react(&world, who, "addReaction", &id, "👍").await;
    }
    let query = "query($id: ID!, $first: Int) { message(id: $id) { reactions { count users(first: $first) { id } } } }";
    for (first, count) in [
        (Value::Null, 20),
        (json!(3), 3),
        (json!(100), 25),
        (json!(0), 0),
    ] {
        let seen = world
            .ask("user-3", query, json!({"id": id, "first": first}))
            .await;
        let reaction = &seen["message"]["reactions"][0];
        assert_eq!(reaction["count"], 25);
        assert_eq!(each(&reaction["users"], "id"), names[..count]);
    }
    for first in [-1, 101] {
        let told = world
            .refused("user-3", query, json!({"id": id, "first": first}))
            .await;
        assert_eq!(told["code"], "BAD_USER_INPUT");
        assert_eq!(
            (&told["field"], &told["limit"]),
            (&json!("first"), &json!(100))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_who_react_at_once_are_fifty_under_one_reaction() {
    let world = World::new().await;
    let people: Vec<String> = (0..50).map(|n| format!("user-{n}")).collect();
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    let (_, id) = said(&world, &names).await;
    let query = mutation("addReaction", "{ message { reactions { id count } } }");
    // Each of them twice, as a phone that heard no answer.
    let reacting = names.iter().chain(&names).map(|who| {
        let input = json!({"messageId": id, "emoji": "👍"});
        world.ask(who, &query, json!({ "input": input }))
    });
    let answers = futures_util::future::join_all(reacting).await;
    let ids = answers.iter().map(|it| {
        let reactions = it["addReaction"]["message"]["reactions"]
            .as_array()
            .unwrap();
        assert_eq!(reactions.len(), 1);
        text(&reactions[0]["id"])
    });
    let ids: std::collections::HashSet<_> = ids.collect();
    assert_eq!(ids.len(), 1);
    let query =
        "query($id: ID!) { message(id: $id) { reactions { id count users(first: 100) { id } } } }";
    let seen = world.ask("user-0", query, json!({ "id": id })).await;
    let reaction = &seen["message"]["reactions"][0];
    assert_eq!(reaction["count"], 50);
    assert!(ids.contains(reaction["id"].as_str().unwrap()));
    let mut users = each(&reaction["users"], "id");
    users.sort();
    users.dedup();
    assert_eq!(users.len(), 50);
    // A room, a message, and one event for each of them.
    assert_eq!(world.head().await.seq.0, 52);
}

#[tokio::test]
async fn reactions_go_when_their_message_is_deleted() {
    let world = World::new().await;
    let (_, id) = said(&world, &["ada", "ben"]).await;
    react(&world, "ben", "addReaction", &id, "👍").await;
    let query = mutation("deleteMessage", SHOWN);
    let gone = world.ask("ada", &query, json!({"input": {"messageId": id}}));
    assert_eq!(
        gone.await["deleteMessage"]["message"]["reactions"],
        json!([])
    );
    let query = mutation("addReaction", "{ __typename }");
    let input = json!({"messageId": id, "emoji": "👍"});
    let told = world
        .refused("ben", &query, json!({ "input": input }))
        .await;
    assert_eq!(told["code"], "CONFLICT");
    let left = react(&world, "ben", "removeReaction", &id, "👍").await;
    assert_eq!(left["reactions"], json!([]));
}
