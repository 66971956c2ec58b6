//! The live subscriptions of one worker, found by number, by connection, by viewer and by room.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::line::{Line, Sub};
use super::outbox::Outbox;
use super::roster::{Roster, SeatId};
#[cfg(test)]
use crate::interleave::explored;
use crate::model::{Access, RoomId, Seq, UserId};

/// A live subscription. What each delivery looks at lies together: with thousands of them, memory that is not in the
/// processor's cache is what a delivery waits for most.
pub(super) struct Seat {
    pub(super) line: Arc<Line>,
    pub(super) sub: Arc<Sub>,
    /// Its connection's number.
    pub(super) line_id: u64,
    /// Its connection's queue.
    pub(super) outbox: Arc<Outbox>,
    /// What it follows as of the last event that its worker has walked, or as of `from` if that is later.
    pub(super) access: Box<Access>,
    /// It has everything up to here from its catch-up.
    pub(super) from: Seq,
    /// The last event that was weighed for it alone rather than with its room.
    pub(super) decided: Seq,
    /// The first event that it was to get and did not: it leaves, to catch up from there.
    pub(super) missed: Option<Seq>,
}

impl Seat {
    /// It did not get this event; those before it, it did.
    pub(super) fn miss(&mut self, seq: Seq) {
        self.missed = Some(self.missed.map_or(seq, |missed| missed.min(seq)));
    }
}

/// All seats of a worker.
#[derive(Default)]
pub(super) struct Seats {
    slots: Vec<Option<Seat>>,
    free: Vec<SeatId>,
    by_line: HashMap<u64, Vec<SeatId>>,
    by_viewer: HashMap<UserId, Vec<SeatId>>,
    roster: Roster,
}

impl Seats {
    pub(super) fn add(&mut self, seat: Seat) {
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            SeatId::try_from(self.slots.len() - 1).unwrap_or(SeatId::MAX)
        });
        self.by_line.entry(seat.line.id).or_default().push(id);
        let viewer = seat.access.viewer.clone();
        self.by_viewer.entry(viewer).or_default().push(id);
        for room in seat.access.rooms.keys() {
            self.roster.add(*room, &seat.sub.operation, id);
        }
        if let Some(slot) = self.slots.get_mut(id as usize) {
            *slot = Some(seat);
        }
    }

    pub(super) fn remove(&mut self, id: SeatId) -> Option<Seat> {
        let seat = self.slots.get_mut(id as usize)?.take()?;
        self.free.push(id);
        forget(&mut self.by_line, &seat.line.id, id);
        forget(&mut self.by_viewer, &seat.access.viewer, id);
        for room in seat.access.rooms.keys() {
            self.roster.remove(*room, seat.sub.operation.id, id);
        }
        Some(seat)
    }

    pub(super) fn get_mut(&mut self, id: SeatId) -> Option<&mut Seat> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    pub(super) fn of_line(&self, line: u64) -> Vec<SeatId> {
        self.by_line.get(&line).cloned().unwrap_or_default()
    }

    pub(super) fn of_viewer(&self, viewer: &UserId) -> &[SeatId] {
        self.by_viewer.get(viewer).map_or(&[], Vec::as_slice)
    }

    pub(super) fn into_seats(self) -> impl Iterator<Item = Seat> {
        self.slots.into_iter().flatten()
    }

    pub(super) fn all(&self) -> Vec<SeatId> {
        self.by_line.values().flatten().copied().collect()
    }

    /// The connection of each seat.
    pub(super) fn lines(&self) -> impl Iterator<Item = &Arc<Line>> {
        self.slots.iter().flatten().map(|seat| &seat.line)
    }

    #[cfg(test)]
    pub(super) fn has(&self, sub: &Arc<Sub>) -> bool {
        let mut seats = self.slots.iter().flatten();
        seats.any(|seat| Arc::ptr_eq(&seat.sub, sub))
    }

    /// Who is seated and how, whatever their numbers are; `walked`: by their worker.
    #[cfg(test)]
    pub(super) fn stand(&self, walked: Seq) -> impl Hash + use<> {
        let seats = self.slots.iter().flatten().map(|seat| {
            let sub = (seat.line.id, seat.sub.id.clone(), seat.sub.has_ended());
            let access = explored::access(&seat.access);
            // Places that the worker has passed make no difference any more.
            let places = [seat.from, seat.decided].map(|place| place.max(walked));
            (sub, places, seat.missed, access)
        });
        let mut seats: Vec<_> = seats.collect();
        seats.sort_unstable();
        seats
    }

    /// The roster, and the seats to look its numbers up in.
    pub(super) fn rostered(&mut self) -> (&Roster, &mut [Option<Seat>]) {
        (&self.roster, &mut self.slots)
    }

    pub(super) fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Brings the roster to what a seat follows in a room, given whether it followed it before.
    pub(super) fn follow(&mut self, id: SeatId, room: RoomId, before: bool) {
        let Some(seat) = self.slots.get(id as usize).and_then(Option::as_ref) else {
            return;
        };
        match (before, seat.access.rooms.contains_key(&room)) {
            (false, true) => self.roster.add(room, &seat.sub.operation, id),
            (true, false) => self.roster.remove(room, seat.sub.operation.id, id),
            _ => {}
        }
    }
}

fn forget<K: Hash + Eq>(index: &mut HashMap<K, Vec<SeatId>>, key: &K, id: SeatId) {
    if let Some(seats) = index.get_mut(key) {
        seats.retain(|other| *other != id);
        if seats.is_empty() {
            index.remove(key);
        }
    }
}

/// Undoes what an event that was not delivered has changed: an event changes nothing but its own room.
pub(super) fn put_back(access: &mut Access, room: RoomId, before: Option<bool>) {
    match before {
        Some(member) => access.rooms.insert(room, member),
        None => access.rooms.remove(&room),
    };
}
