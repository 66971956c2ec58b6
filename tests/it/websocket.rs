//! The WebSocket side of the real server: what clients go by when they come, stay, and come back.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Plan, Socket, TestServer, Wire, message, now_secs};

const LOBBY: &str = "00000000-0000-7000-8000-000000000001";
const SEND: &str =
    "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }";
const FOLLOW: &str = "subscription ($room: ID!) { messageSent(roomId: $room) { body } }";

/// Says something in the lobby, and waits until it is said.
async fn send(socket: &mut Socket, body: &str) {
    let input = json!({ "roomId": LOBBY, "body": body });
    socket
        .say(&message("send", SEND, json!({ "input": input })))
        .await;
    assert_eq!(socket.hear().await.unwrap()["type"], "next");
    assert_eq!(socket.hear().await.unwrap()["type"], "complete");
}

/// The next message's body and place.
async fn next(socket: &mut Socket) -> (String, String) {
    let next = socket.hear().await.unwrap();
    let payload = &next["payload"];
    let body = payload["data"]["messageSent"]["body"].as_str();
    let cursor = payload["extensions"]["cursor"].as_str();
    (body.unwrap().to_owned(), cursor.unwrap().to_owned())
}

#[tokio::test]
async fn a_subscription_goes_on_where_its_connection_was_cut() {
    let server = TestServer::start();
    let token = server.token("ada");
    let mut sender = Socket::signed_in(&server, &server.token("bob")).await;
    let mut socket = Socket::signed_in(&server, &token).await;
    socket
        .say(&message("1", FOLLOW, json!({ "room": LOBBY })))
        .await;
    socket.live().await;
    send(&mut sender, "one").await;
    send(&mut sender, "two").await;
    let (one, place) = next(&mut socket).await;
    assert_eq!(one, "one");
    // The second one is on its way when the connection goes.
    drop(socket);
    send(&mut sender, "three").await;

    let mut socket = Socket::open(&server).await.unwrap();
    let payload = json!({ "token": token, "resume": { "1": place } });
    socket
        .say(&json!({ "type": "connection_init", "payload": payload }))
        .await;
    assert_eq!(socket.hear().await.unwrap()["type"], "connection_ack");
    socket
        .say(&message("1", FOLLOW, json!({ "room": LOBBY })))
        .await;
    assert_eq!(next(&mut socket).await.0, "two");
    assert_eq!(next(&mut socket).await.0, "three");
    send(&mut sender, "four").await;
    assert_eq!(next(&mut socket).await.0, "four");
}

#[tokio::test]
async fn a_token_that_has_expired_closes_its_socket_once_the_leeway_is_over() {
    let server = TestServer::start();
    // It holds for thirty seconds more, of which ten are left.
    let token = server.token_of(json!({ "sub": "ada", "exp": now_secs() - 20 }));
    let mut socket = Socket::signed_in(&server, &token).await;
    assert_eq!(socket.hear().await, Err(4403));
}

#[tokio::test]
async fn clocks_may_differ_by_thirty_seconds() {
    let server = TestServer::start();
    let status = async |claims: Value| {
        let post = reqwest::Client::new().post(server.url("/graphql"));
        let query = json!({ "query": "{ viewer { id } }" });
        let token = server.token_of(claims);
        let answer = post.bearer_auth(token).json(&query).send().await.unwrap();
        answer.text().await.unwrap().contains("\"ada\"")
    };
    let now = now_secs();
    let (past, future) = (now - 3600, now + 3600);
    assert!(status(json!({ "sub": "ada", "nbf": past, "exp": now - 20 })).await);
    assert!(!status(json!({ "sub": "ada", "nbf": past, "exp": now - 31 })).await);
    assert!(status(json!({ "sub": "ada", "nbf": now + 25, "exp": future })).await);
    assert!(!status(json!({ "sub": "ada", "nbf": now + 60, "exp": future })).await);
}

#[tokio::test]
async fn a_message_may_be_16_kib_long_before_init_and_64_kib_after() {
    let server = TestServer::start();
    let token = server.token("ada");
    for (signed_in, bytes) in [(false, 16 * 1024), (true, 64 * 1024)] {
        let mut socket = if signed_in {
            Socket::signed_in(&server, &token).await
        } else {
            Socket::open(&server).await.unwrap()
        };
        let ping = json!({ "type": "ping" }).to_string();
        let padded = |bytes: usize| ping.clone() + &" ".repeat(bytes - ping.len());
        socket.text(&padded(bytes)).await;
        assert_eq!(socket.hear().await.unwrap()["type"], "pong");
        socket.text(&padded(bytes + 1)).await;
        assert_eq!(socket.hear().await, Err(1009));
    }
}

#[tokio::test]
async fn the_subprotocol_is_named_in_the_letters_that_the_client_wrote() {
    // gql (Python) looks for it to the letter, and else speaks the legacy protocol.
    let server = TestServer::start();
    let wire = Wire::open(server.addr(), None).await.unwrap();
    let head = wire.head();
    assert!(
        head.contains("\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn sockets_leave_a_server_that_stops_one_after_the_other() {
    // A tenth of it is left for those whose turn comes last.
    let server = Plan::default().env("TIDINGS_DRAIN_SECS", 20).start();
    let token = server.token("ada");
    let sockets = join_all((0..40).map(|_| Socket::signed_in(&server, &token))).await;
    server.terminate();
    let left = sockets.into_iter().map(async |mut socket| {
        assert_eq!(socket.hear().await, Err(1012));
        Instant::now()
    });
    let mut left = join_all(left).await;
    left.sort();
    // Forty random moments of twenty seconds; were it one moment, no machine would be so slow.
    assert!(
        left[39] - left[0] > Duration::from_secs(8),
        "{:?}",
        left[39] - left[0]
    );
}
