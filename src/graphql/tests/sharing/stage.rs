//! A hub over the real schema, and clients that keep the bytes of what they are sent.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::{Data, Variables};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::super::executor::{Allowance, Executor};
use super::super::super::sdl;
use super::super::world::{World, viewer};
use super::spelling::Spelled;
use crate::auth::Viewer;
use crate::bus::LocalBus;
use crate::document::{Documents, Limits, Prepared, Shape};
use crate::hub::{Connection, Envelope, Feed, Frame, Hub, Item, Outbox, Plan, Setup};
use crate::log::{Tail, TailLimits};
use crate::model::{Cursor, Seq};

/// What is asked, made ready and executed with nothing shared.
pub(super) struct Plain {
    documents: Documents,
    executor: Executor,
    shape: Arc<Shape>,
}

impl Plain {
    pub(super) fn new(world: &World) -> Self {
        let shape = Arc::new(Shape::read(&sdl()).unwrap());
        let nothing = |_: Option<&Arc<Viewer>>| Data::default();
        let allowance = Allowance::new(0, 0);
        let executor = Executor::new(world.schema.clone(), shape.clone(), allowance, nothing);
        Self {
            documents: Documents::new(Limits::default(), shape.clone()),
            executor,
            shape,
        }
    }

    /// `None` for a document that is over a limit.
    pub(super) fn prepare(&self, spelled: &Spelled) -> Option<Prepared> {
        let variables = Variables::from_json(spelled.variables.clone());
        let name = spelled.operation_name.as_deref();
        match self.documents.prepare(&spelled.text, name, variables) {
            Ok(prepared) => Some(prepared),
            Err(refused) => {
                let why = &refused.errors[0].message;
                assert!(why.contains("the limit is"), "{why}: {}", spelled.text);
                None
            }
        }
    }

    /// The payload of one item by an execution of the viewer's own document, as it stands, with the viewer in its context;
    /// and its data.
    pub(super) async fn payload(
        &self,
        prepared: &Prepared,
        viewer: &Arc<Viewer>,
        item: &Item,
    ) -> (Vec<u8>, Value) {
        let mut data = Data::default();
        data.insert(Feed::once(item.clone()));
        data.insert(viewer.clone());
        let mut responses = self.executor.stream(prepared.clone(), data);
        let response = responses.next().await.unwrap();
        assert!(response.errors.is_empty(), "{:?}", response.errors);
        let data = serde_json::to_string(&response.data).unwrap();
        let cursor = item.cursor().unwrap();
        let bytes = format!(r#"{{"data":{data},"extensions":{{"cursor":"{cursor}"}}}}}}"#);
        (bytes.into_bytes(), serde_json::from_str(&data).unwrap())
    }
}

/// A hub with a tail.
pub(super) struct Stage {
    pub(super) hub: Hub,
    pub(super) tail: Arc<Tail>,
    stop: CancellationToken,
    following: Option<JoinHandle<()>>,
}

impl Stage {
    /// Over the world's own tail, which has every event as it happened.
    pub(super) fn live(world: &World, plain: &Plain) -> Self {
        Self {
            hub: hub(world, plain, world.deps.tail.clone()),
            tail: world.deps.tail.clone(),
            stop: CancellationToken::new(),
            following: None,
        }
    }

    /// Over a tail of its own that was read back from the store, as after a restart. With no room in it everything
    /// is replayed from the store.
    pub(super) async fn restarted(world: &World, plain: &Plain, events: usize) -> Self {
        let limits = TailLimits {
            events,
            ..TailLimits::default()
        };
        let (bus, stop) = (LocalBus::new(), CancellationToken::new());
        let tail = Tail::start(world.deps.store.clone(), &bus, limits, stop.clone());
        let (tail, following) = tail.await.unwrap();
        Self {
            hub: hub(world, plain, tail.clone()),
            tail,
            stop,
            following: Some(tokio::spawn(following)),
        }
    }

    pub(super) async fn end(self) {
        self.hub.stop().await;
        self.stop.cancel();
        if let Some(following) = self.following {
            following.await.unwrap();
        }
    }

    pub(super) fn client(&self, who: &str) -> Client {
        let (viewer, outbox) = (viewer(who), Arc::new(Outbox::new(usize::MAX)));
        let dress = Arc::new(Dress);
        let connection = self.hub.connect(viewer.clone(), outbox.clone(), dress);
        Client {
            viewer,
            connection,
            outbox,
            sent: HashMap::new(),
            ended: HashSet::new(),
            positions: HashMap::new(),
        }
    }
}

fn hub(world: &World, plain: &Plain, tail: Arc<Tail>) -> Hub {
    let executor = plain.executor.clone();
    let hub = Hub::start(Setup {
        store: world.deps.store.clone(),
        tail,
        signals: world.deps.signals.clone(),
        execute: Arc::new(move |prepared, data| executor.stream(prepared, data)),
        shape: plain.shape.clone(),
        revocations: Arc::default(),
        workers: 2,
    });
    hub.unwrap()
}

/// What a subscription was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Sent {
    Payload(Bytes),
    /// The code that it ended with.
    End(String),
}

/// Frames that are told apart by their first byte.
struct Dress;

impl Envelope for Dress {
    fn next_prefix(&self, id: &str) -> Bytes {
        format!("={id}").into()
    }

    fn error(&self, id: &str, errors: &str) -> Bytes {
        format!("!{id} {errors}").into()
    }

    fn ping(&self, positions: &[(Arc<str>, Cursor)]) -> Option<Bytes> {
        let positions = positions.iter().map(|(id, at)| format!(" {id} {at}"));
        Some(format!("?{}", positions.collect::<String>()).into())
    }
}

pub(super) struct Client {
    pub(super) viewer: Arc<Viewer>,
    connection: Connection,
    outbox: Arc<Outbox>,
    sent: HashMap<String, Vec<Sent>>,
    ended: HashSet<String>,
    positions: HashMap<String, Seq>,
}

impl Client {
    pub(super) fn subscribe(&self, id: &str, plan: Plan, resume: Option<Cursor>) {
        self.connection.subscribe(id.into(), plan, resume);
    }

    /// Reads until everything up to a place has come for these subscriptions, and at least so many frames.
    pub(super) async fn settle(&mut self, ids: &[(String, usize)], at: Seq) {
        let is_there = |client: &Self, (id, frames): &(String, usize)| {
            let reached = client.positions.get(id).is_some_and(|seq| *seq >= at);
            let count = client.sent.get(id).map_or(0, Vec::len);
            client.ended.contains(id) || reached && count >= *frames
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Some((id, frames)) = ids.iter().find(|id| !is_there(self, id)) {
            assert!(
                Instant::now() < deadline,
                "{id} of {}: not {frames} frames up to {at}: {:?}, {:?}",
                self.viewer.user.id,
                self.positions.get(id),
                self.sent.get(id),
            );
            self.connection.ping();
            while !self.read_one().await {}
        }
    }

    /// What has come for a subscription since the last time.
    pub(super) fn take(&mut self, id: &str) -> Vec<Sent> {
        self.sent.remove(id).unwrap_or_default()
    }

    /// Reads one frame; true for a ping.
    async fn read_one(&mut self) -> bool {
        let mut frames: Vec<Frame> = Vec::new();
        self.outbox.take(&mut frames, 1).await;
        let own = std::str::from_utf8(&frames[0].own).unwrap();
        let (kind, rest) = own.split_at(1);
        match kind {
            "=" => {
                let sent = Sent::Payload(frames[0].shared.clone());
                self.sent.entry(rest.to_owned()).or_default().push(sent);
            }
            "!" => {
                let (id, errors) = rest.split_once(' ').unwrap();
                let errors: Value = serde_json::from_str(errors).unwrap();
                let code = errors[0]["extensions"]["code"].as_str().unwrap();
                let sent = Sent::End(code.to_owned());
                self.sent.entry(id.to_owned()).or_default().push(sent);
                self.ended.insert(id.to_owned());
            }
            _ => {
                let words: Vec<_> = rest.split_whitespace().collect();
                for place in words.chunks(2) {
                    let cursor: Cursor = place[1].parse().unwrap();
                    self.positions.insert(place[0].to_owned(), cursor.seq);
                }
            }
        }
        kind == "?"
    }
}
