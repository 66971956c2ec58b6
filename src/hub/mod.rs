//! Who is *told*: rosters, fan-out workers, operations rendered once, catch-up.
//!
//! Knows neither sockets nor the schema: a transport gives it an [`Outbox`] to fill and an [`Envelope`] to dress payloads
//! in; the schema's subscription resolvers write an [`Intent`] when an operation is planned and read a [`Feed`] when it
//! is rendered.

mod outbox;

use std::sync::Arc;

use bytes::Bytes;

pub use outbox::{Frame, Outbox};

use crate::auth::Viewer;
use crate::document::Prepared;
use crate::model::{Cursor, Event, Resync, RoomId, Scope};

/// What a subscription's root field asked for, coerced and authorised.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Which rooms.
    pub scope: Scope,
    /// `messageSent` (only `What::MessageSent`, errors instead of events for revocation and resync) or `events`.
    pub messages_only: bool,
    /// The root field's `after`.
    pub after: Option<Cursor>,
}

/// One thing that a subscription's root field yields.
#[derive(Clone, Debug)]
pub enum Item {
    /// An event of a room.
    Event(Arc<Event>),
    /// The replay is over.
    CaughtUp(Cursor),
    /// The cursor cannot be honoured; the stream goes on from here.
    Resync {
        /// Where it goes on.
        cursor: Cursor,
        /// Why.
        reason: Resync,
    },
    /// Nothing more of this room follows.
    Revoked {
        /// The place of the event that did it.
        cursor: Cursor,
        /// The room.
        room: RoomId,
    },
}

/// How a transport dresses what the hub sends. Text only; a frame is `own` followed by the shared payload.
pub trait Envelope: Send + Sync + 'static {
    /// What precedes each payload of a subscription, made once when it starts. For graphql-transport-ws:
    /// `{"id":"<id>","type":"next","payload":`. The shared payload ends with the closing brace of the frame.
    fn next_prefix(&self, id: &str) -> Bytes;
    /// The stream of `id` ends with errors (a JSON array of GraphQL errors).
    fn error(&self, id: &str, errors: &str) -> Bytes;
    /// A ping that carries each durable subscription's position.
    fn ping(&self, positions: &[(Arc<str>, Cursor)]) -> Bytes;
}

/// The hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub {}

/// A subscription that may be started: what it asked for, and the operation that renders it.
pub struct Plan {}

impl Hub {
    /// Plans a subscription: validates, coerces, authorises, and finds the operation that it shares with others.
    ///
    /// # Errors
    /// A JSON array of GraphQL errors, for the protocol's `error` message.
    pub async fn plan(&self, _prepared: Prepared, _viewer: Arc<Viewer>) -> Result<Plan, String> {
        unimplemented!()
    }

    /// A new connection, on one worker for life.
    pub fn connect(
        &self,
        _viewer: Arc<Viewer>,
        _outbox: Arc<Outbox>,
        _envelope: Arc<dyn Envelope>,
    ) -> Connection {
        unimplemented!()
    }

    /// The end of the log.
    pub fn head(&self) -> Cursor {
        unimplemented!()
    }
}

/// A connection's subscriptions. Dropping it ends them all.
pub struct Connection {}

impl Connection {
    /// Starts a subscription from the later of `resume` and the plan's `after`, else from now. Frames go to the outbox.
    pub fn subscribe(&self, _id: Arc<str>, _plan: Plan, _resume: Option<Cursor>) {
        unimplemented!()
    }

    /// Ends a subscription at the client's wish: nothing more of it enters the outbox once this returns.
    pub fn unsubscribe(&self, _id: &str) {
        unimplemented!()
    }

    /// Queues a ping with the positions of all durable subscriptions, behind everything those positions cover.
    pub fn ping(&self) {
        unimplemented!()
    }

    /// The next id whose stream the hub has ended by itself (after its `error` frame was queued). `None` never comes
    /// while the connection lives.
    pub async fn ended(&mut self) -> Option<Arc<str>> {
        unimplemented!()
    }
}
