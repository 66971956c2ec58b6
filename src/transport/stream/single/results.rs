//! Where the results of a reservation's operations go: to its stream, or nowhere until that comes.

use std::sync::Arc;

use bytes::Bytes;

use crate::hub::{Frame, Outbox};
use crate::transport::ws::{Api, Start, Subscriptions, Ticket};

/// Where more than this waits for a stream that has not come, no result is kept beside it: operations that were taken while little
/// waited may end all at once, and nobody reads. Two full pages of the longest messages may.
const KEPT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Where results go.
pub(super) enum Results<A: Api> {
    /// Nowhere yet: they wait.
    Kept {
        /// In the order in which they came.
        kept: Vec<Kept<A>>,
        /// Of texts.
        bytes: usize,
    },
    /// To the client.
    Streamed {
        /// The stream's subscriptions.
        connection: A::Connection,
        /// What the stream is written from.
        outbox: Arc<Outbox>,
    },
}

/// What waits for the stream.
pub(super) enum Kept<A: Api> {
    /// Events.
    Text(Bytes),
    /// A subscription that may be started.
    Plan(Start, A::Plan),
}

impl<A: Api> Default for Results<A> {
    fn default() -> Self {
        let (kept, bytes) = (Vec::new(), 0);
        Self::Kept { kept, bytes }
    }
}

impl<A: Api> Results<A> {
    /// The stream's, once it is there.
    pub(super) fn connection(&self) -> Option<&A::Connection> {
        match self {
            Self::Streamed { connection, .. } => Some(connection),
            Self::Kept { .. } => None,
        }
    }

    /// The stream has come; what was kept for it, to be said and followed anew.
    pub(super) fn open(&mut self, connection: A::Connection, outbox: Arc<Outbox>) -> Vec<Kept<A>> {
        let streamed = Self::Streamed { connection, outbox };
        match std::mem::replace(self, streamed) {
            Self::Kept { kept, .. } => kept,
            Self::Streamed { .. } => Vec::new(),
        }
    }

    /// Bytes that wait to be written.
    pub(super) fn waiting_bytes(&self) -> usize {
        match self {
            Self::Kept { bytes, .. } => *bytes,
            Self::Streamed { outbox, .. } => outbox.queued_bytes(),
        }
    }

    /// Whether one more result may be said. A stream that is there is watched: one that takes nothing is cut.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Kept { bytes, .. } => *bytes <= KEPT_BYTES_MAX,
            Self::Streamed { .. } => true,
        }
    }

    /// Says an event.
    pub(super) fn say(&mut self, text: Bytes) {
        match self {
            Self::Streamed { outbox, .. } => {
                outbox.push(Frame::whole(text));
            }
            Self::Kept { kept, bytes } => {
                *bytes += text.len();
                kept.push(Kept::Text(text));
            }
        }
    }

    /// Starts a subscription, once there is a stream.
    pub(super) fn follow(&mut self, start: Start, plan: A::Plan) {
        match self {
            Self::Streamed { connection, .. } => connection.subscribe(start.id, plan, start.resume),
            Self::Kept { kept, .. } => kept.push(Kept::Plan(start, plan)),
        }
    }

    /// Nothing more is wanted of this run.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        let is_it = |kept: &Kept<A>| matches!(kept, Kept::Plan(start, _) if start.ticket == ticket);
        if let Self::Kept { kept, .. } = self {
            kept.retain(|kept| !is_it(kept));
        }
    }
}
