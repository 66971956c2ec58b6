//! GraphQL over WebSocket: two protocols, each a state machine, and a thin socket around them.
//!
//! [`Endpoint::upgrade`] answers the HTTP request that opens a socket; from then on one task serves it. What tokens,
//! documents and subscriptions are is behind [`Api`]: nothing here knows the schema, the store or the rules of chat.

mod absent;
mod clock;
mod close;
mod conversation;
mod frame;
mod legacy;
mod live;
mod message;
mod protocol;
mod reader;
mod session;
mod socket;
mod speech;
mod timers;
mod upgrade;
mod wire;
mod work;

#[cfg(test)]
mod any_conversation;
#[cfg(test)]
mod conformance;
#[cfg(test)]
pub(in crate::transport) mod socket_tests;

use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::{Map, Value as Json};

pub use close::Close;
pub use conversation::AtOnce;
pub use frame::TransportWs;
pub use live::Live;
pub use timers::Waits;
pub use upgrade::{Endpoint, Settings};

pub(in crate::transport) use clock::{alarm, bring_forward, lifetime, now, set_again};
pub(in crate::transport) use conversation::{Conversation, Kind, Refusal, Start, Ticket};
pub(in crate::transport) use frame::{all_unavailable, errors, quoted};
pub(in crate::transport) use live::errors as rejected;
pub(in crate::transport) use message::ID_BYTES_MAX;
pub(in crate::transport) use session::{Peer, Serve, Session, next_notice};
pub(in crate::transport) use timers::{Due, Timers};
pub(in crate::transport) use upgrade::from;

use crate::auth::{Renewal, Viewer};
use crate::document::Prepared;
use crate::error::Error;
use crate::hub::{Envelope, Notice, Outbox};
use crate::model::Cursor;

/// The subprotocol spoken here.
pub const SUBPROTOCOL: &str = "graphql-transport-ws";
/// A message from a client: a document of 15,000 characters and a message body of 16 KiB, escaped, fit.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Before `connection_init` has come and nobody knows who this is: tokens of 6 KB and 50 resume points fit.
pub const INIT_BYTES_MAX: usize = 16 * 1024;

/// What the socket needs of the rest of the server.
pub trait Api: Send + Sync + 'static {
    /// A subscription that may be started.
    type Plan: Send + 'static;
    /// A connection's subscriptions.
    type Connection: Subscriptions<Plan = Self::Plan>;

    /// The viewer that a token (without `Bearer `) stands for.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` closes with 4403, anything else with 1013.
    fn authenticate(&self, token: &str) -> impl Future<Output = Result<Arc<Viewer>, Error>> + Send;

    /// Makes an operation ready. The object holds `query`, `operationName`, `variables` and `extensions`, each of the
    /// right type, and whatever else the client sent.
    ///
    /// # Errors
    /// A JSON array of GraphQL errors.
    fn prepare(&self, request: Map<String, Json>) -> Result<Prepared, String>;

    /// Executes a query or mutation: the response as JSON text. A mutation's command reaches the writer's queue on the
    /// future's first poll: mutations are polled once in the order in which they came. A fresh token for the socket is left
    /// in `renewal`, which mutations bring along.
    ///
    /// # Errors
    /// A JSON array of GraphQL errors: nothing was executed.
    fn execute(
        &self,
        prepared: Prepared,
        viewer: Arc<Viewer>,
        renewal: Option<Renewal>,
    ) -> impl Future<Output = Result<String, String>> + Send;

    /// Plans a subscription. It begins at the end of the log as of the future's first poll: plans are polled once in the
    /// order in which they came, among the mutations.
    ///
    /// # Errors
    /// A JSON array of GraphQL errors.
    fn plan(
        &self,
        prepared: Prepared,
        viewer: Arc<Viewer>,
    ) -> impl Future<Output = Result<Self::Plan, String>> + Send;

    /// A new connection, which fills the outbox with messages in this envelope.
    fn connect(
        &self,
        viewer: Arc<Viewer>,
        outbox: Arc<Outbox>,
        envelope: Arc<dyn Envelope>,
    ) -> Self::Connection;

    /// The end of the log.
    fn head(&self) -> Cursor;
}

/// One connection's subscriptions; dropping it ends them all.
pub trait Subscriptions: Send + Sync + 'static {
    /// A subscription that may be started.
    type Plan;

    /// Starts a subscription from the later of `resume` and the plan's own place.
    fn subscribe(&self, id: Arc<str>, plan: Self::Plan, resume: Option<Cursor>);

    /// Ends a subscription: nothing more of it enters the outbox once this returns.
    fn unsubscribe(&self, id: &str);

    /// The viewer's token has been replaced by a fresh one.
    fn renew(&self, viewer: &Viewer);

    /// To be called before it is dropped where the client has closed the socket: its user is gone, not cut off.
    fn leave_cleanly(&self);

    /// Queues a ping with each subscription's position, behind what those positions cover.
    fn ping(&self);

    /// The next thing that the connection has to say. Wakes the newest who asked.
    fn poll_notice(&self, cx: &mut Context<'_>) -> Poll<Notice>;
}
