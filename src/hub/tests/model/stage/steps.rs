//! What a step is, and who takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use futures_util::future::BoxFuture;
use tokio::sync::broadcast;

use crate::bus::{Announcement, Bus, Newest, Reads};
use crate::interleave::explored::digest;

/// What one actor does at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::hub::tests::model) enum Step {
    /// Who was about to be overtaken goes on.
    GoOn,
    /// Something is committed.
    Write,
    /// What is committed is announced, and the tail hears it.
    Announce,
    /// The worker's turn.
    Turn,
    /// A catch-up runs until it waits: that of this subscription, by order of their beginning.
    CatchUp(usize),
    /// A socket's task writes what waits.
    Flush(usize),
    /// A client reads from its socket.
    Take(usize),
    /// A client does the next thing it has to do.
    Act(usize),
    /// The next read of the store fails.
    Fail,
    /// Time goes by for all who wait for that.
    Wait,
}

impl Step {
    /// Whether the server does it by itself.
    pub(in crate::hub::tests::model) fn is_own(self) -> bool {
        matches!(
            self,
            Self::GoOn | Self::Turn | Self::CatchUp(_) | Self::Flush(_)
        )
    }
}

pub(super) type Task = BoxFuture<'static, ()>;

pub(super) struct Spawned {
    /// Of its subscription.
    pub(super) sub: u64,
    pub(super) task: Option<Task>,
    pub(super) woken: Arc<Woken>,
    pub(super) at: Standing,
}

pub(super) struct Running {
    pub(super) step: Step,
    pub(super) at: Standing,
}

/// Where one stands who cannot be looked into: the points it passed since it last said all that there is to know.
#[derive(Clone, Copy, Default)]
pub(super) struct Standing {
    pub(super) passed: u64,
    pub(super) offers: u64,
    /// How often its socket had been drained when it began to wait for that.
    pub(super) drained: Option<u64>,
}

impl Standing {
    pub(super) fn reach(&mut self, name: &str, state: u64) {
        match name {
            // All that a catch-up knows.
            "go live" => {
                *self = Self {
                    passed: digest(&(name, state)),
                    ..Self::default()
                };
            }
            // It may offer the same and wait again and again.
            "offer" | "wait" => self.offers = digest(&(name, state)),
            _ => self.passed = digest(&(self.passed, name, state)),
        }
    }
}

/// Whether one who waits was woken.
pub(in crate::hub::tests::model) struct Woken(AtomicBool);

impl Woken {
    pub(in crate::hub::tests::model) fn new(is_set: bool) -> Self {
        Self(AtomicBool::new(is_set))
    }

    pub(in crate::hub::tests::model) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(in crate::hub::tests::model) fn set(&self, is_set: bool) {
        self.0.store(is_set, Ordering::Relaxed);
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.set(true);
    }
}

/// A bus with room for one announcement: each is heard at once.
pub(super) struct Bell(pub(super) broadcast::Sender<Announcement>);

impl Bus for Bell {
    fn announce(&self, announcement: Announcement) {
        assert!(self.0.send(announcement).is_ok());
    }

    fn newest(&self) -> Newest {
        Newest::default()
    }

    fn listen(&self) -> broadcast::Receiver<Announcement> {
        self.0.subscribe()
    }

    fn announce_reads(&self, _: Reads) {
        unreachable!("no one reads here");
    }

    fn listen_reads(&self) -> broadcast::Receiver<Reads> {
        broadcast::channel(1).1
    }
}
