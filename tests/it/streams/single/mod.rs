//! Single connection mode: PROTOCOL.md of graphql-sse, each status and frame to the byte.

mod cuts;
mod limits;
mod operations;
mod refusals;

use serde_json::{Value, json};

use super::raw::{Answer, Request};
use super::{EVENTS, SENT, Scene, code};

/// Several operations on one stream: the names of its requests.
pub(super) struct Shared<'a> {
    scene: &'a Scene,
    viewer: String,
    token: String,
}

/// What an event says: its type and its data.
pub(super) fn said(event: &str) -> (&str, Value) {
    let (kind, data) = event.split_once("\ndata: ").unwrap();
    let data = data.strip_suffix("\n\n").unwrap();
    assert_eq!(data.lines().count(), 1, "{event}");
    let kind = kind.strip_prefix("event: ").unwrap();
    (kind, serde_json::from_str(data).unwrap())
}

/// The next event of these, which is to be a result of `id`.
pub(super) fn result(stream: &mut Answer, id: &str) -> Value {
    let event = stream.event().unwrap();
    let (kind, data) = said(&event);
    assert_eq!((kind, &data["id"]), ("next", &id.into()), "{event}");
    data["payload"].clone()
}

pub(super) fn completed(stream: &mut Answer, id: &str) {
    assert_eq!(stream.event().unwrap(), end_of(id));
}

/// What tells that an operation has ended.
fn end_of(id: &str) -> String {
    format!("event: complete\ndata: {{\"id\":\"{id}\"}}\n\n")
}

pub(super) fn reserve(scene: &Scene, viewer: &str) -> Answer {
    let request = Request::new("PUT", "/graphql").token(viewer);
    request.send(&scene.server)
}

impl<'a> Shared<'a> {
    pub(super) fn new(scene: &'a Scene) -> Self {
        Self::of(scene, &scene.token)
    }

    pub(super) fn of(scene: &'a Scene, viewer: &str) -> Self {
        let mut reserved = reserve(scene, viewer);
        assert_eq!(reserved.status(), 201, "{}", reserved.head());
        Self {
            scene,
            viewer: viewer.to_owned(),
            token: reserved.whole(),
        }
    }

    /// One that is open, and its stream.
    pub(super) fn opened(scene: &'a Scene) -> (Self, Answer) {
        let shared = Self::new(scene);
        let stream = shared.open();
        (shared, stream)
    }

    fn request(&self, method: &'static str, search: &str) -> Request {
        let request = Request::new(method, &format!("/graphql{search}"));
        request.header("x-graphql-event-stream-token", &self.token)
    }

    /// As an `EventSource` does, which can send no header.
    pub(super) fn opening(&self, search: &str) -> Request {
        let path = format!("/graphql?token={}{search}", self.token);
        Request::new("GET", &path).accept(EVENTS)
    }

    pub(super) fn open(&self) -> Answer {
        self.open_with("")
    }

    pub(super) fn open_with(&self, search: &str) -> Answer {
        let mut stream = self.opening(search).send(&self.scene.server);
        assert_eq!(stream.status(), 200, "{}", stream.head());
        assert_eq!(stream.chunk().unwrap(), ":\n\n");
        stream
    }

    pub(super) fn ask(&self, id: &Value, query: &str, variables: &Value) -> Answer {
        let extensions = json!({ "operationId": id });
        let body = json!({ "query": query, "variables": variables, "extensions": extensions });
        let request = self.request("POST", "").token(&self.viewer);
        let request = request.header("content-type", "application/json");
        request.body(body).send(&self.scene.server)
    }

    pub(super) fn execute(&self, id: &str, query: &str, variables: &Value) {
        let answer = self.ask(&id.into(), query, variables);
        assert_eq!(answer.status(), 202, "{}", answer.head());
        assert_eq!(answer.header("content-length"), Some("0"));
    }

    pub(super) fn follow(&self, id: &str) {
        self.follow_after(id, &Value::Null);
    }

    /// Follows, and waits until that is live.
    fn follow_live(&self, id: &str, stream: &mut Answer) {
        self.follow(id);
        live(stream);
    }

    pub(super) fn follow_after(&self, id: &str, after: &Value) {
        let variables = json!({ "roomId": self.scene.room, "after": after });
        self.execute(id, SENT, &variables);
    }

    pub(super) fn stop(&self, id: &str) -> Answer {
        let request = self.request("DELETE", &format!("?operationId={id}"));
        request.token(&self.viewer).send(&self.scene.server)
    }
}

/// Waits until a subscription is live, which a beat tells.
pub(super) fn live(stream: &mut Answer) {
    assert_eq!(stream.chunk().unwrap(), ":\n\n");
}

pub(super) fn body(result: &Value) -> &str {
    super::body(result)
}

/// The server's answer to a request that is refused: its status and its code.
pub(super) fn refusal(mut answer: Answer) -> (u16, String) {
    let text = answer.whole();
    let refusal: Value = serde_json::from_str(&text).unwrap();
    (answer.status(), code(&refusal).to_owned())
}
