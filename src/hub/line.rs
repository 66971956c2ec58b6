//! A connection and its subscriptions as the hub knows them, shared between the transport's [`super::Connection`], the
//! connection's worker and its catch-ups.

use std::collections::VecDeque;
#[cfg(test)]
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::sync::Notify;

use super::operation::Operation;
use super::outbox::{Frame, Outbox, Queued};
use super::payload::error_json;
use super::{Envelope, Notice};
use crate::auth::Viewer;
use crate::error::Error;
#[cfg(test)]
use crate::interleave::explored;
use crate::model::{Access, Cursor, Seq, Timestamp};

/// A subscription.
pub(super) struct Sub {
    /// The client's name for it.
    pub(super) id: Arc<str>,
    /// What precedes each of its payloads.
    pub(super) prefix: Bytes,
    /// What renders it.
    pub(super) operation: Arc<Operation>,
    /// Nothing more of it enters the outbox. Written under the outbox's lock, see [`Outbox::cancel`].
    pub(super) ended: AtomicBool,
    /// `CaughtUp` was said.
    pub(super) greeted: AtomicBool,
    /// It has been live, and a ping told the client.
    pub(super) was_live: AtomicBool,
    place: Mutex<Place>,
}

/// Up to where a subscription has been served: everything of it up to there is in the outbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Nothing yet: it will begin at this cursor, if that can be honoured.
    Asked(Cursor),
    /// Catching up: up to here.
    At(Seq),
    /// It has none: signals are no part of the log.
    Nowhere,
    /// Live: as far as its worker has walked the log, and at least up to here.
    Live(Seq),
}

impl Sub {
    pub(super) fn new(
        id: Arc<str>,
        prefix: Bytes,
        operation: Arc<Operation>,
        place: Place,
    ) -> Self {
        Self {
            id,
            prefix,
            operation,
            ended: AtomicBool::new(false),
            greeted: AtomicBool::new(false),
            was_live: AtomicBool::new(false),
            place: Mutex::new(place),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(super) fn place(&self) -> Place {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called only after everything up to there was queued.
    pub(super) fn set_place(&self, place: Place) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    pub(super) fn frame(&self, payload: Bytes) -> Frame {
        Frame {
            own: self.prefix.clone(),
            shared: payload,
        }
    }
}

/// A subscription that asks its worker for a seat.
pub(super) struct HandOver {
    pub(super) sub: Arc<Sub>,
    /// Everything up to here was queued.
    pub(super) place: Seq,
    /// What it follows as of that place.
    pub(super) access: Access,
}

/// A connection.
pub(super) struct Line {
    /// Its number at its worker.
    pub(super) id: u64,
    pub(super) viewer: Arc<Viewer>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) envelope: Arc<dyn Envelope>,
    /// Over its budget while the worker delivers an event; the worker's alone.
    pub(super) stalled: AtomicBool,
    /// Up to where catch-ups have told that rooms were lost. Written under the outbox's lock: no signal comes behind it from a
    /// worker that has not walked so far.
    pub(super) revoked_to: AtomicU64,
    inbox: Arc<Inbox>,
    state: Mutex<State>,
    /// Its worker has lost its seats: no position of theirs can be told.
    broken: AtomicBool,
    /// When the token in force was issued, as [`Timestamp`]; the earliest of all where it does not say.
    issued_at: AtomicI64,
}

#[derive(Default)]
struct State {
    subs: Vec<Arc<Sub>>,
    mail: Mail,
    posted: bool,
    notices: VecDeque<Notice>,
    /// Who waits for one.
    listener: Option<Waker>,
}

impl State {
    fn tell(&mut self, notice: Notice) {
        self.notices.push_back(notice);
        if let Some(listener) = self.listener.take() {
            listener.wake();
        }
    }
}

/// What the worker is to do for a connection.
#[derive(Default)]
pub(super) struct Mail {
    /// Subscriptions to be seated; at most as many as there are.
    pub(super) hand_overs: Vec<HandOver>,
    /// Subscriptions to `signals` that are to be seated.
    pub(super) listeners: Vec<HandOver>,
    /// Subscriptions to `roomRead` that are to be seated.
    pub(super) own: Vec<Arc<Sub>>,
    /// Seats of ended subscriptions are to be given up.
    pub(super) sweep: bool,
    /// A ping is to be queued.
    pub(super) ping: bool,
}

impl Line {
    pub(super) fn new(
        id: u64,
        viewer: Arc<Viewer>,
        outbox: Arc<Outbox>,
        envelope: Arc<dyn Envelope>,
        inbox: Arc<Inbox>,
    ) -> Self {
        let issued_at = AtomicI64::new(issued_at(&viewer));
        Self {
            id,
            viewer,
            outbox,
            envelope,
            stalled: AtomicBool::new(false),
            revoked_to: AtomicU64::new(0),
            inbox,
            state: Mutex::default(),
            broken: AtomicBool::new(false),
            issued_at,
        }
    }

    pub(super) fn issued_at(&self) -> Timestamp {
        Timestamp(self.issued_at.load(Ordering::Relaxed))
    }

    /// A fresh token of the same user is in force.
    pub(super) fn renew(&self, viewer: &Viewer) {
        self.issued_at.store(issued_at(viewer), Ordering::Relaxed);
    }

    pub(super) fn add(&self, sub: Arc<Sub>) {
        self.state().subs.push(sub);
    }

    /// How much its operations select, each counted once.
    pub(super) fn selections(&self) -> usize {
        let state = self.state();
        let mut operations: Vec<_> = state.subs.iter().map(|sub| &sub.operation).collect();
        operations.sort_unstable_by_key(|operation| operation.id);
        operations.dedup_by_key(|operation| operation.id);
        let selections = operations.iter().map(|operation| operation.selections);
        selections.sum()
    }

    /// The subscriptions that have not ended.
    #[cfg(test)]
    pub(super) fn subs(&self) -> Vec<Arc<Sub>> {
        self.state().subs.clone()
    }

    /// Whether someone has the subscriptions, and with them the outbox, to itself.
    #[cfg(test)]
    pub(super) fn is_held(&self) -> bool {
        self.state.try_lock().is_err() && self.outbox.is_held()
    }

    /// The word that is left for its worker.
    #[cfg(test)]
    pub(super) fn stand(&self) -> impl Hash + use<> {
        let state = self.state();
        let mail = &state.mail;
        let seat = |asked: &HandOver| {
            let access = explored::access(&asked.access);
            let ended = asked.sub.has_ended();
            (asked.sub.id.clone(), ended, asked.place, access)
        };
        let seats: Vec<_> = mail.hand_overs.iter().map(seat).collect();
        (seats, mail.sweep, mail.ping, state.posted)
    }

    /// Queues a ping with each subscription's position. No subscription comes, goes or gets further while it is made: a
    /// position behind what is queued before the ping would bring that twice to a client that comes back, and one of
    /// another subscription that had the same id would lose what lies between.
    pub(super) fn ping(&self, position: impl Fn(Place) -> Cursor) {
        if self.broken.load(Ordering::Relaxed) {
            return;
        }
        // In this order always: nothing that holds the outbox asks for the state.
        let state = self.state();
        self.outbox.push_made(|| {
            let durable = state
                .subs
                .iter()
                .filter(|sub| sub.place() != Place::Nowhere);
            let positions = durable.map(|sub| (sub.id.clone(), position(sub.place())));
            let positions: Vec<_> = positions.collect();
            self.envelope.ping(&positions).map(Frame::whole)
        });
    }

    /// Ends a subscription at the client's wish. Nothing more of it enters the outbox once this returns.
    pub(super) fn cancel(self: &Arc<Self>, id: &str) {
        let found = {
            let mut state = self.state();
            let at = state.subs.iter().position(|sub| *sub.id == *id);
            at.map(|at| state.subs.swap_remove(at))
        };
        if let Some(sub) = found {
            self.outbox.cancel(&sub.ended);
            self.post(|mail| mail.sweep = true);
        }
    }

    /// Ends them all: the connection is gone.
    pub(super) fn cancel_all(self: &Arc<Self>) {
        let subs = std::mem::take(&mut self.state().subs);
        for sub in subs {
            self.outbox.cancel(&sub.ended);
        }
        self.post(|mail| mail.sweep = true);
    }

    /// Ends a subscription with an error, and tells the transport. Who calls this gives up the seat, if there is one.
    pub(super) fn fail(&self, sub: &Arc<Sub>, error: &Error) {
        let frame = Frame::whole(self.envelope.error(&sub.id, &error_json(error)));
        // From here on until it is told: a client that hears of the end may use the id again, and the transport that is asked to
        // finds out first that it is free.
        let mut state = self.state();
        if matches!(self.outbox.push_live(frame, &sub.ended), Queued::Cancelled) {
            return;
        }
        if let Some(end) = self.envelope.end(&sub.id) {
            self.outbox.push_live(Frame::whole(end), &sub.ended);
        }
        self.outbox.cancel(&sub.ended);
        let before = state.subs.len();
        state.subs.retain(|other| !Arc::ptr_eq(other, sub));
        if state.subs.len() < before {
            state.tell(Notice::Ended(sub.id.clone()));
        }
    }

    /// Asks the transport to close the socket.
    pub(super) fn close(&self, code: u16, reason: &'static str) {
        self.state().tell(Notice::Close(code, reason));
    }

    /// Asks the transport to close the socket after a defect of ours.
    pub(super) fn close_for_defect(&self) {
        self.broken.store(true, Ordering::Relaxed);
        // There may be many seats.
        self.close_once(1013, "something went wrong here; connect again");
    }

    /// As [`Line::close`], unless it was asked already.
    pub(super) fn close_once(&self, code: u16, reason: &'static str) {
        let close = Notice::Close(code, reason);
        let mut state = self.state();
        if !state.notices.contains(&close) {
            state.tell(close);
        }
    }

    /// The next thing that the transport must know. Whoever asked last is woken.
    pub(super) fn poll_notice(&self, cx: &Context<'_>) -> Poll<Notice> {
        let mut state = self.state();
        match state.notices.pop_front() {
            Some(notice) => Poll::Ready(notice),
            None => {
                match &mut state.listener {
                    Some(listener) => listener.clone_from(cx.waker()),
                    listener => *listener = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    /// Leaves word for the worker. A connection waits in its worker's inbox at most once, so that the inbox is bounded by
    /// the connections there are and leaving word never waits or fails.
    pub(super) fn post(self: &Arc<Self>, word: impl FnOnce(&mut Mail)) {
        let mut state = self.state();
        word(&mut state.mail);
        if !std::mem::replace(&mut state.posted, true) {
            drop(state);
            self.inbox.put(self.clone());
        }
    }

    /// What was left since the last time.
    pub(super) fn collect(&self) -> Mail {
        let mut state = self.state();
        state.posted = false;
        std::mem::take(&mut state.mail)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn issued_at(viewer: &Viewer) -> i64 {
    viewer.issued_at.map_or(i64::MIN, |at| at.0)
}

/// The connections that have left word for a worker.
#[derive(Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    pub(super) bell: Arc<Notify>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<Arc<Line>>,
    closed: bool,
}

impl Inbox {
    fn put(&self, line: Arc<Line>) {
        let mut waiting = self.lock();
        if !waiting.closed {
            waiting.lines.push(line);
            drop(waiting);
            self.bell.notify_one();
        }
    }

    /// Takes all that wait; `None` when the hub is gone.
    pub(super) fn take(&self) -> Option<Vec<Arc<Line>>> {
        let mut waiting = self.lock();
        (!waiting.closed).then(|| std::mem::take(&mut waiting.lines))
    }

    /// The connections that wait.
    #[cfg(test)]
    pub(super) fn stand(&self) -> Vec<u64> {
        self.lock().lines.iter().map(|line| line.id).collect()
    }

    /// The hub is gone.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.lines.clear();
        drop(waiting);
        self.bell.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
