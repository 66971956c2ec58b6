//! Who is *told*: rosters, fan-out workers, operations rendered once, catch-up.
//!
//! Knows neither sockets nor the schema: a transport gives it an [`Outbox`] to fill and an [`Envelope`] to dress payloads
//! in; the schema's subscription resolvers write an [`Intent`] into an [`IntentSlot`] when an operation is planned and
//! read a [`Feed`] when it is rendered. How it works is told in `docs/architecture.md`, section "Hub".

mod ask;
mod cache;
mod canonical;
mod catch_up;
mod core;
mod line;
mod lines;
mod listen;
mod operation;
mod operations;
mod outbox;
mod payload;
mod plan;
mod position;
mod roster;
mod seats;
mod worker;

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_graphql::{Data, Response};
use bytes::Bytes;
use futures_util::stream::BoxStream;

pub use operation::Feed;
pub use outbox::{Flush, Frame, Framing, Outbox, Sink};
pub use payload::cursor_of;
pub use plan::IntentSlot;

use self::catch_up::{Asked, CatchUp};
use self::core::{Core, Crew};
use self::line::{Line, Place, Sub};
use self::operation::Operation;
use crate::auth::{Revocations, Viewer};
use crate::document::{Prepared, Shape};
use crate::error::Error;
use crate::log::Tail;
use crate::model::{Cursor, Event, Resync, RoomId, Scope, Seq};
use crate::signal::{Present, Signals, Told};
use crate::store::Store;

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

/// What a subscription follows.
#[derive(Clone, Debug)]
pub enum Wish {
    /// The log.
    Log(Intent),
    /// Signals of those of these rooms that the viewer is a member of.
    Signals(Arc<[RoomId]>),
    /// Rooms in which the viewer has read on, on any of its devices.
    RoomRead,
}

impl From<Intent> for Wish {
    fn from(intent: Intent) -> Self {
        Self::Log(intent)
    }
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
    /// A signal, which has no place in the log.
    Signal(Arc<Told>),
}

impl Item {
    /// Its place in the log, if it has one.
    pub fn cursor(&self) -> Option<Cursor> {
        match self {
            Self::Event(event) => Some(event.cursor),
            Self::CaughtUp(cursor) | Self::Resync { cursor, .. } | Self::Revoked { cursor, .. } => {
                Some(*cursor)
            }
            Self::Signal(_) => None,
        }
    }
}

/// How a transport dresses what the hub sends. Text only; a frame is `own` followed by the shared payload.
pub trait Envelope: Send + Sync + 'static {
    /// What precedes each payload of a subscription, made once when it starts. For graphql-transport-ws:
    /// `{"id":"<id>","type":"next","payload":`. The shared payload ends with the closing brace of the frame.
    fn next_prefix(&self, id: &str) -> Bytes;
    /// The stream of `id` ends with errors (a JSON array of GraphQL errors).
    fn error(&self, id: &str, errors: &str) -> Bytes;
    /// What follows [`Envelope::error`], where the end is a message of its own.
    fn end(&self, _id: &str) -> Option<Bytes> {
        None
    }
    /// A ping that carries each durable subscription's position, where there is such a thing.
    fn ping(&self, positions: &[(Arc<str>, Cursor)]) -> Option<Bytes>;
}

/// Runs a subscription's resolver with this in its context and yields responses fit for clients: codes in the errors'
/// extensions, no names of types of ours, and null where a non-null field failed (`graphql::executor::Executor::stream`).
pub type Execute = Arc<dyn Fn(Prepared, Data) -> BoxStream<'static, Response> + Send + Sync>;

/// What a hub works with.
pub struct Setup {
    /// Where what is no longer in the tail is read.
    pub store: Arc<dyn Store>,
    /// What is delivered.
    pub tail: Arc<Tail>,
    /// The schema.
    pub execute: Execute,
    /// Who is there.
    pub signals: Signals,
    /// The schema's shape, with its `@perViewer` marks.
    pub shape: Arc<Shape>,
    /// Whose connections are to be closed.
    pub revocations: Arc<Revocations>,
    /// Threads; one a core is best.
    pub workers: usize,
}

/// The hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    core: Arc<Core>,
    crew: Arc<Crew>,
}

/// A subscription that may be started: what it asked for, and the operation that renders it.
pub struct Plan {
    operation: Arc<Operation>,
    wish: Wish,
    /// The end of the log when it was asked for.
    head: Seq,
}

impl Hub {
    /// How long [`Self::has_room`] waits at most.
    const ROOM_WAIT: Duration = Duration::from_secs(1);

    /// Starts the workers. To be called inside a tokio runtime; catch-ups run there.
    ///
    /// # Errors
    /// No thread could be had.
    pub fn start(setup: Setup) -> std::io::Result<Self> {
        let workers = setup.workers;
        let core = Arc::new(Core::new(setup));
        let crew = Crew::start(&core, workers)?;
        core.spawn(core.lines.clone().watch(core.lines.changes()));
        Ok(Self {
            core,
            crew: Arc::new(crew),
        })
    }

    /// Plans a subscription: validates, coerces, authorises, and finds the operation that it shares with others.
    ///
    /// # Errors
    /// A JSON array of GraphQL errors, for the protocol's `error` message.
    pub async fn plan(&self, prepared: Prepared, viewer: Arc<Viewer>) -> Result<Plan, String> {
        plan::plan(&self.core, prepared, viewer).await
    }

    /// A new connection, on one worker for life. While it lives, its viewer is online. It is told to close with 4403 when the viewer's
    /// token is withdrawn.
    pub fn connect(
        &self,
        viewer: Arc<Viewer>,
        outbox: Arc<Outbox>,
        envelope: Arc<dyn Envelope>,
    ) -> Connection {
        let (id, inbox) = self.crew.next();
        let present = self.core.signals.arrive(&viewer.user);
        let line = Arc::new(Line::new(id, viewer, outbox, envelope, inbox));
        self.core.lines.add(&line);
        Connection {
            core: self.core.clone(),
            line,
            present,
        }
    }

    /// Waits until a subscription that is asked for now would begin without waiting; for a second at most, as not everyone who
    /// comes is about to subscribe. Who is let in faster than subscriptions begin only waits inside, where each takes some
    /// kilobytes, and leaves holes where they were.
    pub async fn has_room(&self) {
        drop(tokio::time::timeout(Self::ROOM_WAIT, self.core.starts.acquire()).await);
    }

    /// Takes all the room that there is, until it is dropped.
    #[cfg(test)]
    pub(crate) fn fill(&self) -> tokio::sync::OwnedSemaphorePermit {
        let all = u32::try_from(Core::STARTS).expect("a few");
        let starts = self.core.starts.clone();
        starts.try_acquire_many_owned(all).expect("nobody begins")
    }

    /// The end of the log.
    pub fn head(&self) -> Cursor {
        self.core.tail.end(&*self.core.store)
    }

    /// Ends all catch-ups and workers, and waits for them. Close the connections first.
    pub async fn stop(&self) {
        self.core.stop().await;
        self.crew.stop().await;
    }
}

/// What the hub has to tell a transport, beside frames.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// The hub has ended this subscription by itself; its `error` frame is in the outbox.
    Ended(Arc<str>),
    /// Close the socket with this code and reason.
    Close(u16, &'static str),
}

/// A connection's subscriptions. Dropping it ends them all; and its viewer is not there any more, unless by another one.
pub struct Connection {
    core: Arc<Core>,
    line: Arc<Line>,
    present: Present,
}

impl Connection {
    /// Selections of all the different operations of a connection, spread out: six of the largest that the query guard lets
    /// through. Each costs some 0.6 kB for as long as it is followed.
    const SELECTIONS_MAX: usize = 3_000;

    /// Starts a subscription from the later of `resume` and the plan's `after`, else from now. Frames go to the outbox. Ends it
    /// at once with `RATE_LIMITED` where too much is selected in all.
    pub fn subscribe(&self, id: Arc<str>, plan: Plan, resume: Option<Cursor>) {
        self.unsubscribe(&id);
        let place = match &plan.wish {
            Wish::Log(intent) => {
                // Which of both holds is seen where it begins. A ping before that gives back what the client said itself:
                // the other it says again, and the later by number may be of a log that is no more.
                let given = resume.or(intent.after);
                given.map_or(Place::At(plan.head), Place::Asked)
            }
            Wish::Signals(_) | Wish::RoomRead => Place::Nowhere,
        };
        let prefix = self.line.envelope.next_prefix(&id);
        let sub = Arc::new(Sub::new(id, prefix, plan.operation, place));
        self.line.add(sub.clone());
        if self.line.selections() > Self::SELECTIONS_MAX {
            let (what, limit) = (
                "selections in different subscriptions",
                Self::SELECTIONS_MAX,
            );
            self.line.fail(&sub, &Error::TooManyAtOnce { what, limit });
            return;
        }
        match plan.wish {
            Wish::Log(intent) => {
                let asked = Asked {
                    head: plan.head,
                    resume,
                    after: intent.after,
                };
                CatchUp::begin(&self.core, &self.line, sub, &intent, asked);
            }
            Wish::Signals(rooms) => {
                listen::begin(&self.core, &self.line, sub, Scope::Rooms(rooms));
            }
            Wish::RoomRead => self.line.post(|mail| mail.own.push(sub)),
        }
    }

    /// Ends a subscription at the client's wish: nothing more of it enters the outbox once this returns.
    pub fn unsubscribe(&self, id: &str) {
        self.line.cancel(id);
    }

    /// The viewer's token has been replaced by a fresh one.
    pub fn renew(&self, viewer: &Viewer) {
        self.line.renew(viewer);
        self.core.signals.renew(&viewer.user);
        self.core.lines.check(&self.line);
    }

    /// Queues a ping with the positions of all durable subscriptions, behind everything those positions cover.
    pub fn ping(&self) {
        self.line.post(|mail| mail.ping = true);
    }

    /// To be called before it is dropped where its client has closed it: then others are told at once that the viewer is
    /// gone. A connection that is cut off has some seconds to come back.
    pub fn leave_cleanly(&self) {
        self.present.leave_cleanly();
    }

    /// The next thing to know. Waits for as long as there is none; safe to be dropped while it waits.
    pub fn notice(&self) -> impl Future<Output = Notice> + Send + '_ {
        poll_fn(|cx| self.poll_notice(cx))
    }

    /// The same, for who waits for more than this. Wakes the newest who asked.
    pub fn poll_notice(&self, cx: &Context<'_>) -> Poll<Notice> {
        self.line.poll_notice(cx)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.core.lines.remove(&self.line);
        self.line.cancel_all();
    }
}
