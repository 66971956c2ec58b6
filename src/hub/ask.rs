//! Asking the store: a few at a time, and again where it does not answer.

use std::time::Duration;

use super::core::Core;
use super::line::{Line, Sub};
use crate::store::StoreError;

/// Why there is no answer.
pub(super) enum Unanswered {
    /// The subscription that it was for has ended.
    Ended,
    /// The store does not answer.
    Unavailable,
}

/// How often something is tried, each time after twice the wait: five times in 1.5 s.
pub(super) struct Patience {
    left: u32,
    wait: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self {
            left: 4,
            wait: Duration::from_millis(100),
        }
    }

    /// Waits until it is to be tried again; false, and at once, where it was tried often enough.
    pub(super) async fn again(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        tokio::time::sleep(self.wait).await;
        self.wait *= 2;
        true
    }
}

impl Core {
    /// What the store says to a subscription.
    ///
    /// # Errors
    /// See [`Unanswered`].
    pub(super) async fn ask<T, F>(&self, sub: &Sub, read: impl Fn() -> F) -> Result<T, Unanswered>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut patience = Patience::new();
        loop {
            // A closed semaphore cannot be: it lives as long as the hub.
            let permit = self.reads.acquire().await;
            match read().await {
                Ok(read) => return Ok(read),
                Err(error) => {
                    tracing::warn!(%error, "the store could not be read for a subscription")
                }
            }
            drop(permit);
            if sub.has_ended() {
                return Err(Unanswered::Ended);
            }
            if !patience.again().await {
                return Err(Unanswered::Unavailable);
            }
        }
    }
}

impl Line {
    /// Never as a payload: the client connects again and goes on from where it is.
    pub(super) fn close_unanswered(&self) {
        self.close(1013, "the store does not answer; try again later");
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_in_vain_is_tried_five_times_in_a_second_and_a_half() {
        let (began, mut patience, mut tried) = (Instant::now(), Patience::new(), 1);
        while patience.again().await {
            tried += 1;
        }
        let took = began.elapsed();
        assert_eq!((tried, took), (5, Duration::from_millis(1_500)));
    }
}
