//! What waits to be written to one connection, and the writing of it: by the socket's task, or by the worker itself while
//! the socket keeps up.

mod frame;
mod queue;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::Notify;

use frame::Bare;
pub use frame::{Frame, Framing};
use queue::Queue;

use crate::interleave::point;

/// A socket that takes bytes without waiting, for workers: with it a live event costs one system call and wakes no task.
pub trait Sink: Send + Sync + 'static {
    /// Takes as many bytes as the socket has room for.
    ///
    /// # Errors
    /// `WouldBlock` where there is none; anything else means that the socket is gone, which its task finds out by itself.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
}

/// A queue of frames from hub and protocol to one socket, with a budget.
///
/// Nothing is ever dropped from it, and it does not wait: who fills it looks at what [`Outbox::push`] says and stops.
/// Whatever is written is written with the queue locked, so frames leave in the order in which they were queued, whoever
/// writes them.
pub struct Outbox {
    queue: Mutex<Queue>,
    drained: Notify,
    budget_bytes: usize,
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

/// What became of a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whispered {
    /// It is written or waits.
    Taken,
    /// It was not taken: too much waits, or it may not be told.
    Dropped,
    /// It was not taken: its subscription has ended.
    Cancelled,
}

/// A live payload for one subscription.
#[derive(Clone, Copy)]
pub(super) struct Live<'a> {
    pub(super) prefix: &'a Bytes,
    pub(super) payload: &'a Bytes,
    pub(super) ended: &'a AtomicBool,
}

/// What became of several live payloads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Delivered {
    /// So many of them were written, are queued, or belong to subscriptions that have ended.
    pub(super) taken: usize,
    /// The outbox is over its budget.
    pub(super) over: bool,
}

/// What a task's attempt to write has come to.
#[derive(Debug)]
pub enum Flush {
    /// Bytes were written.
    Wrote {
        /// A ping has left with them.
        pinged: bool,
        /// More waits.
        left: bool,
    },
    /// The next frame is a ping that is to be completed first: see [`Outbox::complete_ping`].
    Ping,
    /// Nothing waits; the task is woken when something does.
    Idle,
    /// The socket takes nothing; the task is woken when it does.
    Blocked,
    /// The socket is gone.
    Lost,
}

impl Outbox {
    /// Bytes that may wait for one connection before its subscriptions become catch-ups.
    pub const BUDGET_BYTES: usize = 256 * 1024;

    /// An empty one, to be emptied by [`Outbox::take`].
    pub fn new(budget_bytes: usize) -> Self {
        Self::framed(budget_bytes, &Bare)
    }

    /// An empty one, to be emptied by [`Outbox::flush`], which frames what it writes.
    pub fn framed(budget_bytes: usize, framing: &'static dyn Framing) -> Self {
        Self {
            queue: Mutex::new(Queue::new(framing)),
            drained: Notify::new(),
            budget_bytes,
        }
    }

    /// An empty one whose socket workers may write to while nothing waits; what it does not take waits for
    /// [`Outbox::flush`].
    pub fn written_through(
        budget_bytes: usize,
        framing: &'static dyn Framing,
        sink: Arc<dyn Sink>,
    ) -> Self {
        let outbox = Self::framed(budget_bytes, framing);
        outbox.lock().sink = Some(sink);
        outbox
    }

    /// Queues a frame. Always takes it; false when the queue is now over its budget.
    pub fn push(&self, frame: Frame) -> bool {
        self.lock().add(frame) <= self.budget_bytes
    }

    /// Queues a ping, which is completed before it is written.
    pub fn push_ping(&self, frame: Frame) {
        self.push_made(|| Some(frame));
    }

    /// Queues bytes as they are to be on the wire: a control frame.
    pub fn push_raw(&self, bytes: Bytes) {
        self.lock().add_raw(bytes);
    }

    /// Bytes that wait.
    pub fn queued_bytes(&self) -> usize {
        self.lock().bytes()
    }

    /// Waits until something is there and moves up to `max_bytes` of it (at least one frame) into `frames`. Comes back
    /// with nothing only when the outbox is closed.
    pub async fn take(&self, frames: &mut Vec<Frame>, max_bytes: usize) {
        let before = frames.len();
        std::future::poll_fn(|cx| {
            let mut queue = self.lock();
            queue.take(frames, max_bytes);
            if frames.len() > before || queue.is_closed() {
                return Poll::Ready(());
            }
            queue.wake_when_filled(cx);
            Poll::Pending
        })
        .await;
        self.drained.notify_waiters();
    }

    /// Writes some of what waits. Nobody else writes or queues meanwhile.
    pub fn flush(
        &self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut Context<'_>, &[u8]) -> Poll<io::Result<usize>>,
    ) -> Flush {
        let flush = self.lock().flush(cx, write);
        if matches!(flush, Flush::Wrote { .. }) {
            self.drained.notify_waiters();
        }
        flush
    }

    /// Whether a ping waits that is to be completed.
    pub fn has_unfinished_ping(&self) -> bool {
        self.lock().has_unfinished_ping()
    }

    /// Makes the first ping that is to be completed what it is to be on the wire.
    pub fn complete_ping(&self, complete: impl FnOnce(Bytes) -> Bytes) {
        self.lock().complete_ping(complete);
    }

    /// Ends the writing: forgets what waits and whatever comes, and gives the socket back. What is left to write is the rest of
    /// a frame that was begun - and all that waits, where `everything` is asked for.
    pub fn finish(&self, everything: bool) -> Vec<u8> {
        let left = {
            let mut queue = self.lock();
            let left = queue.left(everything);
            queue.close();
            left
        };
        self.drained.notify_waiters();
        left
    }

    /// The socket is gone: forgets what waits and whatever comes.
    pub fn close(&self) {
        self.lock().close();
        self.drained.notify_waiters();
    }

    /// Waits until at most `bytes` wait.
    pub async fn drained_to(&self, bytes: usize) {
        self.drained_or_cancelled(bytes, &AtomicBool::new(false))
            .await;
    }

    /// What waits: the rest of a frame that was begun, and frames.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> (Vec<u8>, Vec<Frame>) {
        self.lock().waiting()
    }

    /// Bytes that may wait.
    pub(super) fn budget_bytes(&self) -> usize {
        self.budget_bytes
    }

    /// Bytes that may wait while something that is not live is added: the rest is for live events.
    pub(super) fn quarter_bytes(&self) -> usize {
        self.budget_bytes / 4
    }

    /// Delivers live payloads in order, `count` of them. Where nothing waits before them they are written here and now; what the
    /// socket does not take is queued, up to the one that passes the budget.
    pub(super) fn deliver<'a>(&self, count: usize, at: impl Fn(usize) -> Live<'a>) -> Delivered {
        let mut queue = self.lock();
        let mut taken = if queue.is_closed() {
            count
        } else {
            queue.write_through(count, &at)
        };
        while taken < count {
            let live = at(taken);
            taken += 1;
            if live.ended.load(Ordering::Relaxed) {
                continue;
            }
            let frame = Frame {
                own: live.prefix.clone(),
                shared: live.payload.clone(),
            };
            if queue.add(frame) > self.budget_bytes {
                return Delivered { taken, over: true };
            }
        }
        Delivered { taken, over: false }
    }

    /// Whether so little waits that a signal is taken: half of what a catch-up fills it to, so that signals never stand in the
    /// way of the log.
    pub(super) fn takes_signals(&self) -> bool {
        self.queued_bytes() <= self.budget_bytes / 8
    }

    /// Writes or queues a signal, unless more than an eighth of the budget waits. `may` is asked with the queue locked.
    pub(super) fn whisper(&self, live: Live<'_>, may: impl FnOnce() -> bool) -> Whispered {
        let mut queue = self.lock();
        if queue.is_closed() || live.ended.load(Ordering::Relaxed) {
            return Whispered::Cancelled;
        }
        if queue.bytes() > self.budget_bytes / 8 || !may() {
            return Whispered::Dropped;
        }
        if queue.write_through(1, &|_| live) == 0 {
            queue.add(Frame {
                own: live.prefix.clone(),
                shared: live.payload.clone(),
            });
        }
        Whispered::Taken
    }

    /// Queues a live frame, unless its subscription has ended.
    pub(super) fn push_live(&self, frame: Frame, ended: &AtomicBool) -> Queued {
        let mut queue = self.lock();
        if ended.load(Ordering::Relaxed) {
            Queued::Cancelled
        } else if queue.add(frame) <= self.budget_bytes {
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
        } else if queue.bytes() > self.quarter_bytes() {
            Queued::Full
        } else {
            queue.add(frame);
            taken();
            Queued::Taken
        }
    }

    /// Queues a ping that is made with the queue locked: nothing else is queued while it is.
    pub(super) fn push_made(&self, make: impl FnOnce() -> Option<Frame>) {
        let mut queue = self.lock();
        if let Some(frame) = make() {
            queue.add_ping(frame);
        }
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
            point!("wait", bytes);
            drained.await;
        }
    }

    /// Whether someone has it to itself.
    #[cfg(test)]
    pub(super) fn is_held(&self) -> bool {
        self.queue.try_lock().is_err()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
