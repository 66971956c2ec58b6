//! A fan-out worker: one thread that walks the tail in order and serves the connections that are its own.
//!
//! It never awaits while it delivers. What cannot be had at once - a payload that needs the store, room in a slow
//! socket's queue, a part of the log that is no longer in the ring - makes the seats concerned leave and catch up.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::cache::AsOf;
use super::catch_up::CatchUp;
use super::line::{HandOver, Inbox, Line, Place, Sub};
use super::operation::Rendered;
use super::outbox::{Frame, Queued};
use super::position::{Seating, seating};
use super::roster::SeatId;
use super::seats::{Seat, Seats, put_back};
use super::{Core, Item};
use crate::error::Error;
use crate::model::{Access, Event, Seq, UserId, Verdict, What};

/// A worker's state. It lives on its own thread.
pub(super) struct Worker {
    core: Arc<Core>,
    inbox: Arc<Inbox>,
    seats: Seats,
    /// Every event up to here was delivered to every seat that was to have it.
    walked: Seq,
    /// Seats that missed the event being delivered.
    leaving: Vec<SeatId>,
    /// Connections that went over their budget with it.
    stalled: Vec<Arc<Line>>,
}

/// What became of one event for one subscription.
enum Shown {
    /// It has it, or was not to have it.
    Done,
    /// It has it, and its connection is over its budget.
    Over,
    /// The payload cannot be had at once.
    Missed,
    /// The subscription has ended with it.
    Ended,
}

impl Worker {
    /// Events delivered before the inbox is looked at again.
    const BATCH_EVENTS: usize = 64;

    pub(super) fn new(core: Arc<Core>, inbox: Arc<Inbox>) -> Self {
        let walked = core.tail.head();
        Self {
            core,
            inbox,
            seats: Seats::default(),
            walked,
            leaving: Vec::new(),
            stalled: Vec::new(),
        }
    }

    /// Works until the hub is gone.
    pub(super) fn run(mut self, mut growth: watch::Receiver<Seq>) {
        let runtime = self.core.runtime.clone();
        // Renders may spawn; but they are polled outside of `block_on`, where a budget would cut them short.
        let _entered = runtime.enter();
        while let Some(lines) = self.inbox.take() {
            if !lines.is_empty() {
                // What was in the tail when a seat was asked for comes before `CaughtUp`.
                self.walk_to(self.core.tail.head());
            }
            for line in lines {
                self.serve(&line);
            }
            if !self.walk() {
                runtime.block_on(async {
                    tokio::select! {
                        () = self.inbox.bell.notified() => {}
                        Ok(()) = growth.changed() => {}
                    }
                });
            }
        }
    }

    fn walk_to(&mut self, head: Seq) {
        while self.walked < head && self.walk() {}
    }

    /// Delivers the next events; false when there are none.
    fn walk(&mut self) -> bool {
        let as_of = self.core.payloads.as_of();
        let Some(events) = self.core.tail.since(self.walked, Self::BATCH_EVENTS) else {
            self.clear();
            return true;
        };
        for event in &events {
            self.deliver(event, as_of);
        }
        !events.is_empty()
    }

    /// The ring does not reach back to where this worker is: the store has what is missing.
    fn clear(&mut self) {
        tracing::warn!(walked = %self.walked, "a fan-out worker fell behind the tail");
        for id in self.seats.all() {
            self.unseat(id, Seq::ZERO);
        }
        self.walked = self.core.tail.head();
    }

    fn deliver(&mut self, event: &Arc<Event>, as_of: AsOf) {
        for id in self.concerned(event) {
            self.decide(id, event, as_of);
        }
        self.deliver_room(event, as_of);
        self.walked = event.cursor.seq;
        for id in std::mem::take(&mut self.leaving) {
            self.unseat(id, event.cursor.seq);
        }
        for line in std::mem::take(&mut self.stalled) {
            self.unseat_line(&line);
        }
    }

    /// Seats for which this event may change what they follow.
    fn concerned(&self, event: &Event) -> Vec<SeatId> {
        let of = |user: &UserId| self.seats.of_viewer(user).to_vec();
        match &event.what {
            What::RoomCreated { members } => members.iter().flat_map(of).collect(),
            What::MemberJoined(member) | What::MemberLeft(member) => of(&member.user.id),
            What::RoomUpdated { made_private: true } | What::RoomDeleted { .. } => {
                self.seats.roster().seats(event.room_id())
            }
            _ => Vec::new(),
        }
    }

    /// Weighs an event for one seat.
    fn decide(&mut self, id: SeatId, event: &Arc<Event>, as_of: AsOf) {
        let (seq, room) = (event.cursor.seq, event.room_id());
        let Some(seat) = self.seats.get_mut(id) else {
            return;
        };
        if seq <= seat.from || seq == seat.decided {
            return;
        }
        seat.decided = seq;
        if seat.line.stalled.load(Ordering::Relaxed) {
            seat.missed = true;
            return;
        }
        let before = seat.access.rooms.contains_key(&room);
        let shown = show(&seat.line, &seat.sub, &mut seat.access, event, as_of);
        match shown {
            Shown::Done => {}
            Shown::Over => stall(&mut self.stalled, &seat.line),
            Shown::Missed => {
                seat.missed = true;
                self.leaving.push(id);
            }
            Shown::Ended => {
                // What it follows was changed already; the roster knows it by what it followed before.
                seat.access.rooms.insert(room, false);
                self.seats.remove(id);
                return;
            }
        }
        self.seats.follow(id, room, before);
    }

    /// Delivers an event to the seats of its room, one render for each operation.
    fn deliver_room(&mut self, event: &Arc<Event>, as_of: AsOf) {
        let seq = event.cursor.seq;
        let item = Item::Event(event.clone());
        let (roster, slots) = self.seats.rostered();
        for group in roster.groups(event.room_id()) {
            if !group.operation.wants(event) {
                continue;
            }
            let mut rendered = None;
            for id in &group.seats {
                let Some(seat) = slots.get_mut(*id as usize).and_then(Option::as_mut) else {
                    continue;
                };
                if seq <= seat.from || seq == seat.decided {
                    continue;
                }
                if seat.line.stalled.load(Ordering::Relaxed) {
                    seat.missed = true;
                    continue;
                }
                match rendered.get_or_insert_with(|| group.operation.render(&item, as_of)) {
                    Rendered::Now(payload) => {
                        let frame = seat.sub.frame(payload.clone());
                        let queued = seat.line.outbox.push_live(frame, &seat.sub.ended);
                        if matches!(queued, Queued::Over) {
                            stall(&mut self.stalled, &seat.line);
                        }
                    }
                    Rendered::Later => {
                        seat.missed = true;
                        self.leaving.push(*id);
                    }
                }
            }
        }
    }

    /// Takes a seat away; its subscription catches up from the last event that it got.
    fn unseat(&mut self, id: SeatId, must_reach: Seq) {
        let Some(seat) = self.seats.remove(id) else {
            return;
        };
        let walked = self.walked.max(seat.from);
        let place = if seat.missed {
            Seq(walked.0.saturating_sub(1))
        } else {
            walked
        };
        self.catch_up(&seat.line, seat.sub, place, seat.access, must_reach);
    }

    fn unseat_line(&mut self, line: &Arc<Line>) {
        for id in self.seats.of_line(line.id) {
            self.unseat(id, Seq::ZERO);
        }
        line.stalled.store(false, Ordering::Relaxed);
    }

    fn catch_up(
        &self,
        line: &Arc<Line>,
        sub: Arc<Sub>,
        place: Seq,
        access: Access,
        must_reach: Seq,
    ) {
        sub.set_place(Place::At(place));
        if !sub.has_ended() {
            let catch_up = CatchUp::from_seat(&self.core, line, sub, place, access, must_reach);
            catch_up.spawn();
        }
    }

    /// Does what a connection has left word for.
    fn serve(&mut self, line: &Arc<Line>) {
        let mail = line.collect();
        if mail.sweep {
            for id in self.seats.of_line(line.id) {
                let ended = self
                    .seats
                    .get_mut(id)
                    .is_some_and(|seat| seat.sub.has_ended());
                if ended {
                    self.seats.remove(id);
                }
            }
        }
        let mut news = false;
        for hand_over in mail.hand_overs {
            news |= self.seat(line, hand_over);
        }
        if mail.ping || news {
            self.ping(line);
        }
    }

    /// Delivers what remains and seats the subscription, in one step; true when it is live for the first time.
    fn seat(&mut self, line: &Arc<Line>, hand_over: HandOver) -> bool {
        let HandOver {
            sub,
            mut place,
            mut access,
        } = hand_over;
        if sub.has_ended() {
            return false;
        }
        let as_of = self.core.payloads.as_of();
        let remainder = match seating(place, self.walked) {
            Seating::Ahead => Some(Vec::new()),
            Seating::Remainder { events } => self.core.tail.since(place, events),
            Seating::TooFar => None,
        };
        let Some(remainder) = remainder else {
            self.catch_up(line, sub, place, access, Seq::ZERO);
            return false;
        };
        for event in &remainder {
            let seq = event.cursor.seq;
            match show(line, &sub, &mut access, event, as_of) {
                Shown::Done => place = seq,
                Shown::Over => {
                    self.catch_up(line, sub, seq, access, Seq::ZERO);
                    self.unseat_line(line);
                    return false;
                }
                Shown::Missed => {
                    self.catch_up(line, sub, place, access, seq);
                    return false;
                }
                Shown::Ended => return false,
            }
        }
        let first = !sub.was_live.swap(true, Ordering::Relaxed);
        let from = place.max(self.walked);
        if first && !sub.operation.messages_only {
            self.say_caught_up(line, &sub, from, as_of);
        }
        sub.set_place(Place::Live(from));
        self.seats.add(Seat {
            line: line.clone(),
            sub,
            access,
            from,
            decided: Seq::ZERO,
            missed: false,
        });
        first
    }

    fn say_caught_up(&self, line: &Line, sub: &Sub, place: Seq, as_of: AsOf) {
        let item = Item::CaughtUp(self.core.store.epochs().cursor(place));
        match sub.operation.render(&item, as_of) {
            Rendered::Now(payload) => {
                line.outbox.push_live(sub.frame(payload), &sub.ended);
            }
            Rendered::Later => tracing::error!("CaughtUp waits for something: it has but a cursor"),
        }
    }

    /// Queues a ping with the positions of all subscriptions of a connection, behind everything that they cover.
    fn ping(&self, line: &Line) {
        let epochs = self.core.store.epochs();
        let position = |sub: &Arc<Sub>| {
            let cursor = match sub.place() {
                Place::Asked(cursor) => cursor,
                Place::At(place) => epochs.cursor(place),
                Place::Live(from) => epochs.cursor(from.max(self.walked)),
            };
            (sub.id.clone(), cursor)
        };
        let positions: Vec<_> = line.subs().iter().map(position).collect();
        let ping = line.envelope.ping(&positions);
        line.outbox.push(Frame::whole(ping));
    }
}

fn stall(stalled: &mut Vec<Arc<Line>>, line: &Arc<Line>) {
    if !line.stalled.swap(true, Ordering::Relaxed) {
        stalled.push(line.clone());
    }
}

/// Shows one event to one subscription, by what it follows. Where the payload is missing, what it follows is as before.
fn show(
    line: &Arc<Line>,
    sub: &Arc<Sub>,
    access: &mut Access,
    event: &Arc<Event>,
    as_of: AsOf,
) -> Shown {
    let room = event.room_id();
    let before = access.rooms.get(&room).copied();
    let item = match access.follow(event) {
        Verdict::Skip => return Shown::Done,
        Verdict::Deliver if !sub.operation.wants(event) => return Shown::Done,
        Verdict::Deliver => Item::Event(event.clone()),
        Verdict::Revoke if sub.operation.messages_only => {
            line.fail(sub, &Error::NotFound { what: "room" });
            return Shown::Ended;
        }
        Verdict::Revoke => Item::Revoked {
            cursor: event.cursor,
            room,
        },
    };
    match sub.operation.render(&item, as_of) {
        Rendered::Now(payload) => match line.outbox.push_live(sub.frame(payload), &sub.ended) {
            Queued::Over => Shown::Over,
            _ => Shown::Done,
        },
        Rendered::Later => {
            put_back(access, room, before);
            Shown::Missed
        }
    }
}
