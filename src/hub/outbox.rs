//! What waits to be written to one connection.

use bytes::Bytes;

/// One text message: the connection's own bytes, then bytes shared with others (may be empty).
#[derive(Clone, Debug)]
pub struct Frame {
    /// Prefix, or the whole message.
    pub own: Bytes,
    /// The payload, shared.
    pub shared: Bytes,
}

/// A queue of frames from hub and protocol to one socket's writer, with a budget.
pub struct Outbox {}

impl Outbox {
    /// Bytes that may wait for one connection before its subscriptions become catch-ups.
    pub const BUDGET_BYTES: usize = 256 * 1024;

    /// An empty one.
    pub fn new(_budget_bytes: usize) -> Self {
        unimplemented!()
    }

    /// Queues a frame. Always takes it; false when the queue is now over its budget.
    pub fn push(&self, _frame: Frame) -> bool {
        unimplemented!()
    }

    /// Bytes that wait.
    pub fn queued_bytes(&self) -> usize {
        unimplemented!()
    }

    /// Waits until something is there and moves up to `max_bytes` of it (at least one frame) into `frames`.
    pub async fn take(&self, _frames: &mut Vec<Frame>, _max_bytes: usize) {
        unimplemented!()
    }

    /// Waits until at most `bytes` wait.
    pub async fn drained_to(&self, _bytes: usize) {
        unimplemented!()
    }
}
