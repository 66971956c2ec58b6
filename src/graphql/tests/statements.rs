//! How many statements a page takes: no more for many than for few.

use serde_json::{Value, json};

use super::world::{World, text};

/// The statements that a query takes.
async fn reads(world: &mut World, query: &str, variables: Value) -> u64 {
    world.hush().await;
    let before = world.deps.store.reads();
    world.ask("ada", query, variables).await;
    let after = world.deps.store.reads();
    // One is the world's own, for the head.
    after - before - 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_messages_takes_the_same_for_5_as_for_50() {
    let mut world = World::new().await;
    let room = world.room("ada", "PRIVATE", &["ben", "cay"]).await;
    let mut last = None;
    for n in 0..60 {
        let who = ["ada", "ben", "cay"][n % 3];
        last = Some(
            world
                .send(who, &room, &n.to_string(), last.as_deref())
                .await,
        );
    }
    let query = "query($room: ID!, $last: Int) { room(id: $room) {
        messages(last: $last) {
            edges { node { id body author { id name } room { id name lastMessage { id } }
                replyTo { id body author { id name } replyTo { id author { name } } } } }
            pageInfo { hasNextPage hasPreviousPage } }
    } }";
    let mut counts = Vec::new();
    for last in [5, 50] {
        counts.push(reads(&mut world, query, json!({"room": room, "last": last})).await);
    }
    assert_eq!(counts[0], counts[1]);
    // The room, the page, the last message with the replies' own replies; and again for what those brought up.
    assert!(counts[1] <= 4, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reactions_of_a_page_take_the_same_for_5_messages_as_for_50() {
    let mut world = World::new().await;
    let room = world.room("ada", "PRIVATE", &["ben", "cay"]).await;
    let query = "mutation($input: AddReactionInput!) { addReaction(input: $input) { __typename } }";
    for n in 0..60 {
        let id = world.send("ben", &room, &n.to_string(), None).await;
        for (who, emoji) in [("ada", "👍"), ("ben", "👍"), ("cay", "🎉")] {
            let input = json!({"messageId": id, "emoji": emoji});
            world.ask(who, query, json!({ "input": input })).await;
        }
    }
    let query = "query($room: ID!, $last: Int) { room(id: $room) { messages(last: $last) { nodes {
        reactions { id emoji count viewerReacted users { id name } } } } } }";
    let mut counts = Vec::new();
    for last in [5, 50] {
        counts.push(reads(&mut world, query, json!({"room": room, "last": last})).await);
    }
    assert_eq!(counts[0], counts[1]);
    // The room, the page, who reacts, whether the viewer does.
    assert_eq!(counts[1], 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_many_rooms_take_the_same_as_of_one() {
    let mut world = World::new().await;
    for n in 0..40 {
        let room = world.room("ada", "PRIVATE", &["ben"]).await;
        for m in 0..3 {
            world.send("ada", &room, &format!("{n} {m}"), None).await;
        }
    }
    let query = "query($first: Int) { viewer { rooms(first: $first) { nodes {
        id viewerRole lastMessage { body author { name } }
        messages(last: 2) { nodes { body author { name } room { name viewerRole } } pageInfo { hasPreviousPage } }
        members(first: 5) { nodes { user { name } role } }
    } } } }";
    let mut counts = Vec::new();
    for first in [1, 5, 40] {
        counts.push(reads(&mut world, query, json!({"first": first})).await);
    }
    assert_eq!(counts[1], counts[2]);
    assert!(counts[2] <= counts[0] + 1, "{counts:?}");
    // Profile, rooms; roles, last messages, messages, members; roles again a level down.
    assert!(counts[2] <= 7, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_in_common_with_a_page_of_members_take_one() {
    let mut world = World::new().await;
    let names: Vec<String> = (0..30).map(|n| format!("user {n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let room = world.room("ada", "PRIVATE", &names).await;
    for (n, name) in names.iter().enumerate() {
        for _ in 0..n % 3 {
            world.room("ada", "PRIVATE", &[name]).await;
        }
    }
    let query =
        "query($room: ID!, $first: Int) { room(id: $room) { members(first: $first) { nodes {
        user { id rooms(first: 5) { nodes { id } } } } } } }";
    let mut counts = Vec::new();
    for first in [2, 31] {
        counts.push(reads(&mut world, query, json!({"room": room, "first": first})).await);
    }
    assert_eq!(counts[0], counts[1]);
    // The room, its members, the viewer's own rooms, those in common.
    assert_eq!(counts[1], 4);
    let answer = world
        .ask("ada", query, json!({"room": room, "first": 31}))
        .await;
    let members = answer["room"]["members"]["nodes"].as_array().unwrap();
    for member in members.iter().skip(1) {
        let n = names.iter().position(|name| member["user"]["id"] == *name);
        let rooms = member["user"]["rooms"]["nodes"].as_array().unwrap();
        assert_eq!(rooms.len(), 1 + n.unwrap() % 3, "{member}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_counts_of_a_page_of_rooms_take_one() {
    let mut world = World::new().await;
    for n in 0..40 {
        let room = world.room("ada", "PRIVATE", &["ben"]).await;
        for m in 0..n % 4 {
            world.send("ada", &room, &m.to_string(), None).await;
        }
    }
    let query = "query($first: Int, $count: Boolean!) { viewer { rooms(first: $first) { nodes {
        id unreadCount @include(if: $count) } } } }";
    for first in [1, 40] {
        let mut counts = Vec::new();
        for count in [false, true] {
            let variables = json!({"first": first, "count": count});
            world.hush().await;
            let before = world.deps.store.reads();
            world.ask("ben", query, variables).await;
            counts.push(world.deps.store.reads() - before);
        }
        assert_eq!(counts[1], counts[0] + 1, "{first}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_mutation_gives_back_is_not_read_again() {
    let mut world = World::new().await;
    let room = world.room("ada", "PRIVATE", &[]).await;
    let first = world.send("ada", &room, "first", None).await;
    let query = "mutation($input: SendMessageInput!) { sendMessage(input: $input) { duplicate
        message { id body author { id name } reactions { id emoji count } replyTo { id body author { name } } room { id name memberCount
            lastMessage { id body } } } } }";
    let input = json!({"roomId": room, "body": "second", "replyToId": first});
    assert_eq!(reads(&mut world, query, json!({"input": input})).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aliases_of_one_message_are_read_once() {
    let mut world = World::new().await;
    let room = world.room("ada", "PRIVATE", &[]).await;
    let message = world.send("ada", &room, "hello", None).await;
    let query = "query($id: ID!) { a: message(id: $id) { body } b: message(id: $id) { body } c: message(id: $id) { body } }";
    assert_eq!(reads(&mut world, query, json!({"id": message})).await, 2);
    let answer = world.ask("ada", query, json!({"id": message})).await;
    assert_eq!(text(&answer["c"]["body"]), "hello");
}
