//! A bus within one process.

use tokio::sync::broadcast;

use super::{Announcement, Bus, Newest, Reads};

/// A bus within one process.
pub struct LocalBus {
    log: broadcast::Sender<Announcement>,
    reads: broadcast::Sender<Reads>,
    newest: Newest,
}

impl LocalBus {
    /// Batches that a listener may be behind; beyond that the tail begins anew. A batch holds up to 256 commands, so this
    /// is more than the tail's ring. Of what was read as many.
    const BATCHES: usize = 256;

    /// A bus that no one listens to yet.
    pub fn new() -> Self {
        Self {
            log: broadcast::channel(Self::BATCHES).0,
            reads: broadcast::channel(Self::BATCHES).0,
            newest: Newest::default(),
        }
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus for LocalBus {
    fn announce(&self, announcement: Announcement) {
        self.newest.note(&announcement);
        // An error means that no one listens, which is no one's loss.
        let _ = self.log.send(announcement);
    }

    fn newest(&self) -> Newest {
        self.newest.clone()
    }

    fn listen(&self) -> broadcast::Receiver<Announcement> {
        self.log.subscribe()
    }

    fn announce_reads(&self, reads: Reads) {
        // As above.
        let _ = self.reads.send(reads);
    }

    fn listen_reads(&self) -> broadcast::Receiver<Reads> {
        self.reads.subscribe()
    }
}
