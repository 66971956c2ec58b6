//! The operations in use, by what they ask for: subscribers of one share its renders.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::operation::Operation;
use crate::document::Cache;
use crate::model::UserId;

/// What makes two operations one: the canonical text, and the viewer where it matters.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct OperationKey {
    /// Of the text, which may be large. It takes finding a collision of BLAKE3 to be given another's payloads.
    digest: [u8; blake3::OUT_LEN],
    viewer: Option<UserId>,
}

impl OperationKey {
    /// `text`: see [`super::canonical`]. `viewer`: for an operation that selects what depends on who asks.
    pub(super) fn new(text: &str, viewer: Option<UserId>) -> Self {
        Self {
            digest: blake3::hash(text.as_bytes()).into(),
            viewer,
        }
    }
}

/// All operations. Those in use are kept by their subscriptions, and some that were used lately are kept ready.
pub(super) struct Operations {
    table: Mutex<Table>,
    /// What an operation weighs here is what it selects.
    lately: Cache<OperationKey, Arc<Operation>>,
}

#[derive(Default)]
struct Table {
    all: HashMap<OperationKey, Weak<Operation>>,
    next_id: u64,
    /// When the table has this many entries, those of operations that are gone are taken out.
    sweep_at: usize,
}

/// How many operations may be kept that no one uses.
pub(super) struct Idle {
    /// So many.
    pub(super) operations: usize,
    /// With so many selections in all.
    pub(super) selections: usize,
}

impl Operations {
    const SWEEP_AT_LEAST: usize = 256;

    pub(super) fn new(idle: &Idle) -> Self {
        Self {
            table: Mutex::default(),
            lately: Cache::new(idle.operations, idle.selections),
        }
    }

    /// The operation under this key, made (with its number) when there is none.
    pub(super) fn get(
        &self,
        key: OperationKey,
        make: impl FnOnce(u64) -> Operation,
    ) -> Arc<Operation> {
        let operation = {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            table.get(&key, make)
        };
        self.lately
            .put(key, operation.clone(), operation.selections);
        operation
    }

    /// How many there are in the table, those that are gone included, and how many of them may be unused.
    #[cfg(test)]
    pub(super) fn census(&self) -> (usize, usize) {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        (table.all.len(), self.lately.len())
    }
}

impl Table {
    fn get(&mut self, key: &OperationKey, make: impl FnOnce(u64) -> Operation) -> Arc<Operation> {
        if let Some(found) = self.all.get(key).and_then(Weak::upgrade) {
            found.share();
            return found;
        }
        self.next_id += 1;
        let made = Arc::new(make(self.next_id));
        self.all.insert(key.clone(), Arc::downgrade(&made));
        self.sweep();
        made
    }

    fn sweep(&mut self) {
        if self.all.len() < self.sweep_at.max(Operations::SWEEP_AT_LEAST) {
            return;
        }
        self.all.retain(|_, operation| operation.strong_count() > 0);
        self.sweep_at = 2 * self.all.len();
    }
}
