//! Room by room: what of each is in a stream, and what is not.
//!
//! Live, a stream is exactly what its viewer could see at each event. A replay shows rooms as they are readable when it
//! is read: of a room that was lost meanwhile nothing but that, of one that was entered meanwhile all. So what a run shows
//! of the time before it was live, or after it fell so far behind that the server reads it back from its store, is held to
//! what any moment of reading, up to the receipt, would give; the rest to the log alone.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::check::{Case, Checker};
use super::stream::{Item, Kind, Millis, Scope, Seq, Shape, What};

impl Checker<'_> {
    pub(super) fn rooms(&mut self, case: &Case<'_>) {
        let rooms = match &case.stream.scope {
            Scope::Mine => {
                let shown = case
                    .shown
                    .iter()
                    .map(|(seq, item)| self.room_of(*seq, item));
                let shown: BTreeSet<Uuid> = shown.collect();
                shown
                    .union(&self.log.rooms_of(case.stream.viewer))
                    .copied()
                    .collect()
            }
            Scope::Rooms(rooms) => rooms.to_vec(),
            Scope::Messages(room) => vec![*room],
        };
        let strangers: Vec<_> = (case.shown.iter())
            .filter(|(seq, item)| !rooms.contains(&self.room_of(*seq, item)))
            .map(|(seq, _)| format!("{seq} is of another room"))
            .collect();
        self.found.violations.extend(strangers);
        for room in rooms {
            match &case.stream.scope {
                Scope::Mine => self.mine(case, room),
                Scope::Rooms(_) => self.named(case, room),
                Scope::Messages(_) => self.messages(case, room),
            }
        }
    }

    fn room_of(&self, seq: Seq, item: &Item) -> Uuid {
        match &item.what {
            What::Revoked(room) | What::Event { room, .. } => *room,
            _ => self.log.entry(seq).room,
        }
    }

    /// A room of one's own: it comes in and goes out with its viewer.
    fn mine(&mut self, case: &Case<'_>, room: Uuid) {
        let (viewer, scope) = (case.stream.viewer, &case.stream.scope);
        for seq in self.log.of_room(room, case.from, case.reached).to_vec() {
            let is = self.log.may_follow(viewer, scope, room, seq);
            let was = self.log.may_follow(viewer, scope, room, seq - 1);
            let known = case.known(seq);
            let read = |may| self.log.turn(viewer, scope, room, seq, known, may);
            let shown = case
                .at(seq)
                .map(|item| matches!(item.what, What::Revoked(_)));
            let by_a_replay = match (shown, is, was) {
                (Some(false), true, _) | (Some(true), false, true) | (None, false, false) => None,
                // A replay that reads before this loss, or after the next, shows nothing of the room or all.
                (None, true, _) => Some(read(false).is_some()),
                (None, false, true) | (Some(false), false, _) => Some(read(true).is_some()),
                (Some(true), _, _) => Some(false),
            };
            self.weigh(case, seq, by_a_replay);
        }
        for (seq, item) in &case.shown {
            if matches!(&item.what, What::Revoked(lost) if *lost == room)
                && self.log.entry(*seq).room != room
            {
                self.blame(format!(
                    "{room} revoked at {seq}, where nothing became of it"
                ));
            }
        }
    }

    /// Counts a place; where it is not as the log alone says, only a replay may be the reason.
    fn weigh(&mut self, case: &Case<'_>, seq: Seq, by_a_replay: Option<bool>) {
        let is_exact = self.is_exact(case, seq);
        match by_a_replay {
            None => self.found.exact += u64::from(is_exact),
            Some(true) if !is_exact => self.found.replayed += 1,
            Some(possible) => {
                let item = case.at(seq);
                let (from, reached, live) = (case.from, case.reached, case.live);
                let kind = self.log.entry(seq).kind;
                self.blame(format!(
                    "{kind:?} at {seq} ({from}..{reached}, live at {live}, exact {is_exact}, possible {possible}): {item:?}"
                ));
            }
        }
    }

    /// Whether it came live, or from the ring, which is the same: within what the server keeps in memory, half of it.
    fn is_exact(&self, case: &Case<'_>, seq: Seq) -> bool {
        const EVENTS: Seq = 8_000;
        const BYTES: usize = 32 << 20;
        let head = self.log.head_by(case.known(seq));
        let gone = self.log.deletion_of(self.log.entry(seq).room);
        // A reply in a room that is gone has lost what it quotes, and the store is asked for it.
        gone.is_none_or(|gone| gone > head)
            && case.stream.shape != Shape::Waiting
            && self.log.entry(seq).at > case.live
            && seq <= self.missed
            && head - seq.min(head) < EVENTS
            && self.log.bytes_between(seq, head.max(seq)) < BYTES
    }

    /// A room that was named: it is followed until it is lost, and then no more.
    fn named(&mut self, case: &Case<'_>, room: Uuid) {
        let revoked = case
            .shown
            .iter()
            .filter(|(_, item)| matches!(&item.what, What::Revoked(lost) if *lost == room));
        let revoked: Vec<(Seq, Millis)> = revoked.map(|(seq, item)| (*seq, item.at)).collect();
        match revoked[..] {
            [] => self.followed(case, room, None, case.reached),
            [(seq, at)] if seq == case.from => self.never_followed(case, room, at),
            [(seq, _)] if self.log.entry(seq).room != room => {
                self.blame(format!(
                    "{room} revoked at {seq}, where nothing became of it"
                ));
            }
            [(seq, _)] => self.followed(case, room, Some(seq), seq),
            _ => self.blame(format!("{room} was lost more than once: {revoked:?}")),
        }
    }

    fn messages(&mut self, case: &Case<'_>, room: Uuid) {
        let Some(at) = case.run.refused else {
            return self.followed(case, room, None, case.reached);
        };
        self.found.refused += 1;
        let (viewer, scope) = (case.stream.viewer, &case.stream.scope);
        let last = case.shown.last().map_or(case.from, |(seq, _)| *seq);
        let lost = self.log.turn(viewer, scope, room, last, at, false);
        match lost.filter(|lost| self.log.may_follow(viewer, scope, room, lost - 1)) {
            Some(lost) => self.followed(case, room, Some(lost), lost),
            None => self.never_followed(case, room, at),
        }
    }

    /// It could not be seen when the stream began.
    fn never_followed(&mut self, case: &Case<'_>, room: Uuid, at: Millis) {
        let (viewer, scope) = (case.stream.viewer, &case.stream.scope);
        let could = self.log.may_follow(viewer, scope, room, case.from)
            && self
                .log
                .turn(viewer, scope, room, case.from, at, false)
                .is_none();
        if could {
            self.blame(format!("{room} could be seen from {} on", case.from));
        }
        let shown = case.shown.iter().find(|(seq, item)| {
            self.room_of(*seq, item) == room && matches!(item.what, What::Event { .. })
        });
        if let Some((_, item)) = shown {
            self.blame(format!("{item:?} of a room that cannot be seen"));
        }
    }

    /// It was followed from the beginning, until it was lost at a place or up to where the run was.
    fn followed(&mut self, case: &Case<'_>, room: Uuid, lost: Option<Seq>, through: Seq) {
        let (viewer, scope) = (case.stream.viewer, &case.stream.scope);
        for seq in self
            .log
            .of_room(room, case.from, case.reached.max(through))
            .to_vec()
        {
            let is = self.log.may_follow(viewer, scope, room, seq);
            let was = self.log.may_follow(viewer, scope, room, seq - 1);
            let is_wanted = matches!(scope, Scope::Rooms(_))
                || self.log.entry(seq).kind == Some(Kind::MessageSent);
            let known = case.known(seq);
            let read = |may| self.log.turn(viewer, scope, room, seq, known, may);
            let shown = case.at(seq);
            let by_a_replay = match shown.map(|item| &item.what) {
                // Once lost it is lost.
                _ if seq > through => shown.is_some().then_some(false),
                Some(What::Revoked(_)) => (is || !was).then_some(false),
                _ if lost == Some(seq) => (is || !was).then_some(false),
                Some(_) if is => None,
                // A replay that read after it could be seen again.
                Some(_) => Some(read(true).is_some()),
                None if !is => Some(read(true).is_some() || (lost.is_some() && !was)),
                None if !is_wanted => None,
                // A replay that read after it was lost.
                None => Some(read(false).is_some()),
            };
            self.weigh(case, seq, by_a_replay);
        }
    }
}
