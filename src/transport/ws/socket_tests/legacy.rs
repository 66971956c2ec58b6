//! The legacy subprotocol over sockets: what its clients need of the server beside the messages themselves.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::Instant;
use tungstenite::Message;

use super::client::{Client, World, chosen};
use super::stage::HEAD;
use crate::transport::ws::{INIT_BYTES_MAX, MESSAGE_BYTES_MAX};

const PIPE_BYTES: usize = 64 * 1024;
const SECOND: Duration = Duration::from_secs(1);

fn init(token: &str) -> Json {
    json!({ "type": "connection_init", "payload": { "Authorization": token } })
}

fn start(id: &str, query: &str, variables: Json) -> Json {
    let payload = json!({ "query": query, "variables": variables });
    json!({ "id": id, "type": "start", "payload": payload })
}

fn stop(id: &str) -> Json {
    json!({ "id": id, "type": "stop" })
}

fn complete(id: &str) -> Json {
    json!({ "type": "complete", "id": id })
}

/// Past `connection_ack` and the keep-alive that comes with it.
async fn ready<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Client<S>) {
    client.say(init("Bearer ada")).await;
    let ack = client.hear().await;
    assert_eq!(
        ack,
        json!({ "type": "connection_ack", "payload": { "head": HEAD } })
    );
    assert_eq!(client.hear().await, json!({ "type": "ka" }));
}

/// The next message that is no keep-alive.
async fn hear<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Client<S>) -> Json {
    loop {
        let message = client.hear().await;
        if message["type"] != "ka" {
            return message;
        }
    }
}

#[tokio::test]
async fn it_is_spoken_where_it_is_offered_and_where_nothing_is() {
    for (offer, named) in [
        (
            &[("sec-websocket-protocol", "graphql-ws")][..],
            Some("graphql-ws"),
        ),
        (&[], None),
    ] {
        let (mut client, response) = World::new().dial(offer).await.unwrap();
        assert_eq!(chosen(&response), named);
        ready(&mut client).await;
        client.say(start("1", "{ now }", json!(null))).await;
        let data = json!({ "type": "data", "id": "1", "payload": { "data": { "now": "ada" } } });
        assert_eq!(hear(&mut client).await, data);
        assert_eq!(hear(&mut client).await, complete("1"));
    }
}

#[tokio::test]
async fn the_tokens_place_may_be_the_upgrade_request() {
    let headers = [
        ("sec-websocket-protocol", "graphql-ws"),
        ("authorization", "bearer ada"),
    ];
    let (mut client, _) = World::new().dial(&headers).await.unwrap();
    client
        .say(json!({ "type": "connection_init", "payload": {} }))
        .await;
    assert_eq!(client.hear().await["type"], "connection_ack");
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why_before_the_close() {
    for (token, code, reason) in [
        ("bad", 4403, "Forbidden: bad"),
        ("busy", 1013, "Tokens cannot be checked now"),
    ] {
        let mut client = World::new().legacy_pipe(PIPE_BYTES).await;
        client.say(init(token)).await;
        let told = client.hear().await;
        assert_eq!(told["type"], "connection_error");
        assert_eq!(told["payload"]["message"], reason);
        assert_eq!(client.closed().await, (code, reason.to_owned()));
    }
    let world = World::with(|settings| settings.connections_per_user = 1);
    let mut first = world.legacy_pipe(PIPE_BYTES).await;
    ready(&mut first).await;
    let mut second = world.legacy_pipe(PIPE_BYTES).await;
    second.say(init("ada")).await;
    let told = second.hear().await;
    assert_eq!(told["payload"]["extensions"]["retryable"], true);
    assert_eq!(second.close_code().await, 1013);
}

#[tokio::test]
async fn what_comes_right_behind_connection_init_waits_for_the_token() {
    let world = World::new();
    let mut client = world.legacy_pipe(1024).await;
    // More than the server keeps unread, and all of it before the token is known to be good.
    let init = Message::text(init("ada").to_string());
    client.0.feed(init).await.unwrap();
    for n in 0..2 {
        let id = n.to_string();
        let padding = "x".repeat(300);
        let query = start(&id, "subscription { a }", json!({ "padding": padding }));
        client
            .0
            .feed(Message::text(query.to_string()))
            .await
            .unwrap();
    }
    client.0.flush().await.unwrap();
    assert_eq!(client.hear().await["type"], "connection_ack");
    for id in ["0", "1"] {
        world.stage.line().subscribed(id).await;
    }
    assert_eq!(*world.stage.begun.lock().unwrap(), ["a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_checked_in_time_closes_1013_though_nothing_is_read_meanwhile() {
    let mut client = World::new().legacy_pipe(PIPE_BYTES).await;
    client.say(init("never")).await;
    client.say(start("1", "{ a }", json!(null))).await;
    assert_eq!(client.hear().await["type"], "connection_error");
    assert_eq!(client.close_code().await, 1013);
}

#[tokio::test(start_paused = true)]
async fn no_connection_init_in_ten_seconds_closes_4408() {
    let start = Instant::now();
    let mut client = World::new().legacy_pipe(PIPE_BYTES).await;
    assert_eq!(client.hear().await["type"], "connection_error");
    assert_eq!(client.close_code().await, 4408);
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn keep_alives_come_every_15_seconds_and_a_ping_of_the_wire_before_each() {
    let mut client = World::new().legacy_pipe(PIPE_BYTES).await;
    ready(&mut client).await;
    let mut last = Instant::now();
    for n in 0..20 {
        // The client answers by itself when it is read from the next time.
        let ping = client.0.next().await.unwrap().unwrap();
        assert!(matches!(ping, Message::Ping(payload) if payload.is_empty()));
        assert_eq!(client.hear().await, json!({ "type": "ka" }));
        let waited = last.elapsed();
        if n == 0 {
            assert!(waited <= 15 * SECOND, "{waited:?}");
        } else {
            assert_eq!(waited.as_secs(), 15);
        }
        last = Instant::now();
        client.0.flush().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_answers_no_ping_of_the_wire_for_ten_seconds_is_closed_1013() {
    let world = World::new();
    let mut client = world.legacy_pipe(PIPE_BYTES).await;
    ready(&mut client).await;
    // From here on it is listened to and says nothing.
    let mut silent = client.0.into_inner();
    let (start, mut heard) = (Instant::now(), Vec::new());
    silent.read_to_end(&mut heard).await.unwrap();
    let waited = start.elapsed();
    assert!(waited >= 10 * SECOND && waited < 28 * SECOND, "{waited:?}");
    let close = [&1013_u16.to_be_bytes()[..], b"No answer to ping"].concat();
    assert!(heard.ends_with(&close));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_closes_4403_after_the_leeway() {
    let mut client = World::with(|settings| settings.waits.ping = Duration::ZERO)
        .legacy_pipe(PIPE_BYTES)
        .await;
    let start = Instant::now();
    client.say(init("ada 60")).await;
    assert_eq!(client.hear().await["type"], "connection_ack");
    assert_eq!(client.hear().await["type"], "ka");
    // Clients that are in take no `connection_error`: the close is the next thing.
    assert!(
        matches!(client.0.next().await, Some(Ok(Message::Close(Some(close)))) if u16::from(close.code) == 4403)
    );
    assert_eq!((start.elapsed() + SECOND / 2).as_secs(), 90);
}

#[tokio::test]
async fn a_stream_is_data_until_it_is_stopped_and_then_complete() {
    let world = World::new();
    let mut client = world.legacy_pipe(PIPE_BYTES).await;
    ready(&mut client).await;
    client
        .say(start("1", "subscription { a }", json!(null)))
        .await;
    let line = world.stage.line();
    line.subscribed("1").await;
    line.deliver("1", &json!({ "data": 7 }));
    let data = json!({ "type": "data", "id": "1", "payload": { "data": 7 } });
    assert_eq!(hear(&mut client).await, data);
    client.say(stop("1")).await;
    assert_eq!(hear(&mut client).await, complete("1"));
    line.unsubscribed("1").await;
}

#[tokio::test]
async fn a_stream_that_the_hub_ends_is_data_with_errors_and_complete_and_its_id_is_free() {
    let world = World::new();
    let mut client = world.legacy_pipe(PIPE_BYTES).await;
    ready(&mut client).await;
    for _ in 0..2 {
        client
            .say(start("1", "subscription { a }", json!(null)))
            .await;
        let line = world.stage.line();
        line.subscribed("1").await;
        line.end("1");
        let data = hear(&mut client).await;
        assert_eq!((&data["type"], &data["id"]), (&json!("data"), &json!("1")));
        let extensions = &data["payload"]["errors"][0]["extensions"];
        assert_eq!(extensions["code"], "INTERNAL_SERVER_ERROR");
        assert_eq!(hear(&mut client).await, complete("1"));
    }
}

#[tokio::test]
async fn a_start_under_an_id_that_is_taken_is_instead_of_what_had_it() {
    let world = World::new();
    let mut client = world.legacy_pipe(PIPE_BYTES).await;
    ready(&mut client).await;
    client
        .say(start("1", "{ a }", json!({ "gate": "g" })))
        .await;
    world.stage.under_way(1).await;
    client.say(start("1", "{ b }", json!(null))).await;
    let data = hear(&mut client).await;
    assert_eq!(data["payload"]["data"], json!({ "b": "ada" }));
    assert_eq!(hear(&mut client).await, complete("1"));
    world.stage.dropped.try_acquire().unwrap().forget();
    client.say(start("1", "{ c }", json!(null))).await;
    assert_eq!(
        hear(&mut client).await["payload"]["data"],
        json!({ "c": "ada" })
    );
}

#[tokio::test]
async fn who_says_that_it_goes_is_let_go() {
    let world = World::new();
    let mut client = world.legacy_pipe(PIPE_BYTES).await;
    ready(&mut client).await;
    client.say(json!({ "type": "connection_terminate" })).await;
    assert_eq!(client.close_code().await, 1000);
    assert!(world.stage.line().left.load(Ordering::Relaxed));
    world.drain.begin();
    assert_eq!(world.drain.finished().await, 0);
}

#[tokio::test]
async fn sizes_are_limited_as_in_the_other_protocol() {
    let padded = |message: Json, bytes: usize| {
        let message = message.to_string();
        format!("{message}{}", " ".repeat(bytes - message.len()))
    };
    let mut client = World::new().legacy_pipe(1 << 20).await;
    client.text(&padded(init("ada"), INIT_BYTES_MAX)).await;
    assert_eq!(client.hear().await["type"], "connection_ack");
    let query = start("1", "{ a }", json!(null));
    client.text(&padded(query.clone(), MESSAGE_BYTES_MAX)).await;
    assert_eq!(hear(&mut client).await["type"], "data");
    client.text(&padded(query, MESSAGE_BYTES_MAX + 1)).await;
    assert_eq!(client.close_code().await, 1009);
    let mut early = World::new().legacy_pipe(1 << 20).await;
    early.text(&padded(init("ada"), INIT_BYTES_MAX + 1)).await;
    assert_eq!(early.close_code().await, 1009);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_for_ten_seconds_is_let_go() {
    let world = World::new();
    let mut client = world.legacy_pipe(PIPE_BYTES).await;
    ready(&mut client).await;
    client
        .say(start("1", "subscription { a }", json!(null)))
        .await;
    let line = world.stage.line();
    line.subscribed("1").await;
    let begun = Instant::now();
    let payload = json!({ "data": "x".repeat(4096) });
    while line.deliver("1", &payload) {}
    line.unsubscribed("1").await;
    assert!((10..13).contains(&begun.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn when_the_server_stops_mutations_are_answered_and_sockets_leave_with_1012() {
    let world = World::new();
    let mut client = world.legacy_pipe(PIPE_BYTES).await;
    ready(&mut client).await;
    client
        .say(start("1", "mutation { a }", json!({ "gate": "g" })))
        .await;
    world.stage.under_way(1).await;
    world.drain.begin();
    tokio::time::advance(9 * SECOND + SECOND / 2).await;
    world.stage.open("g");
    assert_eq!(hear(&mut client).await["type"], "data");
    assert_eq!(hear(&mut client).await, complete("1"));
    assert_eq!(client.close_code().await, 1012);
    assert_eq!(world.drain.finished().await, 0);
}
