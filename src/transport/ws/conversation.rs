//! What the protocols of a socket have in common: how far a conversation has got, what runs, and how much may run at once.
//! Knows no message: how a thing is said is the protocol's.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use serde_json::{Map, Value as Json};

use super::Close;
use super::message::Init;
use crate::document::Prepared;
use crate::error::Error;
use crate::model::Cursor;

/// How much one connection may have going at once. 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub struct AtOnce {
    /// Subscriptions.
    pub subscriptions: usize,
    /// Queries and mutations.
    pub operations: usize,
}

/// One run of an operation: ids are used again, tickets are not. The later one is the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(in crate::transport) struct Ticket(u64);

/// What an operation turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::transport) enum Kind {
    /// A query or mutation: one answer.
    Single,
    /// A subscription.
    Stream,
}

impl Kind {
    /// What this is.
    pub(in crate::transport) fn of(prepared: &Prepared) -> Self {
        match prepared.kind {
            OperationType::Query | OperationType::Mutation => Self::Single,
            OperationType::Subscription => Self::Stream,
        }
    }
}

/// An operation to start.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::transport) struct Start {
    /// The client's name for it.
    pub(in crate::transport) id: Arc<str>,
    /// This run.
    pub(in crate::transport) ticket: Ticket,
    /// `query`, `operationName`, `variables`, `extensions`: types checked, content not.
    pub(in crate::transport) request: Map<String, Json>,
    /// Where `connection_init` said that it goes on.
    pub(in crate::transport) resume: Option<Cursor>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::transport) enum Phase {
    Opened,
    Authenticating,
    Ready,
    Closed,
}

/// An operation that has not ended.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::transport) struct Run {
    pub(in crate::transport) id: Arc<str>,
    pub(in crate::transport) ticket: Ticket,
    pub(in crate::transport) kind: Kind,
}

/// Why an operation may not run.
#[derive(Debug)]
pub(in crate::transport) enum Refusal {
    /// Its client is told.
    Told(Error),
    /// Nobody is told: a stream that gets an error is over for its client, and the close that is to come brings it back
    /// elsewhere.
    Untold,
}

/// Places to go on from, by subscription id; `None` where what was named is no cursor.
type Resume = HashMap<String, Option<Cursor>>;

/// One connection's side of a conversation.
pub(in crate::transport) struct Conversation {
    phase: Phase,
    stopping: bool,
    at_once: AtOnce,
    header_token: Option<String>,
    /// What `connection_init` named, on the heap and only while some of it has not been used.
    resume: Option<Box<Resume>>,
    /// A few, and mostly one: looked through rather than hashed.
    runs: Vec<Run>,
    streams: usize,
    tickets: u64,
}

impl Conversation {
    /// A socket that has just opened. `header_token` is the upgrade request's, without `Bearer `.
    pub(in crate::transport) fn new(at_once: AtOnce, header_token: Option<String>) -> Self {
        Self {
            phase: Phase::Opened,
            stopping: false,
            at_once,
            header_token,
            resume: None,
            runs: Vec::new(),
            streams: 0,
            tickets: 0,
        }
    }

    pub(in crate::transport) fn phase(&self) -> Phase {
        self.phase
    }

    pub(in crate::transport) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// `connection_init` has come: the token to check.
    ///
    /// # Errors
    /// What the socket closes with.
    pub(super) fn init(&mut self, init: Init) -> Result<String, Close> {
        if self.phase != Phase::Opened {
            return Err(Close::TOO_MANY_INITS);
        }
        if self.stopping {
            return Err(Close::STOPPING);
        }
        self.phase = Phase::Authenticating;
        self.resume = (!init.resume.is_empty()).then(|| Box::new(init.resume));
        // The payload is fetched anew on each connect; a header may be older.
        init.token
            .or(self.header_token.take())
            .ok_or(Close::SIGN_IN)
    }

    /// The client was authenticated; false when the socket has been closed meanwhile.
    pub(in crate::transport) fn acknowledge(&mut self) -> bool {
        let is_awaited = self.phase == Phase::Authenticating;
        if is_awaited {
            self.phase = Phase::Ready;
        }
        is_awaited
    }

    /// Whether an operation of this id has not ended.
    pub(in crate::transport) fn runs(&self, id: &str) -> bool {
        self.runs.iter().any(|run| *run.id == *id)
    }

    /// Whether this run is still wanted.
    pub(in crate::transport) fn wants(&self, id: &str, ticket: Ticket) -> bool {
        self.runs
            .iter()
            .any(|run| run.ticket == ticket && *run.id == *id)
    }

    /// Whether `connection_init` has named a place for this id that has not been used.
    pub(in crate::transport) fn has_place(&self, id: &str) -> bool {
        self.resume
            .as_ref()
            .is_some_and(|resume| resume.contains_key(id))
    }

    fn use_up(&mut self, id: &str) {
        if let Some(resume) = &mut self.resume {
            resume.remove(id);
            if resume.is_empty() {
                self.resume = None;
            }
        }
    }

    /// An operation is asked for. Without a `payload` it holds what no value can.
    ///
    /// # Errors
    /// What its client is told: nothing begins.
    pub(in crate::transport) fn begin(
        &mut self,
        id: &str,
        payload: Option<Map<String, Json>>,
    ) -> Result<Start, Error> {
        let request = payload.ok_or_else(|| Error::BadInput {
            field: "payload",
            why: "holds text or numbers that no value can hold".to_owned(),
        })?;
        // Used up once it is admitted: what is refused before that may be asked again, and goes on from there.
        let resume = self
            .resume
            .as_ref()
            .and_then(|resume| resume.get(id).copied());
        if resume == Some(None) {
            self.use_up(id);
            return Err(Error::BadCursor { field: "resume" });
        }
        self.tickets += 1;
        let (id, ticket): (Arc<str>, _) = (id.into(), Ticket(self.tickets));
        let run = Run {
            id: id.clone(),
            ticket,
            kind: Kind::Single,
        };
        self.runs.reserve_exact(1);
        self.runs.push(run);
        Ok(Start {
            id,
            ticket,
            request,
            resume: resume.flatten(),
        })
    }

    /// A started operation is one of this kind and may run.
    ///
    /// # Errors
    /// There are too many at once, or the server is stopping.
    pub(in crate::transport) fn admit(&mut self, start: &Start, kind: Kind) -> Result<(), Refusal> {
        let (others, limit, what) = match kind {
            Kind::Single => (
                // This one is among them already.
                (self.runs.len() - self.streams).saturating_sub(1),
                self.at_once.operations,
                "queries and mutations",
            ),
            Kind::Stream => (self.streams, self.at_once.subscriptions, "subscriptions"),
        };
        if self.stopping && kind == Kind::Single {
            return Err(Refusal::Told(Error::Stopping));
        }
        if limit > 0 && others >= limit {
            return Err(Refusal::Told(Error::TooManyAtOnce { what, limit }));
        }
        if let Some(run) = self.run(&start.id, start.ticket) {
            run.kind = kind;
            self.streams += usize::from(kind == Kind::Stream);
            // Good for one use: who takes the same id again later starts anew.
            self.use_up(&start.id);
        }
        if self.stopping {
            return Err(Refusal::Untold);
        }
        Ok(())
    }

    /// A run has come to its end; false when the client has stopped it before.
    pub(in crate::transport) fn finish(&mut self, id: &str, ticket: Ticket) -> bool {
        let is_wanted = self.wants(id, ticket);
        if is_wanted {
            self.take(id);
        }
        is_wanted
    }

    /// A stream has ended by itself; false where it is one no more.
    pub(in crate::transport) fn ended(&mut self, id: &str) -> bool {
        let is_stream = |run: &Run| *run.id == *id && run.kind == Kind::Stream;
        let was_stream = self.runs.iter().any(is_stream);
        if was_stream {
            self.take(id);
        }
        was_stream
    }

    /// Takes away what runs under an id, if anything does.
    pub(in crate::transport) fn take(&mut self, id: &str) -> Option<Run> {
        let at = self.runs.iter().position(|run| *run.id == *id)?;
        let run = self.runs.swap_remove(at);
        self.streams -= usize::from(run.kind == Kind::Stream);
        Some(run)
    }

    /// The server is stopping: what is running goes on, nothing new starts.
    pub(in crate::transport) fn stop(&mut self) {
        self.stopping = true;
    }

    /// The socket has been closed: whatever still comes is ignored.
    pub(in crate::transport) fn close(&mut self) {
        self.phase = Phase::Closed;
        self.runs.clear();
        self.streams = 0;
    }

    fn run(&mut self, id: &str, ticket: Ticket) -> Option<&mut Run> {
        self.runs
            .iter_mut()
            .find(|run| run.ticket == ticket && *run.id == *id)
    }
}
