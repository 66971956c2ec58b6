//! One socket's task: the protocol's actions done, the outbox written, the timers kept.
//!
//! Everything is waited for at once, so that neither a peer that takes nothing nor an operation that takes long holds up
//! the rest.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::parser::types::OperationType;
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite};

use super::conversation::{Kind, Start, Ticket};
use super::speech::{Action, Beat, Said, Speech};
use super::timers::{Due, Timers};
use super::upgrade::Endpoint;
use super::wire::{Event, PING, Wire};
use super::work::{Done, Work};
use super::{Api, Close, MESSAGE_BYTES_MAX, Subscriptions, Waits, frame};
use crate::auth::{Authenticator, Viewer};
use crate::error::{Code, Error};
use crate::hub::{Frame, Notice, Outbox};
use crate::model::Timestamp;
use crate::transport::census::Counted;

/// Where the outbox is this full, what the client says waits: answers could pile up without end.
const DEAF_BYTES: usize = 2 * Outbox::BUDGET_BYTES;

/// Who is on the other end, once that is known.
struct Known<A: Api> {
    viewer: Arc<Viewer>,
    /// The mutation that brought its token; none where `connection_init` did.
    renewed_by: Option<Ticket>,
    connection: A::Connection,
    _counted: Counted,
}

/// How far a socket is in leaving because the server stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaving {
    No,
    /// Nothing new begins.
    Soon,
    /// As soon as its mutations are answered.
    Now,
}

/// How a socket ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The server closes it.
    Close {
        /// With this.
        close: Close,
        /// Behind everything that waits, rather than behind what was begun.
        everything: bool,
    },
    /// The client closes it.
    Closed,
    /// It is gone.
    Lost,
}

/// A socket and all that belongs to it.
pub(super) struct Socket<A: Api, P: Speech> {
    endpoint: Arc<Endpoint<A>>,
    protocol: P,
    timers: Timers,
    outbox: Arc<Outbox>,
    work: Work<A>,
    known: Option<Known<A>>,
    leaving: Leaving,
    end: Option<End>,
}

impl<A: Api, P: Speech> Socket<A, P> {
    /// A socket that has just opened. `outbox` is the one that its wire writes from.
    pub(super) fn new(
        endpoint: Arc<Endpoint<A>>,
        protocol: P,
        waits: Arc<Waits>,
        outbox: Arc<Outbox>,
    ) -> Self {
        Self {
            protocol,
            timers: Timers::new(waits, now()),
            outbox,
            work: Work::new(endpoint.api.clone()),
            known: None,
            leaving: Leaving::No,
            end: None,
            endpoint,
        }
    }

    /// Serves the socket to its end.
    pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&mut self, wire: &mut Wire<S>) {
        let end = self.run(wire).await;
        tracing::debug!(?end, "socket ended");
        self.protocol.close();
        let is_leaving = match end {
            End::Closed => wire.is_leaving(),
            End::Close { close, .. } => close == Close::TERMINATED,
            End::Lost => false,
        };
        if let Some(known) = self.known.as_ref().filter(|_| is_leaving) {
            known.connection.leave_cleanly();
        }
        // The subscriptions first: nothing more is queued for a socket that is closing. Nor is its work polled any more, and what
        // waits in a queue without being polled holds up who is behind it.
        self.known = None;
        self.work = Work::new(self.endpoint.api.clone());
        match end {
            End::Close { close, everything } => {
                while everything && self.outbox.has_unfinished_ping() {
                    self.complete_ping();
                }
                wire.close(close, everything).await;
            }
            End::Closed => wire.close_back().await,
            End::Lost => {}
        }
    }

    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&mut self, wire: &mut Wire<S>) -> End {
        // Once, not each time round: all sockets wait for the same word, under one lock.
        let mut begun = pin!(self.endpoint.drain.begun_owned());
        let mut wake_at = self.wake_at();
        let mut alarm = pin!(tokio::time::sleep_until(wake_at.into()));
        loop {
            if let Some(end) = self.end {
                return end;
            }
            let reading = self.protocol.listens() && self.outbox.queued_bytes() < DEAF_BYTES;
            self.timers.reading(reading);
            // Put off lazily: an alarm that goes off early costs less than one that is set for each message.
            if self.wake_at() < wake_at {
                wake_at = self.wake_at();
                alarm.as_mut().reset(wake_at.into());
            }
            // Nothing is awaited in an arm: every socket would keep room for what happened while it is.
            let heard = tokio::select! {
                event = wire.event(reading) => self.happened(event, wire),
                done = self.work.next() => {
                    self.done(done);
                    false
                }
                notice = next_notice(&self.known) => {
                    self.noticed(notice);
                    false
                }
                () = &mut alarm => {
                    self.alarm();
                    wake_at = self.wake_at();
                    alarm.as_mut().reset(wake_at.into());
                    false
                }
                () = &mut begun, if self.leaving == Leaving::No => {
                    self.leaving = Leaving::Soon;
                    self.protocol.stop();
                    self.timers.leave(now() + self.endpoint.drain.delay());
                    false
                }
            };
            if heard {
                // Many small messages may have come in one read: let others have their turn.
                tokio::task::coop::consume_budget().await;
            }
        }
    }

    fn wake_at(&self) -> Instant {
        const NEVER: Duration = Duration::from_secs(3600);
        self.timers.next().unwrap_or_else(|| now() + NEVER)
    }

    /// Whether the client has said something, after which there may be more at once.
    fn happened<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        event: Event,
        wire: &mut Wire<S>,
    ) -> bool {
        match event {
            Event::Text(text) => {
                self.timers.heard();
                let action = self.protocol.receive(&text);
                self.act(action);
                if self.protocol.initialised() {
                    wire.limit(MESSAGE_BYTES_MAX);
                }
                return true;
            }
            Event::Binary => {
                let action = self.protocol.receive_binary();
                self.act(action);
            }
            Event::Control => {
                self.timers.heard();
                return true;
            }
            Event::Wrote { pinged } => self.wrote(pinged),
            Event::Blocked => self.timers.waiting(now()),
            Event::Ping => self.complete_ping(),
            Event::Closed => self.end = Some(End::Closed),
            Event::Lost => self.end = Some(End::Lost),
            Event::Broken(close) => {
                let everything = false;
                self.end = Some(End::Close { close, everything });
            }
        }
        false
    }

    fn wrote(&mut self, pinged: bool) {
        let now = now();
        self.timers.wrote(now, self.outbox.queued_bytes() > 0);
        if pinged {
            self.timers.pinged(now);
        }
    }

    fn complete_ping(&mut self) {
        let Self {
            outbox, protocol, ..
        } = self;
        outbox.complete_ping(|ping| protocol.complete_ping(ping));
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Nothing => {}
            Action::Send(said) => self.say(said),
            Action::Authenticate(token) => {
                self.timers.initialised(now());
                self.work.authenticate(token);
            }
            Action::Start(start) => self.start(start),
            Action::Stop {
                id,
                ticket,
                kind,
                then,
            } => {
                self.work.stop(ticket);
                if kind == Kind::Stream
                    && let Some(known) = &self.known
                {
                    known.connection.unsubscribe(&id);
                    self.settle(&id);
                }
                self.act(*then);
            }
            Action::Close(close) => self.close(close),
        }
    }

    fn start(&mut self, mut start: Start) {
        let Some(viewer) = self.known.as_ref().map(|known| known.viewer.clone()) else {
            return;
        };
        let request = std::mem::take(&mut start.request);
        let prepared = match self.endpoint.api.prepare(request) {
            Ok(prepared) => prepared,
            Err(errors) => return self.refuse(&start, &errors),
        };
        let kind = match prepared.kind {
            OperationType::Subscription => Kind::Stream,
            OperationType::Query | OperationType::Mutation => Kind::Single,
        };
        if let Err(instead) = self.protocol.admit(&start, kind) {
            return self.act(instead);
        }
        match prepared.kind {
            OperationType::Query => self.work.query(start, prepared, viewer),
            OperationType::Mutation => self.work.mutate(start, prepared, viewer),
            OperationType::Subscription => self.work.plan(start, prepared, viewer),
        }
    }

    fn done(&mut self, done: Done<A>) {
        match done {
            Done::Authenticated(Ok(viewer)) => self.welcome(viewer),
            Done::Authenticated(Err(error)) => self.close(turned_away(&error)),
            Done::Answered(start, result) => self.answered(&start, result),
            Done::Mutated(start, result, fresh) => {
                if let Some(viewer) = fresh {
                    self.renew(viewer, start.ticket);
                }
                self.answered(&start, result);
            }
            Done::Planned(start, Ok(plan)) => {
                self.work.finished(start.ticket);
                if self.protocol.wants(&start.id, start.ticket)
                    && let Some(known) = &self.known
                {
                    known.connection.subscribe(start.id, plan, start.resume);
                }
            }
            Done::Planned(start, Err(errors)) => {
                self.work.finished(start.ticket);
                self.not_planned(&start, &errors);
            }
            Done::Stopped => {}
        }
        self.leave_when_quiet();
    }

    fn answered(&mut self, start: &Start, result: Result<String, String>) {
        self.work.finished(start.ticket);
        match result {
            Ok(response) => {
                let answer = self.protocol.answer(&start.id, start.ticket, &response);
                self.say(answer.unwrap_or_default());
            }
            Err(errors) => self.refuse(start, &errors),
        }
    }

    /// Of two fresh tokens the one that was sent later counts, whichever was checked first.
    fn renew(&mut self, viewer: Arc<Viewer>, ticket: Ticket) {
        let Some(known) = &mut self.known else { return };
        if known.renewed_by.is_some_and(|later| later > ticket) {
            return;
        }
        self.timers.renewed(now(), lifetime(&viewer));
        known.connection.renew(&viewer);
        known.viewer = viewer;
        known.renewed_by = Some(ticket);
    }

    fn welcome(&mut self, viewer: Arc<Viewer>) {
        let most = self.endpoint.settings.connections_per_user;
        let Some(counted) = self.endpoint.census.enter(&viewer.user.id, most) else {
            return self.close(Close::TOO_MANY_CONNECTIONS);
        };
        let api = &self.endpoint.api;
        // The head before the connection: what happens in between is after it.
        let Some(ack) = self.protocol.acknowledge(api.head()) else {
            return;
        };
        self.timers.acknowledged(
            now(),
            lifetime(&viewer),
            rand::random(),
            self.endpoint.started,
        );
        let envelope = self.protocol.envelope();
        let connection = api.connect(viewer.clone(), self.outbox.clone(), envelope);
        self.known = Some(Known {
            viewer,
            renewed_by: None,
            connection,
            _counted: counted,
        });
        self.say(ack);
    }

    fn noticed(&mut self, notice: Notice) {
        match notice {
            Notice::Ended(id) => self.protocol.ended(&id),
            Notice::Close(code, reason) => self.close(Close::new(code, reason)),
        }
    }

    /// A stream that ended by itself just before its client did away with it has left a notice, which must not be taken
    /// for one about the next stream of that id.
    fn settle(&mut self, gone: &str) {
        while let Some(notice) = next_notice(&self.known).now_or_never() {
            match notice {
                Notice::Ended(id) if *id == *gone => {}
                notice => self.noticed(notice),
            }
        }
    }

    fn alarm(&mut self) {
        while let Some(due) = self.timers.due(now()) {
            match due {
                Due::Close(close) => self.close(close),
                Due::Leave => {
                    self.leaving = Leaving::Now;
                    self.leave_when_quiet();
                }
                Due::Ping => self.beat(),
            }
        }
    }

    fn beat(&mut self) {
        match (self.protocol.beat(), &self.known) {
            (Beat::Positions, Some(known)) => known.connection.ping(),
            (Beat::Positions, None) => {}
            (Beat::KeepAlive(text), _) => {
                // The answer is waited for once what is behind it has left.
                self.outbox.push_raw(Bytes::from_static(PING));
                self.outbox.push_ping(Frame::whole(text));
            }
        }
    }

    fn leave_when_quiet(&mut self) {
        if self.leaving == Leaving::Now && !self.work.mutates() {
            self.close(Close::STOPPING);
        }
    }

    /// An error ends a subscription for good: clients forget where it stood. What passes closes the socket instead, and
    /// they come back to go on from there.
    fn not_planned(&mut self, start: &Start, errors: &str) {
        if !frame::all_unavailable(errors) {
            self.refuse(start, errors);
        } else if self.leaving == Leaving::No && self.protocol.wants(&start.id, start.ticket) {
            self.close(Close::NOT_NOW);
        }
    }

    fn refuse(&mut self, start: &Start, errors: &str) {
        let refusal = self.protocol.refuse(&start.id, start.ticket, errors);
        self.say(refusal.unwrap_or_default());
    }

    fn say(&self, said: Said) {
        for text in said {
            self.outbox.push(Frame::whole(text));
        }
    }

    fn close(&mut self, close: Close) {
        if self.end.is_none() {
            let farewell = self.protocol.farewell(close);
            let everything = close == Close::STOPPING || farewell.is_some();
            self.say(farewell.into_iter().collect());
            self.end = Some(End::Close { close, everything });
        }
    }
}

/// The runtime's clock, which tests may set.
pub(in crate::transport) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn next_notice<A: Api>(known: &Option<Known<A>>) -> Notice {
    match known {
        Some(known) => known.connection.notice().await,
        None => std::future::pending().await,
    }
}

fn turned_away(error: &Error) -> Close {
    match error {
        Error::NoToken => Close::SIGN_IN,
        Error::BadToken { why } => Close::forbidden(why),
        error if error.code() == Code::Unauthenticated => Close::forbidden("Forbidden"),
        _ => Close::CANNOT_AUTHENTICATE,
    }
}

/// How long the viewer's token still holds, the clock difference that is forgiven included.
pub(in crate::transport) fn lifetime(viewer: &Viewer) -> Duration {
    // Below zero where the token is within the leeway already.
    let left_ms = viewer.expires_at.0.saturating_sub(Timestamp::now().0);
    let leeway_ms = Duration::from_secs(Authenticator::LEEWAY_SECS).as_millis();
    let left_ms = i128::from(left_ms).saturating_add_unsigned(leeway_ms);
    Duration::from_millis(left_ms.try_into().unwrap_or(0))
}
