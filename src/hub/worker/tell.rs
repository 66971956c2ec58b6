//! Telling signals: who is there first, then each change, to those who listen and keep up.
//!
//! What they listen to follows the log as the worker walks it, so that nothing of a room comes behind the event by which
//! someone lost it. What a slow connection is not told it is not owed: it is told anew who is there once it keeps up.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::super::line::{HandOver, Line, Sub};
use super::super::listen;
use super::super::operation::{Operation, Rendered};
use super::super::outbox::{Live, Whispered};
use super::super::position::{Seating, seating};
use super::super::roster::SeatId;
use super::super::seats::{Seat, Seats};
use super::super::{Core, Item};
use super::Worker;
use crate::model::{Access, Event, RoomId, Scope, Seq, UserId, What};
use crate::signal::{Ear, Heard, Told};

/// Those who listen, at one worker.
pub(super) struct Listeners {
    ear: Ear,
    /// Of `signals`. What a seat follows are those of its rooms that the viewer is a member of; true for those of which it was
    /// told who is there.
    rooms: Seats,
    /// Of `roomRead`.
    own: Seats,
    /// Rooms of which it was asked who is there.
    asked: HashSet<RoomId>,
    /// Operations whose payloads have to wait for the store: one is made at a time, so that they come in order.
    lanes: HashMap<u64, VecDeque<Due>>,
    made: Arc<Mutex<Vec<Made>>>,
    /// Made, and showing what this worker has not walked to.
    early: Vec<Made>,
}

/// A signal, and whom it is for.
#[derive(Clone)]
struct Due {
    told: Arc<Told>,
    to: To,
}

#[derive(Clone, PartialEq, Eq)]
enum To {
    /// Those who were not told yet who is there.
    First,
    /// Those who were.
    Then,
    /// One user's devices.
    Own(UserId),
}

/// What has become of a payload that had to wait.
struct Made {
    operation: Arc<Operation>,
    payload: Option<Bytes>,
    /// It shows things as they were at this place, which some may not see any more.
    not_before: Seq,
}

impl Listeners {
    /// Payloads of one operation that may wait to be made; what comes then is not told.
    const LANE_MAX: usize = 64;

    pub(super) fn new(ear: Ear) -> Self {
        Self {
            ear,
            rooms: Seats::default(),
            own: Seats::default(),
            asked: HashSet::new(),
            lanes: HashMap::new(),
            made: Arc::default(),
            early: Vec::new(),
        }
    }

    /// The connection of each seat.
    pub(super) fn lines(&self) -> impl Iterator<Item = &Arc<Line>> {
        self.rooms.lines().chain(self.own.lines())
    }

    fn ask(&mut self, room: RoomId) {
        if self.asked.insert(room) {
            self.ear.listen(room);
        }
    }

    /// Where nobody is left who listens to a room, its signals need not come here.
    fn desert(&mut self, rooms: impl IntoIterator<Item = RoomId>) {
        for room in rooms {
            if self.rooms.roster().groups(room).next().is_none() {
                self.asked.remove(&room);
                self.ear.leave(room);
            }
        }
    }

    fn remove(&mut self, id: SeatId) -> Option<Seat> {
        let seat = self.rooms.remove(id)?;
        self.desert(seat.access.rooms.keys().copied());
        Some(seat)
    }

    fn enter(&mut self, id: SeatId, room: RoomId, seq: Seq) {
        let Some(seat) = self.rooms.get_mut(id) else {
            return;
        };
        let is_named = matches!(&seat.access.scope, Scope::Rooms(named) if named.contains(&room));
        if seq > seat.from && is_named && !seat.access.rooms.contains_key(&room) {
            seat.access.rooms.insert(room, false);
            self.rooms.follow(id, room, false);
            self.ask(room);
        }
    }

    fn leave(&mut self, id: SeatId, room: RoomId, seq: Seq) {
        let Some(seat) = self.rooms.get_mut(id) else {
            return;
        };
        if seq > seat.from && seat.access.rooms.remove(&room).is_some() {
            self.rooms.follow(id, room, true);
            self.desert([room]);
        }
    }

    /// Takes an event that changes who may listen.
    pub(super) fn heed(&mut self, event: &Event) {
        let (room, seq) = (event.room_id(), event.cursor.seq);
        let of = |seats: &Seats, user: &UserId| seats.of_viewer(user).to_vec();
        match &event.what {
            What::RoomCreated { members } => {
                for id in members
                    .iter()
                    .flat_map(|user| of(&self.rooms, user))
                    .collect::<Vec<_>>()
                {
                    self.enter(id, room, seq);
                }
            }
            What::MemberJoined(member) => {
                for id in of(&self.rooms, &member.user.id) {
                    self.enter(id, room, seq);
                }
            }
            What::MemberLeft(member) => {
                for id in of(&self.rooms, &member.user.id) {
                    self.leave(id, room, seq);
                }
            }
            What::RoomDeleted { .. } => {
                for id in self.rooms.roster().seats(room) {
                    self.leave(id, room, seq);
                }
            }
            _ => {}
        }
    }

    /// Gives up the seats of subscriptions that have ended.
    pub(super) fn sweep(&mut self, line: &Line) {
        for id in self.rooms.of_line(line.id) {
            if self
                .rooms
                .get_mut(id)
                .is_some_and(|seat| seat.sub.has_ended())
            {
                self.remove(id);
            }
        }
        for id in self.own.of_line(line.id) {
            if self
                .own
                .get_mut(id)
                .is_some_and(|seat| seat.sub.has_ended())
            {
                self.own.remove(id);
            }
        }
    }

    /// Asks again who is in those rooms of a connection of which it could not be told.
    pub(super) fn ask_again(&mut self, line: &Line) {
        for id in self.rooms.of_line(line.id) {
            let rooms = self.rooms.get_mut(id).map(|seat| untold(&seat.access));
            for room in rooms.into_iter().flatten() {
                self.ask(room);
            }
        }
    }

    /// Nobody knows any more who is there.
    fn ask_all_again(&mut self) {
        self.asked.clear();
        for id in self.rooms.all() {
            let Some(seat) = self.rooms.get_mut(id) else {
                continue;
            };
            seat.access
                .rooms
                .values_mut()
                .for_each(|told| *told = false);
            for room in untold(&seat.access) {
                self.ask(room);
            }
        }
    }

    /// The operations of those whom a signal is for.
    fn operations(&mut self, due: &Due) -> Vec<Arc<Operation>> {
        let room = due.told.room.id;
        if let To::Own(user) = &due.to {
            let seats = self.own.of_viewer(user).to_vec();
            let seats = seats.into_iter();
            let mut operations: Vec<_> = seats
                .filter_map(|id| Some(self.own.get_mut(id)?.sub.operation.clone()))
                .collect();
            operations.sort_unstable_by_key(|operation| operation.id);
            operations.dedup_by_key(|operation| operation.id);
            return operations;
        }
        let (roster, seats) = self.rooms.rostered();
        let waits_for_it = |id: &SeatId| {
            let seat = seats.get(*id as usize).and_then(Option::as_ref);
            seat.is_some_and(|seat| seat.access.rooms.get(&room) == Some(&(due.to == To::Then)))
        };
        let groups = roster.groups(room);
        let groups = groups.filter(|group| group.seats.iter().any(waits_for_it));
        groups.map(|group| group.operation.clone()).collect()
    }

    /// Gives a payload to those of one operation whom it is for. `walked`: as far as who may listen is known.
    fn give(&mut self, due: &Due, operation: u64, payload: &Bytes, walked: Seq) {
        if let To::Own(user) = &due.to {
            for id in self.own.of_viewer(user).to_vec() {
                let seat = self.own.get_mut(id);
                if let Some(seat) = seat.filter(|seat| seat.sub.operation.id == operation) {
                    whisper(seat, payload, walked);
                }
            }
            return;
        }
        let (room, is_presence) = (due.told.room.id, due.told.what.is_presence());
        let (roster, seats) = self.rooms.rostered();
        let group = roster
            .groups(room)
            .find(|group| group.operation.id == operation);
        for id in group.into_iter().flat_map(|group| &group.seats) {
            let Some(seat) = seats.get_mut(*id as usize).and_then(Option::as_mut) else {
                continue;
            };
            if seat.access.rooms.get(&room) != Some(&(due.to == To::Then)) {
                continue;
            }
            let is_told = match whisper(seat, payload, walked) {
                Whispered::Taken => true,
                Whispered::Dropped => due.to == To::Then && !is_presence,
                Whispered::Cancelled => continue,
            };
            seat.access.rooms.insert(room, is_told);
        }
    }

    /// What was not told leaves those whom it was for with a wrong picture, if it was of who is there.
    fn miss(&mut self, due: &Due, operation: u64) {
        let room = due.told.room.id;
        if due.to != To::Then || !due.told.what.is_presence() {
            return;
        }
        let (roster, seats) = self.rooms.rostered();
        let group = roster
            .groups(room)
            .find(|group| group.operation.id == operation);
        for id in group.into_iter().flat_map(|group| &group.seats) {
            if let Some(seat) = seats.get_mut(*id as usize).and_then(Option::as_mut) {
                seat.access.rooms.insert(room, false);
            }
        }
    }

    /// Asks again who is in a room, for those who keep up again.
    fn heal(&mut self, room: RoomId) {
        if self.owes(room) {
            self.ask(room);
        }
    }

    fn owes(&mut self, room: RoomId) -> bool {
        let (roster, seats) = self.rooms.rostered();
        let is_owed = |id: &SeatId| {
            let seat = seats.get(*id as usize).and_then(Option::as_ref);
            seat.is_some_and(|seat| {
                seat.access.rooms.get(&room) == Some(&false) && seat.outbox.takes_signals()
            })
        };
        let mut groups = roster.groups(room);
        groups.any(|group| group.seats.iter().any(is_owed))
    }
}

/// The rooms of which it was not told who is there.
fn untold(access: &Access) -> Vec<RoomId> {
    let rooms = access.rooms.iter();
    rooms
        .filter(|(_, told)| !**told)
        .map(|(room, _)| *room)
        .collect()
}

fn whisper(seat: &Seat, payload: &Bytes, walked: Seq) -> Whispered {
    let live = Live {
        prefix: &seat.sub.prefix,
        payload,
        ended: &seat.sub.ended,
    };
    // A catch-up may have told of a loss that this worker has not come to.
    let may = || seat.line.revoked_to.load(Ordering::Relaxed) <= walked.0;
    seat.outbox.whisper(live, may)
}

impl Worker {
    /// Tells what there is to tell.
    pub(super) fn hear(&mut self) {
        for heard in self.listeners.ear.take() {
            match heard {
                Heard::First(told) => {
                    self.listeners.asked.remove(&told.room.id);
                    self.tell(&Due {
                        told,
                        to: To::First,
                    });
                }
                Heard::Then(told) => {
                    let room = told.room.id;
                    self.tell(&Due { told, to: To::Then });
                    self.listeners.heal(room);
                }
                Heard::Own(user, told) => {
                    let to = To::Own(user);
                    self.tell(&Due { told, to });
                }
                Heard::Lost => self.listeners.ask_all_again(),
            }
        }
        self.tell_late();
    }

    fn tell(&mut self, due: &Due) {
        for operation in self.listeners.operations(due) {
            if let Some(lane) = self.listeners.lanes.get_mut(&operation.id) {
                // What waits shows how things are when it is made: the same once more would say the same.
                let is_there =
                    |other: &Due| other.to == due.to && other.told.room.id == due.told.room.id;
                let repeats = matches!(due.to, To::Own(_)) && lane.iter().skip(1).any(is_there);
                if lane.len() >= Listeners::LANE_MAX {
                    self.listeners.miss(due, operation.id);
                } else if !repeats {
                    lane.push_back(due.clone());
                }
                continue;
            }
            let item = Item::Signal(due.told.clone());
            match operation.render(&item, self.core.payloads.as_of()) {
                Rendered::Now(payload) => {
                    self.listeners
                        .give(due, operation.id, &payload, self.walked);
                }
                Rendered::Later => {
                    let lane = VecDeque::from([due.clone()]);
                    self.listeners.lanes.insert(operation.id, lane);
                    self.make(operation, item);
                }
            }
        }
    }

    /// Makes a payload elsewhere.
    fn make(&self, operation: Arc<Operation>, item: Item) {
        let (made, bell) = (self.listeners.made.clone(), self.inbox.bell.clone());
        let (core, as_of) = (self.core.clone(), self.core.payloads.as_of());
        self.core.spawn(async move {
            let (payload, not_before) = render_late(&core, &operation, &item, as_of).await;
            let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
            made.push(Made {
                operation,
                payload,
                not_before,
            });
            drop(made);
            bell.notify_one();
        });
    }

    /// Gives out what was made elsewhere, once this worker has walked as far as it shows.
    fn tell_late(&mut self) {
        let listeners = &mut self.listeners;
        let made = std::mem::take(
            &mut *listeners
                .made
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let made = listeners.early.drain(..).chain(made).collect::<Vec<_>>();
        for made in made {
            if made.not_before > self.walked {
                self.listeners.early.push(made);
                continue;
            }
            let operation = made.operation;
            let Some(lane) = self.listeners.lanes.get_mut(&operation.id) else {
                continue;
            };
            let (due, next) = (lane.pop_front(), lane.front().cloned());
            match (due, made.payload) {
                (Some(due), Some(payload)) => {
                    self.listeners
                        .give(&due, operation.id, &payload, self.walked);
                }
                (Some(due), None) => self.listeners.miss(&due, operation.id),
                (None, _) => {}
            }
            match next {
                Some(next) => self.make(operation, Item::Signal(next.told)),
                None => {
                    self.listeners.lanes.remove(&operation.id);
                }
            }
        }
    }

    /// Seats a subscription to `signals`.
    pub(super) fn seat_listener(&mut self, line: &Arc<Line>, hand_over: HandOver) {
        let HandOver {
            sub,
            place,
            mut access,
        } = hand_over;
        if sub.has_ended() {
            return;
        }
        let remainder = match seating(place, self.walked, self.core.pace.seating) {
            Seating::Ahead => Some(Vec::new()),
            Seating::Remainder { events } => self.core.tail.since(place, events),
            Seating::TooFar => None,
        };
        let Some(remainder) = remainder else {
            listen::begin(&self.core, line, sub, access.scope);
            return;
        };
        for event in &remainder {
            listen::follow(&mut access, event);
        }
        let rooms = untold(&access);
        let from = place.max(self.walked);
        self.listeners.rooms.add(seat(line, sub, access, from));
        for room in rooms {
            self.listeners.ask(room);
        }
    }

    /// Seats a subscription to `roomRead`.
    pub(super) fn seat_own(&mut self, line: &Arc<Line>, sub: Arc<Sub>) {
        if !sub.has_ended() {
            let access = Access {
                viewer: line.viewer.user.id.clone(),
                scope: Scope::Mine,
                rooms: HashMap::new(),
            };
            self.listeners.own.add(seat(line, sub, access, self.walked));
        }
    }

    /// This worker has passed over a part of the log: what may be listened to is asked of the store again.
    pub(super) fn listen_again(&mut self) {
        for id in self.listeners.rooms.all() {
            if let Some(seat) = self.listeners.remove(id) {
                listen::begin(&self.core, &seat.line, seat.sub, seat.access.scope);
            }
        }
    }
}

/// The payload, and the place that it may show; none where the store does not answer.
async fn render_late(
    core: &Core,
    operation: &Arc<Operation>,
    item: &Item,
    as_of: super::super::cache::AsOf,
) -> (Option<Bytes>, Seq) {
    let Ok(payload) = operation.render_later(item, as_of).await else {
        return (None, Seq::ZERO);
    };
    match core.store.bounds().await {
        Ok(bounds) => (Some(payload), bounds.head),
        Err(error) => {
            tracing::warn!(%error, "a signal was not told");
            (None, Seq::ZERO)
        }
    }
}

fn seat(line: &Arc<Line>, sub: Arc<Sub>, access: Access, from: Seq) -> Seat {
    Seat {
        line: line.clone(),
        sub,
        line_id: line.id,
        outbox: line.outbox.clone(),
        access: Box::new(access),
        from,
        decided: Seq::ZERO,
        missed: None,
    }
}
