//! One reservation's task: operations run, their results written to the stream, or kept until it comes.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Map;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

use super::Refused;
use super::events::{SingleEvents, complete, next, refused};
use super::results::{Kept, Results};
use crate::auth::Viewer;
use crate::document::Prepared;
use crate::error::Error;
use crate::hub::Outbox;
use crate::transport::census::Counted;
use crate::transport::stream::wire::{Event, Wire};
use crate::transport::ws::{
    self, Api, Close, Conversation, Endpoint, Kind, Peer, Refusal, Serve, Session, Start,
    Subscriptions, Waits, alarm, bring_forward, next_notice, now, set_again,
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
    session: Session<A>,
    peer: Peer,
    conversation: Conversation,
    results: Results<A>,
    /// Operations that were told to come later, one after the other.
    put_off: usize,
    end: Option<End>,
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
            session: Session::new(endpoint.clone(), waits),
            peer: Peer::new(viewer, counted),
            conversation: Conversation::new(endpoint.settings.at_once, None),
            results: Results::default(),
            put_off: 0,
            end: None,
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
        self.session.end();
        if let (End::Stopping, Some(mut wire)) = (end, wire) {
            wire.end(b"").await;
        }
    }

    async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        mut orders: mpsc::Receiver<Order>,
        mut stream: oneshot::Receiver<Opened<S>>,
    ) -> (End, Option<Wire<S>>) {
        let mut begun = pin!(self.session.endpoint.drain.begun_owned());
        let mut wire = None;
        let mut alarm = pin!(alarm(&self.session.timers));
        loop {
            if let Some(end) = self.end {
                return (end, wire);
            }
            let results = &self.results;
            self.session
                .work
                .ask(|| results.waiting_bytes() <= FULL_BYTES);
            bring_forward(alarm.as_mut(), &self.session.timers);
            tokio::select! {
                event = next_event(&mut wire) => self.happened(&event),
                opened = &mut stream, if wire.is_none() => match opened {
                    Ok(opened) => wire = Some(self.open(opened)),
                    // Whoever claimed it went away.
                    Err(_) => self.end = Some(End::Lost),
                },
                Some(order) = orders.recv() => self.obey(order),
                done = self.session.work.next() => self.done(done),
                notice = next_notice(self.results.connection()) => self.noticed(notice),
                () = &mut alarm => {
                    self.alarm();
                    set_again(alarm.as_mut(), &self.session.timers);
                }
                () = &mut begun, if self.session.stays() => {
                    self.session.leave_soon();
                    if wire.is_none() {
                        self.end = Some(End::Lost);
                    }
                }
            }
        }
    }

    fn happened(&mut self, event: &Event) {
        let timers = &mut self.session.timers;
        match event {
            Event::Wrote => timers.wrote(now(), self.results.waiting_bytes() > 0),
            Event::Blocked => timers.waiting(now()),
            Event::Lost => self.end = Some(End::Lost),
        }
    }

    /// The stream is there: what was kept for it goes out, and what was planned begins.
    fn open<S: AsyncRead + AsyncWrite + Unpin>(&mut self, opened: Opened<S>) -> Wire<S> {
        let Opened { io, outbox, pings } = opened;
        self.session.timers.initialised(now());
        let (viewer, envelope) = (&self.peer.viewer, Arc::new(SingleEvents { pings }));
        let connection = self.session.connect(viewer, &outbox, envelope);
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
                if let Some(run) = self.conversation.take(&id) {
                    self.results.forget(run.ticket);
                    self.cancel(&run);
                }
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
        if self.session.endpoint.drain.has_begun() {
            if self.results.connection().is_none() {
                return Err(Refused::Stopping);
            }
            self.conversation.stop();
        }
        // An id whose end the client has heard of is free, however late this task comes to hear of it.
        self.settle(None);
        if self.end.is_some() {
            return Err(Refused::Unknown);
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
        match self.conversation.begin(id, Some(Map::new())) {
            Ok(start) => self.begin(start, prepared, viewer),
            Err(error) => self.conclude(id, refused(id, &ws::errors(&error))),
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

    /// Says an operation's last result, and that it was.
    fn conclude(&mut self, id: &str, result: Bytes) {
        if self.results.has_room() {
            self.results.say(result);
            self.results.say(complete(id));
        } else {
            self.end = Some(End::Cut);
        }
    }
}

impl<A: Api> Serve for Reservation<A> {
    type Api = A;

    fn session(&mut self) -> &mut Session<A> {
        &mut self.session
    }

    fn peer(&mut self) -> Option<&mut Peer> {
        Some(&mut self.peer)
    }

    fn connection(&self) -> Option<&A::Connection> {
        self.results.connection()
    }

    /// Each request brings its own token, which is checked before it comes here.
    fn authenticated(&mut self, _: Result<Arc<Viewer>, Error>) {}

    fn admit(&mut self, start: &Start, kind: Kind) -> bool {
        match self.conversation.admit(start, kind) {
            Ok(()) => return true,
            Err(Refusal::Told(error)) => self.refuse(start, &ws::errors(&error)),
            // The cut that is to come brings the client back elsewhere.
            Err(Refusal::Untold) => {}
        }
        false
    }

    fn wants(&mut self, start: &Start) -> bool {
        self.conversation.wants(&start.id, start.ticket)
    }

    fn answer(&mut self, start: &Start, response: &str) {
        if self.conversation.finish(&start.id, start.ticket) {
            self.conclude(&start.id, next(&start.id, response));
        }
    }

    fn refuse(&mut self, start: &Start, errors: &str) {
        if self.conversation.finish(&start.id, start.ticket) {
            self.conclude(&start.id, refused(&start.id, errors));
        }
    }

    fn follow(&mut self, start: Start, plan: A::Plan) {
        self.results.follow(start, plan);
    }

    fn ended(&mut self, id: &str) {
        self.conversation.ended(id);
    }

    fn beat(&mut self) {
        if let Some(connection) = self.results.connection() {
            connection.ping();
        }
    }

    /// There are no close codes here.
    fn close(&mut self, close: Close) {
        let end = match close {
            Close::STOPPING => End::Stopping,
            _ => End::Cut,
        };
        self.end.get_or_insert(end);
    }
}

async fn next_event<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Option<Wire<S>>) -> Event {
    match wire {
        Some(wire) => wire.event().await,
        None => std::future::pending().await,
    }
}
