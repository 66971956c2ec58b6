//! Tokens that run out, are replaced, and are withdrawn, on a server that runs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Plan, Socket, TestServer, message, now_secs, refused, run};

const LOBBY: &str = "00000000-0000-7000-8000-000000000001";
const SENT: &str = "subscription ($room: ID!) { messageSent(roomId: $room) { body } }";
const SEND: &str =
    "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }";
const REAUTHENTICATE: &str =
    "mutation ($input: ReauthenticateInput!) { reauthenticate(input: $input) {
    viewer { id } expiresAt } }";

/// A token that holds for so long; the server forgives half a minute.
fn token(server: &TestServer, user: &str, secs: u64) -> String {
    let now = now_secs();
    server.token_of(json!({ "sub": user, "iat": now - 60, "exp": now + secs - 30 }))
}

/// An answer to an operation that is not a subscription's.
async fn ask(socket: &mut Socket, id: &str, query: &str, input: Value) -> Value {
    socket
        .say(&message(id, query, json!({ "input": input })))
        .await;
    let answer = socket.hear().await.unwrap();
    assert_eq!(
        (&answer["id"], &answer["type"]),
        (&json!(id), &json!("next"))
    );
    assert_eq!(socket.hear().await.unwrap()["type"], "complete");
    answer["payload"].clone()
}

#[tokio::test]
async fn a_fresh_token_keeps_a_socket_and_its_subscription_where_they_are() {
    // No beats, which nobody would answer while the end of the old token is waited for.
    let plan = Plan::default().env("TIDINGS_PING_INTERVAL_SECS", 0);
    let server = plan.start();
    // Long enough to sign in and renew on a busy machine.
    let old = token(&server, "ada", 12);
    // The second tells when the old token has run out.
    let mut socket = Socket::signed_in(&server, &old).await;
    let mut other = Socket::signed_in(&server, &old).await;
    let mut ben = Socket::signed_in(&server, &server.token("ben")).await;
    socket
        .say(&message("s", SENT, json!({ "room": LOBBY })))
        .await;

    // Refusals leave the socket as it is.
    for (token, code) in [
        (server.token("eve"), "FORBIDDEN"),
        (token(&server, "ada", 0), "UNAUTHENTICATED"),
        ("nonsense".to_owned(), "UNAUTHENTICATED"),
    ] {
        let answer = ask(&mut socket, "r", REAUTHENTICATE, json!({ "token": token })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{answer}");
    }
    let fresh = server.token("ada");
    let answer = ask(&mut socket, "r", REAUTHENTICATE, json!({ "token": fresh })).await;
    assert_eq!(
        answer["data"]["reauthenticate"]["viewer"]["id"], "ada",
        "{answer}"
    );

    for n in 0..3 {
        let input = json!({ "roomId": LOBBY, "body": n.to_string() });
        ask(&mut ben, "m", SEND, input).await;
        let heard = socket.hear().await.unwrap();
        assert_eq!(
            heard["payload"]["data"]["messageSent"]["body"],
            n.to_string()
        );
        if n == 1 {
            assert_eq!(socket.stay_while(other.hear()).await, Err(4403));
        }
    }
}

/// Runs `tidings <command> --user <user>` beside the server; what it prints.
fn admin(server: &TestServer, command: &str, user: &str) -> String {
    let ran = run(&mut server.command(&[command, "--user", user]));
    assert!(ran.status.success(), "{}", ran.stderr);
    ran.stdout
}

async fn post(server: &TestServer, token: &str) -> Value {
    let request = reqwest::Client::new().post(server.url("/graphql"));
    let request = request
        .bearer_auth(token)
        .json(&json!({ "query": "{ viewer { id } }" }));
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_user_whose_tokens_are_withdrawn_is_out_within_a_second() {
    let server = TestServer::start();
    let old = server.token("ada");
    let undated = server.token_of(json!({ "sub": "ada", "exp": now_secs() + 3600 }));
    let mut sockets = Vec::new();
    for token in [&old, &old, &undated] {
        let mut socket = Socket::signed_in(&server, token).await;
        socket
            .say(&message("s", SENT, json!({ "room": LOBBY })))
            .await;
        socket.live().await;
        sockets.push(socket);
    }
    let mut ben = Socket::signed_in(&server, &server.token("ben")).await;
    ask(
        &mut ben,
        "m",
        SEND,
        json!({ "roomId": LOBBY, "body": "before" }),
    )
    .await;

    let said = admin(&server, "revoke", "ada");
    assert!(
        said.starts_with("tokens of ada that were issued up to 20"),
        "{said}"
    );
    for socket in &mut sockets {
        let heard = socket.hear().await.unwrap();
        assert_eq!(heard["payload"]["data"]["messageSent"]["body"], "before");
        assert_eq!(socket.hear().await, Err(4403));
    }

    // The quickest of a few, so that a busy machine is not mistaken for a slow server.
    let mut quickest = Duration::MAX;
    for nth in 0..5 {
        let user = format!("quick{nth}");
        let mut socket = Socket::signed_in(&server, &server.token(&user)).await;
        admin(&server, "revoke", &user);
        let begun = Instant::now();
        assert_eq!(socket.hear().await, Err(4403));
        quickest = quickest.min(begun.elapsed());
    }
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");

    // Out everywhere, and nobody else is.
    for token in [&old, &undated] {
        let answer = post(&server, token).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
        let mut socket = Socket::open(&server).await.unwrap();
        let payload = json!({ "token": token });
        socket
            .say(&json!({ "type": "connection_init", "payload": payload }))
            .await;
        assert_eq!(socket.hear().await, Err(4403));
    }
    ask(
        &mut ben,
        "m",
        SEND,
        json!({ "roomId": LOBBY, "body": "after" }),
    )
    .await;

    // A token of a later second is a fresh one; a withdrawn one does not take its place.
    let later = json!({ "sub": "ada", "iat": now_secs() + 2, "exp": now_secs() + 3600 });
    let later = server.token_of(later);
    let mut socket = Socket::signed_in(&server, &later).await;
    let answer = ask(&mut socket, "r", REAUTHENTICATE, json!({ "token": old })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");

    let server = server.restart();
    assert_eq!(
        post(&server, &old).await["errors"][0]["extensions"]["code"],
        "UNAUTHENTICATED"
    );
    assert_eq!(
        admin(&server, "allow", "ada"),
        "tokens of ada are accepted again\n"
    );
    while post(&server, &old).await["data"]["viewer"]["id"] != "ada" {}
    assert_eq!(
        admin(&server, "allow", "ada"),
        "no tokens of ada were withdrawn\n"
    );
}

#[test]
fn what_cannot_be_withdrawn_is_one_line() {
    let plan = Plan::default();
    let line = refused(&plan, &["revoke", "--user", "ada"]);
    assert!(line.contains("there is no database"), "{line}");
    assert!(!plan.folder().join("tidings.db").exists());
    let line = refused(&plan, &["revoke", "--user", ""]);
    assert!(line.contains("--user is not a user id"), "{line}");
}
