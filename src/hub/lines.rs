//! All connections, for what concerns them whatever they follow: a token that is withdrawn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use super::line::Line;
use crate::auth::Revocations;

/// The connections that are open.
pub(super) struct Lines {
    open: Mutex<HashMap<u64, Weak<Line>>>,
    pub(super) revocations: Arc<Revocations>,
}

impl Lines {
    pub(super) fn new(revocations: Arc<Revocations>) -> Self {
        Self {
            open: Mutex::default(),
            revocations,
        }
    }

    /// Takes a new one in. Only then is it looked at: a revocation that came before finds no line to close, and one that
    /// comes after finds this one.
    pub(super) fn add(&self, line: &Arc<Line>) {
        self.lock().insert(line.id, Arc::downgrade(line));
        self.check(line);
    }

    pub(super) fn remove(&self, line: &Line) {
        self.lock().remove(&line.id);
    }

    /// Closes a line whose token was withdrawn.
    pub(super) fn check(&self, line: &Line) {
        let issued_at = Some(line.issued_at());
        if self.revocations.cover(&line.viewer.user.id, issued_at) {
            line.close_once(4403, "Forbidden: the token was withdrawn");
        }
    }

    /// Notices what is withdrawn from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.revocations.watch()
    }

    /// Looks at all of them each time that tokens are withdrawn. Never ends.
    pub(super) async fn watch(self: Arc<Self>, mut changes: watch::Receiver<()>) {
        while changes.changed().await.is_ok() {
            let open: Vec<_> = self.lock().values().filter_map(Weak::upgrade).collect();
            open.iter().for_each(|line| self.check(line));
        }
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Weak<Line>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
