//! One reservation's task: operations run, their results written to the stream, or kept until it comes.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::parser::types::OperationType;
use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::Map;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

use super::Refused;
use super::events::{SingleEvents, complete, next, refused};
use super::results::{Kept, Results};
use crate::auth::Viewer;
use crate::document::Prepared;
use crate::error::Error;
use crate::hub::{Notice, Outbox};
use crate::transport::census::Counted;
use crate::transport::stream::wire::{Event, Wire};
use crate::transport::ws::{
    self, Api, Conversation, Done, Due, Endpoint, Kind, Start, Subscriptions, Ticket, Timers,
    Waits, Work, all_unavailable, lifetime, now,
};

/// A stream that nobody has opened by then will not be.
const RESERVED: Duration = Duration::from_secs(30);
/// Where so much waits to be written, no more operations are taken: answers could pile up without end.
const FULL_BYTES: usize = 2 * Outbox::BUDGET_BYTES;
/// So many are told so, which is an answer too; with the next the stream is cut. As many as a connection may have going.
pub(super) const PUT_OFF_MAX: usize = 100;

/// What a request asks of a reservation.
pub(super) enum Order {
    /// An operation begins.
    Execute {
        id: Arc<str>,
        /// Or the errors for which it does not run, a JSON array.
        prepared: Result<Prepared, String>,
        viewer: Arc<Viewer>,
        answer: oneshot::Sender<Result<(), Refused>>,
    },
    /// The client wants no more of one.
    Stop {
        id: Arc<str>,
        done: oneshot::Sender<()>,
    },
}

/// The stream has come: what is queued in `outbox` is written to `io`.
pub(in crate::transport::stream) struct Opened<S> {
    pub(in crate::transport::stream) io: S,
    pub(in crate::transport::stream) outbox: Arc<Outbox>,
    pub(in crate::transport::stream) pings: bool,
}

/// How a stream ends. None of these is told: the client comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The server stops. What waits is written.
    Stopping,
    /// Cut off where it stands.
    Cut,
    /// The client is gone, or never came.
    Lost,
}

/// A reservation and all that belongs to it.
pub(super) struct Reservation<A: Api> {
    endpoint: Arc<Endpoint<A>>,
    viewer: Arc<Viewer>,
    /// The mutation that brought its token; none where the reservation did.
    renewed_by: Option<Ticket>,
    conversation: Conversation,
    work: Work<A>,
    timers: Timers,
    results: Results<A>,
    /// Operations that were told to come later, one after the other.
    put_off: usize,
    /// The server stops, and this stream's turn has come.
    leaving: bool,
    end: Option<End>,
    _counted: Counted,
}

impl<A: Api> Reservation<A> {
    /// What reservations wait for, where sockets wait for this.
    pub(super) fn waits(waits: &Waits) -> Waits {
        Waits {
            init: RESERVED,
            ..*waits
        }
    }

    pub(super) fn new(
        endpoint: &Arc<Endpoint<A>>,
        waits: Arc<Waits>,
        viewer: Arc<Viewer>,
        counted: Counted,
    ) -> Self {
        Self {
            viewer,
            renewed_by: None,
            conversation: Conversation::new(endpoint.settings.at_once, None),
            work: Work::new(endpoint.api.clone()),
            timers: Timers::new(waits, now()),
            results: Results::default(),
            put_off: 0,
            leaving: false,
            end: None,
            endpoint: endpoint.clone(),
            _counted: counted,
        }
    }

    /// Serves it to its end.
    pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        orders: mpsc::Receiver<Order>,
        stream: oneshot::Receiver<Opened<S>>,
    ) {
        let (end, wire) = self.run(orders, stream).await;
        tracing::debug!(?end, "stream of several operations ended");
        // The subscriptions first: nothing more is queued for a stream that is closing.
        self.results = Results::default();
        // What waits in a queue without being polled holds up who is behind it.
        self.work = Work::new(self.endpoint.api.clone());
        if let (End::Stopping, Some(mut wire)) = (end, wire) {
            wire.end(b"").await;
        }
    }

    async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        mut orders: mpsc::Receiver<Order>,
        mut stream: oneshot::Receiver<Opened<S>>,
    ) -> (End, Option<Wire<S>>) {
        let drain = self.endpoint.drain.clone();
        let mut begun = pin!(drain.begun());
        let mut stopping = false;
        let mut wire = None;
        let mut wake_at = self.wake_at();
        let mut alarm = pin!(tokio::time::sleep_until(wake_at.into()));
        loop {
            if let Some(end) = self.end {
                return (end, wire);
            }
            // Put off lazily, as a socket does.
            if self.wake_at() < wake_at {
                wake_at = self.wake_at();
                alarm.as_mut().reset(wake_at.into());
            }
            tokio::select! {
                event = next_event(&mut wire) => self.happened(&event, &wire),
                opened = &mut stream, if wire.is_none() => match opened {
                    Ok(opened) => wire = Some(self.open(opened)),
                    // Whoever claimed it went away.
                    Err(_) => self.end = Some(End::Lost),
                },
                Some(order) = orders.recv() => self.obey(order),
                done = self.work.next() => self.done(done),
                notice = next_notice(self.results.connection()) => self.noticed(notice),
                () = &mut alarm => {
                    self.alarm();
                    wake_at = self.wake_at();
                    alarm.as_mut().reset(wake_at.into());
                }
                () = &mut begun, if !stopping => {
                    stopping = true;
                    if wire.is_none() {
                        self.end = Some(End::Lost);
                    }
                    self.timers.leave(now() + drain.delay());
                }
            }
        }
    }

    fn wake_at(&self) -> Instant {
        const NEVER: Duration = Duration::from_secs(3600);
        self.timers.next().unwrap_or_else(|| now() + NEVER)
    }

    fn happened<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        event: &Event,
        wire: &Option<Wire<S>>,
    ) {
        let waiting = wire
            .as_ref()
            .is_some_and(|wire| wire.outbox().queued_bytes() > 0);
        match event {
            Event::Wrote => self.timers.wrote(now(), waiting),
            Event::Blocked => self.timers.waiting(now()),
            Event::Lost => self.end = Some(End::Lost),
        }
    }

    /// The stream is there: what was kept for it goes out, and what was planned begins.
    fn open<S: AsyncRead + AsyncWrite + Unpin>(&mut self, opened: Opened<S>) -> Wire<S> {
        let Opened { io, outbox, pings } = opened;
        let (api, viewer) = (&self.endpoint.api, &self.viewer);
        let envelope = Arc::new(SingleEvents { pings });
        let connection = api.connect(viewer.clone(), outbox.clone(), envelope);
        let now = now();
        self.timers.initialised(now);
        let first_ping = rand::random();
        let started = self.endpoint.started;
        self.timers
            .acknowledged(now, lifetime(viewer), first_ping, started);
        for kept in self.results.open(connection, outbox.clone()) {
            match kept {
                Kept::Text(text) => self.results.say(text),
                Kept::Plan(start, plan) => self.follow(start, plan),
            }
        }
        Wire::new(io, outbox)
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Execute {
                id,
                prepared,
                viewer,
                answer,
            } => {
                // Whoever asked may have gone.
                let _ = answer.send(self.execute(&id, prepared, viewer));
            }
            Order::Stop { id, done } => {
                self.stop(&id);
                let _ = done.send(());
            }
        }
    }

    fn execute(
        &mut self,
        id: &str,
        prepared: Result<Prepared, String>,
        viewer: Arc<Viewer>,
    ) -> Result<(), Refused> {
        // It may have been on its way when the end began.
        if self.endpoint.drain.has_begun() {
            if self.results.connection().is_none() {
                return Err(Refused::Stopping);
            }
            self.conversation.stop();
        }
        if self.conversation.runs(id) {
            return Err(Refused::Running);
        }
        if self.results.waiting_bytes() > FULL_BYTES {
            self.put_off(id);
            return Ok(());
        }
        self.put_off = 0;
        // What it asks for is prepared already, and names no place to go on from.
        let start = match self.conversation.begin(id, Some(Map::new())) {
            Ok(start) => start,
            Err(error) => {
                self.conclude(id, refused(id, &ws::errors(&error)));
                return Ok(());
            }
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(errors) => {
                self.refuse(&start, &errors);
                return Ok(());
            }
        };
        let kind = match prepared.kind {
            OperationType::Subscription => Kind::Stream,
            OperationType::Query | OperationType::Mutation => Kind::Single,
        };
        match self.conversation.admit(&start, kind) {
            Ok(()) => {}
            Err(ws::Refusal::Told(error)) => {
                self.refuse(&start, &ws::errors(&error));
                return Ok(());
            }
            // The cut that is to come brings the client back elsewhere.
            Err(ws::Refusal::Untold) => return Ok(()),
        }
        match prepared.kind {
            OperationType::Query => self.work.query(start, prepared, viewer),
            OperationType::Mutation => self.work.mutate(start, prepared, viewer),
            OperationType::Subscription => self.work.plan(start, prepared, viewer),
        }
        Ok(())
    }

    /// Too much waits for an operation to begin. Told as a result: the library's own client repeats a request that is refused by its
    /// status, and without a pause.
    fn put_off(&mut self, id: &str) {
        self.put_off += 1;
        if self.put_off > PUT_OFF_MAX {
            self.end = Some(End::Cut);
        } else {
            // However much is kept: so few of these are said that they are always taken.
            self.results.say(refused(id, &ws::errors(&Error::Busy)));
            self.results.say(complete(id));
        }
    }

    fn stop(&mut self, id: &str) {
        let Some(run) = self.conversation.take(id) else {
            return;
        };
        self.work.stop(run.ticket);
        if run.kind == Kind::Stream {
            self.results.leave(id, run.ticket);
            self.settle(id);
        }
    }

    /// A subscription that ended by itself just before has left a notice, which must not be taken for one about the next of
    /// that id.
    fn settle(&mut self, gone: &str) {
        while let Some(notice) = next_notice(self.results.connection()).now_or_never() {
            match notice {
                Notice::Ended(id) if *id == *gone => {}
                notice => self.noticed(notice),
            }
        }
    }

    fn done(&mut self, done: Done<A>) {
        match done {
            Done::Answered(start, result) => self.answered(&start, result),
            Done::Mutated(start, result, fresh) => {
                if let Some(viewer) = fresh {
                    self.renew(viewer, start.ticket);
                }
                self.answered(&start, result);
            }
            Done::Planned(start, planned) => {
                self.work.finished(start.ticket);
                match planned {
                    Ok(plan) => self.follow(start, plan),
                    Err(errors) => self.not_planned(&start, &errors),
                }
            }
            // No token is checked here: each request brings its own.
            Done::Authenticated(_) | Done::Stopped => {}
        }
        self.leave_when_quiet();
    }

    fn answered(&mut self, start: &Start, result: Result<String, String>) {
        self.work.finished(start.ticket);
        match result {
            Ok(response) if self.conversation.finish(&start.id, start.ticket) => {
                self.conclude(&start.id, next(&start.id, &response));
            }
            Ok(_) => {}
            Err(errors) => self.refuse(start, &errors),
        }
    }

    /// As a socket does it: of two fresh tokens the one that was sent later counts.
    fn renew(&mut self, viewer: Arc<Viewer>, ticket: Ticket) {
        if self.renewed_by.is_some_and(|later| later > ticket) {
            return;
        }
        if let Some(connection) = self.results.connection() {
            self.timers.renewed(now(), lifetime(&viewer));
            connection.renew(&viewer);
        }
        self.viewer = viewer;
        self.renewed_by = Some(ticket);
    }

    fn follow(&mut self, start: Start, plan: A::Plan) {
        if self.conversation.wants(&start.id, start.ticket) {
            self.results.follow(start, plan);
        }
    }

    /// An error ends a subscription for good. What passes cuts the stream instead, and its client comes back.
    fn not_planned(&mut self, start: &Start, errors: &str) {
        if !all_unavailable(errors) {
            self.refuse(start, errors);
        } else if self.conversation.wants(&start.id, start.ticket) {
            self.end = Some(End::Cut);
        }
    }

    fn refuse(&mut self, start: &Start, errors: &str) {
        if self.conversation.finish(&start.id, start.ticket) {
            self.conclude(&start.id, refused(&start.id, errors));
        }
    }

    /// Says an operation's last result, and that it was.
    fn conclude(&mut self, id: &str, result: Bytes) {
        if self.results.has_room() {
            self.results.say(result);
            self.results.say(complete(id));
        } else {
            self.end = Some(End::Cut);
        }
    }

    fn noticed(&mut self, notice: Notice) {
        match notice {
            Notice::Ended(id) => {
                self.conversation.ended(&id);
            }
            Notice::Close(..) => self.end = Some(End::Cut),
        }
    }

    fn alarm(&mut self) {
        while let Some(due) = self.timers.due(now()) {
            match due {
                Due::Close(_) => self.end = Some(End::Cut),
                Due::Leave => {
                    self.leaving = true;
                    self.leave_when_quiet();
                }
                Due::Ping => {
                    if let Some(connection) = self.results.connection() {
                        connection.ping();
                    }
                }
            }
        }
    }

    fn leave_when_quiet(&mut self) {
        if self.leaving && !self.work.mutates() {
            self.end = Some(End::Stopping);
        }
    }
}

async fn next_event<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Option<Wire<S>>) -> Event {
    match wire {
        Some(wire) => wire.event().await,
        None => std::future::pending().await,
    }
}

async fn next_notice(connection: Option<&impl Subscriptions>) -> Notice {
    match connection {
        Some(connection) => connection.notice().await,
        None => std::future::pending().await,
    }
}
