//! How large an answer may grow.

use std::sync::Arc;

use async_graphql::Variables;
use serde_json::{Value, json};

use super::super::executor::{Allowance, Executor};
use super::super::{equip, sdl};
use super::world::{World, viewer};
use crate::document::{Documents, Limits, Shape};
use crate::error::Error;

/// Of 16 KiB, and six times as long as JSON.
fn longest() -> String {
    "\u{1}".repeat(16 * 1024)
}

/// An answer as a transport has it made: its data, or the extensions of the one error for which there is none.
async fn ask(world: &World, query: &str, variables: Value) -> Result<Value, Value> {
    let shape = Arc::new(Shape::read(&sdl()).unwrap());
    let documents = Documents::new(Limits::default(), shape.clone());
    let head = world.head().await;
    let executor = Executor::new(
        world.schema.clone(),
        shape,
        Allowance::new(0, 0),
        move |viewer| equip(viewer, head),
    );
    let prepared = documents.prepare(query, None, Variables::from_json(variables));
    let answer = executor.execute(prepared.unwrap(), Some(viewer("ada")));
    match tokio::spawn(answer).await.unwrap() {
        Ok(response) => {
            assert!(response.errors.is_empty(), "{:?}", response.errors);
            Ok(response.data.into_json().unwrap())
        }
        Err(refused) => {
            assert_eq!(refused.errors.len(), 1);
            let error = serde_json::to_value(&refused.errors[0]).unwrap();
            Err(error["extensions"].clone())
        }
    }
}

fn assert_too_large(answer: Result<Value, Value>) {
    let refused = answer.map(|answer| answer.to_string().len()).unwrap_err();
    let limit = Error::ANSWER_BYTES_MAX;
    assert_eq!(
        refused,
        json!({"code": "TOO_LARGE", "retryable": false, "limit": limit})
    );
}

async fn full_room(world: &World, messages: usize, body: &str) -> String {
    let room = world.room("ada", "PUBLIC", &[]).await;
    for _ in 0..messages {
        world.send("ada", &room, body, None).await;
    }
    room
}

#[tokio::test]
async fn as_many_bodies_as_have_room_pass_and_one_more_is_refused() {
    let world = World::new().await;
    let room = full_room(&world, 86, &longest()).await;
    let query = "query($room: ID!, $last: Int) { room(id: $room) { messages(last: $last) {
        nodes { a: body b: body } } } }";
    let ask = |last: usize| ask(&world, query, json!({"room": room, "last": last}));
    let fitting = ask(85).await.unwrap().to_string().len();
    assert!(
        fitting <= Error::ANSWER_BYTES_MAX && fitting + 200_000 > Error::ANSWER_BYTES_MAX,
        "{fitting}"
    );
    assert_too_large(ask(86).await);
}

#[tokio::test]
async fn what_aliases_and_escapes_make_of_a_page_is_refused() {
    let world = World::new().await;
    let room = full_room(&world, 100, &longest()).await;
    let pages: String = (1..=8)
        .map(|n| format!("m{n}: messages(last: 100) {{ nodes {{ ...F }} }} "))
        .collect();
    let bodies: String = (1..=7).map(|n| format!("b{n}: body ")).collect();
    let query = format!(
        "query($room: ID!) {{ room(id: $room) {{ {pages} }} }} fragment F on Message {{ body {bodies} }}"
    );
    assert_too_large(ask(&world, &query, json!({"room": room})).await);
}

#[tokio::test]
async fn a_usual_page_passes_whatever_its_messages_say() {
    let world = World::new().await;
    let room = world.room("ada", "PUBLIC", &[]).await;
    let data: Value = std::iter::repeat_n(json!(0), 2_047).collect();
    let send =
        "mutation($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }";
    let mut before = Value::Null;
    for _ in 0..51 {
        let input = json!({"roomId": room, "body": longest(), "data": data, "replyToId": before});
        let sent = world.ask("ada", send, json!({"input": input})).await;
        before = sent["sendMessage"]["message"]["id"].clone();
    }
    let query = "query($room: ID!) { room(id: $room) { messages(last: 50) {
        edges { cursor node { ...Whole replyTo { ...Whole } } } } } }
        fragment Whole on Message { id body data version createdAt editedAt deletedAt cursor
            author { id name avatarUrl } room { id name } reactions { id emoji count } }";
    let page = ask(&world, query, json!({"room": room})).await.unwrap();
    let edges = page["room"]["messages"]["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 50);
}

#[tokio::test]
async fn things_that_say_nothing_are_counted_too() {
    let world = World::new().await;
    let room = full_room(&world, 100, "hi").await;
    // 9,800 messages, each with its id under 15 long names: 18 MB.
    let ids: String = (10..25)
        .map(|n| format!("{}{n}: id ", "a".repeat(98)))
        .collect();
    let query = format!(
        "query($room: ID!) {{ room(id: $room) {{ messages(last: 98) {{ nodes {{
            room {{ messages(last: 100) {{ nodes {{ {ids} }} }} }} }} }} }} }}"
    );
    assert_too_large(ask(&world, &query, json!({"room": room})).await);
}

#[tokio::test]
async fn changes_are_counted_by_the_type_of_each_event() {
    let world = World::new().await;
    let start = world.head().await.to_string();
    let room = full_room(&world, 100, &longest()).await;
    let page = |bodies: &str| {
        let query = format!(
            "query($after: Cursor) {{ changes(after: $after, first: 500) {{ cursor events {{
                ... on MessageSent {{ message {{ id {bodies} }} }}
                ... on MessageEdited {{ message {{ id {bodies} }} }} }} }} }}"
        );
        let world = &world;
        let start = start.clone();
        async move { ask(world, &query, json!({"after": start})).await }
    };
    let once = page("body").await.unwrap();
    assert!(once["changes"]["events"].as_array().unwrap().len() > 20);
    let often: String = (0..7).map(|n| format!("b{n}: body ")).collect();
    assert_too_large(page(&often).await);
    drop(room);
}

#[tokio::test]
async fn a_mutation_whose_answer_is_too_large_has_been_done() {
    let world = World::new().await;
    let room = full_room(&world, 100, &longest()).await;
    let mutation = "mutation($input: JoinRoomInput!) { joinRoom(input: $input) { room {
        memberCount messages(last: 100) { nodes { a: body b: body } } } } }";
    let body = json!({"input": {"roomId": room}});
    world
        .ask(
            "ada",
            "mutation($input: AddMemberInput!) { addMember(input: $input) { room { id } } }",
            json!({"input": {"roomId": room, "userId": "ben", "role": "OWNER"}}),
        )
        .await;
    let leave = "mutation($input: LeaveRoomInput!) { leaveRoom(input: $input) { roomId } }";
    world.ask("ada", leave, body.clone()).await;
    assert_too_large(ask(&world, mutation, body).await);
    let query = "query($room: ID!) { room(id: $room) { viewerRole } }";
    let joined = world.ask("ada", query, json!({"room": room})).await;
    assert_eq!(joined["room"]["viewerRole"], "OWNER");
}

/// A room with 100 messages of 16 KiB, each with one that it replies to.
async fn room_of_replies(world: &World) {
    let room = world.room("ada", "PRIVATE", &[]).await;
    let body = "b".repeat(16 * 1024);
    let first = world.send("ada", &room, &body, None).await;
    let replies = (0..100).map(|_| world.send("ada", &room, &body, Some(&first)));
    futures_util::future::join_all(replies).await;
}

#[tokio::test]
async fn what_is_read_and_not_shown_is_bounded_too() {
    let world = World::new().await;
    let query =
        "{ viewer { rooms(first: 90) { nodes { messages(last: 100) { nodes { id } } } } } }";
    for _ in 0..5 {
        room_of_replies(&world).await;
    }
    // 500 messages, each read with another: a little under 16 MiB.
    let read = ask(&world, query, json!({})).await.unwrap();
    assert_eq!(
        read["viewer"]["rooms"]["nodes"].as_array().unwrap().len(),
        5
    );
    room_of_replies(&world).await;
    assert_too_large(ask(&world, query, json!({})).await);
}
