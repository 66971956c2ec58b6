//! graphql-transport-ws as a state machine: a message in, one action out. Knows no socket, no clock and no schema; who
//! drives it does what the action says and tells it how that went. PROTOCOL.md of graphql-ws is the specification.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use super::absent::Absent;
use super::message::{self, Init, Message};
use super::{Close, frame};
use crate::error::Error;
use crate::hub::Envelope;
use crate::model::Cursor;

/// How much one connection may have going at once. 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub struct AtOnce {
    /// Subscriptions.
    pub subscriptions: usize,
    /// Queries and mutations.
    pub operations: usize,
}

/// One run of an operation: ids are used again, tickets are not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ticket(u64);

/// What an operation turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A query or mutation: one answer.
    Single,
    /// A subscription.
    Stream,
}

/// What is to be done about a message.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Send this.
    Send(Bytes),
    /// Find out who this is, then [`Protocol::acknowledge`] or close.
    Authenticate(String),
    /// Prepare this, then [`Protocol::admit`] or [`Protocol::refuse`] it.
    Start(Start),
    /// The client wants no more of this: stop it.
    Stop {
        /// Its id.
        id: Arc<str>,
        /// Which run.
        ticket: Ticket,
        /// What it is.
        kind: Kind,
    },
    /// Close the socket.
    Close(Close),
}

/// An operation to start.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The client's name for it.
    pub id: Arc<str>,
    /// This run.
    pub ticket: Ticket,
    /// `query`, `operationName`, `variables`, `extensions`: types checked, content not.
    pub request: Map<String, Json>,
    /// Where `connection_init` said that it goes on.
    pub resume: Option<Cursor>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Opened,
    Authenticating,
    Ready,
    Closed,
}

struct Run {
    id: Arc<str>,
    ticket: Ticket,
    kind: Kind,
}

/// One connection's side of the conversation.
pub struct Protocol {
    phase: Phase,
    stopping: bool,
    at_once: AtOnce,
    header_token: Option<String>,
    resume: HashMap<String, Option<Cursor>>,
    absent: Absent,
    /// A few, and mostly one: looked through rather than hashed.
    runs: Vec<Run>,
    streams: usize,
    tickets: u64,
}

impl Protocol {
    /// A socket that has just opened. `header_token` is the upgrade request's, without `Bearer `.
    pub fn new(at_once: AtOnce, header_token: Option<String>) -> Self {
        Self {
            phase: Phase::Opened,
            stopping: false,
            at_once,
            header_token,
            resume: HashMap::new(),
            absent: Absent::default(),
            runs: Vec::new(),
            streams: 0,
            tickets: 0,
        }
    }

    /// Whether `connection_init` has come.
    pub fn initialised(&self) -> bool {
        self.phase != Phase::Opened
    }

    /// Takes a text message.
    pub fn receive(&mut self, text: &str) -> Action {
        if self.phase == Phase::Closed {
            return Action::Nothing;
        }
        let action = match message::parse(text) {
            Ok(Message::Init(init)) => self.init(init),
            // At any time, before the acknowledgement too.
            Ok(Message::Ping(payload)) => Action::Send(frame::pong(payload.as_deref())),
            // Also unsolicited, as a heartbeat.
            Ok(Message::Pong) => {
                self.absent.answered();
                Action::Nothing
            }
            Ok(Message::Subscribe { id, payload }) => self.subscribe(&id, payload),
            Ok(Message::Complete { id }) => self.complete(&id),
            Err(close) => Action::Close(close),
        };
        self.closing(action)
    }

    /// Takes a binary message: the protocol has none.
    pub fn receive_binary(&mut self) -> Action {
        if self.phase == Phase::Closed {
            return Action::Nothing;
        }
        self.closing(Action::Close(Close::invalid(
            "Invalid message: binary, where text is spoken",
        )))
    }

    /// The client was authenticated: what to send. `None` when the socket has been closed meanwhile.
    pub fn acknowledge(&mut self, head: Cursor) -> Option<Bytes> {
        (self.phase == Phase::Authenticating).then(|| {
            self.phase = Phase::Ready;
            frame::ack(head)
        })
    }

    /// A started operation is one of this kind and may run.
    ///
    /// # Errors
    /// What to do instead: there are too many at once, or the server is stopping.
    pub fn admit(&mut self, start: &Start, kind: Kind) -> Result<(), Action> {
        let (others, limit, what) = match kind {
            Kind::Single => (
                // This one is among them already.
                (self.runs.len() - self.streams).saturating_sub(1),
                self.at_once.operations,
                "queries and mutations",
            ),
            Kind::Stream => (self.streams, self.at_once.subscriptions, "subscriptions"),
        };
        let refusal = if self.stopping && kind == Kind::Single {
            Some(Error::Stopping)
        } else if limit > 0 && others >= limit {
            Some(Error::TooManyAtOnce { what, limit })
        } else {
            None
        };
        if let Some(refusal) = refusal {
            let refusal = self.refuse(&start.id, start.ticket, &frame::errors(&refusal));
            return Err(refusal.map_or(Action::Nothing, Action::Send));
        }
        if let Some(run) = self.run(&start.id, start.ticket) {
            run.kind = kind;
            self.streams += usize::from(kind == Kind::Stream);
            // Good for one use: who takes the same id again later starts anew.
            self.resume.remove(&*start.id);
        }
        if self.stopping {
            // A stream that gets an error is over for its client. The close that is to come brings it back elsewhere.
            return Err(Action::Nothing);
        }
        Ok(())
    }

    /// A single operation has its answer: what to send. `None` when the client has completed it meanwhile.
    pub fn answer(&mut self, id: &str, ticket: Ticket, response: &str) -> Option<[Bytes; 2]> {
        self.forget(id, ticket)
            .then(|| [frame::next(id, response), frame::complete(id)])
    }

    /// An operation does not run: what to send. `None` when the client has completed it meanwhile.
    pub fn refuse(&mut self, id: &str, ticket: Ticket, errors: &str) -> Option<Bytes> {
        self.forget(id, ticket)
            .then(|| super::TransportWs.error(id, errors))
    }

    /// A subscription has ended by itself, and its client has been told.
    pub fn ended(&mut self, id: &str) {
        let run = self.runs.iter().find(|run| *run.id == *id);
        if let Some(Run {
            ticket,
            kind: Kind::Stream,
            ..
        }) = run
        {
            self.forget(id, *ticket);
        }
    }

    /// Whether this run is still wanted.
    pub fn wants(&self, id: &str, ticket: Ticket) -> bool {
        self.runs
            .iter()
            .any(|run| run.ticket == ticket && *run.id == *id)
    }

    /// A ping is due by the clock.
    pub fn ping_due(&mut self) {
        // While the server stops nobody gets to come back.
        if !self.stopping {
            let runs = &self.runs;
            self.absent
                .round(|id| runs.iter().any(|run| *run.id == *id));
        }
    }

    /// A ping of the hub's as it is to be sent: with the places of those subscriptions that are not back yet.
    pub fn complete_ping(&mut self, ping: Bytes) -> Bytes {
        self.absent.complete(ping)
    }

    /// The server is stopping: what is running goes on, nothing new starts.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// The socket has been closed: whatever still comes is ignored.
    pub fn close(&mut self) {
        self.phase = Phase::Closed;
        self.runs.clear();
        self.streams = 0;
    }

    fn closing(&mut self, action: Action) -> Action {
        if matches!(action, Action::Close(_)) {
            self.close();
        }
        action
    }

    fn init(&mut self, init: Init) -> Action {
        if self.phase != Phase::Opened {
            return Action::Close(Close::TOO_MANY_INITS);
        }
        if self.stopping {
            return Action::Close(Close::STOPPING);
        }
        self.phase = Phase::Authenticating;
        self.absent = Absent::new(&init.resume);
        self.resume = init.resume;
        // The payload is fetched anew on each connect; a header may be older.
        match init.token.or(self.header_token.take()) {
            Some(token) => Action::Authenticate(token),
            None => Action::Close(Close::SIGN_IN),
        }
    }

    fn subscribe(&mut self, id: &str, payload: Option<Map<String, Json>>) -> Action {
        if self.phase != Phase::Ready {
            return Action::Close(Close::UNAUTHORIZED);
        }
        if self.runs.iter().any(|run| *run.id == *id) {
            return Action::Close(Close::DUPLICATE);
        }
        // Used up once it is admitted: what is refused before that may be asked again, and goes on from there.
        let resume = self.resume.get(id).copied();
        let refusal = match (payload, resume) {
            (None, _) => Error::BadInput {
                field: "payload",
                why: "holds text or numbers that no value can hold".to_owned(),
            },
            (_, Some(None)) => {
                self.resume.remove(id);
                Error::BadCursor { field: "resume" }
            }
            (Some(request), _) => return self.start(id, request, resume.flatten()),
        };
        self.over(id);
        Action::Send(super::TransportWs.error(id, &frame::errors(&refusal)))
    }

    fn start(&mut self, id: &str, request: Map<String, Json>, resume: Option<Cursor>) -> Action {
        self.tickets += 1;
        let (id, ticket): (Arc<str>, _) = (id.into(), Ticket(self.tickets));
        let run = Run {
            id: id.clone(),
            ticket,
            kind: Kind::Single,
        };
        self.runs.reserve_exact(1);
        self.runs.push(run);
        Action::Start(Start {
            id,
            ticket,
            request,
            resume,
        })
    }

    fn complete(&mut self, id: &str) -> Action {
        self.absent.over(id);
        // Both sides may complete at once: an id that is not known is no error.
        let Some(at) = self.runs.iter().position(|run| *run.id == *id) else {
            return Action::Nothing;
        };
        let Run { id, ticket, kind } = self.runs.swap_remove(at);
        self.streams -= usize::from(kind == Kind::Stream);
        Action::Stop { id, ticket, kind }
    }

    fn run(&mut self, id: &str, ticket: Ticket) -> Option<&mut Run> {
        self.runs
            .iter_mut()
            .find(|run| run.ticket == ticket && *run.id == *id)
    }

    fn forget(&mut self, id: &str, ticket: Ticket) -> bool {
        let Some(kind) = self.run(id, ticket).map(|run| run.kind) else {
            return false;
        };
        self.runs.retain(|run| *run.id != *id);
        self.over(id);
        self.streams -= usize::from(kind == Kind::Stream);
        true
    }

    /// This run is over; whoever still has a place to go on from may come back.
    fn over(&mut self, id: &str) {
        if !self.resume.contains_key(id) {
            self.absent.over(id);
        }
    }
}
