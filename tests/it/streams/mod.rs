//! Subscriptions over HTTP, byte by byte.

mod events;
mod graphql_sse;
mod multipart;
mod quiet;
mod raw;
mod single;
mod tokens;
#[cfg(target_os = "linux")]
mod vanished;

use serde_json::{Value, json};

use crate::support::{Plan, TestServer};
use raw::{Answer, Request};

const SENT: &str = "subscription ($roomId: ID!, $after: Cursor) { messageSent(roomId: $roomId, after: $after) { body } }";
const SEND: &str = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id body cursor } } }";
const EVENTS: &str = "text/event-stream";

/// A server, and a room of ada's in it.
struct Scene {
    server: TestServer,
    token: String,
    room: String,
}

impl Scene {
    fn new() -> Self {
        Self::on(Self::plan().start())
    }

    /// Without beats, of which the first comes at a random moment: where a test looks at each chunk, it would be one too many.
    fn plan() -> Plan {
        Plan::default().env("TIDINGS_PING_INTERVAL_SECS", 0)
    }

    fn on(server: TestServer) -> Self {
        let token = server.token("ada");
        let mut scene = Self {
            server,
            token,
            room: String::new(),
        };
        let create =
            "mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }";
        let input = json!({ "name": "scene", "visibility": "PRIVATE", "memberIds": ["bob"] });
        let created = scene.ask(create, &json!({ "input": input }));
        scene.room = created["createRoom"]["room"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        scene
    }

    /// Starts the server again after it has ended.
    fn start_again(&mut self) {
        self.server.start_over();
    }

    /// What ada is answered over plain HTTP.
    fn ask(&self, query: &str, variables: &Value) -> Value {
        let request = Request::post(query, variables).token(&self.token);
        let answer = request.json(&self.server);
        assert!(answer["errors"].is_null(), "{answer}");
        answer["data"].clone()
    }

    fn send(&self, body: &str) {
        let input = json!({ "roomId": self.room, "body": body });
        self.ask(SEND, &json!({ "input": input }));
    }

    fn head(&self) -> String {
        self.ask("{ head }", &json!({}))["head"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A subscription of ada's to her room's messages.
    fn follow(&self) -> Request {
        self.follow_after(&Value::Null)
    }

    fn follow_after(&self, after: &Value) -> Request {
        let variables = json!({ "roomId": self.room, "after": after });
        Request::post(SENT, &variables)
            .accept(EVENTS)
            .token(&self.token)
    }

    /// A stream that is live.
    fn live(&self, request: &Request) -> Answer {
        let mut stream = request.send(&self.server);
        assert_eq!(stream.status(), 200, "{}", stream.head());
        assert_eq!(stream.chunk().unwrap(), ":\n\n");
        // Once it is, its place is told.
        let place = stream.chunk().unwrap();
        assert!(place.starts_with(":\nid: "), "{place}");
        stream
    }
}

/// What was said, in the order in which it came.
fn body(next: &Value) -> &str {
    next["data"]["messageSent"]["body"].as_str().unwrap()
}

/// The code of a result that is an error.
fn code(next: &Value) -> &str {
    assert!(next["data"].is_null(), "{next}");
    next["errors"][0]["extensions"]["code"].as_str().unwrap()
}

/// The one result of a body that is whole from the start.
fn only_result(answer: &mut Answer) -> Value {
    let text = answer.whole();
    let (next, complete) = text.split_once("\n\n").unwrap();
    assert_eq!(complete, "event: complete\ndata:\n\n");
    let data = next.strip_prefix("event: next\ndata: ").unwrap();
    serde_json::from_str(data).unwrap()
}

const COMPLETE: &str = "event: complete\ndata:\n\n";
