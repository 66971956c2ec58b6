//! Where a subscription begins and when it goes live: decisions over places in the log, without a clock, a socket or a
//! store.

use crate::model::{Event, Resync, RoomId, Scope, Seq, UserId, What};

/// A cursor as the log honours it.
pub(super) type Honoured = Result<Seq, Resync>;

/// Where a subscription begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Start {
    /// No cursor was given: from the end of the log as it was when the subscription was asked for.
    Head,
    /// After this place.
    At(Seq),
    /// What was asked for cannot be honoured: the client is told, and goes on from the end of the log.
    Resync(Resync),
}

/// The later of the resume point and `after`.
///
/// A resume point is the newest that the client has seen, and `after` is as old as its variables: a resume point that
/// holds outweighs an `after` that no longer does. The other way round the client has seen what this log does not have
/// (or has lost its place), and is told - unless `after` is merely the later of two places of one log.
pub(super) fn start(resume: Option<Honoured>, after: Option<Honoured>) -> Start {
    match (resume, after) {
        (None, None) => Start::Head,
        (Some(Ok(resume)), Some(Ok(after))) => Start::At(resume.max(after)),
        (Some(Err(Resync::CursorExpired)), Some(Ok(after))) => Start::At(after),
        (Some(Ok(place)), _) | (None, Some(Ok(place))) => Start::At(place),
        (Some(Err(reason)), _) | (None, Some(Err(reason))) => Start::Resync(reason),
    }
}

/// How many events are dealt with at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// A worker may have to deliver so many at once to one subscription when it seats it.
    pub(super) remainder: u64,
    /// A few times that: the worker may have been in a burst since it was asked. Beyond, it seats no one.
    pub(super) seating: u64,
    /// A catch-up takes so many from the ring at a time.
    pub(super) ring: usize,
    /// A worker holds payloads of so many bytes before it writes them. Where those of one event are more, the rest are made
    /// by catch-ups.
    pub(super) payload_bytes: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            remainder: 64,
            seating: 256,
            ring: 64,
            // Some ten milliseconds of rendering, and what a thousand different operations make of a message of some lines.
            payload_bytes: 8 * 1024 * 1024,
        }
    }
}

/// What a catch-up that knows what its viewer follows does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Deliver more of the log.
    Walk,
    /// Wait until the socket has taken what is queued.
    Drain,
    /// Ask the worker to seat the subscription from here.
    HandOver,
}

/// Whether to go live.
///
/// `must_reach` is a place that the worker has sent the catch-up to deliver through (a payload that it could not have at
/// once): handing over before it would come straight back. `remainder`: see [`Pace`].
pub(super) fn next(
    place: Seq,
    head: Seq,
    must_reach: Seq,
    remainder: u64,
    queued: usize,
    quarter: usize,
) -> Next {
    let remain = head.0.saturating_sub(place.0);
    if place < must_reach || remain > remainder {
        Next::Walk
    } else if queued > quarter {
        Next::Drain
    } else {
        Next::HandOver
    }
}

/// How the worker takes a subscription that is handed over at `place`, having itself walked the log through `walked`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seating {
    /// The worker has not come so far: seated, and passed over until the worker is past its place.
    Ahead,
    /// These are delivered first, then it is live.
    Remainder {
        /// How many.
        events: usize,
    },
    /// The log has grown too much since: back to catching up.
    TooFar,
}

/// See [`Seating`]; `most`: see [`Pace::seating`].
pub(super) fn seating(place: Seq, walked: Seq, most: u64) -> Seating {
    let remain = walked.0.saturating_sub(place.0);
    match usize::try_from(remain) {
        Ok(0) => Seating::Ahead,
        Ok(events) if remain <= most => Seating::Remainder { events },
        _ => Seating::TooFar,
    }
}

/// Looks for events that may change what a viewer follows, whatever it follows.
///
/// Where none between two places does, what it follows at the later is what it followed at the earlier, and a replay can
/// be served from the ring. A room's deletion always counts: who was in it is known no more.
pub(super) struct Watch<'a> {
    viewer: &'a UserId,
    /// In order, where the rooms are named.
    named: Option<Vec<RoomId>>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(viewer: &'a UserId, scope: &Scope) -> Self {
        let named = match scope {
            Scope::Mine => None,
            Scope::Rooms(rooms) => {
                let mut named = rooms.to_vec();
                named.sort_unstable();
                Some(named)
            }
        };
        Self { viewer, named }
    }

    /// Most events are messages, and there may be hundreds of rooms: what happened is asked first.
    pub(super) fn may_change(&self, event: &Event) -> bool {
        let is_such = match &event.what {
            What::RoomCreated { members } => members.contains(self.viewer),
            What::MemberJoined(member) | What::MemberLeft(member) => member.user.id == *self.viewer,
            // Back to public it may have become readable again; that is not told apart here.
            What::RoomUpdated { .. } => self.named.is_some(),
            What::RoomDeleted { .. } => true,
            _ => false,
        };
        let is_named = |named: &Vec<RoomId>| named.binary_search(&event.room_id()).is_ok();
        is_such && self.named.as_ref().is_none_or(is_named)
    }
}

/// Events to read from the store at a time, so that what is held for one slow socket stays near `budget` bytes.
pub(super) fn page_events(frame_bytes: usize, budget: usize) -> usize {
    const FEWEST: usize = 16;
    const MOST: usize = 500;
    (budget / frame_bytes.max(1)).clamp(FEWEST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: fn(u64) -> Option<Honoured> = |seq| Some(Ok(Seq(seq)));

    #[test]
    fn the_later_of_two_places_wins() {
        assert_eq!(start(None, None), Start::Head);
        assert_eq!(start(OK(3), None), Start::At(Seq(3)));
        assert_eq!(start(None, OK(3)), Start::At(Seq(3)));
        assert_eq!(start(OK(3), OK(5)), Start::At(Seq(5)));
        assert_eq!(start(OK(5), OK(3)), Start::At(Seq(5)));
    }

    #[test]
    fn a_resume_point_outweighs_variables_from_long_ago() {
        for stale in [Resync::CursorExpired, Resync::EpochChanged] {
            assert_eq!(start(OK(5), Some(Err(stale))), Start::At(Seq(5)));
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_told() {
        for reason in [Resync::EpochChanged, Resync::CursorAhead] {
            assert_eq!(start(Some(Err(reason)), OK(3)), Start::Resync(reason));
            assert_eq!(start(None, Some(Err(reason))), Start::Resync(reason));
            assert_eq!(start(Some(Err(reason)), None), Start::Resync(reason));
        }
        let expired = Some(Err(Resync::CursorExpired));
        assert_eq!(start(expired, None), Start::Resync(Resync::CursorExpired));
        // `after` holds, so it lies above what has expired: it is the later.
        assert_eq!(start(expired, OK(3)), Start::At(Seq(3)));
    }

    #[test]
    fn goes_live_near_the_end_with_room_in_the_queue() {
        let next = |place, head, must_reach, queued| {
            let remainder = Pace::default().remainder;
            let must_reach = Seq(must_reach);
            next(Seq(place), Seq(head), must_reach, remainder, queued, 64)
        };
        assert_eq!(next(0, 65, 0, 0), Next::Walk);
        assert_eq!(next(1, 65, 0, 0), Next::HandOver);
        assert_eq!(next(1, 65, 2, 0), Next::Walk);
        assert_eq!(next(2, 65, 2, 64), Next::HandOver);
        assert_eq!(next(2, 65, 2, 65), Next::Drain);
        // The store may be ahead of the tail.
        assert_eq!(next(70, 65, 0, 0), Next::HandOver);
    }

    #[test]
    fn is_seated_ahead_of_behind_or_not_at_all() {
        let seating = |place, walked| seating(Seq(place), Seq(walked), Pace::default().seating);
        assert_eq!(seating(9, 7), Seating::Ahead);
        assert_eq!(seating(7, 7), Seating::Ahead);
        assert_eq!(seating(5, 7), Seating::Remainder { events: 2 });
        assert_eq!(seating(0, 257), Seating::TooFar);
    }

    #[test]
    fn a_page_holds_about_a_budget() {
        assert_eq!(page_events(600, 262_144), 436);
        assert_eq!(page_events(1, 262_144), 500);
        assert_eq!(page_events(40_000, 262_144), 16);
    }
}
