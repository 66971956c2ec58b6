//! How much one query may ask for, whichever way it comes.

use reqwest::header::ACCEPT;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Plan, Socket, TestServer, message};

const ROOM: &str = "00000000-0000-7000-8000-0000000000aa";

/// One hundred messages that as JSON are six times as long, in a room of ada's.
async fn full_room() -> (TestServer, String) {
    let server = Plan::default().start();
    let token = server.token("ada");
    let mut socket = Socket::signed_in(&server, &token).await;
    let create = "mutation($input:CreateRoomInput!){createRoom(input:$input){room{id}}}";
    let send = "mutation($input:SendMessageInput!){sendMessage(input:$input){duplicate}}";
    let input = json!({ "id": ROOM, "name": "a room" });
    let made = socket.ask(create, json!({ "input": input })).await;
    assert!(made.get("errors").is_none(), "{made}");
    let input = json!({ "roomId": ROOM, "body": "\u{1}".repeat(10_500) });
    for _ in 0..100 {
        let sent = socket.ask(send, json!({ "input": input })).await;
        assert!(sent.get("errors").is_none(), "{sent}");
    }
    (server, token)
}

/// 800 messages with eight bodies each: 400 MB.
fn far_too_much() -> String {
    let pages = (1..=8).map(|n| format!("m{n}:messages(last:100){{nodes{{...F}}}}"));
    let bodies = (1..=7).map(|n| format!("b{n}:body "));
    let (pages, bodies) = (pages.collect::<String>(), bodies.collect::<String>());
    format!("{{room(id:\"{ROOM}\"){{{pages}}}}} fragment F on Message{{body {bodies}}}")
}

async fn answered(request: RequestBuilder, accept: &str) -> (u16, String) {
    let answer = request.header(ACCEPT, accept).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn assert_refused(answer: &Value) {
    assert_eq!(answer["errors"][0]["extensions"]["code"], "TOO_LARGE");
    assert_eq!(answer["errors"][0]["extensions"]["limit"], 16 * 1024 * 1024);
    assert!(answer.get("data").is_none());
}

#[tokio::test]
async fn a_query_that_asks_for_far_too_much_is_refused_whichever_way_it_comes() {
    let (server, token) = full_room().await;
    let (client, query) = (Client::new(), far_too_much());
    let request = json!({ "query": query });
    let post = || {
        let post = client.post(server.url("/graphql")).bearer_auth(&token);
        post.json(&request)
    };
    let get = || {
        let get = client.get(server.url("/graphql")).bearer_auth(&token);
        get.query(&[("query", &query)])
    };
    for (request, accept, status) in [
        (post(), "application/json", 200),
        (get(), "application/json", 200),
        (post(), "application/graphql-response+json", 413),
    ] {
        let (answered, text) = answered(request, accept).await;
        assert_eq!(answered, status, "{accept}");
        assert_refused(&serde_json::from_str(&text).unwrap());
    }
    let (status, events) = answered(post(), "text/event-stream").await;
    assert_eq!(status, 200);
    let data = events.split_once("event: next\ndata: ").unwrap().1;
    let (data, end) = data.split_once("\n\n").unwrap();
    assert_refused(&serde_json::from_str(data).unwrap());
    assert!(end.starts_with("event: complete"), "{end}");

    let mut socket = Socket::signed_in(&server, &token).await;
    socket.say(&message("1", &query, Value::Null)).await;
    let heard = socket.hear().await.unwrap();
    assert_eq!(heard["type"], "error");
    assert_refused(&json!({ "errors": heard["payload"] }));
    // A page of the same messages passes, and so does the socket.
    let page = format!("{{room(id:\"{ROOM}\"){{messages(last:100){{nodes{{body}}}}}}}}");
    let page = socket.ask(&page, Value::Null).await;
    let nodes = page["data"]["room"]["messages"]["nodes"].as_array();
    assert_eq!(nodes.unwrap().len(), 100);
    // What was refused was not made first: it would have been 400 MB each time.
    #[cfg(target_os = "linux")]
    {
        let most = 160 << 20;
        let kept = crate::support::resident_bytes(server.pid());
        assert!(kept < most, "{kept}");
    }
}

#[tokio::test]
async fn a_subscription_that_is_asked_for_as_a_query_is_told_how_to_ask() {
    let server = Plan::default().start();
    let query = "subscription { roomRead { id } }";
    let ask = |accept: &str| {
        let post = Client::new().post(server.url("/graphql"));
        let post = post.bearer_auth(server.token("ada")).header(ACCEPT, accept);
        post.json(&json!({ "query": query })).send()
    };
    let told = ask("application/json").await.unwrap();
    let told: Value = told.json().await.unwrap();
    let message = told["errors"][0]["message"].as_str().unwrap();
    for accept in ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"] {
        assert!(message.contains(accept), "{message}");
        let stream = ask(accept).await.unwrap();
        assert_eq!(stream.status(), 200);
        let (kind, _) = accept.split_once(';').unwrap_or((accept, ""));
        let given = stream.headers()["content-type"].to_str().unwrap();
        assert!(given.starts_with(kind), "{given}");
    }
    assert!(message.contains("graphql-transport-ws"), "{message}");
}
