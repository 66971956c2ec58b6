//! What a socket and a stream of several operations live through alike: operations come to their ends, the hub ends
//! subscriptions, tokens are renewed, something is due, the server stops. Knows no wire: how a client is told is the affair of
//! whoever [`Serve`]s it.

use std::future::{pending, poll_fn};
use std::sync::Arc;

use futures_util::FutureExt;

use super::clock::{lifetime, now};
use super::conversation::{Kind, Run, Start, Ticket};
use super::timers::{Due, Timers};
use super::upgrade::Endpoint;
use super::work::{Done, Work};
use super::{Api, Close, Subscriptions, Waits, frame};
use crate::auth::Viewer;
use crate::document::Prepared;
use crate::error::Error;
use crate::hub::{Envelope, Notice, Outbox};
use crate::transport::census::Counted;

/// What is kept for a client for as long as it is served.
pub(in crate::transport) struct Session<A: Api> {
    pub(in crate::transport) endpoint: Arc<Endpoint<A>>,
    pub(in crate::transport) timers: Timers,
    pub(in crate::transport) work: Work<A>,
    leaving: Leaving,
}

/// Who is on the other end.
pub(in crate::transport) struct Peer {
    /// By the newest token.
    pub(in crate::transport) viewer: Arc<Viewer>,
    /// The mutation that brought that; none where it is the one that the peer came with.
    renewed_by: Option<Ticket>,
    _counted: Counted,
}

/// How far a session is in leaving because the server stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaving {
    No,
    /// Nothing new begins.
    Soon,
    /// As soon as its mutations are answered.
    Now,
}

impl Peer {
    pub(in crate::transport) fn new(viewer: Arc<Viewer>, counted: Counted) -> Self {
        Self {
            viewer,
            renewed_by: None,
            _counted: counted,
        }
    }

    /// A mutation has brought a fresh token; whether that is the newest. Of two the one that was sent later is, whichever
    /// was checked first.
    fn renew(&mut self, viewer: &Arc<Viewer>, ticket: Ticket) -> bool {
        let is_newest = self.renewed_by.is_none_or(|other| other < ticket);
        if is_newest {
            self.viewer = viewer.clone();
            self.renewed_by = Some(ticket);
        }
        is_newest
    }
}

impl<A: Api> Session<A> {
    /// One that begins now.
    pub(in crate::transport) fn new(endpoint: Arc<Endpoint<A>>, waits: Arc<Waits>) -> Self {
        Self {
            timers: Timers::new(waits, now()),
            work: Work::new(endpoint.api.clone()),
            leaving: Leaving::No,
            endpoint,
        }
    }

    /// The peer's subscriptions, which fill the outbox with messages in this envelope. It is pinged from now on, until its
    /// token runs out.
    pub(in crate::transport) fn connect(
        &mut self,
        viewer: &Arc<Viewer>,
        outbox: &Arc<Outbox>,
        envelope: Arc<dyn Envelope>,
    ) -> A::Connection {
        let Endpoint { api, started, .. } = &*self.endpoint;
        let first_ping = rand::random();
        self.timers
            .acknowledged(now(), lifetime(viewer), first_ping, *started);
        api.connect(viewer.clone(), outbox.clone(), envelope)
    }

    /// Whether the server goes on, for all that it has been told yet.
    pub(in crate::transport) fn stays(&self) -> bool {
        self.leaving == Leaving::No
    }

    /// The server stops: its turn to leave will come.
    pub(in crate::transport) fn leave_soon(&mut self) {
        self.leaving = Leaving::Soon;
        self.timers.leave(now() + self.endpoint.drain.delay());
    }

    /// Lets go of what it has going, which is not polled any more: what waits in a queue without being polled holds up who is
    /// behind it.
    pub(in crate::transport) fn end(&mut self) {
        self.work = Work::new(self.endpoint.api.clone());
    }
}

/// Who serves a client over some wire.
pub(in crate::transport) trait Serve {
    /// What it needs of the rest of the server.
    type Api: Api;

    /// What is kept for its client.
    fn session(&mut self) -> &mut Session<Self::Api>;

    /// Who the client is, once that is known.
    fn peer(&mut self) -> Option<&mut Peer>;

    /// The client's subscriptions, once they have somewhere to go.
    fn connection(&self) -> Option<&<Self::Api as Api>::Connection>;

    /// The token that the client came with was checked.
    fn authenticated(&mut self, viewer: Result<Arc<Viewer>, Error>);

    /// Whether a started operation, which is one of this kind, may run. One that may not has been dealt with.
    fn admit(&mut self, start: &Start, kind: Kind) -> bool;

    /// Whether this run is still wanted.
    fn wants(&mut self, start: &Start) -> bool;

    /// A query or mutation has its response, which is told if it is still wanted.
    fn answer(&mut self, start: &Start, response: &str);

    /// An operation does not run, for these errors (a JSON array), which are told if it is still wanted.
    fn refuse(&mut self, start: &Start, errors: &str);

    /// A subscription may start.
    fn follow(&mut self, start: Start, plan: <Self::Api as Api>::Plan);

    /// A subscription has ended by itself, and its client has been told.
    fn ended(&mut self, id: &str);

    /// A ping is due.
    fn beat(&mut self);

    /// Ends it all, unless its end has come already.
    fn close(&mut self, close: Close);

    /// Runs an operation, if it could be prepared and may run.
    fn begin(&mut self, start: Start, prepared: Result<Prepared, String>, viewer: Arc<Viewer>) {
        match prepared {
            Ok(prepared) => {
                if self.admit(&start, Kind::of(&prepared)) {
                    self.session().work.begin(start, prepared, viewer);
                }
            }
            Err(errors) => self.refuse(&start, &errors),
        }
    }

    /// The client wants no more of this.
    fn cancel(&mut self, run: &Run) {
        self.session().work.stop(run.ticket);
        if run.kind == Kind::Stream
            && let Some(connection) = self.connection()
        {
            connection.unsubscribe(&run.id);
            self.settle(Some(&run.id));
        }
    }

    /// Hears what the hub has said by now. A stream that ended by itself just before its client did away with it has left a
    /// notice, which must not be taken for one about the next stream of that id: it is `gone`.
    fn settle(&mut self, gone: Option<&str>) {
        while let Some(notice) = next_notice(self.connection()).now_or_never() {
            match notice {
                Notice::Ended(id) if gone == Some(&*id) => {}
                notice => self.noticed(notice),
            }
        }
    }

    /// The hub has something to say.
    fn noticed(&mut self, notice: Notice) {
        match notice {
            Notice::Ended(id) => self.ended(&id),
            Notice::Close(code, reason) => self.close(Close::new(code, reason)),
        }
    }

    /// Something has come to its end.
    fn done(&mut self, done: Done<Self::Api>) {
        match done {
            Done::Authenticated(viewer) => self.authenticated(viewer),
            Done::Answered(start, result, fresh) => {
                if let Some(viewer) = fresh {
                    self.renew(&viewer, start.ticket);
                }
                match result {
                    Ok(response) => self.answer(&start, &response),
                    Err(errors) => self.refuse(&start, &errors),
                }
            }
            Done::Planned(start, Ok(plan)) => {
                if self.wants(&start) {
                    self.follow(start, plan);
                }
            }
            Done::Planned(start, Err(errors)) => self.not_planned(&start, &errors),
            Done::Stopped => {}
        }
        self.leave_when_quiet();
    }

    /// A mutation has brought a fresh token.
    fn renew(&mut self, viewer: &Arc<Viewer>, ticket: Ticket) {
        let is_newest = self.peer().is_some_and(|peer| peer.renew(viewer, ticket));
        if is_newest && let Some(connection) = self.connection() {
            connection.renew(viewer);
            self.session().timers.renewed(now(), lifetime(viewer));
        }
    }

    /// An error ends a subscription for good: clients forget where it stood. What passes closes it all instead, and they
    /// come back to go on from there. A server that stops has that in store for them anyway, once their mutations are answered.
    fn not_planned(&mut self, start: &Start, errors: &str) {
        if !frame::all_unavailable(errors) {
            self.refuse(start, errors);
        } else if !self.session().endpoint.drain.has_begun() && self.wants(start) {
            self.close(Close::NOT_NOW);
        }
    }

    /// The alarm has gone off.
    fn alarm(&mut self) {
        while let Some(due) = self.session().timers.due(now()) {
            match due {
                Due::Close(close) => self.close(close),
                Due::Leave => {
                    self.session().leaving = Leaving::Now;
                    self.leave_when_quiet();
                }
                Due::Ping => self.beat(),
            }
        }
    }

    /// Where its turn to leave has come: an answer that is lost leaves its client in doubt.
    fn leave_when_quiet(&mut self) {
        let session = self.session();
        if session.leaving == Leaving::Now && !session.work.mutates() {
            self.close(Close::STOPPING);
        }
    }
}

/// The next thing that the hub has to say, once there are subscriptions.
pub(in crate::transport) async fn next_notice<C: Subscriptions>(connection: Option<&C>) -> Notice {
    match connection {
        Some(connection) => poll_fn(|cx| connection.poll_notice(cx)).await,
        None => pending().await,
    }
}
