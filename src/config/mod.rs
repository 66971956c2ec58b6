//! Every setting: its name, unit, default and range, read once at start into a checked [`Settings`].
//!
//! A setting is a flag (`--drain-secs`), an environment variable (`TIDINGS_DRAIN_SECS`) or a line in `.env`, in this
//! order of precedence. An empty one counts as not given. Where it says so, 0 switches a limit off.

mod cli;
mod database;
mod read;
#[cfg(test)]
mod tests;
mod texts;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

pub use cli::{Cli, Command, Flags, Invocation, InvocationError, TokenFlags, UserFlag};
pub use database::Database;
pub use texts::Texts;

use crate::auth::{KeySource, Rules};
use crate::store::sqlite::Synchronous;
use crate::transport::http::Origins;

/// A setting that cannot be used, as one line that names it and its value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{setting}={value:?}: {why}")]
pub struct Bad {
    /// The environment variable.
    pub setting: &'static str,
    /// As it was given; for a secret, a word in its place.
    pub value: String,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl Bad {
    /// What is wrong with a setting.
    pub fn new(setting: &'static str, value: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            setting,
            value: value.into(),
            why: why.into(),
        }
    }
}

/// What the server goes by. Every value is in its range.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Where things are kept.
    pub database: Database,
    /// When a commit is answered.
    pub synchronous: Synchronous,
    /// Whose tokens to trust.
    pub key: KeySource,
    /// What else a token must say.
    pub rules: Rules,
    /// Web pages of other origins that may use the API.
    pub allowed_origins: Origins,
    /// How fast one user may change things; `None` for no limit.
    pub mutations: Option<Rate>,
    /// How fast one user may send signals; `None` for no limit.
    pub signals: Option<Rate>,
    /// WebSockets that one user may hold.
    pub connections_per_user: Option<NonZeroU32>,
    /// Connections of any kind that one address may hold.
    pub connections_per_ip: Option<NonZeroU32>,
    /// WebSockets and streams that open a second.
    pub sockets_per_second: Option<NonZeroU32>,
    /// Subscriptions that one WebSocket may carry.
    pub subscriptions_per_connection: Option<NonZeroU32>,
    /// How long the log is kept; 0 for ever.
    pub retention_days: u32,
    /// How long a WebSocket may take to say `connection_init`.
    pub init_timeout: Option<Duration>,
    /// How often the server pings a WebSocket.
    pub ping_every: Option<Duration>,
    /// How long sockets may take to go when the server stops.
    pub drain: Duration,
    /// Threads that deliver events.
    pub fanout_workers: NonZeroUsize,
    /// Whether `/` shows the playground.
    pub playground: bool,
    /// How logs look.
    pub log_format: LogFormat,
    /// Which logs are written, as `tracing_subscriber::EnvFilter` reads it.
    pub log_filter: String,
}

impl Settings {
    /// Whether tokens are signed with a key of the server's own making.
    pub fn is_development(&self) -> bool {
        matches!(self.key, KeySource::Development { .. })
    }
}

/// A token bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Refilled each second.
    pub per_second: NonZeroU32,
    /// When full.
    pub burst: NonZeroU32,
}

/// How logs look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}
