//! How many sockets and streams open a second. When everyone comes back at once, a few wait outside for a moment rather than all
//! of them inside, where those who never left would wait with them.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use rand::Rng;

/// After a pause so many times a second's worth come in at once.
const BURST_SECS: u32 = 2;
/// Seconds after which those who are refused are to come back, each at a random one of them. In so many seconds, ten times the rate
/// comes in.
const RETRY_SECS: std::ops::RangeInclusive<u64> = 1..=10;

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Counts those who come in.
pub(super) struct Turnstile<C: Clock = DefaultClock>(Option<Limiter<C>>);

/// Not now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Later {
    /// When to come back.
    pub(super) secs: u64,
}

impl Later {
    /// At a random moment, so that those who are refused together do not come back together.
    pub(super) fn random() -> Self {
        let secs = rand::rng().random_range(RETRY_SECS);
        Self { secs }
    }
}

impl Turnstile {
    /// So many a second; `None` for any number.
    pub(super) fn new(per_second: Option<NonZeroU32>) -> Self {
        Self::with_clock(per_second, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Turnstile<C> {
    fn with_clock(per_second: Option<NonZeroU32>, clock: &C) -> Self {
        Self(per_second.map(|rate| {
            let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECS - 1));
            let quota = Quota::per_second(rate).allow_burst(burst);
            RateLimiter::direct_with_clock(quota, clock.clone())
        }))
    }

    /// Lets one in.
    ///
    /// # Errors
    /// Too many have come in lately.
    pub(super) fn enter(&self) -> Result<(), Later> {
        match &self.0 {
            Some(limiter) if limiter.check().is_err() => Err(Later::random()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn two_seconds_worth_come_in_at_once_and_then_as_many_as_a_second_brings() {
        let clock = FakeRelativeClock::default();
        let turnstile = Turnstile::with_clock(NonZeroU32::new(100), &clock);
        let enter = |count| (0..count).filter(|_| turnstile.enter().is_ok()).count();
        assert_eq!(enter(1_000), 200);
        clock.advance(Duration::from_millis(500));
        assert_eq!(enter(1_000), 50);
        clock.advance(Duration::from_secs(60));
        assert_eq!(enter(1_000), 200);
    }

    #[test]
    fn those_who_are_refused_come_back_at_different_times() {
        let turnstile = Turnstile::with_clock(NonZeroU32::new(1), &FakeRelativeClock::default());
        let later: std::collections::BTreeSet<_> = (0..1_000)
            .filter_map(|_| turnstile.enter().err())
            .map(|later| later.secs)
            .collect();
        assert_eq!(later, RETRY_SECS.collect());
    }

    #[test]
    fn nought_is_no_limit() {
        let turnstile = Turnstile::new(None);
        assert!((0..100_000).all(|_| turnstile.enter().is_ok()));
    }
}
