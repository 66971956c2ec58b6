//! How many sockets and streams open a second. When everyone comes back at once, a few wait outside for a moment rather than all
//! of them inside, where those who never left would wait with them.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use rand::Rng;

use super::listener::household;

/// After a pause so many times a second's worth come in at once.
const BURST_SECS: u32 = 2;
/// Seconds after which those who are refused are to come back, each at a random one of them. In so many seconds, ten times the rate
/// comes in.
const RETRY_SECS: std::ops::RangeInclusive<u64> = 1..=10;

/// What one address may take of it: someone who comes in and goes out as fast as he can must not keep the others out.
const SHARE: u32 = 4;
/// Addresses that have their whole burst again are forgotten after so many have come in.
const ENTRIES_A_SWEEP: usize = 1_024;

type Quiet<C> = NoOpMiddleware<<C as Clock>::Instant>;

/// Counts those who come in.
pub(super) struct Turnstile<C: Clock = DefaultClock> {
    all: Option<RateLimiter<NotKeyed, InMemoryState, C, Quiet<C>>>,
    each: Option<RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, C, Quiet<C>>>,
    entries: AtomicUsize,
}

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
    /// So many a second, `None` for any number; of which one address takes a quarter at most, unless `apart` is false: behind a
    /// proxy all come from one.
    pub(super) fn new(per_second: Option<NonZeroU32>, apart: bool) -> Self {
        Self::with_clock(per_second, apart, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Turnstile<C> {
    fn with_clock(per_second: Option<NonZeroU32>, apart: bool, clock: &C) -> Self {
        let quota = |rate: NonZeroU32| {
            let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECS - 1));
            Quota::per_second(rate).allow_burst(burst)
        };
        let all = per_second.map(|rate| RateLimiter::direct_with_clock(quota(rate), clock.clone()));
        let share = |rate: NonZeroU32| NonZeroU32::MIN.max(div_ceil(rate, SHARE));
        let each = per_second.filter(|_| apart).map(|rate| {
            let store = DefaultKeyedStateStore::default();
            RateLimiter::new(quota(share(rate)), store, clock.clone())
        });
        Self {
            all,
            each,
            entries: AtomicUsize::new(0),
        }
    }

    /// Lets one in who comes from this address, where that is known.
    ///
    /// # Errors
    /// Too many have come in lately, or too many from there.
    pub(super) fn enter(&self, from: Option<IpAddr>) -> Result<(), Later> {
        // Those who are refused for their own address take nothing of what is for all.
        if let (Some(each), Some(ip)) = (&self.each, from) {
            if self.entries.fetch_add(1, Ordering::Relaxed) % ENTRIES_A_SWEEP == ENTRIES_A_SWEEP - 1
            {
                each.retain_recent();
            }
            each.check_key(&household(ip))
                .map_err(|_| Later::random())?;
        }
        match &self.all {
            Some(all) if all.check().is_err() => Err(Later::random()),
            _ => Ok(()),
        }
    }
}

fn div_ceil(rate: NonZeroU32, parts: u32) -> NonZeroU32 {
    NonZeroU32::new(rate.get().div_ceil(parts)).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn two_seconds_worth_come_in_at_once_and_then_as_many_as_a_second_brings() {
        let clock = FakeRelativeClock::default();
        let turnstile = Turnstile::with_clock(NonZeroU32::new(100), false, &clock);
        let enter = |count| {
            let entries = (0..count).filter(|_| turnstile.enter(ip("192.0.2.1")).is_ok());
            entries.count()
        };
        assert_eq!(enter(1_000), 200);
        clock.advance(Duration::from_millis(500));
        assert_eq!(enter(1_000), 50);
        clock.advance(Duration::from_secs(60));
        assert_eq!(enter(1_000), 200);
    }

    #[test]
    fn those_who_are_refused_come_back_at_different_times() {
        let clock = FakeRelativeClock::default();
        let turnstile = Turnstile::with_clock(NonZeroU32::new(1), true, &clock);
        let later: std::collections::BTreeSet<_> = (0..1_000)
            .filter_map(|_| turnstile.enter(None).err())
            .map(|later| later.secs)
            .collect();
        assert_eq!(later, RETRY_SECS.collect());
    }

    #[test]
    fn nought_is_no_limit() {
        let turnstile = Turnstile::new(None, true);
        assert!((0..100_000).all(|_| turnstile.enter(ip("192.0.2.1")).is_ok()));
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn one_address_takes_a_quarter_and_leaves_the_rest_to_the_others() {
        let clock = FakeRelativeClock::default();
        let turnstile = Turnstile::with_clock(NonZeroU32::new(100), true, &clock);
        let enter = |count, from: &str| {
            let entries = (0..count).filter(|_| turnstile.enter(ip(from)).is_ok());
            entries.count()
        };
        assert_eq!(enter(1_000, "192.0.2.1"), 50);
        // Nor does it take anything by trying.
        assert_eq!(enter(100, "192.0.2.2"), 50);
        assert_eq!(enter(100, "2001:db8::1"), 50);
        // The same household.
        assert_eq!(enter(100, "2001:db8::2"), 0);
        assert_eq!(enter(100, "192.0.2.3"), 50);
        // All together have had what there is.
        assert_eq!(enter(100, "192.0.2.4"), 0);
        clock.advance(Duration::from_secs(1));
        assert_eq!(enter(100, "192.0.2.1"), 25);
    }

    #[test]
    fn addresses_that_have_not_come_lately_are_forgotten() {
        let clock = FakeRelativeClock::default();
        let turnstile = Turnstile::with_clock(NonZeroU32::new(1_000), true, &clock);
        for nth in 0..10_000_u32 {
            turnstile.enter(Some(IpAddr::V4(nth.into()))).unwrap();
            clock.advance(Duration::from_millis(10));
        }
        let kept = turnstile.each.as_ref().unwrap().len();
        assert!(kept < 100 + 2 * ENTRIES_A_SWEEP, "{kept}");
    }
}
