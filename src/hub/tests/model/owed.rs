//! What a subscription is owed, said without knowing how it is served: in terms of the log and of who may read what after
//! each of its events.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;

use super::script::{About, is_slow, number};
use crate::hub::tests::store::access_after;
use crate::model::{Access, Event, RoomId, Scope, Seq, UserId, Verdict, What};

/// The whole log, also what is not written yet, as one viewer may read it.
pub(super) struct Due {
    events: Vec<Arc<Event>>,
    /// After so many events.
    access: Vec<Access>,
    about: About,
}

/// What a frame says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Said {
    /// The event in this place.
    Event,
    /// `AccessRevoked`, or for a subscription to one room the error that ends it.
    Revoked,
}

/// A frame of a subscription.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Shown {
    pub(super) seq: Seq,
    pub(super) said: Said,
    pub(super) room: RoomId,
}

impl Due {
    pub(super) fn new(events: &[Arc<Event>], viewer: &str, about: About) -> Self {
        let (viewer, scope) = (UserId::stored(viewer), about.scope());
        let after = (0..=events.len()).map(|n| access_after(&events[..n], &viewer, &scope));
        Self {
            events: events.to_vec(),
            access: after.collect(),
            about,
        }
    }

    fn reads(&self, room: RoomId, after: u64) -> bool {
        self.access[after as usize].rooms.contains_key(&room)
    }

    /// From its event on, through `head`; a room that was named from the beginning on, for it is not taken up again.
    fn always_reads(&self, room: RoomId, from: u64, start: Seq, head: Seq) -> bool {
        let from = match self.about {
            About::Mine => from,
            About::Rooms(_) | About::Messages(_) => start.0.max(self.made(room)),
        };
        (from..=head.0).all(|after| self.reads(room, after))
    }

    fn never_reads(&self, room: RoomId, from: u64, head: Seq) -> bool {
        (from..=head.0).all(|after| !self.reads(room, after))
    }

    /// The place of a room's first event.
    fn made(&self, room: RoomId) -> u64 {
        let first = self.events.iter().position(|event| event.room_id() == room);
        first.map_or(0, |first| first as u64 + 1)
    }

    /// The events after `start` through `end`, with their places.
    fn between(&self, start: Seq, end: Seq) -> impl Iterator<Item = (Seq, &Event)> {
        (start.0..end.0).map(|seq| (Seq(seq + 1), &*self.events[seq as usize]))
    }

    fn wants(&self, event: &Event) -> bool {
        !self.about.messages_only() || matches!(event.what, What::MessageSent(_))
    }

    fn named(&self) -> Vec<RoomId> {
        match self.about.scope() {
            Scope::Mine => Vec::new(),
            Scope::Rooms(rooms) => rooms.to_vec(),
        }
    }

    /// The stream from a place on, each event weighed by what could be read then.
    fn walk(&self, start: Seq) -> Vec<Shown> {
        let mut access = self.access[start.0 as usize].clone();
        let unreadable = self.named().into_iter();
        let unreadable = unreadable.filter(|room| !access.rooms.contains_key(room));
        let mut walk: Vec<_> = unreadable
            .map(|room| Shown {
                seq: start,
                said: Said::Revoked,
                room,
            })
            .collect();
        for (seq, event) in self.between(start, Seq(self.events.len() as u64)) {
            let room = event.room_id();
            let said = match access.follow(event) {
                Verdict::Deliver if self.wants(event) => Said::Event,
                Verdict::Revoke => Said::Revoked,
                _ => continue,
            };
            walk.push(Shown { seq, said, room });
        }
        if self.about.messages_only() {
            let lost = walk.iter().position(|shown| shown.said == Said::Revoked);
            walk.truncate(lost.map_or(walk.len(), |lost| lost + 1));
        }
        walk
    }

    /// Nothing changes after a place: however it is served, there is one right stream.
    fn is_steady(&self, start: Seq) -> bool {
        let after = &self.access[start.0 as usize..];
        after.iter().all(|access| access.rooms == after[0].rooms)
    }

    /// A room that was named can be read only later than this place: it may be told to be out of reach, or be shown.
    fn is_early(&self, start: Seq) -> bool {
        let after = &self.access[start.0 as usize..];
        let later = |room: &RoomId| after.iter().any(|access| access.rooms.contains_key(room));
        let mut named = self.named().into_iter();
        named.any(|room| !self.reads(room, start.0) && later(&room))
    }
}

/// One subscription as its client sees it, and what it is owed.
pub(super) struct Stream {
    pub(super) name: String,
    /// Whose it is.
    pub(super) client: usize,
    due: Rc<Due>,
    start: Seq,
    walk: Vec<Shown>,
    pub(super) shown: Vec<Shown>,
    /// Rooms that it was told to have lost.
    told: BTreeSet<RoomId>,
    pub(super) caught_up: Option<Seq>,
    /// Some of it came from the store, which says what may be read when it is asked: what was lost by then is not shown.
    pub(super) paged: bool,
    /// The tail's head when it asked for a seat.
    pub(super) asked: Seq,
    /// It has ended by an error.
    pub(super) failed: bool,
    /// Its client, or its connection, has ended it.
    pub(super) left: bool,
}

impl Stream {
    pub(super) fn new(name: String, client: usize, due: Rc<Due>, start: Seq) -> Self {
        Self {
            name,
            client,
            walk: due.walk(start),
            start,
            shown: Vec::new(),
            told: BTreeSet::new(),
            caught_up: None,
            // A payload that had to wait is for those who may read it then.
            paged: due.events.iter().any(|event| is_slow(event)),
            due,
            asked: Seq::ZERO,
            failed: false,
            left: false,
        }
    }

    pub(super) fn is_living(&self) -> bool {
        !self.failed && !self.left
    }

    fn is_exact(&self) -> bool {
        let (due, start) = (&self.due, self.start);
        due.is_steady(start) || !self.paged && !due.is_early(start)
    }

    fn last(&self) -> Seq {
        self.shown.last().map_or(self.start, |shown| shown.seq)
    }

    /// A frame with an event or a revocation was queued, when the log's end was `head`.
    pub(super) fn show(&mut self, shown: Shown, head: Seq) {
        let (name, seq) = (&self.name, shown.seq);
        assert!(self.is_living(), "{name}: {shown:?} after the end");
        assert!(seq <= head, "{name}: {shown:?} beyond the log's end");
        if self.is_exact() {
            let due = self.walk.get(self.shown.len());
            assert_eq!(Some(&shown), due, "{name}: after {:?}", self.shown);
        } else {
            self.weigh(shown, head);
        }
        self.shown.push(shown);
        if shown.said == Said::Revoked {
            self.told.insert(shown.room);
        }
    }

    fn weigh(&self, shown: Shown, head: Seq) {
        let (name, due) = (&self.name, &self.due);
        let Shown { seq, said, room } = shown;
        let is_first = self.shown.iter().all(|shown| shown.seq == self.start);
        let is_opening = said == Said::Revoked && seq == self.start && is_first;
        assert!(
            seq > self.last() || is_opening,
            "{name}: {shown:?} after {:?}",
            self.shown
        );
        self.check_through(Seq(seq.0.saturating_sub(1)), head);
        let was_lost = !due.named().is_empty() && self.told.contains(&room);
        assert!(!was_lost, "{name}: {shown:?} of a room that was lost");
        match said {
            Said::Event => {
                let event = &due.events[seq.0 as usize - 1];
                assert!(
                    due.wants(event) && event.room_id() == room,
                    "{name}: {shown:?}"
                );
                assert!(
                    !due.never_reads(room, seq.0, head),
                    "{name}: {shown:?} may not be read"
                );
            }
            Said::Revoked if is_opening => {
                assert!(!due.reads(room, seq.0), "{name}: {shown:?} can be read");
            }
            Said::Revoked => {
                let is_lost = due.reads(room, seq.0 - 1) && !due.reads(room, seq.0);
                assert!(is_lost, "{name}: {shown:?} was not lost there");
            }
        }
    }

    /// All that is due through a place is there, and nothing above it.
    pub(super) fn check_at(&self, place: Seq, head: Seq) {
        let (name, shown) = (&self.name, &self.shown);
        assert!(
            place >= self.last(),
            "{name}: said to be at {place} after {shown:?}"
        );
        assert!(
            place <= head,
            "{name}: said to be at {place} beyond the log's end"
        );
        self.check_through(place, head);
    }

    fn check_through(&self, place: Seq, head: Seq) {
        if self.is_exact() {
            // Where it begins it may not have been told yet which rooms it cannot see.
            let is_due = |due: &&Shown| due.seq <= place && place > self.start;
            let due = self.walk.iter().filter(is_due).count();
            let (name, shown) = (&self.name, &self.shown);
            assert!(shown.len() >= due, "{name}: only {shown:?} at {place}");
            return;
        }
        for (seq, event) in self.due.between(self.start, place) {
            self.check_event(seq, event, head);
            self.check_loss(seq, event, head);
        }
    }

    fn check_event(&self, seq: Seq, event: &Event, head: Seq) {
        let (room, due) = (event.room_id(), &self.due);
        let is_out = !due.named().is_empty() && self.told.contains(&room);
        if !is_out && due.wants(event) && due.always_reads(room, seq.0, self.start, head) {
            let has = |shown: &Shown| shown.seq == seq && shown.said == Said::Event;
            let (name, shown) = (&self.name, &self.shown);
            assert!(
                shown.iter().any(has),
                "{name}: {seq} is missing in {shown:?}"
            );
        }
    }

    /// A room that is lost for good is told to be; where rooms come and go, at the very place.
    fn check_loss(&self, seq: Seq, event: &Event, head: Seq) {
        let (room, due) = (event.room_id(), &self.due);
        if due.reads(room, seq.0 - 1) && due.never_reads(room, seq.0, head) {
            let is_told = match due.about {
                About::Mine => self.shown.contains(&Shown {
                    seq,
                    said: Said::Revoked,
                    room,
                }),
                About::Rooms(_) | About::Messages(_) => self.told.contains(&room),
            };
            let (name, shown) = (&self.name, &self.shown);
            assert!(is_told, "{name}: loss at {seq} not in {shown:?}");
        }
    }

    /// It has ended with an error: that of the room it is about.
    pub(super) fn fail(&mut self, head: Seq) {
        let (name, due) = (&self.name, &self.due);
        let is_about_one = due.about.messages_only();
        assert!(is_about_one && self.is_living(), "{name}: an error");
        let (start, shown) = (self.start.0, &self.shown);
        let room = due.named()[0];
        let may_be = (start..=head.0).any(|after| !due.reads(room, after));
        assert!(may_be, "{name}: an error after {shown:?}");
        if self.is_exact() {
            assert_eq!(
                self.walk.len(),
                shown.len() + 1,
                "{name}: an error after {shown:?}"
            );
        }
        self.failed = true;
    }

    /// All that what comes may depend on.
    pub(super) fn state(&self) -> impl Hash {
        let shown = self.is_living().then(|| self.shown.clone());
        let asked = self.caught_up.is_none().then_some(self.asked);
        let ended = (self.failed, self.left);
        (shown, self.start, self.caught_up, self.paged, asked, ended)
    }

    pub(super) fn catch_up(&mut self, place: Seq, head: Seq) {
        let name = &self.name;
        assert!(self.is_living(), "{name}: CaughtUp after the end");
        assert_eq!(self.caught_up, None, "{name}: CaughtUp twice");
        assert!(!self.due.about.messages_only(), "{name}: CaughtUp");
        let asked = self.asked;
        assert!(
            place >= asked,
            "{name}: CaughtUp at {place}, asked for at {asked}"
        );
        self.check_at(place, head);
        self.check_opening(head);
        self.caught_up = Some(place);
    }

    /// It could not be served from where it was, and goes on from a later place.
    pub(super) fn resync(&mut self, place: Seq, head: Seq) {
        assert!(
            place >= self.last() && place <= head,
            "{}: resync at {place}",
            self.name
        );
        self.start = place;
        self.walk = self.due.walk(place);
        if !self.due.named().is_empty() {
            self.walk.retain(|due| !self.told.contains(&due.room));
        }
        self.shown.clear();
    }

    /// Nothing is left to be done by anyone.
    pub(super) fn check_end(&self, head: Seq) {
        self.check_at(head, head);
        let (name, is_owed) = (&self.name, !self.due.about.messages_only());
        assert_eq!(self.caught_up.is_some(), is_owed, "{name}: CaughtUp");
        self.check_opening(head);
    }

    /// It was told which rooms it cannot see.
    fn check_opening(&self, head: Seq) {
        for room in self.due.named() {
            let is_lost = self.due.never_reads(room, self.start.0, head);
            let (name, is_told) = (&self.name, self.told.contains(&room));
            assert!(!is_lost || is_told, "{name}: room {}", number(room));
        }
    }
}
