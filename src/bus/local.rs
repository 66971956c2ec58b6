//! A bus within one process.

use tokio::sync::broadcast;

use super::{Announcement, Bus};

/// A bus within one process.
pub struct LocalBus(broadcast::Sender<Announcement>);

impl LocalBus {
    /// Batches that a listener may be behind; beyond that it rereads the log. A batch holds up to 256 commands, so this
    /// is more than the tail's ring.
    const BATCHES: usize = 256;

    /// A bus that no one listens to yet.
    pub fn new() -> Self {
        Self(broadcast::channel(Self::BATCHES).0)
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus for LocalBus {
    fn announce(&self, announcement: Announcement) {
        // An error means that no one listens, which is no one's loss.
        let _ = self.0.send(announcement);
    }

    fn listen(&self) -> broadcast::Receiver<Announcement> {
        self.0.subscribe()
    }
}
