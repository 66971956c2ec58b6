//! One socket's task: the protocol's actions done, the outbox written, the timers kept.
//!
//! Everything is waited for at once, so that neither a peer that takes nothing nor an operation that takes long holds up
//! the rest.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop::consume_budget;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::clock::{alarm, bring_forward, now, set_again};
use super::conversation::{Kind, Run, Start};
use super::session::{Peer, Serve, Session};
use super::speech::{Action, Beat, Said, Speech};
use super::upgrade::Endpoint;
use super::wire::{Event, PING, Wire};
use super::{Api, Close, MESSAGE_BYTES_MAX, Subscriptions, Waits};
use crate::auth::Viewer;
use crate::error::Error;
use crate::hub::{Frame, Outbox};

/// Where the outbox is this full, what the client says waits: answers could pile up without end.
const DEAF_BYTES: usize = 2 * Outbox::BUDGET_BYTES;

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
    session: Session<A>,
    protocol: P,
    outbox: Arc<Outbox>,
    /// Who is on the other end, once that is known.
    peer: Option<Peer>,
    /// Its subscriptions, as of then.
    connection: Option<A::Connection>,
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
            session: Session::new(endpoint, waits),
            protocol,
            outbox,
            peer: None,
            connection: None,
            end: None,
        }
    }

    /// Serves the socket to its end.
    ///
    /// Every socket has this future for as long as it lives, mostly idle: it holds both by value, once, and waits for what
    /// there is by polling it, because an `async fn` keeps its arguments twice and `select!` a future for each arm.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn keeps its arguments twice"
    )]
    pub(super) fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(
        mut self,
        mut wire: Wire<S>,
    ) -> impl Future<Output = ()> + Send {
        async move {
            {
                // Once, not each time round: all sockets wait for the same word, under one lock.
                let mut begun = pin!(self.session.endpoint.drain.begun_owned());
                let mut alarm = pin!(alarm(&self.session.timers));
                while self.end.is_none() {
                    let next =
                        poll_fn(|cx| self.poll(&mut wire, alarm.as_mut(), begun.as_mut(), cx));
                    if next.await {
                        // Many small messages may have come in one read: let others have their turn.
                        consume_budget().await;
                    }
                }
            }
            let end = self.leave(&wire);
            match end {
                End::Close { close, everything } => wire.close(close, everything).await,
                End::Closed => wire.close_back().await,
                End::Lost => {}
            }
        }
    }

    /// Deals with the next thing that happens; whether it was something said, after which there may be more at once. What is
    /// bounded comes first: the peer may have more to say for ever.
    fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        wire: &mut Wire<S>,
        mut alarm: Pin<&mut Sleep>,
        begun: Pin<&mut WaitForCancellationFutureOwned>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        let outbox = &self.outbox;
        let reading = self.protocol.listens() && outbox.queued_bytes() < DEAF_BYTES;
        self.session.work.ask(|| outbox.queued_bytes() < DEAF_BYTES);
        self.session.timers.reading(reading);
        bring_forward(alarm.as_mut(), &self.session.timers);
        if let Poll::Ready(done) = self.session.work.poll_next(cx) {
            self.done(done);
        } else if let Some(connection) = &self.connection
            && let Poll::Ready(notice) = connection.poll_notice(cx)
        {
            self.noticed(notice);
        } else if alarm.as_mut().poll(cx).is_ready() {
            self.alarm();
            set_again(alarm, &self.session.timers);
        } else if self.session.stays() && begun.poll(cx).is_ready() {
            self.session.leave_soon();
            self.protocol.stop();
        } else {
            let event = ready!(wire.poll(cx, reading));
            return Poll::Ready(self.happened(event, wire));
        }
        Poll::Ready(false)
    }

    /// Leaves the rest of the server, as it ends.
    fn leave<S: AsyncRead + AsyncWrite + Unpin>(&mut self, wire: &Wire<S>) -> End {
        let end = self.end.take().unwrap_or(End::Lost);
        tracing::debug!(?end, "socket ended");
        self.protocol.close();
        let is_leaving = match end {
            End::Closed => wire.is_leaving(),
            End::Close { close, .. } => close == Close::TERMINATED,
            End::Lost => false,
        };
        // The subscriptions first: nothing more is queued for a socket that is closing.
        if let Some(connection) = self.connection.take()
            && is_leaving
        {
            connection.leave_cleanly();
        }
        self.peer = None;
        self.session.end();
        if matches!(end, End::Close { everything, .. } if everything) {
            while self.outbox.has_unfinished_ping() {
                self.complete_ping();
            }
        }
        end
    }

    /// Whether the client has said something, after which there may be more at once.
    fn happened<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        event: Event,
        wire: &mut Wire<S>,
    ) -> bool {
        match event {
            Event::Text(text) => {
                self.session.timers.heard();
                // An id whose end the client has heard of is free, however late this task comes to hear of it.
                self.settle(None);
                if self.end.is_some() {
                    return false;
                }
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
                self.session.timers.heard();
                return true;
            }
            Event::Wrote { pinged } => self.wrote(pinged),
            Event::Blocked => self.session.timers.waiting(now()),
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
        let (now, timers) = (now(), &mut self.session.timers);
        timers.wrote(now, self.outbox.queued_bytes() > 0);
        if pinged {
            timers.pinged(now);
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
                self.session.timers.initialised(now());
                self.session.work.authenticate(token);
            }
            Action::Start(start) => self.start(start),
            Action::Stop {
                id,
                ticket,
                kind,
                then,
            } => {
                self.cancel(&Run { id, ticket, kind });
                self.act(*then);
            }
            Action::Close(close) => self.close(close),
        }
    }

    fn start(&mut self, mut start: Start) {
        let Some(peer) = &self.peer else { return };
        let viewer = peer.viewer.clone();
        let request = std::mem::take(&mut start.request);
        let prepared = self.session.endpoint.api.prepare(request);
        self.begin(start, prepared, viewer);
    }

    fn welcome(&mut self, viewer: Arc<Viewer>) {
        let Endpoint {
            api,
            census,
            settings,
            ..
        } = &*self.session.endpoint;
        let Some(counted) = census.enter(&viewer.user.id, settings.connections_per_user) else {
            return self.close(Close::TOO_MANY_CONNECTIONS);
        };
        // The head before the connection: what happens in between is after it.
        let Some(ack) = self.protocol.acknowledge(api.head()) else {
            return;
        };
        let envelope = self.protocol.envelope();
        let connection = self.session.connect(&viewer, &self.outbox, envelope);
        self.connection = Some(connection);
        self.peer = Some(Peer::new(viewer, counted));
        self.say(ack);
    }

    fn say(&self, said: Said) {
        for text in said {
            self.outbox.push(Frame::whole(text));
        }
    }
}

impl<A: Api, P: Speech> Serve for Socket<A, P> {
    type Api = A;

    fn session(&mut self) -> &mut Session<A> {
        &mut self.session
    }

    fn peer(&mut self) -> Option<&mut Peer> {
        self.peer.as_mut()
    }

    fn connection(&self) -> Option<&A::Connection> {
        self.connection.as_ref()
    }

    fn authenticated(&mut self, viewer: Result<Arc<Viewer>, Error>) {
        match viewer {
            Ok(viewer) => self.welcome(viewer),
            Err(error) => self.close(Close::turning_away(&error)),
        }
    }

    fn admit(&mut self, start: &Start, kind: Kind) -> bool {
        let admitted = self.protocol.admit(start, kind);
        admitted.map_err(|instead| self.act(instead)).is_ok()
    }

    fn wants(&mut self, start: &Start) -> bool {
        self.protocol.wants(&start.id, start.ticket)
    }

    fn answer(&mut self, start: &Start, response: &str) {
        let answer = self.protocol.answer(&start.id, start.ticket, response);
        self.say(answer.unwrap_or_default());
    }

    fn refuse(&mut self, start: &Start, errors: &str) {
        let refusal = self.protocol.refuse(&start.id, start.ticket, errors);
        self.say(refusal.unwrap_or_default());
    }

    fn follow(&mut self, start: Start, plan: A::Plan) {
        if let Some(connection) = &self.connection {
            connection.subscribe(start.id, plan, start.resume);
        }
    }

    fn ended(&mut self, id: &str) {
        self.protocol.ended(id);
    }

    fn beat(&mut self) {
        match (self.protocol.beat(), &self.connection) {
            (Beat::Positions, Some(connection)) => connection.ping(),
            (Beat::Positions, None) => {}
            (Beat::KeepAlive(text), _) => {
                // The answer is waited for once what is behind it has left.
                self.outbox.push_raw(Bytes::from_static(PING));
                self.outbox.push_ping(Frame::whole(text));
            }
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
