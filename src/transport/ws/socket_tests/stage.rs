//! An API whose operations do what their variables say, for tests of what surrounds it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_graphql::Variables;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::{DocumentOperations, OperationType, Selection};
use futures_util::task::AtomicWaker;
use serde_json::{Map, Value as Json, json};
use tokio::sync::{Notify, Semaphore, watch};

use crate::auth::{Renewal, Viewer};
use crate::document::Prepared;
use crate::error::Error;
use crate::hub::{Envelope, Frame, Notice, Outbox};
use crate::model::{Cursor, Timestamp, User, UserId};
use crate::transport::http::Origins;
use crate::transport::ws::{Api, AtOnce, Settings, Subscriptions, Waits, frame};

pub(in crate::transport) const HEAD: &str = "00000000010000000007";

/// - Tokens: `bad`, `busy`, `never` are what they say; `ada 60` is ada for a minute.
/// - `{ at(gate) }`: variables `{"gate": "g"}` make an operation wait until [`Stage::open`] is called with `g`.
/// - Variables `{"token": "ada 90"}` make a mutation bring a fresh token.
/// - `{ panic }` panics, `{ refused }` is refused, `{ large }` answers a megabyte; `subscription { busy }` is `UNAVAILABLE`.
/// - Mutations and subscriptions note the name of their first field on the first poll.
pub(in crate::transport) struct Stage {
    /// First fields of mutations and subscriptions, as their execution or planning began.
    pub(in crate::transport) begun: Mutex<Vec<String>>,
    /// Operations that wait at a gate.
    pub(in crate::transport) waiting: Semaphore,
    /// Operations dropped before their end.
    pub(in crate::transport) dropped: Arc<Semaphore>,
    gates: Mutex<HashMap<String, Arc<watch::Sender<bool>>>>,
    lines: Mutex<Vec<Arc<Line>>>,
}

/// What a connection has been told.
pub(in crate::transport) struct Line {
    pub(in crate::transport) outbox: Arc<Outbox>,
    envelope: Arc<dyn Envelope>,
    pub(in crate::transport) subscribed: Mutex<HashMap<Arc<str>, Option<Cursor>>>,
    /// Its client has closed the socket.
    pub(in crate::transport) left: AtomicBool,
    ended: AtomicBool,
    notices: Mutex<VecDeque<Notice>>,
    noticed: AtomicWaker,
    changed: Notify,
}

pub(in crate::transport) struct LineEnd(Arc<Line>);

impl Default for Stage {
    fn default() -> Self {
        Self {
            begun: Mutex::default(),
            waiting: Semaphore::new(0),
            dropped: Arc::new(Semaphore::new(0)),
            gates: Mutex::default(),
            lines: Mutex::default(),
        }
    }
}

impl Stage {
    /// For one client with little going on.
    pub(in crate::transport) fn settings(origins: Origins) -> Settings {
        Settings {
            waits: Waits::default(),
            at_once: AtOnce {
                subscriptions: 2,
                operations: 3,
            },
            connections_per_user: 0,
            sockets_per_second: None,
            addresses_apart: true,
            origins: Arc::new(origins),
        }
    }

    fn gate(&self, name: &str) -> Arc<watch::Sender<bool>> {
        let mut gates = self.gates.lock().unwrap();
        let gate = gates.entry(name.to_owned());
        gate.or_insert_with(|| Arc::new(watch::Sender::new(false)))
            .clone()
    }

    pub(in crate::transport) fn open(&self, gate: &str) {
        self.gate(gate).send_replace(true);
    }

    /// Waits until so many operations more wait at their gates.
    pub(in crate::transport) async fn under_way(&self, how_many: u32) {
        let waiting = self.waiting.acquire_many(how_many).await;
        waiting.unwrap().forget();
    }

    /// The connection of the newest socket.
    pub(in crate::transport) fn line(&self) -> Arc<Line> {
        self.lines.lock().unwrap().last().unwrap().clone()
    }

    async fn perform(&self, prepared: &Prepared) {
        if let Some(async_graphql::Value::String(gate)) = prepared.variables.get("gate") {
            let mut gate = self.gate(gate).subscribe();
            let mut unfinished = Unfinished(Some(self.dropped.clone()));
            self.waiting.add_permits(1);
            gate.wait_for(|open| *open).await.unwrap();
            unfinished.0 = None;
        }
    }
}

struct Unfinished(Option<Arc<Semaphore>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(dropped) = &self.0 {
            dropped.add_permits(1);
        }
    }
}

fn fields(prepared: &Prepared) -> Vec<String> {
    let DocumentOperations::Single(operation) = &prepared.document.operations else {
        return Vec::new();
    };
    let items = &operation.node.selection_set.node.items;
    let fields = items.iter().filter_map(|item| match &item.node {
        Selection::Field(field) => Some(field.node.name.node.to_string()),
        _ => None,
    });
    fields.collect()
}

fn refusal() -> String {
    json!([{ "message": "refused" }]).to_string()
}

impl Api for Stage {
    type Plan = ();
    type Connection = LineEnd;

    async fn authenticate(&self, token: &str) -> Result<Arc<Viewer>, Error> {
        let (name, secs) = token.split_once(' ').unwrap_or((token, "3600"));
        match name {
            "bad" => {
                return Err(Error::BadToken {
                    why: "Forbidden: bad",
                });
            }
            "busy" => return Err(Error::Busy),
            "never" => std::future::pending().await,
            _ => {}
        }
        let user = Arc::new(User::unseen(UserId::parse("id", name)?));
        let lifetime_ms = secs.parse::<i64>().unwrap() * 1000;
        Ok(Arc::new(Viewer {
            user,
            expires_at: Timestamp(Timestamp::now().0 + lifetime_ms),
            issued_at: None,
        }))
    }

    fn prepare(&self, request: Map<String, Json>) -> Result<Prepared, String> {
        let text = request["query"].as_str().unwrap_or_default();
        let document = Arc::new(parse_query(text).map_err(|_| refusal())?);
        let kind = match &document.operations {
            DocumentOperations::Single(operation) => operation.node.ty,
            DocumentOperations::Multiple(_) => return Err(refusal()),
        };
        let variables = request.get("variables").cloned().unwrap_or_default();
        let mut prepared = Prepared {
            document,
            operation_name: None,
            variables: Variables::from_json(variables),
            kind,
            root_fields: 0,
            introspection: false,
            hides: false,
        };
        prepared.root_fields = fields(&prepared).len();
        Ok(prepared)
    }

    async fn execute(
        &self,
        prepared: Prepared,
        viewer: Arc<Viewer>,
        renewal: Option<Renewal>,
    ) -> Result<String, String> {
        let fields = fields(&prepared);
        if prepared.kind == OperationType::Mutation {
            self.begun.lock().unwrap().push(fields[0].clone());
        }
        self.perform(&prepared).await;
        if let Some(async_graphql::Value::String(token)) = prepared.variables.get("token") {
            let fresh = self.authenticate(token).await;
            renewal.unwrap().leave(fresh.unwrap());
        }
        match fields[0].as_str() {
            "panic" => panic!("as told"),
            "refused" => Err(refusal()),
            "large" => Ok(json!({ "data": "x".repeat(1 << 20) }).to_string()),
            field => Ok(json!({ "data": { field: viewer.user.id.as_str() } }).to_string()),
        }
    }

    async fn plan(&self, prepared: Prepared, _: Arc<Viewer>) -> Result<(), String> {
        let fields = fields(&prepared);
        self.begun.lock().unwrap().push(fields[0].clone());
        self.perform(&prepared).await;
        match fields[0].as_str() {
            "refused" => Err(refusal()),
            "busy" => Err(frame::errors(&Error::Busy)),
            "panic" => panic!("as told"),
            _ => Ok(()),
        }
    }

    fn connect(&self, _: Arc<Viewer>, outbox: Arc<Outbox>, envelope: Arc<dyn Envelope>) -> LineEnd {
        let line = Arc::new(Line {
            outbox,
            envelope,
            subscribed: Mutex::default(),
            left: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            notices: Mutex::default(),
            noticed: AtomicWaker::new(),
            changed: Notify::new(),
        });
        self.lines.lock().unwrap().push(line.clone());
        LineEnd(line)
    }

    fn head(&self) -> Cursor {
        HEAD.parse().unwrap()
    }
}

impl Line {
    /// Waits until the connection is gone.
    pub(in crate::transport) async fn ended(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.ended.load(Ordering::Relaxed) {
                return;
            }
            changed.await;
        }
    }

    /// Waits until a subscription has begun, and says from where.
    pub(in crate::transport) async fn subscribed(&self, id: &str) -> Option<Cursor> {
        loop {
            let changed = self.changed.notified();
            if let Some(resume) = self.subscribed.lock().unwrap().get(id) {
                return *resume;
            }
            changed.await;
        }
    }

    /// Waits until a subscription has ended.
    pub(in crate::transport) async fn unsubscribed(&self, id: &str) {
        loop {
            let changed = self.changed.notified();
            if !self.subscribed.lock().unwrap().contains_key(id) {
                return;
            }
            changed.await;
        }
    }

    /// Delivers a payload.
    pub(in crate::transport) fn deliver(&self, id: &str, payload: &Json) -> bool {
        self.outbox.push(Frame {
            own: self.envelope.next_prefix(id),
            shared: format!("{payload}}}").into(),
        })
    }

    /// Ends a stream, as the hub does.
    pub(in crate::transport) fn end(&self, id: &str) {
        self.subscribed.lock().unwrap().remove(id);
        let error = self.envelope.error(id, &frame::errors(&Error::Internal));
        self.outbox.push(Frame::whole(error));
        if let Some(end) = self.envelope.end(id) {
            self.outbox.push(Frame::whole(end));
        }
        self.tell(Notice::Ended(id.into()));
    }

    pub(in crate::transport) fn tell(&self, notice: Notice) {
        self.notices.lock().unwrap().push_back(notice);
        self.noticed.wake();
    }
}

impl Subscriptions for LineEnd {
    type Plan = ();

    fn subscribe(&self, id: Arc<str>, (): (), resume: Option<Cursor>) {
        self.0.subscribed.lock().unwrap().insert(id, resume);
        self.0.changed.notify_waiters();
    }

    fn unsubscribe(&self, id: &str) {
        self.0.subscribed.lock().unwrap().remove(id);
        self.0.changed.notify_waiters();
    }

    fn renew(&self, _: &Viewer) {}

    fn leave_cleanly(&self) {
        self.0.left.store(true, Ordering::Relaxed);
    }

    fn ping(&self) {
        if let Some(ping) = self.0.envelope.ping(&[]) {
            self.0.outbox.push_ping(Frame::whole(ping));
        }
    }

    fn poll_notice(&self, cx: &mut Context<'_>) -> Poll<Notice> {
        self.0.noticed.register(cx.waker());
        let notice = self.0.notices.lock().unwrap().pop_front();
        notice.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for LineEnd {
    fn drop(&mut self) {
        self.0.subscribed.lock().unwrap().clear();
        self.0.ended.store(true, Ordering::Relaxed);
        self.0.changed.notify_waiters();
    }
}
