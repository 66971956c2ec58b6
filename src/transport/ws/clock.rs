//! Time as the tasks of connections see it: what instant it is, how long a token still holds, what wakes them when something
//! is due.

use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::Timers;
use crate::auth::{Authenticator, Viewer};
use crate::model::Timestamp;

/// The runtime's clock, which tests may set.
pub(in crate::transport) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How long the viewer's token still holds, the clock difference that is forgiven included.
pub(in crate::transport) fn lifetime(viewer: &Viewer) -> Duration {
    // Below zero where the token is within the leeway already.
    let left_ms = viewer.expires_at.0.saturating_sub(Timestamp::now().0);
    let leeway_ms = Duration::from_secs(Authenticator::LEEWAY_SECS).as_millis();
    let left_ms = i128::from(left_ms).saturating_add_unsigned(leeway_ms);
    Duration::from_millis(left_ms.try_into().unwrap_or(0))
}

/// What goes off when the next thing is due.
pub(in crate::transport) fn alarm(timers: &Timers) -> Sleep {
    tokio::time::sleep_until(wake_at(timers).into())
}

/// Sets an alarm that has gone off for the next thing.
pub(in crate::transport) fn set_again(alarm: Pin<&mut Sleep>, timers: &Timers) {
    alarm.reset(wake_at(timers).into());
}

/// Sets an alarm for what is due before it would go off. For what is due later it stays: one that goes off early costs less
/// than one that is set for each message.
pub(in crate::transport) fn bring_forward(alarm: Pin<&mut Sleep>, timers: &Timers) {
    let wake_at = wake_at(timers).into();
    if wake_at < alarm.deadline() {
        alarm.reset(wake_at);
    }
}

fn wake_at(timers: &Timers) -> Instant {
    const NEVER: Duration = Duration::from_secs(3600);
    timers.next().unwrap_or_else(|| now() + NEVER)
}
