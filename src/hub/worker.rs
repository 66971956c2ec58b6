//! A fan-out worker: one thread that walks the tail in order and serves the connections that are its own.
//!
//! It never awaits while it delivers. What cannot be had at once - a payload that needs the store, room in a slow
//! socket's queue, a part of the log that is no longer in the ring - makes the seats concerned leave and catch up.

mod serve;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::cache::AsOf;
use super::catch_up::CatchUp;
use super::line::{Inbox, Line, Place, Sub};
use super::operation::Rendered;
use super::outbox::Queued;
use super::roster::SeatId;
use super::seats::{Seats, put_back};
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
            let turn = AssertUnwindSafe(|| self.turn(&lines));
            let more = catch_unwind(turn).unwrap_or_else(|_| self.give_up(&lines));
            // It may be long until the next: a connection that is gone is not to wait for that.
            drop(lines);
            if !more {
                runtime.block_on(async {
                    tokio::select! {
                        () = self.inbox.bell.notified() => {}
                        Ok(()) = growth.changed() => {}
                    }
                });
            }
        }
    }

    /// Does what there is to do; true when there may be more.
    fn turn(&mut self, lines: &[Arc<Line>]) -> bool {
        if !lines.is_empty() {
            // What was in the tail when a seat was asked for comes before `CaughtUp`.
            self.walk_to(self.core.tail.head());
        }
        for line in lines {
            self.serve(line);
        }
        self.walk()
    }

    /// After a panic, which is a defect: what the seats had is not known for sure any more, so their clients connect again
    /// and go on from where they know themselves to be.
    fn give_up(&mut self, lines: &[Arc<Line>]) -> bool {
        tracing::error!(walked = %self.walked, "a fan-out worker panicked; its connections are closed");
        let seats = std::mem::take(&mut self.seats);
        for line in seats.lines().chain(lines) {
            line.close_for_defect();
        }
        self.leaving.clear();
        self.stalled.clear();
        self.walked = self.core.tail.head();
        true
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
            CatchUp::from_seat(&self.core, line, sub, (place, access), must_reach).go_on();
        }
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
