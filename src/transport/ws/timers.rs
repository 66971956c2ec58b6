//! When something is due on a socket, by the instants it is told. Reads no clock.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::Close;

/// How long a socket waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// For `connection_init`, and as long again for whoever checks the token.
    pub init: Duration,
    /// Between the server's pings.
    pub ping: Duration,
    /// For anything at all from the client after a ping was written.
    pub answer: Duration,
    /// For the socket to take a byte of what waits.
    pub stall: Duration,
}

impl Waits {
    /// Between the keep-alives of the legacy subprotocol: its clients give up after 30 s without one, and one may be late.
    pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
}

impl Default for Waits {
    /// As `docs/protocol.md` gives them, each with its reason.
    fn default() -> Self {
        Self {
            init: Duration::from_secs(10),
            ping: Duration::from_secs(25),
            answer: Duration::from_secs(10),
            stall: Duration::from_secs(10),
        }
    }
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::transport) enum Due {
    /// Ping the client.
    Ping,
    /// The server stops, and it is this socket's turn.
    Leave,
    /// Close the socket.
    Close(Close),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Init,
    Token,
    Expiry,
    Ping,
    Answer,
    Leave,
    Stall,
}

const COUNT: usize = What::Stall as usize + 1;

/// The instants at which something is due.
#[derive(Debug)]
pub(in crate::transport) struct Timers {
    waits: Arc<Waits>,
    at: [At; COUNT],
    reading: bool,
}

/// An instant or none, in nanoseconds from one that all have in common: an `Option<Instant>` takes twice the room, on each socket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct At(i64);

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

impl At {
    const NEVER: Self = Self(i64::MAX);

    /// That instant; never, where it is centuries away.
    fn of(instant: Instant) -> Self {
        let nanos = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        match instant.checked_duration_since(*ORIGIN) {
            Some(since) => Self(nanos(since)),
            None => Self(-nanos(ORIGIN.duration_since(instant))),
        }
    }

    fn instant(self) -> Option<Instant> {
        let span = Duration::from_nanos(self.0.unsigned_abs());
        match self {
            Self::NEVER => None,
            Self(0..) => ORIGIN.checked_add(span),
            Self(_) => ORIGIN.checked_sub(span),
        }
    }

    fn is_set(self) -> bool {
        self != Self::NEVER
    }
}

impl Timers {
    /// Short beside a ping's interval, long beside what a group's pings take: 10,000 sockets make 100 a step.
    const PING_STEP: Duration = Duration::from_millis(250);

    /// Who comes so much too late to close a socket was held up itself, by a machine that was asleep or had other things to do:
    /// what the client has said by then is to be read first.
    const HELD_UP: Duration = Duration::from_secs(2);

    /// A socket that opens now.
    pub(in crate::transport) fn new(waits: impl Into<Arc<Waits>>, now: Instant) -> Self {
        let waits = waits.into();
        let mut timers = Self {
            waits,
            at: [At::NEVER; COUNT],
            reading: true,
        };
        if !timers.waits.init.is_zero() {
            timers.set(What::Init, now + timers.waits.init);
        }
        timers
    }

    /// The next instant at which something is due.
    pub(in crate::transport) fn next(&self) -> Option<Instant> {
        self.at.iter().min()?.instant()
    }

    /// What is due, one thing at a time.
    pub(in crate::transport) fn due(&mut self, now: Instant) -> Option<Due> {
        use What::*;
        for what in [Init, Answer, Stall] {
            let at = self.at[what as usize].instant();
            if at.is_some_and(|at| at + Self::HELD_UP <= now) {
                self.set(what, now + Self::HELD_UP / 2);
            }
        }
        let order = [Init, Token, Expiry, Answer, Stall, Leave, Ping];
        let what = order
            .into_iter()
            .find(|what| self.at[*what as usize] <= At::of(now))?;
        self.unset(what);
        Some(match what {
            Init => Due::Close(Close::INIT_TIMEOUT),
            Token => Due::Close(Close::CANNOT_AUTHENTICATE),
            Expiry => Due::Close(Close::TOKEN_EXPIRED),
            Answer => Due::Close(Close::SILENT),
            Stall => Due::Close(Close::TOO_SLOW),
            Leave => Due::Leave,
            Ping => {
                self.set(Ping, now + self.waits.ping);
                Due::Ping
            }
        })
    }

    /// The server stops; this socket's turn comes at that instant.
    pub(in crate::transport) fn leave(&mut self, at: Instant) {
        self.set(What::Leave, at);
    }

    /// `connection_init` has come; its token is being checked.
    pub(in crate::transport) fn initialised(&mut self, now: Instant) {
        if self.at[What::Init as usize].is_set() {
            self.unset(What::Init);
            self.set(What::Token, now + self.waits.init);
        }
    }

    /// `connection_ack` goes out. The token holds for `lifetime`; `first_ping` of 0 to 1 is where in the ping's interval
    /// this socket has its place, so that sockets which came back together are not pinged together - but in groups, a step of
    /// the server's own clock apart: waking its threads for each socket alone would cost more than the pings.
    pub(in crate::transport) fn acknowledged(
        &mut self,
        now: Instant,
        lifetime: Duration,
        first_ping: f64,
        started: Instant,
    ) {
        self.unset(What::Token);
        self.renewed(now, lifetime);
        if !self.waits.ping.is_zero() {
            let first = now + self.waits.ping.mul_f64(first_ping.clamp(0.0, 1.0));
            let into_step = first.duration_since(started).as_nanos() % Self::PING_STEP.as_nanos();
            let into_step = u64::try_from(into_step).map_or(Duration::ZERO, Duration::from_nanos);
            self.set(What::Ping, (first - into_step).max(now));
        }
    }

    /// A fresh token has come, which holds for `lifetime`.
    pub(in crate::transport) fn renewed(&mut self, now: Instant, lifetime: Duration) {
        // A token that outlives the clock never expires.
        match now.checked_add(lifetime) {
            Some(at) => self.set(What::Expiry, at),
            None => self.unset(What::Expiry),
        }
    }

    /// Something came from the client: it is there.
    pub(in crate::transport) fn heard(&mut self) {
        self.unset(What::Answer);
    }

    /// A ping has left for the network, not just for the queue: on a slow line that takes its time.
    pub(in crate::transport) fn pinged(&mut self, now: Instant) {
        if self.reading && !self.at[What::Answer as usize].is_set() {
            self.set(What::Answer, now + self.waits.answer);
        }
    }

    /// Whether what the client says is listened to. While it is not, an answer cannot be missed.
    pub(in crate::transport) fn reading(&mut self, reading: bool) {
        self.reading = reading;
        if !reading {
            self.unset(What::Answer);
        }
    }

    /// The socket took bytes, or bytes began to wait for it; `waiting` says whether some still do.
    pub(in crate::transport) fn wrote(&mut self, now: Instant, waiting: bool) {
        if waiting {
            self.set(What::Stall, now + self.waits.stall);
        } else {
            self.unset(What::Stall);
        }
    }

    /// Bytes wait: since now, unless some waited before.
    pub(in crate::transport) fn waiting(&mut self, now: Instant) {
        if !self.at[What::Stall as usize].is_set() {
            self.wrote(now, true);
        }
    }

    fn set(&mut self, what: What, at: Instant) {
        self.at[what as usize] = At::of(at);
    }

    fn unset(&mut self, what: What) {
        self.at[what as usize] = At::NEVER;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ready(now: Instant) -> Timers {
        let mut timers = Timers::new(Waits::default(), now);
        timers.initialised(now);
        timers.acknowledged(now, 3600 * SECOND, 0.5, now);
        timers
    }

    #[test]
    fn init_is_waited_for_ten_seconds() {
        let now = Instant::now();
        let mut timers = Timers::new(Waits::default(), now);
        assert_eq!(timers.next(), Some(now + 10 * SECOND));
        assert_eq!(timers.due(now + 9 * SECOND), None);
        let due = timers.due(now + 10 * SECOND);
        assert_eq!(due, Some(Due::Close(Close::INIT_TIMEOUT)));
        assert_eq!(timers.due(now + 10 * SECOND), None);
    }

    #[test]
    fn a_token_that_cannot_be_checked_is_no_init_timeout() {
        let now = Instant::now();
        let mut timers = Timers::new(Waits::default(), now);
        timers.initialised(now + 9 * SECOND);
        assert_eq!(timers.due(now + 18 * SECOND), None);
        let due = timers.due(now + 19 * SECOND);
        assert_eq!(due, Some(Due::Close(Close::CANNOT_AUTHENTICATE)));
    }

    #[test]
    fn the_first_ping_is_within_the_interval_and_the_next_one_an_interval_later() {
        let now = Instant::now();
        let mut timers = ready(now);
        let first = now + Duration::from_millis(12_500);
        assert_eq!(timers.next(), Some(first));
        assert_eq!(timers.due(first), Some(Due::Ping));
        assert_eq!(timers.next(), Some(first + 25 * SECOND));
    }

    #[test]
    fn sockets_whose_pings_are_due_at_about_the_same_time_are_pinged_together() {
        let started = Instant::now();
        let first_ping = |acked_ms: u64, place: f64| {
            let now = started + Duration::from_millis(acked_ms);
            let mut timers = Timers::new(Waits::default(), now);
            timers.initialised(now);
            timers.acknowledged(now, 3600 * SECOND, place, started);
            timers.next().unwrap() - started
        };
        let at = Duration::from_millis(12_750);
        for (acked_ms, place) in [(250, 0.5), (251, 0.5), (499, 0.5), (12_760, 0.000_01)] {
            assert_eq!(
                first_ping(acked_ms, place),
                at.max(Duration::from_millis(acked_ms))
            );
        }
        assert_eq!(first_ping(500, 0.5), at + Timers::PING_STEP);
    }

    #[test]
    fn silence_after_a_ping_closes_and_any_message_breaks_it() {
        let now = Instant::now();
        let mut timers = ready(now);
        timers.pinged(now);
        timers.heard();
        assert_eq!(timers.due(now + 10 * SECOND), None);
        timers.pinged(now);
        timers.pinged(now + 9 * SECOND);
        let due = timers.due(now + 10 * SECOND);
        assert_eq!(due, Some(Due::Close(Close::SILENT)));
    }

    #[test]
    fn nobody_is_silent_whom_nobody_listens_to() {
        let now = Instant::now();
        let mut timers = ready(now);
        timers.pinged(now);
        timers.reading(false);
        timers.pinged(now);
        assert_eq!(timers.due(now + 11 * SECOND), None);
    }

    #[test]
    fn a_socket_that_takes_nothing_for_ten_seconds_is_too_slow() {
        let now = Instant::now();
        let mut timers = ready(now);
        timers.waiting(now);
        timers.waiting(now + 9 * SECOND);
        timers.wrote(now + 9 * SECOND, true);
        assert_eq!(timers.due(now + 10 * SECOND), None);
        let mut emptied = ready(now);
        emptied.waiting(now);
        emptied.wrote(now, false);
        assert_eq!(emptied.due(now + 11 * SECOND), None);
        let due = timers.due(now + 19 * SECOND);
        assert_eq!(due, Some(Due::Close(Close::TOO_SLOW)));
    }

    #[test]
    fn a_server_that_was_held_up_looks_at_what_has_come_before_it_gives_anyone_up() {
        let now = Instant::now();
        let mut timers = ready(now);
        timers.pinged(now);
        timers.waiting(now);
        // Asleep for a minute; the ping and the stall were due 50 s ago.
        let awake = now + 60 * SECOND;
        assert_eq!(timers.due(awake), Some(Due::Ping));
        assert_eq!(timers.due(awake), None);
        timers.heard();
        timers.wrote(awake, false);
        assert_eq!(timers.next(), Some(awake + 25 * SECOND));

        // Nobody is there: a second is enough to see that.
        timers.pinged(awake);
        let again = awake + 20 * SECOND;
        assert_eq!(timers.due(again), None);
        let due = timers.due(again + SECOND);
        assert_eq!(due, Some(Due::Close(Close::SILENT)));
        let mut late = Timers::new(Waits::default(), now);
        assert_eq!(late.due(now + 12 * SECOND), None);
        let due = late.due(now + 13 * SECOND);
        assert_eq!(due, Some(Due::Close(Close::INIT_TIMEOUT)));
    }

    #[test]
    fn a_fresh_token_puts_the_end_off_or_brings_it_nearer() {
        let now = Instant::now();
        let expires = |lifetime| {
            let mut timers = ready(now);
            timers.renewed(now + SECOND, lifetime);
            timers.at[What::Expiry as usize]
                .instant()
                .map(|at| at - now)
        };
        assert_eq!(expires(7200 * SECOND), Some(7201 * SECOND));
        assert_eq!(expires(60 * SECOND), Some(61 * SECOND));
        assert_eq!(expires(Duration::MAX), None);
    }

    #[test]
    fn a_token_expires_and_an_endless_one_does_not() {
        let now = Instant::now();
        let mut timers = ready(now);
        let due = timers.due(now + 3600 * SECOND);
        assert_eq!(due, Some(Due::Close(Close::TOKEN_EXPIRED)));
        let mut endless = Timers::new(Waits::default(), now);
        endless.acknowledged(now, Duration::MAX, 0.0, now);
        assert_eq!(endless.at[What::Expiry as usize], At::NEVER);
    }
}
