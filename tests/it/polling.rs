//! Clients that poll `changes` by GET, and are told by 304 that nothing has happened.

use reqwest::header::{ETAG, IF_NONE_MATCH};
use serde_json::{Value, json};

use crate::support::TestServer;

const LOBBY: &str = "00000000-0000-7000-8000-000000000001";
const CHANGES: &str = "query ($after: Cursor, $first: Int) { changes(after: $after, first: $first) {
    events { cursor ... on MessageSent { message { body author { name } } } } cursor hasMore reset } }";

/// One device: what it asks, as whom, and the tag of what it has.
struct Device {
    client: reqwest::Client,
    token: String,
    etag: Option<String>,
}

impl Device {
    fn new(token: String) -> Self {
        Self {
            client: reqwest::Client::new(),
            token,
            etag: None,
        }
    }

    /// `None` where the answer is still the one it has.
    async fn poll(&mut self, server: &TestServer, variables: &Value) -> Option<Value> {
        let variables = variables.to_string();
        let request = self.client.get(server.url("/graphql"));
        let request = request.query(&[("query", CHANGES), ("variables", &variables)]);
        let mut request = request.bearer_auth(&self.token);
        if let Some(etag) = &self.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let answer = request.send().await.unwrap();
        let etag = answer.headers()[ETAG].to_str().unwrap().to_owned();
        if answer.status() == 304 {
            assert_eq!(self.etag.as_ref(), Some(&etag));
            assert_eq!(answer.bytes().await.unwrap().len(), 0);
            return None;
        }
        assert_eq!(answer.status(), 200);
        assert_ne!(self.etag.as_ref(), Some(&etag));
        self.etag = Some(etag);
        let answer: Value = answer.json().await.unwrap();
        Some(answer["data"]["changes"].clone())
    }
}

/// What a POST is answered.
async fn ask(server: &TestServer, token: &str, query: &str, variables: Value) -> Value {
    let request = reqwest::Client::new().post(server.url("/graphql"));
    let body = json!({ "query": query, "variables": variables });
    let answer = request.bearer_auth(token).json(&body).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"].clone()
}

async fn send(server: &TestServer, token: &str, body: &str) {
    let query = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { duplicate } }";
    let input = json!({ "roomId": LOBBY, "body": body });
    ask(server, token, query, json!({ "input": input })).await;
}

#[tokio::test]
async fn a_poll_is_304_until_something_happens() {
    let server = TestServer::start();
    let token = server.token("ada");
    send(&server, &token, "first").await;
    let mut ada = Device::new(token.clone());
    // The base: where to begin.
    let base = ada.poll(&server, &json!({})).await.unwrap();
    assert_eq!(
        (&base["reset"], &base["events"]),
        (&json!(true), &json!([]))
    );
    let after = json!({ "after": base["cursor"] });
    assert!(
        ada.poll(&server, &after).await.is_some(),
        "other variables, another answer"
    );
    for _ in 0..3 {
        assert_eq!(ada.poll(&server, &after).await, None);
    }

    // Whatever was acknowledged is in the very next answer.
    for n in 0..20 {
        let before = ada.poll(&server, &after).await;
        assert_eq!(before, None, "{n}");
        send(&server, &token, &n.to_string()).await;
        let news = ada.poll(&server, &after).await.unwrap();
        let events = news["events"].as_array().unwrap();
        assert_eq!(events.len(), n + 1);
        assert_eq!(events[n]["message"]["body"], n.to_string());
    }

    // A name is not in the log, and in the answer all the same.
    let now = crate::support::now_secs();
    let renamed = json!({ "sub": "ada", "name": "Ada L.", "iat": now + 1, "exp": now + 3600 });
    ada.token = server.token_of(renamed);
    let news = ada.poll(&server, &after).await.unwrap();
    assert_eq!(news["events"][0]["message"]["author"]["name"], "Ada L.");
    assert_eq!(ada.poll(&server, &after).await, None);

    // Someone else with the same address and tag is given what is theirs.
    let mut eve = Device::new(server.token("eve"));
    eve.etag = ada.etag.clone();
    let theirs = eve.poll(&server, &after).await.unwrap();
    assert_eq!(theirs["events"], json!([]));
    assert_eq!(eve.poll(&server, &after).await, None);

    let server = server.restart();
    // Its connection went with the server.
    ada.client = reqwest::Client::new();
    assert_eq!(
        ada.poll(&server, &after).await,
        None,
        "the log has not changed"
    );
    send(&server, &token, "after the restart").await;
    assert!(ada.poll(&server, &after).await.is_some());
}

/// Four send, and each looks for its own message behind the head; a fifth reads meanwhile, and what it is shown is never
/// older than the cursors that come along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_head_has_what_was_acknowledged_and_nothing_that_its_answer_has_not() {
    let server = TestServer::start();
    let query = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { cursor } } }";
    let send = async |token: &str| {
        let input = json!({ "input": { "roomId": LOBBY, "body": "hello" } });
        let sent = ask(&server, token, query, input).await;
        sent["sendMessage"]["message"]["cursor"].clone()
    };
    let names = ["ada", "bob", "cay", "dan"];
    let tokens = names.map(|name| server.token(name));
    for token in &tokens {
        // They join by it: from here on the log holds messages only.
        send(token).await;
    }
    let start = ask(&server, &tokens[0], "{ head }", json!({})).await["head"].clone();
    let writing = tokens.iter().map(async |token| {
        for _ in 0..25 {
            let sent = send(token).await;
            let head = ask(&server, token, "{ head }", json!({})).await["head"].clone();
            assert!(head.as_str() >= sent.as_str(), "{head} is before {sent}");
        }
    });
    let reading = async {
        let query = "query ($room: ID!, $after: Cursor!) {
            room(id: $room) { messages(last: 1) { nodes { cursor } } }
            changes(after: $after, first: 500) { cursor events { cursor } }
            head }";
        let variables = json!({ "room": LOBBY, "after": start });
        let mut seen = 0;
        while seen < 100 {
            let answer = ask(&server, &tokens[0], query, variables.clone()).await;
            let head = answer["head"].as_str();
            let newest = answer["room"]["messages"]["nodes"][0]["cursor"].as_str();
            assert!(newest >= head, "{answer}");
            let changes = &answer["changes"];
            let events = changes["events"].as_array().unwrap();
            assert!(changes["cursor"].as_str() >= head, "{answer}");
            let last = events.last().map_or(&start, |event| &event["cursor"]);
            assert_eq!(&changes["cursor"], last);
            seen = events.len();
        }
    };
    tokio::join!(futures_util::future::join_all(writing), reading);
}
