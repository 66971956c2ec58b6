//! When users were last seen, on its way into the store.

use std::collections::HashMap;

use crate::model::{Timestamp, UserId};

/// What is not yet written. It is looked up here until it is.
#[derive(Default)]
pub(super) struct LastSeen {
    unwritten: HashMap<UserId, Timestamp>,
    /// On their way.
    writing: HashMap<UserId, Timestamp>,
}

impl LastSeen {
    /// Users in one transaction, so that senders wait a few milliseconds at most.
    const BATCH_USERS: usize = 1_000;

    pub(super) fn note(&mut self, user: UserId, at: Timestamp) {
        self.unwritten.insert(user, at);
    }

    pub(super) fn get(&self, user: &UserId) -> Option<Timestamp> {
        let newest = self.unwritten.get(user).or(self.writing.get(user));
        newest.copied()
    }

    /// Whether there is something to write.
    pub(super) fn is_waiting(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Some of what is to be written; [`Self::written`] says how that went. Empty when there is nothing.
    pub(super) fn take(&mut self) -> Vec<(UserId, Timestamp)> {
        let users: Vec<_> = self
            .unwritten
            .keys()
            .take(Self::BATCH_USERS)
            .cloned()
            .collect();
        let moved = users
            .into_iter()
            .filter_map(|user| self.unwritten.remove_entry(&user));
        self.writing.extend(moved);
        if self.unwritten.is_empty() {
            // After thousands came at once: what held them is not needed again soon.
            self.unwritten = HashMap::new();
        }
        self.writing
            .iter()
            .map(|(user, at)| (user.clone(), *at))
            .collect()
    }

    /// What was taken is in the store, or is to be tried again.
    pub(super) fn written(&mut self, kept: bool) {
        for (user, at) in std::mem::take(&mut self.writing) {
            if !kept {
                self.unwritten.entry(user).or_insert(at);
            }
        }
    }
}
