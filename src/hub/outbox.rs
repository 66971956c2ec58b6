//! What waits to be written to one connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// One text message: the connection's own bytes, then bytes shared with others (may be empty).
#[derive(Clone, Debug)]
pub struct Frame {
    /// Prefix, or the whole message.
    pub own: Bytes,
    /// The payload, shared.
    pub shared: Bytes,
}

impl Frame {
    /// A message of the connection's own.
    pub fn whole(own: Bytes) -> Self {
        Self {
            own,
            shared: Bytes::new(),
        }
    }

    /// Bytes of the message.
    pub fn len(&self) -> usize {
        self.own.len() + self.shared.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A queue of frames from hub and protocol to one socket's writer, with a budget.
///
/// Nothing is ever dropped from it, and it does not wait: who fills it looks at what [`Outbox::push`] says and stops.
pub struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
    drained: Notify,
    budget_bytes: usize,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
    closed: bool,
}

/// What became of a frame that belongs to a subscription.
#[derive(Debug)]
pub(super) enum Queued {
    /// It waits to be written.
    Taken,
    /// It waits to be written, and the outbox is over its budget.
    Over,
    /// It was not taken: too much waits already.
    Full,
    /// It was not taken: its subscription has ended.
    Cancelled,
}

impl Outbox {
    /// Bytes that may wait for one connection before its subscriptions become catch-ups.
    pub const BUDGET_BYTES: usize = 256 * 1024;
    /// Room for so many frames is kept when the queue runs empty: an idle connection should hold next to nothing.
    const IDLE_FRAMES: usize = 8;

    /// An empty one.
    pub fn new(budget_bytes: usize) -> Self {
        Self {
            queue: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
            budget_bytes,
        }
    }

    /// Queues a frame. Always takes it; false when the queue is now over its budget.
    pub fn push(&self, frame: Frame) -> bool {
        self.add(&mut self.lock(), frame)
    }

    /// Bytes that wait.
    pub fn queued_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Waits until something is there and moves up to `max_bytes` of it (at least one frame) into `frames`. Comes back
    /// with nothing only when the outbox is closed.
    pub async fn take(&self, frames: &mut Vec<Frame>, max_bytes: usize) {
        loop {
            if self.take_now(frames, max_bytes) {
                return;
            }
            self.filled.notified().await;
        }
    }

    /// Waits until at most `bytes` wait.
    pub async fn drained_to(&self, bytes: usize) {
        self.drained_or_cancelled(bytes, &AtomicBool::new(false))
            .await;
    }

    /// The socket is gone: forgets what waits and whatever comes.
    pub fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.frames = VecDeque::new();
        queue.bytes = 0;
        drop(queue);
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    /// Bytes that may wait.
    pub(super) fn budget_bytes(&self) -> usize {
        self.budget_bytes
    }

    /// Bytes that may wait while something that is not live is added: the rest is for live events.
    pub(super) fn quarter_bytes(&self) -> usize {
        self.budget_bytes / 4
    }

    /// Queues a live frame, unless its subscription has ended.
    pub(super) fn push_live(&self, frame: Frame, ended: &AtomicBool) -> Queued {
        let mut queue = self.lock();
        if ended.load(Ordering::Relaxed) {
            Queued::Cancelled
        } else if self.add(&mut queue, frame) {
            Queued::Taken
        } else {
            Queued::Over
        }
    }

    /// Queues a frame of a catch-up, unless more than a quarter of the budget waits or its subscription has ended. `taken`
    /// is called with the queue still locked, so that no ping comes between the frame and the place that it reaches.
    pub(super) fn offer(&self, frame: Frame, ended: &AtomicBool, taken: impl FnOnce()) -> Queued {
        let mut queue = self.lock();
        if ended.load(Ordering::Relaxed) {
            Queued::Cancelled
        } else if queue.bytes > self.quarter_bytes() {
            Queued::Full
        } else {
            self.add(&mut queue, frame);
            taken();
            Queued::Taken
        }
    }

    /// Queues a frame that is made with the queue locked: nothing else is queued while it is.
    pub(super) fn push_made(&self, make: impl FnOnce() -> Frame) {
        let mut queue = self.lock();
        let frame = make();
        self.add(&mut queue, frame);
    }

    /// Ends a subscription: once this returns, nothing more of it is taken. The flag is read and written under the
    /// queue's lock only, so relaxed orderings do.
    pub(super) fn cancel(&self, ended: &AtomicBool) {
        let queue = self.lock();
        ended.store(true, Ordering::Relaxed);
        drop(queue);
        self.drained.notify_waiters();
    }

    /// Waits until at most `bytes` wait, or the subscription ends.
    pub(super) async fn drained_or_cancelled(&self, bytes: usize, ended: &AtomicBool) {
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            // Listen before reading: what is drained in between is told, not missed.
            drained.as_mut().enable();
            if self.queued_bytes() <= bytes || ended.load(Ordering::Relaxed) {
                return;
            }
            drained.await;
        }
    }

    fn add(&self, queue: &mut Queue, frame: Frame) -> bool {
        if queue.closed {
            return true;
        }
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        if queue.frames.len() == 1 {
            self.filled.notify_one();
        }
        queue.bytes <= self.budget_bytes
    }

    fn take_now(&self, frames: &mut Vec<Frame>, max_bytes: usize) -> bool {
        let mut queue = self.lock();
        let (before, mut taken) = (frames.len(), 0);
        while let Some(frame) = queue.frames.front() {
            let bytes = frame.len();
            if frames.len() > before && taken + bytes > max_bytes {
                break;
            }
            taken += bytes;
            frames.extend(queue.frames.pop_front());
        }
        queue.bytes -= taken;
        if queue.frames.is_empty() && queue.frames.capacity() > Self::IDLE_FRAMES {
            queue.frames = VecDeque::new();
        }
        let closed = queue.closed;
        drop(queue);
        if taken > 0 {
            self.drained.notify_waiters();
        }
        frames.len() > before || closed
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn frame(bytes: usize) -> Frame {
        Frame::whole(Bytes::from(vec![b'x'; bytes]))
    }

    #[tokio::test]
    async fn takes_what_fits_and_at_least_one_frame() {
        let outbox = Outbox::new(100);
        for bytes in [30, 30, 50] {
            outbox.push(frame(bytes));
        }
        let mut frames = Vec::new();
        outbox.take(&mut frames, 70).await;
        assert_eq!(frames.len(), 2);
        outbox.take(&mut frames, 1).await;
        assert_eq!((frames.len(), outbox.queued_bytes()), (3, 0));
    }

    #[test]
    fn says_when_it_is_over_its_budget_and_takes_the_frame_all_the_same() {
        let outbox = Outbox::new(100);
        assert!(outbox.push(frame(100)));
        assert!(!outbox.push(frame(1)));
        assert_eq!(outbox.queued_bytes(), 101);
    }

    #[test]
    fn a_catch_up_is_refused_over_a_quarter() {
        let (outbox, live) = (Outbox::new(100), AtomicBool::new(false));
        assert!(matches!(
            outbox.offer(frame(26), &live, || ()),
            Queued::Taken
        ));
        assert!(matches!(outbox.offer(frame(1), &live, || ()), Queued::Full));
    }

    #[test]
    fn nothing_of_an_ended_subscription_is_taken() {
        let (outbox, ended) = (Outbox::new(100), AtomicBool::new(false));
        outbox.cancel(&ended);
        assert!(matches!(
            outbox.push_live(frame(1), &ended),
            Queued::Cancelled
        ));
        assert!(matches!(
            outbox.offer(frame(1), &ended, || ()),
            Queued::Cancelled
        ));
        assert_eq!(outbox.queued_bytes(), 0);
    }

    #[tokio::test]
    async fn who_waits_for_room_is_woken_by_draining_and_by_the_end() {
        let outbox = Arc::new(Outbox::new(100));
        outbox.push(frame(60));
        let ended = Arc::new(AtomicBool::new(false));
        let waiting = |outbox: Arc<Outbox>, ended: Arc<AtomicBool>| {
            tokio::spawn(async move { outbox.drained_or_cancelled(25, &ended).await })
        };
        let drained = waiting(outbox.clone(), Arc::default());
        let cancelled = waiting(outbox.clone(), ended.clone());
        outbox.cancel(&ended);
        cancelled.await.unwrap();
        assert!(!drained.is_finished());
        outbox.take(&mut Vec::new(), 1).await;
        drained.await.unwrap();
    }

    #[tokio::test]
    async fn a_closed_outbox_holds_nothing_and_keeps_no_one_waiting() {
        let outbox = Outbox::new(100);
        outbox.push(frame(60));
        outbox.close();
        assert!(outbox.push(frame(600)));
        let mut frames = Vec::new();
        outbox.take(&mut frames, 1).await;
        outbox.drained_to(0).await;
        assert!(frames.is_empty());
    }
}
