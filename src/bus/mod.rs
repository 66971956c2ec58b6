//! What is *announced*: that the log has grown. A bus may lose, repeat or reorder; the log is the truth, and the tail
//! rereads it wherever an announcement does not fit.

mod local;

use std::sync::Arc;

use tokio::sync::broadcast;

pub use local::LocalBus;

use crate::model::{Event, Seq};

/// The log has grown.
#[derive(Clone, Debug)]
pub enum Announcement {
    /// By these events, in log order: from a writer in this process.
    Events(Arc<[Arc<Event>]>),
    /// Up to this place: from elsewhere. The events are in the store.
    Grown(Seq),
}

/// Carries announcements from the writer to every tail.
pub trait Bus: Send + Sync + 'static {
    /// Tells all listeners. Never waits; a listener that is behind loses the oldest.
    fn announce(&self, announcement: Announcement);

    /// Hears what is announced from now on.
    fn listen(&self) -> broadcast::Receiver<Announcement>;
}
