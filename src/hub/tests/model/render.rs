//! Payloads that say what they are of in two characters, made without a schema: how long a payload takes to make is all
//! that the hand-over knows of it.

use std::any::TypeId;
use std::sync::{Arc, LazyLock};

use async_graphql::{Data, Response, Value, Variables};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::owed::Said;
use super::script::{SLOW, is_slow, number, room};
use crate::document::{Documents, Limits, Prepared, Shape};
use crate::hub::core::Core;
use crate::hub::operation::{Operation, Parts};
use crate::hub::tests::schema::{Probe, schema};
use crate::hub::{Envelope, Feed, Item, Setup};
use crate::interleave::point;
use crate::log::Tail;
use crate::model::{Cursor, RoomId};
use crate::signal::Signals;
use crate::store::Store;

static SHAPE: LazyLock<Arc<Shape>> = LazyLock::new(|| {
    let sdl = schema(Arc::new(Probe::default())).sdl();
    Arc::new(Shape::read(&sdl).unwrap())
});

static PREPARED: LazyLock<Prepared> = LazyLock::new(|| {
    let documents = Documents::new(Limits::default(), SHAPE.clone());
    let text = "subscription { events { kind } }";
    let prepared = documents.prepare(text, None, Variables::default());
    prepared.unwrap()
});

pub(super) fn setup(store: Arc<dyn Store>, tail: Arc<Tail>) -> Setup {
    Setup {
        signals: Signals::new(store.clone(), tail.clone()),
        store,
        tail,
        execute: Arc::new(|_, data| render(&data)),
        shape: SHAPE.clone(),
        revocations: Arc::default(),
        workers: 1,
    }
}

/// `events`, and `messageSent`.
pub(super) fn operations(core: &Core) -> [Arc<Operation>; 2] {
    [false, true].map(|messages_only| {
        let parts = Parts {
            id: u64::from(messages_only),
            messages_only,
            selections: 1,
            viewer: None,
            prepared: PREPARED.clone(),
            execute: core.execute.clone(),
            payloads: core.payloads.clone(),
        };
        Arc::new(Operation::new(parts))
    })
}

fn render(data: &Data) -> BoxStream<'static, Response> {
    let feed = data[&TypeId::of::<Feed>()].downcast_ref::<Feed>();
    let render = |item: Item| async move {
        let waits = match &item {
            Item::Event(event) => is_slow(event),
            Item::Revoked { room, .. } => number(*room) == SLOW,
            Item::CaughtUp(_) | Item::Resync { .. } | Item::Signal(_) => false,
        };
        if waits {
            point!("render", item.cursor().map(|cursor| cursor.seq));
            tokio::task::yield_now().await;
        }
        Response::new(Value::String(text(&item)))
    };
    feed.unwrap().clone().then(render).boxed()
}

fn text(item: &Item) -> String {
    match item {
        Item::Event(event) => format!("E{}", number(event.room_id())),
        Item::Revoked { room, .. } => format!("R{}", number(*room)),
        Item::CaughtUp(_) => "C-".to_owned(),
        Item::Resync { .. } => "Y-".to_owned(),
        Item::Signal(_) => "S-".to_owned(),
    }
}

/// What a frame is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Read {
    /// Of a subscription: an event or a revocation.
    Shown(char, Said, RoomId, Cursor),
    CaughtUp(char, Cursor),
    Resync(char, Cursor),
    /// A subscription has ended with an error.
    Failed(char),
    Ping(Vec<(char, Cursor)>),
}

/// Bytes of a frame that is no ping and no error.
pub(super) const FRAME_BYTES: usize = 62;

pub(super) fn read(frame: &[u8]) -> Read {
    let text = std::str::from_utf8(frame).unwrap();
    if let Some(positions) = text.strip_prefix('*') {
        let position = |text: &str| {
            let (id, cursor) = text.split_once('=').unwrap();
            (letter(id), cursor.parse().unwrap())
        };
        return Read::Ping(positions.split_terminator(',').map(position).collect());
    }
    if let Some(id) = text.strip_prefix('!') {
        return Read::Failed(letter(id));
    }
    assert_eq!(frame.len(), FRAME_BYTES, "frames differ in size");
    let (id, payload) = (letter(text), &text[1..]);
    let data = payload.strip_prefix(r#"{"data":""#).unwrap();
    let cursor = &payload[payload.len() - 4 - Cursor::LEN..payload.len() - 4];
    let cursor = cursor.parse().unwrap();
    match &data[..1] {
        "C" => Read::CaughtUp(id, cursor),
        "Y" => Read::Resync(id, cursor),
        kind => {
            let said = if kind == "R" {
                Said::Revoked
            } else {
                Said::Event
            };
            Read::Shown(id, said, room(data[1..2].parse().unwrap()), cursor)
        }
    }
}

fn letter(id: &str) -> char {
    id.chars().next().unwrap()
}

/// Frames as short as can be.
pub(super) struct Terse;

impl Envelope for Terse {
    fn next_prefix(&self, id: &str) -> Bytes {
        id.to_owned().into()
    }

    fn error(&self, id: &str, _: &str) -> Bytes {
        format!("!{id}").into()
    }

    fn ping(&self, positions: &[(Arc<str>, Cursor)]) -> Option<Bytes> {
        let positions = positions
            .iter()
            .map(|(id, cursor)| format!("{id}={cursor},"));
        Some(format!("*{}", positions.collect::<String>()).into())
    }
}
