//! The tail: the newest part of the log in memory, fed in order, healed from the store.

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
    /// A lost last announcement heals within this time.
    const HEAL_EVERY: Duration = Duration::from_secs(3);
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
        tail.reread(&*store).await?;
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
        let mut heal = tokio::time::interval(Self::HEAL_EVERY);
        heal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
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
                _ = heal.tick() => false,
            };
            if !complete && let Err(error) = self.reread(&*store).await {
                tracing::error!(%error, "the tail could not reread the log; it tries again soon");
            }
        }
    }

    /// Takes what the store has beyond the head, page by page.
    async fn reread(&self, store: &dyn Store) -> Result<(), StoreError> {
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

    fn extend(&self, events: &[Arc<Event>]) -> bool {
        let (complete, head) = {
            let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
            (ring.extend(events), ring.head())
        };
        point!("extend", head);
        self.head
            .send_if_modified(|known| std::mem::replace(known, head) != head);
        complete
    }
}
