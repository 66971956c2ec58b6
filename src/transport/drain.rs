//! How sockets are told to go when the server stops: not all at once, or they would all come back at once.
//!
//! Knows neither the protocol nor what a close code is.

use std::time::Duration;

use rand::Rng;
use tokio::task::JoinHandle;
use tokio_util::sync::{
    CancellationToken, WaitForCancellationFuture, WaitForCancellationFutureOwned,
};
use tokio_util::task::TaskTracker;

/// The server's wish to stop, and the sockets that are still there. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Drain {
    begun: CancellationToken,
    over: CancellationToken,
    sockets: TaskTracker,
    grace: Duration,
}

impl Drain {
    /// Nothing is stopping yet. Sockets close spread over `grace`.
    pub fn new(grace: Duration) -> Self {
        Self {
            begun: CancellationToken::new(),
            over: CancellationToken::new(),
            sockets: TaskTracker::new(),
            grace,
        }
    }

    /// From now on the server is stopping.
    pub fn begin(&self) {
        self.begun.cancel();
        self.sockets.close();
    }

    /// Whether the server is stopping: refuse upgrades, answer 503 to `/readyz`.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until the server is stopping.
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.begun.cancelled()
    }

    /// As [`Self::begun`], for a future that is not to borrow this.
    pub fn begun_owned(&self) -> WaitForCancellationFutureOwned {
        self.begun.clone().cancelled_owned()
    }

    /// Runs a socket. The server waits for it; once the grace period is over it is dropped where it stands.
    pub fn spawn(&self, socket: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let over = self.over.clone();
        // Each future around it would keep room for it once more.
        let socket = Box::pin(socket);
        self.sockets.spawn(async move {
            over.run_until_cancelled(socket).await;
        })
    }

    /// Sockets that are open.
    pub fn sockets(&self) -> usize {
        self.sockets.len()
    }

    /// Waits, once the server is stopping, until the last socket has ended: by itself or by the end of the grace period.
    /// Returns how many the latter took.
    pub async fn finished(&self) -> usize {
        self.begun().await;
        let _ = tokio::time::timeout(self.grace, self.sockets.wait()).await;
        let left = self.sockets();
        self.over.cancel();
        self.sockets.wait().await;
        left
    }

    /// When a socket's turn comes, from the moment the server began to stop: a random moment of the grace period. Close with
    /// 1012 then. The last tenth is left for the close handshake of those whose turn comes last.
    pub fn delay(&self) -> Duration {
        self.grace.mul_f64(rand::rng().random_range(0.0..0.9))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    async fn turn(drain: &Drain) {
        drain.begun().await;
        tokio::time::sleep(drain.delay()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn sockets_go_spread_over_the_grace_period() {
        let grace = Duration::from_secs(10);
        let drain = Drain::new(grace);
        let start = Instant::now();
        let turns: Vec<_> = (0..200)
            .map(|_| {
                let drain = drain.clone();
                tokio::spawn(async move {
                    turn(&drain).await;
                    start.elapsed()
                })
            })
            .collect();
        drain.begin();
        let mut first_half = 0;
        for turn in turns {
            let waited = turn.await.unwrap();
            assert!(waited < grace);
            first_half += usize::from(waited < grace / 2);
        }
        assert!((60..180).contains(&first_half), "{first_half} of 200");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_finished_when_the_last_socket_has_gone() {
        let drain = Drain::new(Duration::from_secs(10));
        let socket = drain.clone();
        drain.spawn(async move { turn(&socket).await });
        drain.begin();
        assert_eq!(drain.finished().await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_stays_does_not_hold_the_server_beyond_the_grace_period() {
        let drain = Drain::new(Duration::from_secs(10));
        let start = Instant::now();
        drain.spawn(std::future::pending());
        drain.begin();
        assert_eq!(drain.finished().await, 1);
        assert_eq!(start.elapsed(), Duration::from_secs(10));
        assert_eq!(drain.sockets(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn with_no_grace_everyone_goes_at_once() {
        let drain = Drain::new(Duration::ZERO);
        drain.begin();
        let start = Instant::now();
        turn(&drain).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
