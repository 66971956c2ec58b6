//! The tail: the newest part of the log in memory, contiguous, bounded by count and bytes.

use std::sync::Arc;

use tokio::sync::watch;

use crate::model::{Event, Seq};

/// The newest part of the log.
pub struct Tail {}

impl Tail {
    /// The newest event's place.
    pub fn head(&self) -> Seq {
        unimplemented!()
    }

    /// The events after a place, in order and without a hole, at most `max`; `None` when the ring no longer reaches
    /// back that far (then the store has them). Empty when there is nothing newer. Bodies deleted since are blank.
    pub fn since(&self, _after: Seq, _max: usize) -> Option<Vec<Arc<Event>>> {
        unimplemented!()
    }

    /// Tells each growth of the head. Register before reading.
    pub fn watch(&self) -> watch::Receiver<Seq> {
        unimplemented!()
    }
}
