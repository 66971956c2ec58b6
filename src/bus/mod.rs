//! What is *announced*: that the log has grown. A bus may lose, repeat or reorder; the log is the truth, and the tail
//! begins anew at its end wherever an announcement does not fit.

mod local;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::broadcast;

pub use local::LocalBus;

use crate::model::{Event, ReadAdvanced, Seq};

/// The log has grown.
#[derive(Clone, Debug)]
pub enum Announcement {
    /// By these events, in log order: from a writer in this process.
    Events(Arc<[Arc<Event>]>),
    /// Up to this place: from elsewhere. The events are in the store, where whoever follows the tail reads them.
    Grown(Seq),
}

impl Announcement {
    /// As far as the log has grown.
    fn place(&self) -> Seq {
        match self {
            Self::Events(events) => events.last().map_or(Seq::ZERO, |event| event.cursor.seq),
            Self::Grown(head) => *head,
        }
    }
}

/// The newest place that a bus was told to announce, whether or not anyone has heard of it yet. Cheap to clone.
#[derive(Clone, Default, Debug)]
pub struct Newest(Arc<AtomicU64>);

impl Newest {
    /// The place; the log's beginning where nothing was announced yet.
    pub fn get(&self) -> Seq {
        Seq(self.0.load(Ordering::Acquire))
    }

    /// To be called before the announcement is sent.
    pub fn note(&self, announcement: &Announcement) {
        self.0.fetch_max(announcement.place().0, Ordering::AcqRel);
    }
}

/// What members have read, in one batch: each member once, by its newest mark.
pub type Reads = Arc<[ReadAdvanced]>;

/// Carries announcements from the writer to every tail, and what members have read to whoever tells it on.
pub trait Bus: Send + Sync + 'static {
    /// Tells all listeners. Never waits; a listener that is behind loses the oldest.
    fn announce(&self, announcement: Announcement);

    /// The newest place that was announced. Writers announce before they answer: who has an answer finds its place here.
    fn newest(&self) -> Newest;

    /// Hears what is announced from now on.
    fn listen(&self) -> broadcast::Receiver<Announcement>;

    /// Tells all listeners what members have read, once it is durable. Never waits; a listener that is behind loses the
    /// oldest, and nothing makes up for it: marks have no place in the log.
    fn announce_reads(&self, reads: Reads);

    /// Hears what members read from now on.
    fn listen_reads(&self) -> broadcast::Receiver<Reads>;
}
