//! What is worth telling and not worth keeping: who is there.
//!
//! A signal is told at most once, has no place in the log and is never stored; only when someone was last seen is. States
//! are pure (`presence`, `seen`); [`Signals`] is what holds them together, with the clock.

mod presence;
mod seen;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use presence::{Change, Status};

use crate::log::{Command, Writer};
use crate::model::{Timestamp, User, UserId};
use presence::People;
use seen::LastSeen;

/// Who is there. Cheap to clone.
#[derive(Clone, Default)]
pub struct Signals(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    /// There is something to write, or an earlier time to wake at.
    stirred: Notify,
}

#[derive(Default)]
struct State {
    people: People,
    last_seen: LastSeen,
    /// The server stops: who leaves now does not leave.
    closed: bool,
}

/// What became of a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrote {
    /// There was nothing to write.
    Nothing,
    /// Something is in the store; there may be more.
    Some,
    /// It is still to be written.
    Refused,
}

/// How someone stands, as far as is known without the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// There: online or away.
    There(Status),
    /// Gone since then, and the store may not have it yet.
    LastSeen(Timestamp),
    /// Not there. The store knows since when, if it was ever.
    Gone,
}

/// A socket, or whatever else keeps its user online while it lives. Dropping it is its end: cut off, unless
/// [`Present::leave_cleanly`] was called before.
pub struct Present {
    signals: Signals,
    user: Arc<User>,
    cleanly: AtomicBool,
}

impl Present {
    /// To be called before it is dropped where the client has closed it: its user need not be waited for.
    pub fn leave_cleanly(&self) {
        self.cleanly.store(true, Ordering::Relaxed);
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let cleanly = self.cleanly.load(Ordering::Relaxed);
        self.signals.leave(&self.user.id, cleanly);
    }
}

impl Signals {
    /// So that many who come and go together are written together.
    const WRITE_EVERY: Duration = Duration::from_secs(1);
    /// How long a last write may take when the server stops: the writer's own time for a batch, several times over.
    const LAST_WRITE: Duration = Duration::from_secs(5);

    /// A user has one more socket, once it is known who it is. To be kept for as long as the socket lives.
    pub fn arrive(&self, user: &Arc<User>) -> Present {
        let mut state = self.state();
        if let Some(change) = state.people.arrive(user) {
            // Should the server be cut off itself, this much is known.
            let now = Timestamp::now();
            state.last_seen.note(change.user.id.clone(), now);
            self.0.stirred.notify_one();
        }
        Present {
            signals: self.clone(),
            user: user.clone(),
            cleanly: AtomicBool::new(false),
        }
    }

    fn leave(&self, user: &UserId, cleanly: bool) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        let left = (state.people).leave(user, cleanly, Instant::now(), Timestamp::now());
        if let Some(change) = left {
            state.changed(change);
        }
        self.0.stirred.notify_one();
    }

    /// What a user says of itself. Of no effect where it has no socket.
    pub fn set_away(&self, user: &UserId, away: bool) {
        let mut state = self.state();
        if let Some(change) = state.people.set_away(user, away) {
            state.changed(change);
        }
    }

    /// How a user stands. To be asked before the store is, which it refers to.
    pub fn known(&self, user: &UserId) -> Known {
        let state = self.state();
        match state.people.get(user) {
            Some((_, status)) => Known::There(status),
            None => (state.last_seen.get(user)).map_or(Known::Gone, Known::LastSeen),
        }
    }

    /// Keeps the time: ends each grace when it is over, and writes when users were last seen. Once `stop` is cancelled,
    /// those who are there are written as seen by then; sockets should have ended before.
    pub async fn keep<C: Command>(self, writer: Writer<C>, stop: CancellationToken) {
        while stop.run_until_cancelled(self.next()).await.is_some() {
            self.lapse();
            if self.write(&writer).await != Wrote::Nothing {
                let pause = tokio::time::sleep(Self::WRITE_EVERY);
                stop.run_until_cancelled(pause).await;
            }
        }
        self.close();
        let last = async { while self.write(&writer).await == Wrote::Some {} };
        if tokio::time::timeout(Self::LAST_WRITE, last).await.is_err() {
            tracing::warn!("when users were last seen could not all be written");
        }
    }

    /// Waits for something to do.
    async fn next(&self) {
        let next = self.state().people.next_lapse();
        match next {
            Some(at) => {
                let _ = tokio::time::timeout_at(at, self.0.stirred.notified()).await;
            }
            None => self.0.stirred.notified().await,
        }
    }

    fn lapse(&self) {
        let mut state = self.state();
        for change in state.people.lapse(Instant::now()) {
            state.changed(change);
        }
    }

    /// Writes some of what there is.
    async fn write<C: Command>(&self, writer: &Writer<C>) -> Wrote {
        let seen = self.state().last_seen.take();
        if seen.is_empty() {
            return Wrote::Nothing;
        }
        let kept = writer.see(seen).await.is_ok();
        self.state().last_seen.written(kept);
        // What is left is for the next time round.
        self.0.stirred.notify_one();
        if kept { Wrote::Some } else { Wrote::Refused }
    }

    /// Nobody leaves any more: what ends from now on ends because the server does.
    fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let seen: Vec<_> = state.people.last_seen(Timestamp::now()).collect();
        for (user, at) in seen {
            state.last_seen.note(user, at);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn changed(&mut self, change: Change) {
        if let Some(at) = change.last_seen_at {
            self.last_seen.note(change.user.id.clone(), at);
        }
    }
}
