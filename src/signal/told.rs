//! A signal, as it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::presence::Change;
use crate::error::Error;
use crate::model::{Data, Member, Room, Seq, User};

/// A signal, shared by all who are told it.
#[derive(Debug)]
pub struct Told {
    /// Where.
    pub room: Arc<Room>,
    /// What.
    pub what: Said,
    /// As far as the log was announced when it was said. Nobody is told before they have been told the log so far: a signal
    /// may be about what was just sent, and whoever hears it may just have been removed.
    pub not_before: Seq,
    made: Mutex<HashMap<u64, Bytes>>,
}

/// What a signal says.
#[derive(Clone, Debug)]
pub enum Said {
    /// Who is there: told first.
    WhoIsThere {
        /// At most [`Said::NAMED_MAX`].
        online: Vec<Arc<User>>,
        /// At most [`Said::NAMED_MAX`].
        away: Vec<Arc<User>>,
        /// All of both.
        present: usize,
    },
    /// Someone came, went, or is away.
    Presence(Change),
    /// Someone types, or no longer does.
    Typing {
        /// Who.
        user: Arc<User>,
        /// Whether.
        typing: bool,
    },
    /// Someone has read on.
    Read(Arc<Member>),
    /// An app's own.
    App {
        /// Who said it.
        user: Arc<User>,
        /// What kind it is.
        kind: Kind,
        /// What it says.
        data: Option<Data>,
    },
}

impl Said {
    /// Of each list of who is there: a screen's worth of faces.
    pub const NAMED_MAX: usize = 100;

    /// Whether what a client shows would stay wrong without it.
    pub fn is_presence(&self) -> bool {
        matches!(self, Self::WhoIsThere { .. } | Self::Presence(_))
    }
}

/// What kind an app's own signal is: 1 to 64 bytes without control characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kind(Arc<str>);

impl Kind {
    /// A name, not a message.
    pub const MAX_BYTES: usize = 64;

    /// Reads one.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` when it is empty, too long or holds a control character.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let sound = !text.is_empty()
            && text.len() <= Self::MAX_BYTES
            && !text.chars().any(char::is_control);
        if sound {
            return Ok(Self(text.into()));
        }
        Err(Error::BadInput {
            field: "kind",
            why: format!(
                "it is 1 to {} bytes without control characters",
                Self::MAX_BYTES
            ),
        })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Told {
    /// What is to be told of a room.
    pub fn new(room: Arc<Room>, what: Said, not_before: Seq) -> Arc<Self> {
        let made = Mutex::default();
        Arc::new(Self {
            room,
            what,
            not_before,
            made,
        })
    }

    /// What was made of it for an operation.
    pub fn made(&self, operation: u64) -> Option<Bytes> {
        self.all_made().get(&operation).cloned()
    }

    /// Keeps what was made of it, for the others who tell it and for as long as they do.
    pub fn keep(&self, operation: u64, bytes: &Bytes) {
        self.all_made().insert(operation, bytes.clone());
    }

    fn all_made(&self) -> MutexGuard<'_, HashMap<u64, Bytes>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
