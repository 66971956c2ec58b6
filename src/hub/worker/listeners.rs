//! Who listens to signals, at one worker.
//!
//! What someone listens to follows the log as the worker walks it, so that nothing of a room comes behind the event by which
//! it was lost. How they are told is `tell`'s.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::line::{HandOver, Line, Sub};
use super::super::listen;
use super::super::position::{Seating, seating};
use super::super::roster::SeatId;
use super::super::seats::{Seat, Seats};
use super::Worker;
use super::late::Lanes;
use crate::model::{Access, Event, RoomId, Scope, Seq, UserId, What};
use crate::signal::{Ear, Heard};

/// Those who listen, at one worker.
pub(super) struct Listeners {
    ear: Ear,
    /// Of `signals`. What a seat follows are those of its rooms that the viewer is a member of; true for those of which it was
    /// told who is there, or is to be told by what waits in a lane.
    pub(super) rooms: Seats,
    /// Of `roomRead`. What a seat follows are the rooms that its viewer has lost since it was seated: of those it is not told.
    pub(super) own: Seats,
    /// Rooms of which it was asked who is there.
    asked: HashSet<RoomId>,
    /// Heard, and not told yet.
    pub(super) backlog: VecDeque<Heard>,
    /// When the oldest of it was taken from the ear.
    pub(super) taken_at: Instant,
    /// Payloads that have to wait for the store.
    pub(super) lanes: Lanes,
}

impl Listeners {
    pub(super) fn new(ear: Ear, bell: Arc<Notify>) -> Self {
        Self {
            ear,
            rooms: Seats::default(),
            own: Seats::default(),
            asked: HashSet::new(),
            backlog: VecDeque::new(),
            taken_at: Instant::now(),
            lanes: Lanes::new(bell),
        }
    }

    /// The connection of each seat.
    pub(super) fn lines(&self) -> impl Iterator<Item = &Arc<Line>> {
        self.rooms.lines().chain(self.own.lines())
    }

    /// Takes what there is to tell, once all that was taken before is told: what comes meanwhile waits in the ear, which has
    /// a bound. False where something may be left there.
    pub(super) fn take_heard(&mut self) -> bool {
        let is_told = self.backlog.is_empty();
        if is_told {
            self.backlog = self.ear.take();
            self.taken_at = Instant::now();
        }
        is_told
    }

    /// Lets go of what it is too late to tell: who typed then may type no more. Who is there is told all the same, or some would
    /// never be told; where a change of that was let go, anew.
    pub(super) fn let_go_late(&mut self) {
        let changed: HashSet<RoomId> = (self.backlog.iter())
            .filter_map(|heard| match heard {
                Heard::Then(told) if told.what.is_presence() => Some(told.room.id),
                _ => None,
            })
            .collect();
        self.backlog.retain(|heard| match heard {
            Heard::First(told) => !changed.contains(&told.room.id),
            Heard::Lost => true,
            Heard::Then(_) | Heard::Own(..) => false,
        });
        self.taken_at = Instant::now();
        for room in changed {
            self.lanes.forsake_room(room);
            for id in self.rooms.roster().seats(room) {
                let seat = self.rooms.get_mut(id);
                if let Some(told) = seat.and_then(|seat| seat.access.rooms.get_mut(&room)) {
                    *told = false;
                }
            }
            self.asked.remove(&room);
            self.ask(room);
        }
    }

    /// Asks who is in a room, unless that is asked already.
    pub(super) fn ask(&mut self, room: RoomId) {
        if self.asked.insert(room) {
            self.ear.listen(room);
        }
    }

    /// It was answered who is in a room.
    pub(super) fn answered(&mut self, room: RoomId) {
        self.asked.remove(&room);
    }

    /// Where nobody is left who listens to a room, its signals need not come here.
    fn desert(&mut self, rooms: impl IntoIterator<Item = RoomId>) {
        for room in rooms {
            if self.rooms.roster().groups(room).next().is_none() {
                self.asked.remove(&room);
                self.ear.leave(room);
                // Who comes next asks anew, and would know from this what is not so any more.
                self.backlog.retain(|heard| !heard.is_in(room));
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
            // Should it come in again, it begins anew with who is there then.
            (self.lanes).forsake(seat.sub.operation.id, room, &HashSet::from([id]));
            self.rooms.follow(id, room, true);
            self.desert([room]);
        }
    }

    /// Takes an event that changes who may listen.
    pub(super) fn heed(&mut self, event: &Event) {
        let (room, seq) = (event.room_id(), event.cursor.seq);
        match &event.what {
            What::RoomCreated { members } => {
                for user in members.iter() {
                    self.come_in(user, room, seq);
                }
            }
            What::MemberJoined(member) => self.come_in(&member.user.id, room, seq),
            What::MemberLeft(member) => {
                for id in self.rooms.of_viewer(&member.user.id).to_vec() {
                    self.leave(id, room, seq);
                }
                for id in self.own.of_viewer(&member.user.id).to_vec() {
                    if let Some(seat) = self.own.get_mut(id) {
                        seat.access.rooms.insert(room, false);
                    }
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

    fn come_in(&mut self, user: &UserId, room: RoomId, seq: Seq) {
        for id in self.rooms.of_viewer(user).to_vec() {
            self.enter(id, room, seq);
        }
        for id in self.own.of_viewer(user).to_vec() {
            if let Some(seat) = self.own.get_mut(id) {
                seat.access.rooms.remove(&room);
            }
        }
    }

    /// Of what was passed over nobody knows who has come back to which room, or has lost it: of what was said until then nothing is
    /// told to those who follow `roomRead`.
    fn forget_own(&mut self, walked: Seq) {
        self.backlog.clear();
        self.lanes.clear();
        drop(self.ear.take());
        for id in self.own.all() {
            if let Some(seat) = self.own.get_mut(id) {
                seat.access.rooms.clear();
                seat.from = walked;
            }
        }
    }

    /// Gives up the seats of subscriptions that have ended.
    pub(super) fn sweep(&mut self, line: &Line) {
        let has_ended = |seat: Option<&mut Seat>| seat.is_some_and(|seat| seat.sub.has_ended());
        for id in self.rooms.of_line(line.id) {
            if has_ended(self.rooms.get_mut(id)) {
                self.remove(id);
            }
        }
        for id in self.own.of_line(line.id) {
            if has_ended(self.own.get_mut(id)) {
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
    pub(super) fn ask_all_again(&mut self) {
        self.asked.clear();
        self.lanes.clear();
        for id in self.rooms.all() {
            let Some(seat) = self.rooms.get_mut(id) else {
                continue;
            };
            let rooms = seat.access.rooms.values_mut();
            rooms.for_each(|told| *told = false);
            for room in untold(&seat.access) {
                self.ask(room);
            }
        }
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

impl Worker {
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
        // However much that is: to follow it costs less than to ask again.
        let remainder = match seating(place, self.walked, u64::MAX) {
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
        let mut rooms = HashSet::new();
        for seat in std::mem::take(&mut self.listeners.rooms).into_seats() {
            rooms.extend(seat.access.rooms.keys().copied());
            listen::begin(&self.core, &seat.line, seat.sub, seat.access.scope);
        }
        self.listeners.forget_own(self.walked);
        self.listeners.desert(rooms);
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
