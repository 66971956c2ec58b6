//! Every code that a client can be told, provoked on a server that runs, and whether the same request is worth another try.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

use crate::support::{Plan, Socket, TestServer, message};

const CREATE: &str =
    "mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }";
const JOIN: &str = "mutation ($input: JoinRoomInput!) { joinRoom(input: $input) { room { id } } }";
const LEAVE: &str = "mutation ($input: LeaveRoomInput!) { leaveRoom(input: $input) { roomId } }";
const ADD: &str = "mutation ($input: AddMemberInput!) { addMember(input: $input) { room { id } } }";
const SEND: &str =
    "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { duplicate } }";
const ROOM: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const MESSAGE: &str = "01890a5d-ac96-774b-bcce-b302099a8058";

/// As `contract.graphql` lists them.
const CODES: [(&str, bool); 13] = [
    ("BAD_USER_INPUT", false),
    ("CONFLICT", false),
    ("FORBIDDEN", false),
    ("GRAPHQL_PARSE_FAILED", false),
    ("GRAPHQL_VALIDATION_FAILED", false),
    ("INTERNAL_SERVER_ERROR", true),
    ("NOT_FOUND", false),
    ("PERSISTED_QUERY_NOT_FOUND", false),
    ("RATE_LIMITED", true),
    ("RESYNC_REQUIRED", false),
    ("TOO_LARGE", false),
    ("UNAUTHENTICATED", false),
    ("UNAVAILABLE", true),
];

/// The codes that came, each with whether to retry.
#[derive(Default)]
struct Told(BTreeMap<String, bool>);

impl Told {
    /// Takes an error's extensions.
    fn take(&mut self, extensions: &Value, code: &str) {
        assert_eq!(extensions["code"], code, "{extensions}");
        let retryable = extensions["retryable"].as_bool().unwrap();
        let before = self.0.insert(code.to_owned(), retryable);
        assert!(before.is_none_or(|before| before == retryable), "{code}");
    }
}

async fn post(server: &TestServer, token: Option<&str>, body: Value) -> Value {
    let mut request = reqwest::Client::new().post(server.url("/graphql"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.json(&body).send().await.unwrap();
    answer.json().await.unwrap()
}

fn asked(query: &str, input: Value) -> Value {
    json!({ "query": query, "variables": { "input": input } })
}

#[tokio::test]
async fn every_code_says_whether_to_try_again() {
    let server = Plan::default()
        .env("TIDINGS_MUTATIONS_PER_SECOND", 1)
        .env("TIDINGS_MUTATIONS_BURST", 20)
        .start();
    let [ada, ben, eve] = ["ada", "ben", "eve"].map(|user| server.token(user));
    let (ada, ben) = (Some(ada.as_str()), Some(ben.as_str()));
    let sent = |body: &str| asked(SEND, json!({ "id": MESSAGE, "roomId": ROOM, "body": body }));
    let made = asked(CREATE, json!({ "id": ROOM, "name": "a room" }));
    let added = json!({ "roomId": ROOM, "userId": "ben", "role": "READER" });
    for made in [made, asked(ADD, added), sent("first")] {
        let answer = post(&server, ada, made).await;
        assert!(answer.get("errors").is_none(), "{answer}");
    }
    let head = post(&server, ada, json!({ "query": "{ head }" })).await;
    let head = head["data"]["head"].as_str().unwrap();
    // The same place, written by someone else.
    let other = if head.ends_with('0') { '1' } else { '0' };
    let cut_off = format!("{}{other}", &head[..head.len() - 1]);
    let stale = format!(
        "{{ room(id: \"{ROOM}\") {{ messages(after: \"{cut_off}\") {{ nodes {{ id }} }} }} }}"
    );
    let unknown = json!({ "persistedQuery": { "version": 1, "sha256Hash": "0".repeat(64) } });

    let mut told = Told::default();
    for (token, body, code) in [
        (None, json!({ "query": "{ head }" }), "UNAUTHENTICATED"),
        (
            ben,
            asked(SEND, json!({ "roomId": ROOM, "body": "mine" })),
            "FORBIDDEN",
        ),
        (
            Some(eve.as_str()),
            asked(JOIN, json!({ "roomId": ROOM })),
            "NOT_FOUND",
        ),
        (
            ada,
            asked(JOIN, json!({ "roomId": "no UUID" })),
            "BAD_USER_INPUT",
        ),
        (ada, sent("second"), "CONFLICT"),
        (ada, json!({ "query": "{" }), "GRAPHQL_PARSE_FAILED"),
        (
            ada,
            json!({ "query": "{ nothing }" }),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            ada,
            json!({ "extensions": unknown }),
            "PERSISTED_QUERY_NOT_FOUND",
        ),
        (ada, json!({ "query": "x".repeat(70_000) }), "TOO_LARGE"),
        (ada, json!({ "query": stale }), "RESYNC_REQUIRED"),
    ] {
        let answer = post(&server, token, body).await;
        told.take(&answer["errors"][0]["extensions"], code);
    }

    // Of the burst 20 are let in; so many do not take as many seconds.
    for n in 0.. {
        assert!(n < 1_000, "the rate is not limited");
        let answer = post(&server, Some(&eve), asked(JOIN, json!({ "roomId": ROOM }))).await;
        let extensions = &answer["errors"][0]["extensions"];
        if extensions["code"] != "NOT_FOUND" {
            told.take(extensions, "RATE_LIMITED");
            assert!(extensions["retryAfterMs"].as_u64().unwrap() <= 1_001);
            break;
        }
    }

    // Keys that cannot be fetched: the token may be good, there is only no telling.
    let blind = Plan::default()
        .development()
        .env("TIDINGS_JWKS_URL", "http://127.0.0.1:1/keys")
        .start();
    let answer = post(&blind, ada, json!({ "query": "{ head }" })).await;
    told.take(&answer["errors"][0]["extensions"], "UNAVAILABLE");

    // A file that contradicts itself: the room counts none of those who are in it.
    mend(&server, "UPDATE rooms SET member_count = 0").await;
    let left = json!({ "roomId": ROOM });
    let answer = post(&server, ben, asked(LEAVE, left.clone())).await;
    told.take(&answer["errors"][0]["extensions"], "INTERNAL_SERVER_ERROR");
    assert_eq!(answer["errors"][0]["message"], "internal error");
    mend(&server, "UPDATE rooms SET member_count = 2").await;
    let answer = post(&server, ben, asked(LEAVE, left)).await;
    assert!(answer.get("errors").is_none(), "{answer}");

    let expected = CODES.map(|(code, retryable)| (code.to_owned(), retryable));
    assert_eq!(told.0, BTreeMap::from(expected));
}

/// Writes into the file beside the server that runs on it.
async fn mend(server: &TestServer, statement: &'static str) {
    let options = SqliteConnectOptions::new().filename(server.database());
    let mut file = options.connect().await.unwrap();
    file.execute("PRAGMA ignore_check_constraints = ON")
        .await
        .unwrap();
    file.execute(statement).await.unwrap();
    file.close().await.unwrap();
}

/// Damage to the file is nothing that a client can do anything about, and the cause is nothing that it is told.
#[tokio::test]
async fn what_the_file_says_and_cannot_be_is_told_as_a_store_that_does_not_answer() {
    let server = TestServer::start();
    let ada = server.token("ada");
    let rooms = json!({ "query": "{ rooms { nodes { id } } }" });
    for (statement, is_answered) in [
        ("UPDATE rooms SET visibility = 1", true),
        ("UPDATE rooms SET visibility = 1, data = 'no JSON'", false),
        ("UPDATE rooms SET visibility = 1, data = NULL", true),
    ] {
        mend(&server, statement).await;
        let answer = post(&server, Some(&ada), rooms.clone()).await;
        assert_eq!(answer.get("errors").is_none(), is_answered, "{answer}");
        if !is_answered {
            let mut told = Told::default();
            told.take(&answer["errors"][0]["extensions"], "UNAVAILABLE");
            assert!(told.0["UNAVAILABLE"]);
            assert!(!answer.to_string().contains("JSON"), "{answer}");
            let failed = |line: &str| line.contains("a read failed").then_some(());
            server.logs().wait_for("the cause", failed);
        }
    }
}

/// The same codes by the other way in.
#[tokio::test]
async fn a_socket_says_the_same() {
    let server = Plan::default()
        .env("TIDINGS_SUBSCRIPTIONS_PER_CONNECTION", 1)
        .start();
    let mut socket = Socket::signed_in(&server, &server.token("ada")).await;
    let sent = "subscription ($room: ID!, $after: Cursor) { messageSent(roomId: $room, after: $after) { id } }";
    let lobby = json!({ "room": "00000000-0000-7000-8000-000000000001" });
    let ahead = json!({ "room": lobby["room"], "after": "00000000010000000007" });
    let mut told = Told::default();
    socket.say(&message("kept", sent, lobby.clone())).await;
    for (id, query, variables, code) in [
        ("1", "{", json!({}), "GRAPHQL_PARSE_FAILED"),
        ("2", "{ nothing }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("3", sent, lobby, "RATE_LIMITED"),
    ] {
        socket.say(&message(id, query, variables)).await;
        let error = socket.hear().await.unwrap();
        assert_eq!(
            (&error["id"], &error["type"]),
            (&json!(id), &json!("error"))
        );
        told.take(&error["payload"][0]["extensions"], code);
    }
    socket
        .say(&json!({ "type": "complete", "id": "kept" }))
        .await;
    // All in one place and under one id: both are free once the error has come, also where it ends what has begun.
    for (variables, code) in [
        (ahead, "RESYNC_REQUIRED"),
        (json!({ "room": ROOM }), "NOT_FOUND"),
        (json!({ "room": "x" }), "BAD_USER_INPUT"),
    ] {
        socket.say(&message("4", sent, variables)).await;
        let error = socket.hear().await.unwrap();
        assert_eq!(
            (&error["id"], &error["type"]),
            (&json!("4"), &json!("error")),
            "{error}"
        );
        told.take(&error["payload"][0]["extensions"], code);
    }
    for (code, retryable) in told.0 {
        assert!(CODES.contains(&(code.as_str(), retryable)), "{code}");
    }
}
