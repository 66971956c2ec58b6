//! How many mutations a user may make: each root field takes one, whichever transport it comes by.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::Positioned;
use async_graphql::parser::types::Selection;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::document::Prepared;
use crate::error::Error;
use crate::model::UserId;

/// Users who have their whole burst again are forgotten after so many takes, so memory follows who was active lately.
const TAKES_A_SWEEP: usize = 1_024;

type Limiter<C> =
    RateLimiter<UserId, DefaultKeyedStateStore<UserId>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// What a user may do of each: signals come often, and must not use up what messages need.
pub struct Allowances {
    /// What changes something for good.
    pub mutations: Allowance,
    /// `setTyping`, `setPresence`, `sendSignal`.
    pub signals: Allowance,
}

/// Signals without a limit.
impl From<Allowance> for Allowances {
    fn from(mutations: Allowance) -> Self {
        let signals = Allowance::new(0, 0);
        Self { mutations, signals }
    }
}

/// Root fields that send signals.
pub(super) fn signals(prepared: &Prepared) -> usize {
    const SIGNALS: [&str; 3] = ["setTyping", "setPresence", "sendSignal"];
    let roots = prepared.operation().map(|it| &it.selection_set.node.items);
    let is_signal = |root: &&Positioned<Selection>| match &root.node {
        Selection::Field(field) => SIGNALS.contains(&field.node.name.node.as_str()),
        _ => false,
    };
    roots.map_or(0, |roots| roots.iter().filter(is_signal).count())
}

/// A bucket a user, or none.
pub struct Allowance<C: Clock = DefaultClock> {
    limited: Option<Limited<C>>,
}

struct Limited<C: Clock> {
    limiter: Limiter<C>,
    clock: C,
    burst: NonZeroU32,
    takes: AtomicUsize,
}

impl Allowance {
    /// So many a second and so many at once; 0 for either switches the limit off.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self::with_clock(per_second, burst, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Allowance<C> {
    fn with_clock(per_second: u32, burst: u32, clock: C) -> Self {
        let limited =
            NonZeroU32::new(per_second)
                .zip(NonZeroU32::new(burst))
                .map(|(per_second, burst)| Limited {
                    limiter: RateLimiter::new(
                        Quota::per_second(per_second).allow_burst(burst),
                        DefaultKeyedStateStore::default(),
                        clock.clone(),
                    ),
                    clock,
                    burst,
                    takes: AtomicUsize::new(0),
                });
        Self { limited }
    }

    /// Takes `fields` from the user's bucket, all or none.
    ///
    /// # Errors
    /// `RATE_LIMITED` with when as many would pass; `BAD_USER_INPUT` for more than ever pass at once.
    pub fn take(&self, user: &UserId, fields: usize) -> Result<(), Error> {
        let Some(limited) = &self.limited else {
            return Ok(());
        };
        let fields = u32::try_from(fields).unwrap_or(u32::MAX);
        let Some(fields) = NonZeroU32::new(fields) else {
            return Ok(());
        };
        limited.take(user, fields)
    }
}

impl<C: Clock> Limited<C> {
    fn take(&self, user: &UserId, fields: NonZeroU32) -> Result<(), Error> {
        if self.takes.fetch_add(1, Ordering::Relaxed) % TAKES_A_SWEEP == TAKES_A_SWEEP - 1 {
            self.limiter.retain_recent();
        }
        match self.limiter.check_key_n(user, fields) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => {
                let wait = until.wait_time_from(self.clock.now());
                let retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                // Rounded up, so that waiting exactly so long is enough.
                let retry_after_ms = retry_after_ms.saturating_add(1);
                Err(Error::RateLimited { retry_after_ms })
            }
            Err(_) => Err(Error::BadInput {
                field: "mutation",
                why: format!("{fields} root fields; at most {} pass at once", self.burst),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse("id", name).unwrap()
    }

    #[test]
    fn a_burst_passes_and_the_next_waits_as_long_as_it_is_told() {
        let clock = FakeRelativeClock::default();
        let allowance = Allowance::with_clock(10, 40, clock.clone());
        allowance.take(&user("ada"), 39).unwrap();
        allowance.take(&user("ada"), 1).unwrap();
        let Err(Error::RateLimited { retry_after_ms }) = allowance.take(&user("ada"), 2) else {
            panic!("the bucket was empty");
        };
        assert!((200..=201).contains(&retry_after_ms), "{retry_after_ms}");
        allowance.take(&user("bob"), 40).unwrap();
        clock.advance(Duration::from_millis(retry_after_ms));
        allowance.take(&user("ada"), 2).unwrap();
        allowance.take(&user("ada"), 1).unwrap_err();
    }

    #[test]
    fn what_never_passes_is_told_so() {
        let allowance = Allowance::new(10, 40);
        let error = allowance.take(&user("ada"), 41).unwrap_err();
        assert!(matches!(error, Error::BadInput { .. }), "{error}");
        allowance.take(&user("ada"), 40).unwrap();
    }

    #[test]
    fn nought_is_no_limit() {
        for allowance in [Allowance::new(0, 40), Allowance::new(10, 0)] {
            for _ in 0..1_000 {
                allowance.take(&user("ada"), 1_000).unwrap();
            }
        }
    }

    #[test]
    fn users_with_a_full_bucket_are_forgotten() {
        let clock = FakeRelativeClock::default();
        let allowance = Allowance::with_clock(10, 40, clock.clone());
        for index in 0..10_000 {
            allowance.take(&user(&format!("user-{index}")), 1).unwrap();
            clock.advance(Duration::from_millis(1));
        }
        let kept = allowance.limited.as_ref().unwrap().limiter.len();
        // Those of the last 100 ms, and those who came since the last sweep.
        assert!(kept < 100 + 2 * TAKES_A_SWEEP, "{kept}");
    }
}
