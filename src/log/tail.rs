//! The tail: the newest part of the log in memory, fed in order. What it misses is left to the store.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::ring::Ring;
use crate::bus::{Announcement, Bus, Newest};
use crate::interleave::point;
use crate::model::{Cursor, Event, Seq};
use crate::store::{Store, StoreError};

/// The newest part of the log: contiguous, bounded by count and bytes.
///
/// Live rendering and short resumes read from here and touch no store. `MessageDeleted` blanks the body in every event
/// that shows it.
pub struct Tail {
    ring: RwLock<Ring>,
    head: watch::Sender<Seq>,
    announced: Newest,
}

/// How large a tail may grow.
#[derive(Clone, Copy, Debug)]
pub struct TailLimits {
    /// Events.
    pub events: usize,
    /// Bytes, roughly.
    pub bytes: usize,
}

impl Default for TailLimits {
    /// A few minutes of a busy server: what most clients that come back have missed.
    fn default() -> Self {
        Self {
            events: 16_384,
            bytes: 64 * 1024 * 1024,
        }
    }
}

impl Tail {
    /// A lost last announcement heals within twice this time.
    const HEAL_EVERY: Duration = Duration::from_millis(1_500);
    /// Events read from the store at a time.
    const PAGE_EVENTS: usize = 500;
    /// Events read back at start, so that clients that come back after a restart find them here.
    const WARM_EVENTS: u64 = 4_096;

    /// Reads the newest events from the store and returns the tail with the task that keeps it growing until `stop`.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn start(
        store: Arc<dyn Store>,
        bus: &dyn Bus,
        limits: TailLimits,
        stop: CancellationToken,
    ) -> Result<(Arc<Self>, impl Future<Output = ()> + Send + 'static), StoreError> {
        // Listen before reading: what is announced in between arrives twice and is skipped, rather than not at all.
        let announcements = bus.listen();
        let bounds = store.bounds().await?;
        let from = Seq(bounds
            .floor
            .0
            .max(bounds.head.0.saturating_sub(Self::WARM_EVENTS)));
        let tail = Arc::new(Self {
            ring: RwLock::new(Ring::new(from, limits.events, limits.bytes)),
            head: watch::Sender::new(from),
            announced: bus.newest(),
        });
        tail.warm(&*store).await?;
        let task = tail.clone().follow(store, announcements, stop);
        Ok((tail, task))
    }

    /// The end of the log, for clients: with all that anyone has been told is done. The tail itself may come there a moment later.
    pub fn end(&self, store: &dyn Store) -> Cursor {
        store.epochs().cursor(self.head().max(store.head()))
    }

    /// The newest event's place in the ring. What was acknowledged may lie after it: see [`Self::end`].
    pub fn head(&self) -> Seq {
        // The ring's own: what was told last may be a moment behind it.
        self.ring
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .head()
    }

    /// The newest place that was announced: this tail may be a moment behind it. Whoever was answered by the writer was
    /// answered at or before it.
    pub fn announced(&self) -> Newest {
        self.announced.clone()
    }

    /// The events after a place, in order and without a hole, at most `max`; `None` when the ring no longer reaches
    /// back that far (then the store has them). Empty when there is nothing newer. Bodies deleted since are blank.
    pub fn since(&self, after: Seq, max: usize) -> Option<Vec<Arc<Event>>> {
        self.ring
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .since(after, max)
    }

    /// Tells each growth of the head. Register before reading.
    pub fn watch(&self) -> watch::Receiver<Seq> {
        self.head.subscribe()
    }

    async fn follow(
        self: Arc<Self>,
        store: Arc<dyn Store>,
        mut announcements: broadcast::Receiver<Announcement>,
        stop: CancellationToken,
    ) {
        let first = tokio::time::Instant::now() + Self::HEAL_EVERY;
        let mut heal = tokio::time::interval_at(first, Self::HEAL_EVERY);
        heal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // What was committed by the last look and has not come by the next one does not come.
        let mut due = store.head();
        loop {
            let complete = tokio::select! {
                biased;
                announcement = announcements.recv() => match announcement {
                    Ok(Announcement::Events(events)) => self.extend(&events),
                    Ok(Announcement::Grown(head)) => head <= self.head(),
                    Err(broadcast::error::RecvError::Lagged(_)) => false,
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                () = stop.cancelled() => return,
                _ = heal.tick() => std::mem::replace(&mut due, store.head()) <= self.head(),
            };
            if !complete {
                self.begin_anew(self.announced.get().max(store.head()));
            }
        }
    }

    /// Takes what the store has beyond the head, page by page, before anyone follows.
    async fn warm(&self, store: &dyn Store) -> Result<(), StoreError> {
        loop {
            let events = store.events(self.head(), Self::PAGE_EVENTS).await?;
            if !self.extend(&events) {
                tracing::error!(head = %self.head(), "the log has a hole");
                return Ok(());
            }
            if events.len() < Self::PAGE_EVENTS {
                return Ok(());
            }
        }
    }

    /// Something did not come. The store has it, but with rooms and members as they are now: who has left and come back since is
    /// not among those with whom a room began. Whoever follows event by event what a viewer may see would go astray, so the ring
    /// begins anew at the end of the log, and who is not there yet catches up from the store, which knows who lost what. Nothing
    /// is read for it: that would wait behind all who catch up, and what is announced meanwhile with it.
    fn begin_anew(&self, head: Seq) {
        let (after, began) = {
            let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
            (ring.head(), ring.begin_anew(head))
        };
        if began {
            tracing::warn!(%after, %head, "announcements were lost; the tail begins anew");
            self.tell(head);
        }
    }

    fn tell(&self, head: Seq) {
        point!("extend", head);
        self.head
            .send_if_modified(|known| std::mem::replace(known, head) != head);
    }

    fn extend(&self, events: &[Arc<Event>]) -> bool {
        let (complete, head) = {
            let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
            (ring.extend(events), ring.head())
        };
        self.tell(head);
        complete
    }
}
