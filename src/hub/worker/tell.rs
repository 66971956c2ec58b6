//! Telling signals: who is there first, then each change, to those who listen and keep up.
//!
//! Signals give way to the log: they are told behind it, a slice at a time. What a slow connection is not told it is not
//! owed: it is told anew who is there once it keeps up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::super::Item;
use super::super::line::Sub;
use super::super::operation::{Operation, Rendered};
use super::super::outbox::{Live, Whispered};
use super::super::roster::SeatId;
use super::super::seats::Seat;
use super::Worker;
use super::late::Due;
use crate::interleave::point;
use crate::model::{RoomId, Seq, UserId};
use crate::signal::{Heard, Told};

/// Seats of one operation that a payload has to wait for.
type Late = Vec<(SeatId, Arc<Sub>)>;

impl Worker {
    /// Telling goes on for so long before connections' words and the log are looked at again.
    const SLICE: Duration = Duration::from_millis(2);
    /// What is not told by then is not told at all.
    const TOLD_WITHIN: Duration = Duration::from_secs(1);

    /// Tells some of what there is to tell, until the log has grown or the time is over; true when there is more that may be
    /// told already.
    pub(super) fn hear(&mut self) -> bool {
        let began = Instant::now();
        loop {
            if !self.tell_late() && !self.tell_next() {
                return false;
            }
            point!("told", self.walked);
            if self.core.tail.head() > self.walked || began.elapsed() >= Self::SLICE {
                return true;
            }
        }
    }

    /// Tells the oldest of what was heard; false where there is none, or where the log it was said behind is to come first.
    fn tell_next(&mut self) -> bool {
        if self.listeners.taken_at.elapsed() >= Self::TOLD_WITHIN {
            self.listeners.let_go_late();
        }
        let Some(heard) = self.listeners.backlog.front() else {
            return false;
        };
        if heard.not_before() > self.walked {
            return false;
        }
        match self.listeners.backlog.pop_front() {
            Some(Heard::First(told)) => {
                self.listeners.answered(told.room.id);
                self.tell_room(&told, true);
            }
            Some(Heard::Then(told)) => self.tell_room(&told, false),
            Some(Heard::Own(user, told)) => self.tell_own(&user, &told),
            Some(Heard::Lost) => self.listeners.ask_all_again(),
            None => {}
        }
        true
    }

    /// Tells the listeners of a room: those who were not told yet who is there, or those who were.
    fn tell_room(&mut self, told: &Arc<Told>, first: bool) {
        let (room, walked) = (told.room.id, self.walked);
        // A change that someone does not hear leaves a wrong picture, if it is of who is there.
        let is_presence = told.what.is_presence();
        let item = Item::Signal(told.clone());
        let as_of = self.core.payloads.as_of();
        let mut is_owed = false;
        let mut waiting: Vec<(Arc<Operation>, Late)> = Vec::new();
        let lanes = &self.listeners.lanes;
        let (roster, seats) = self.listeners.rooms.rostered();
        for group in roster.groups(room) {
            let (mut rendered, mut late) = (None, Late::new());
            for id in &group.seats {
                let Some(seat) = seats.get_mut(*id as usize).and_then(Option::as_mut) else {
                    continue;
                };
                let knows = seat.access.rooms.get(&room) == Some(&true);
                if knows == first {
                    // Someone who keeps up again: asked for once, all who do are told.
                    is_owed = is_owed || !knows && seat.outbox.takes_signals();
                    continue;
                }
                let rendered = rendered.get_or_insert_with(|| match &group.operation {
                    operation if lanes.has(operation.id) => Rendered::Later,
                    operation => operation.render(&item, as_of),
                });
                let knows = match rendered {
                    Rendered::Later if lanes.is_full(group.operation.id) => !first && !is_presence,
                    Rendered::Later => {
                        late.push((*id, seat.sub.clone()));
                        // What is told next is told it too, behind this.
                        true
                    }
                    Rendered::Now(payload) => match whisper(seat, payload, walked) {
                        Whispered::Taken => true,
                        Whispered::Dropped => !first && !is_presence,
                        Whispered::Cancelled => continue,
                    },
                };
                seat.access.rooms.insert(room, knows);
            }
            if !late.is_empty() {
                waiting.push((group.operation.clone(), late));
            }
        }
        for (operation, to) in waiting {
            let due = Due::new(told, None, to);
            self.listeners.lanes.push(&self.core, &operation, due);
        }
        if is_owed {
            self.listeners.ask(room);
        }
    }

    /// Tells a user's devices of a room in which it has read on.
    fn tell_own(&mut self, user: &UserId, told: &Arc<Told>) {
        let (room, walked) = (told.room.id, self.walked);
        let item = Item::Signal(told.clone());
        let as_of = self.core.payloads.as_of();
        let mut waiting: HashMap<u64, (Arc<Operation>, Late)> = HashMap::new();
        for id in self.listeners.own.of_viewer(user).to_vec() {
            let Some(seat) = self.listeners.own.get_mut(id) else {
                continue;
            };
            // What was said before it was seated may be of a room that was lost by then, which it does not know of.
            if told.not_before < seat.from || seat.access.rooms.contains_key(&room) {
                continue;
            }
            let operation = &seat.sub.operation;
            let has_to_wait =
                waiting.contains_key(&operation.id) || self.listeners.lanes.has(operation.id);
            let rendered = match has_to_wait {
                true => Rendered::Later,
                false => operation.render(&item, as_of),
            };
            match rendered {
                Rendered::Now(payload) => {
                    whisper(seat, &payload, walked);
                }
                Rendered::Later => {
                    let late = waiting.entry(operation.id);
                    let late = late.or_insert_with(|| (operation.clone(), Late::new()));
                    late.1.push((id, seat.sub.clone()));
                }
            }
        }
        for (operation, to) in waiting.into_values() {
            let due = Due::new(told, Some(user), to);
            self.listeners.lanes.push(&self.core, &operation, due);
        }
    }

    /// Gives out a payload that was made elsewhere, once this worker has walked as far as it shows; false where there is none.
    fn tell_late(&mut self) -> bool {
        let Some((operation, due, payload)) = self.listeners.lanes.pop(&self.core, self.walked)
        else {
            return false;
        };
        match &due.own {
            Some(_) => self.give_own(&due, payload.as_ref()),
            None => self.give_room(operation.id, &due, payload.as_ref()),
        }
        true
    }

    fn give_own(&mut self, due: &Due, payload: Option<&Bytes>) {
        let walked = self.walked;
        for (id, sub) in &due.to {
            let seat = self.listeners.own.get_mut(*id);
            let seat = seat.filter(|seat| is_of(seat, sub));
            let seat = seat.filter(|seat| !seat.access.rooms.contains_key(&due.room()));
            if let Some((seat, payload)) = seat.zip(payload) {
                whisper(seat, payload, walked);
            }
        }
    }

    fn give_room(&mut self, operation: u64, due: &Due, payload: Option<&Bytes>) {
        let (room, is_presence) = (due.room(), due.told.what.is_presence());
        let mut missed = HashSet::new();
        for (id, sub) in &due.to {
            let seat = self.listeners.rooms.get_mut(*id);
            let Some(seat) = seat.filter(|seat| is_of(seat, sub) && knows(seat, room)) else {
                continue;
            };
            let whispered = payload.map_or(Whispered::Dropped, |payload| {
                whisper(seat, payload, self.walked)
            });
            if whispered == Whispered::Dropped && is_presence {
                seat.access.rooms.insert(room, false);
                missed.insert(*id);
            }
        }
        if !missed.is_empty() {
            self.listeners.lanes.forsake(operation, room, &missed);
        }
    }
}

/// Whether it is that subscription's seat still: another may have its number.
fn is_of(seat: &Seat, sub: &Arc<Sub>) -> bool {
    Arc::ptr_eq(&seat.sub, sub)
}

fn knows(seat: &Seat, room: RoomId) -> bool {
    seat.access.rooms.get(&room) == Some(&true)
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
