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
    /// Batches that the tail may be behind; beyond that it begins anew, and everyone catches up from the store. Of a writer that
    /// commits 3,000 a second this is more than a second, and 100 bytes each while nothing waits.
    const BATCHES: usize = 4096;
    /// Batches of what was read that a listener may be behind.
    const READS: usize = 256;

    /// A bus that no one listens to yet.
    pub fn new() -> Self {
        Self {
            log: broadcast::channel(Self::BATCHES).0,
            reads: broadcast::channel(Self::READS).0,
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

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::error::TryRecvError;

    use super::*;
    use crate::model::Seq;

    #[test]
    fn a_listener_that_is_further_behind_hears_that_it_lost_the_oldest() {
        let (bus, most) = (LocalBus::new(), LocalBus::BATCHES as u64);
        let (mut behind, mut further) = (bus.listen(), bus.listen());
        for n in 1..=most {
            bus.announce(Announcement::Grown(Seq(n)));
        }
        assert_eq!(behind.try_recv().unwrap().place(), Seq(1));
        bus.announce(Announcement::Grown(Seq(most + 1)));
        for n in 2..=most + 1 {
            assert_eq!(behind.try_recv().unwrap().place(), Seq(n));
        }
        assert!(matches!(further.try_recv(), Err(TryRecvError::Lagged(1))));
        assert_eq!(further.try_recv().unwrap().place(), Seq(2));
        assert_eq!(bus.newest().get(), Seq(most + 1));
    }
}
