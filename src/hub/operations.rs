//! The operations in use, by what they ask for: subscribers of one share its renders.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use lru::LruCache;

use crate::model::UserId;

use super::operation::Operation;

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
pub(super) struct Operations(Mutex<Table>);

struct Table {
    all: HashMap<OperationKey, Weak<Operation>>,
    lately: LruCache<OperationKey, Arc<Operation>>,
    next_id: u64,
    /// When the table has this many entries, those of operations that are gone are taken out.
    sweep_at: usize,
}

impl Operations {
    const SWEEP_AT_LEAST: usize = 256;

    /// An empty one that keeps `idle_max` operations which no one uses.
    pub(super) fn new(idle_max: NonZeroUsize) -> Self {
        Self(Mutex::new(Table {
            all: HashMap::new(),
            lately: LruCache::new(idle_max),
            next_id: 0,
            sweep_at: Self::SWEEP_AT_LEAST,
        }))
    }

    /// The operation under this key, made (with its number) when there is none.
    pub(super) fn get(
        &self,
        key: OperationKey,
        make: impl FnOnce(u64) -> Operation,
    ) -> Arc<Operation> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = table.all.get(&key).and_then(Weak::upgrade);
        let operation = found.unwrap_or_else(|| {
            table.next_id += 1;
            let made = Arc::new(make(table.next_id));
            table.all.insert(key.clone(), Arc::downgrade(&made));
            made
        });
        table.lately.put(key, operation.clone());
        table.sweep();
        operation
    }
}

impl Table {
    fn sweep(&mut self) {
        if self.all.len() < self.sweep_at {
            return;
        }
        self.all.retain(|_, operation| operation.strong_count() > 0);
        self.sweep_at = (2 * self.all.len()).max(Operations::SWEEP_AT_LEAST);
    }
}
