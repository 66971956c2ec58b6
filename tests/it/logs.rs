//! What is logged, and what never is.

use serde_json::{Value, json};

use crate::support::{Plan, Socket, get, hs256, message};

const LOBBY: &str = "00000000-0000-7000-8000-000000000001";
const SEND: &str =
    "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id body } } }";

#[tokio::test]
async fn tokens_and_bodies_are_never_logged() {
    let mut server = Plan::default().env("TIDINGS_LOG", "trace").start();
    let good = server.token("ada");
    let expired = server.token_of(json!({ "sub": "ada", "exp": 1 }));
    let forged = hs256(
        "the secret of somebody else, of thirty-two bytes",
        &json!({ "sub": "ada" }),
    );
    let client = reqwest::Client::new();
    let input = json!({ "roomId": LOBBY, "body": "the-body-of-a-message" });
    let request = json!({ "query": SEND, "variables": { "input": input } });
    for token in [&good, &expired, &forged] {
        let post = client.post(server.url("/graphql")).bearer_auth(token);
        post.json(&request).send().await.unwrap();
        let get = client.get(server.url("/graphql")).bearer_auth(token);
        let query = [
            ("query", "{ viewer { id } }"),
            ("variables", "{\"a\":\"the-variable-of-a-query\"}"),
        ];
        get.query(&query).send().await.unwrap();
    }
    let mut socket = Socket::signed_in(&server, &good).await;
    let subscription = "subscription ($room: ID!) { messageSent(roomId: $room) { body } }";
    socket
        .say(&message("1", subscription, json!({ "room": LOBBY })))
        .await;
    socket
        .say(&message("2", SEND, json!({ "input": input })))
        .await;
    let mut heard = String::new();
    while !(heard.contains("messageSent") && heard.contains("sendMessage")) {
        heard.push_str(&socket.hear().await.unwrap().to_string());
    }
    let mut rejected = Socket::open(&server).await.unwrap();
    rejected
        .say(&json!({ "type": "connection_init", "payload": { "token": forged } }))
        .await;
    assert_eq!(rejected.hear().await, Err(4403));

    drop((socket, rejected));
    server.terminate();
    server.wait();
    let logs = server.logs().text();
    assert!(logs.contains("\"path\":\"/graphql\""), "{logs}");
    for secret in ["the-body-of-a-message", "the-variable-of-a-query"] {
        assert!(!logs.contains(secret), "{secret} is logged:\n{logs}");
    }
    for part in [&good, &expired, &forged]
        .iter()
        .flat_map(|token| token.split('.').skip(1))
    {
        assert!(!logs.contains(part), "{part} is logged:\n{logs}");
    }
}

#[test]
fn every_line_of_the_logs_is_an_object() {
    let mut server = Plan::default().env("TIDINGS_LOG", "debug").start();
    get(&server, "/healthz");
    server.terminate();
    server.wait();
    for line in server.logs().text().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string());
    }
}
