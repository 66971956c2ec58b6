//! What an end takes with it: a client's `complete`, the hub's, the socket's own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tokio::io::DuplexStream;
use tungstenite::Message;

use super::client::{Client, PIPE_BYTES, World};
use super::stage::Line;
use crate::hub::Notice;

/// What waits in a queue that others wait in must not keep its turn while nobody polls it.
#[tokio::test]
async fn what_runs_is_dropped_before_the_farewell() {
    let world = World::with(|settings| settings.waits.ping = Duration::ZERO);
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    client.ask_at("slow", "{ a }", "g").await;
    world.stage.under_way(1).await;
    client.say(json!({ "type": "connection_init" })).await;
    let Some(Ok(Message::Close(Some(close)))) = client.0.next().await else {
        panic!("a close frame");
    };
    assert_eq!(u16::from(close.code), 4429);
    // It is not answered yet, and the server waits for that.
    assert_eq!(world.stage.dropped.available_permits(), 1);
}

#[tokio::test]
async fn a_completed_query_is_stopped() {
    let (world, mut client) = World::with_ada().await;
    client.ask_at("1", "{ a }", "g").await;
    world.stage.under_way(1).await;
    client.complete("1").await;
    world.stage.dropped.acquire().await.unwrap().forget();
    client.ask("1", "{ b }").await;
    assert_eq!(
        client.hear().await["payload"]["data"],
        json!({ "b": "ada" })
    );
}

#[tokio::test]
async fn a_completed_mutation_is_finished_and_says_nothing() {
    let (world, mut client) = World::with_ada().await;
    client.ask_at("1", "mutation { a }", "g").await;
    world.stage.under_way(1).await;
    client.complete("1").await;
    client.ask("2", "{ b }").await;
    assert_eq!(client.hear().await["id"], "2");
    client.hear().await;
    assert_eq!(world.stage.dropped.available_permits(), 0);
    world.stage.open("g");
    client.ask("3", "{ c }").await;
    assert_eq!(client.hear().await["id"], "3");
}

#[tokio::test]
async fn a_subscription_completed_while_it_is_planned_does_not_begin() {
    let (world, mut client) = World::with_ada().await;
    client.ask_at("1", "subscription { a }", "g").await;
    world.stage.under_way(1).await;
    client.complete("1").await;
    world.stage.dropped.acquire().await.unwrap().forget();
    world.stage.open("g");
    client.ask("2", "{ a }").await;
    client.hear().await;
    assert!(world.stage.line().subscribed.lock().unwrap().is_empty());
}

/// Ada, whose `1` has begun.
async fn subscribed() -> (World, Client<DuplexStream>, Arc<Line>) {
    let (world, mut client) = World::with_ada().await;
    client.ask("1", "subscription { a }").await;
    let line = world.stage.line();
    line.subscribed("1").await;
    (world, client, line)
}

#[tokio::test]
async fn the_id_of_a_stream_that_the_hub_ended_is_free() {
    let (world, mut client) = World::with_ada().await;
    for _ in 0..3 {
        client.ask("1", "subscription { a }").await;
        let line = world.stage.line();
        line.subscribed("1").await;
        line.end("1");
        assert_eq!(client.hear().await["type"], "error");
        // The notice is heard no later than the message after it is.
        client.say(json!({ "type": "ping" })).await;
        assert_eq!(client.hear().await["type"], "pong");
    }
}

#[tokio::test]
async fn the_id_is_free_for_the_message_that_comes_with_the_notice() {
    // Which of the two the socket sees first is left to chance.
    for _ in 0..20 {
        let (_world, mut client, line) = subscribed().await;
        line.end("1");
        client.ask("1", "{ b }").await;
        assert_eq!(client.hear().await["type"], "error");
        assert_eq!(client.hear().await["type"], "next");
    }
}

#[tokio::test]
async fn a_stale_notice_does_not_end_the_next_stream_of_its_id() {
    // Which of the two the socket sees first is left to chance.
    for _ in 0..20 {
        let (_world, mut client, line) = subscribed().await;
        // Both sides end it at once, and the client begins anew before it has heard.
        client.complete("1").await;
        client.ask("1", "subscription { a }").await;
        line.end("1");
        line.subscribed("1").await;
        client.ask("1", "{ a }").await;
        assert_eq!(client.close_code().await, 4409);
    }
}

#[tokio::test]
async fn the_hub_may_close_the_socket() {
    let (world, mut client) = World::with_ada().await;
    world
        .stage
        .line()
        .tell(Notice::Close(1013, "Overloaded: connect again and resume"));
    assert_eq!(client.close_code().await, 1013);
}

#[tokio::test]
async fn a_subscription_that_cannot_be_planned_now_closes_1013() {
    let world = World::with(|settings| settings.waits.ping = Duration::ZERO);
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    client.ask("1", "subscription { busy }").await;
    // An error would be the end of it.
    let close = client.0.next().await.unwrap().unwrap();
    let Message::Close(Some(close)) = close else {
        panic!("{close:?}")
    };
    assert_eq!(u16::from(close.code), 1013);
}

#[tokio::test]
async fn a_socket_that_ends_takes_its_work_with_it() {
    let (world, mut client) = World::with_ada().await;
    client.ask_at("q", "{ a }", "g").await;
    client.ask("s", "subscription { a }").await;
    let line = world.stage.line();
    line.subscribed("s").await;
    world.stage.under_way(1).await;
    drop(client);
    world.stage.dropped.acquire().await.unwrap().forget();
    line.unsubscribed("s").await;
    world.drain.begin();
    assert_eq!(world.drain.finished().await, 0);
}
