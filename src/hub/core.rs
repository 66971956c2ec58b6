//! What the parts of the hub share, and its threads.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cache::Payloads;
use super::line::Inbox;
use super::lines::Lines;
use super::operations::{Idle, Operations};
use super::position::Pace;
use super::worker::Worker;
use super::{Execute, Setup};
use crate::document::Shape;
use crate::log::Tail;
use crate::signal::Signals;
use crate::store::{Store, readers_left};

/// Takes the place of the runtime where a test decides who goes on.
#[cfg(test)]
pub(super) type Spawn = Box<dyn Fn(futures_util::future::BoxFuture<'static, ()>) + Send + Sync>;

/// What workers, catch-ups and plans share.
pub(super) struct Core {
    pub(super) store: Arc<dyn Store>,
    pub(super) tail: Arc<Tail>,
    pub(super) execute: Execute,
    pub(super) shape: Arc<Shape>,
    pub(super) signals: Signals,
    pub(super) operations: Operations,
    pub(super) payloads: Arc<Payloads>,
    pub(super) lines: Arc<Lines>,
    pub(super) runtime: Handle,
    /// Lets a few catch-ups read at a time, so that when everyone comes back at once the others wait behind a few only.
    pub(super) reads: Semaphore,
    /// Lets a few read for signals at a time, for payloads or for what may be listened to: they give way to all that is owed.
    pub(super) renders: Semaphore,
    pub(super) pace: Pace,
    #[cfg(test)]
    pub(super) spawn: Option<Spawn>,
    /// Lets a few new subscriptions begin at a time. Each takes some kilobytes while it does; thousands that wait for the
    /// store at once left three times as much resident as the sockets need.
    pub(super) starts: Arc<Semaphore>,
    /// Lets a few catch-ups walk the ring at a time. What a sender says waits in the same queue of the runtime: with thousands of them
    /// ready at once it would wait for a part of each.
    pub(super) turns: Arc<Semaphore>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Core {
    /// Payloads that are kept for others: what a busy server makes in some seconds.
    const PAYLOAD_BYTES: usize = 16 * 1024 * 1024;
    /// Operations that no one uses and that are kept ready for the next one who does: 2 kB each, and 0.6 kB for each thing
    /// that they select.
    pub(super) const IDLE_OPERATIONS: Idle = Idle {
        operations: 256,
        selections: 20_000,
    };
    /// Reads of the store by catch-ups at once. There are fewer readers, so that each goes from one page to the next; who else
    /// reads waits for a turn behind so many pages at most.
    const READS: usize = 8;
    /// Signals' payloads made from the store at once, where it has readers enough: one at least is left to others.
    const RENDERS: usize = 2;
    /// New subscriptions that find their place at once: enough to keep the reads busy.
    pub(super) const STARTS: usize = 32;

    /// Catch-ups that walk the ring at once: enough to keep every core busy.
    pub(super) fn turns() -> usize {
        4 * std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
    }

    /// To be called inside a tokio runtime; tasks run there.
    pub(super) fn new(setup: Setup) -> Self {
        let renders = readers_left(&*setup.store, Self::RENDERS);
        Self {
            payloads: Arc::new(Payloads::new(setup.tail.clone(), Self::PAYLOAD_BYTES)),
            store: setup.store,
            tail: setup.tail,
            execute: setup.execute,
            shape: setup.shape,
            signals: setup.signals,
            operations: Operations::new(&Self::IDLE_OPERATIONS),
            lines: Arc::new(Lines::new(setup.revocations)),
            runtime: Handle::current(),
            reads: Semaphore::new(Self::READS),
            renders: Semaphore::new(renders),
            pace: Pace::default(),
            #[cfg(test)]
            spawn: None,
            starts: Arc::new(Semaphore::new(Self::STARTS)),
            turns: Arc::new(Semaphore::new(Self::turns())),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// Runs a task until it is done or the hub stops.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        let task = async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = task => {}
            }
        };
        #[cfg(test)]
        if let Some(spawn) = &self.spawn {
            return spawn(Box::pin(self.tasks.track_future(task)));
        }
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Ends all tasks and waits for them.
    pub(super) async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The workers' threads.
pub(super) struct Crew {
    inboxes: Vec<Arc<Inbox>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    connections: AtomicU64,
}

impl Crew {
    pub(super) fn start(core: &Arc<Core>, workers: usize) -> Result<Self, std::io::Error> {
        let mut crew = Self {
            inboxes: Vec::new(),
            threads: Mutex::default(),
            connections: AtomicU64::new(0),
        };
        for number in 0..workers.max(1) {
            let inbox = Arc::new(Inbox::default());
            // Listen before reading, as ever: the worker begins at the head of the tail as it is from here on.
            let growth = core.tail.watch();
            let worker = Worker::new(core.clone(), inbox.clone());
            let thread = std::thread::Builder::new()
                .name(format!("fan-out-{number}"))
                .spawn(move || worker.run(growth))?;
            crew.inboxes.push(inbox);
            crew.lock().push(thread);
        }
        Ok(crew)
    }

    /// A number for a new connection, and the inbox of its worker: one after the other.
    pub(super) fn next(&self) -> (u64, Arc<Inbox>) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let at = usize::try_from(number).unwrap_or(0) % self.inboxes.len();
        let inbox = self.inboxes.get(at).cloned().unwrap_or_default();
        (number, inbox)
    }

    /// Ends the threads and waits for them.
    pub(super) async fn stop(&self) {
        self.close();
        let threads = std::mem::take(&mut *self.lock());
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a fan-out thread had panicked");
                }
            }
        });
        if joined.await.is_err() {
            tracing::error!("the fan-out threads could not be waited for");
        }
    }

    fn close(&self) {
        for inbox in &self.inboxes {
            inbox.close();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.close();
    }
}
