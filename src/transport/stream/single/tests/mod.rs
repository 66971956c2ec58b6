//! When reservations lapse and their streams end, on a clock that tests set.

mod cut;
mod ids;
mod reserved;
mod stopping;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::time::Instant;

use super::events::SingleFrames;
use super::{Opened, Refused, Reservations};
use crate::auth::Viewer;
use crate::document::Prepared;
use crate::hub::Outbox;
use crate::transport::drain::Drain;
use crate::transport::http::Origins;
use crate::transport::stream::chunked::Chunked;
use crate::transport::ws::socket_tests::stage::Stage;
use crate::transport::ws::{Api, Endpoint};

const SECOND: Duration = Duration::from_secs(1);

/// Reservations whose operations do as they are told.
struct Desk {
    stage: Arc<Stage>,
    drain: Drain,
    reservations: Reservations<Stage, DuplexStream>,
}

impl Desk {
    fn new() -> Self {
        let (stage, drain) = (Arc::new(Stage::default()), Drain::new(10 * SECOND));
        let mut settings = Stage::settings(Origins::Any);
        // The first may be due at once, and would stand among what is said.
        settings.waits.ping = Duration::ZERO;
        let endpoint = Endpoint::new(stage.clone(), settings, drain.clone());
        Self {
            stage,
            drain,
            reservations: Reservations::new(endpoint),
        }
    }

    /// With one stream that is there: the token that opened it and the client's end, which takes `room` bytes without being read.
    async fn with_stream(viewer: &str, room: usize) -> (Self, String, DuplexStream) {
        let desk = Self::new();
        let token = desk.reserve(viewer).await;
        let client = desk.open(&token, room).await;
        (desk, token, client)
    }

    /// The viewer of such a token: `ada 60` is ada for a minute.
    async fn viewer(&self, token: &str) -> Arc<Viewer> {
        self.stage.authenticate(token).await.unwrap()
    }

    async fn reserve(&self, viewer: &str) -> String {
        let viewer = self.viewer(viewer).await;
        self.reservations.reserve(viewer, None).unwrap()
    }

    /// The client's end of the stream, which takes `room` bytes without being read.
    async fn open(&self, token: &str, room: usize) -> DuplexStream {
        let (client, io) = tokio::io::duplex(room);
        let framing = &Chunked(SingleFrames);
        let outbox = Arc::new(Outbox::framed(Outbox::BUDGET_BYTES, framing));
        let pings = false;
        let opened = Opened { io, outbox, pings };
        let ticket = self.reservations.claim(token, None).unwrap();
        assert!(ticket.send(opened).is_ok());
        client
    }

    fn prepare(&self, query: &str, variables: Json) -> Prepared {
        let request = json!({ "query": query, "variables": variables });
        let Json::Object(request) = request else {
            unreachable!()
        };
        self.stage.prepare(request).unwrap()
    }

    async fn execute(&self, token: &str, id: &str, query: &str) -> Result<(), Refused> {
        self.execute_with(token, id, query, json!({})).await
    }

    async fn execute_with(
        &self,
        token: &str,
        id: &str,
        query: &str,
        variables: Json,
    ) -> Result<(), Refused> {
        let (viewer, prepared) = (self.viewer("ada").await, self.prepare(query, variables));
        self.reservations
            .execute(token, viewer, id, Ok(prepared))
            .await
    }
}

impl Desk {
    /// Executes what is not refused.
    async fn begin(&self, token: &str, id: &str, query: &str) {
        assert_eq!(self.execute(token, id, query).await, Ok(()));
    }

    /// The same of what waits at a gate.
    async fn begin_at(&self, token: &str, id: &str, query: &str, gate: &str) {
        let variables = json!({ "gate": gate });
        let executed = self.execute_with(token, id, query, variables);
        assert_eq!(executed.await, Ok(()));
    }

    /// Queries with answers of a megabyte each, all under way before the first of them ends.
    async fn execute_large(&self, token: &str, how_many: usize) {
        for nth in 0..how_many {
            let id = nth.to_string();
            self.begin_at(token, &id, "{ large }", "large").await;
        }
        let all = u32::try_from(how_many).unwrap();
        self.stage.under_way(all).await;
        self.stage.open("large");
    }

    /// Waits until the last task has ended.
    async fn empty(&self) {
        while self.drain.sockets() > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until an operation has ended: its id is free.
    async fn ended(&self, token: &str, id: &str) {
        while self.execute(token, id, "{ a }").await == Err(Refused::Running) {
            tokio::task::yield_now().await;
        }
    }
}

/// All that comes until the stream ends, and when that is.
async fn until_its_end(mut client: DuplexStream) -> (String, Duration) {
    let (begun, mut text) = (Instant::now(), String::new());
    client.read_to_string(&mut text).await.unwrap();
    (text, begun.elapsed())
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn next(id: &str, payload: &str) -> String {
    chunk(&format!(
        "event: next\ndata: {{\"id\":\"{id}\",\"payload\":{payload}}}\n\n"
    ))
}

fn complete(id: &str) -> String {
    chunk(&format!("event: complete\ndata: {{\"id\":\"{id}\"}}\n\n"))
}
