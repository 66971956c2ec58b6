//! A fan-out worker: one thread that walks the tail in order and serves the connections that are its own.
//!
//! It never awaits while it delivers. What cannot be had at once - a payload that needs the store, room in a slow
//! socket's queue, a part of the log that is no longer in the ring - makes the seats concerned leave and catch up.

mod late;
mod listeners;
mod run;
mod serve;
mod tell;

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
use super::seats::{Seat, Seats, put_back};
use super::{Core, Item};
use crate::error::Error;
use crate::interleave::point;
use crate::model::{Access, Event, Seq, UserId, Verdict, What};
use listeners::Listeners;
use run::Run;

/// A worker's state. It lives on its own thread.
pub(super) struct Worker {
    core: Arc<Core>,
    inbox: Arc<Inbox>,
    seats: Seats,
    listeners: Listeners,
    /// Every event up to here was delivered to every seat that was to have it.
    walked: Seq,
    /// What is being delivered.
    run: Run,
    /// Seats that could not be given a payload of it at once.
    leaving: Vec<SeatId>,
    /// Connections that went over their budget, each with the event that did it: everything before is queued.
    stalled: Vec<(Arc<Line>, Seq)>,
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

#[cfg(test)]
pub(super) const LANE_MAX: usize = late::Lanes::LANE_MAX;

impl Worker {
    /// Events taken from the tail before the inbox is looked at again.
    const BATCH_EVENTS: usize = 256;

    pub(super) fn new(core: Arc<Core>, inbox: Arc<Inbox>) -> Self {
        let walked = core.tail.head();
        let ear = core.signals.ear(inbox.bell.clone());
        let listeners = Listeners::new(ear, inbox.bell.clone());
        Self {
            core,
            inbox,
            seats: Seats::default(),
            listeners,
            walked,
            run: Run::default(),
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
    pub(super) fn turn(&mut self, lines: &[Arc<Line>]) -> bool {
        for line in lines {
            self.serve(line);
        }
        // Taken before the log is, told behind it: who hears that someone types no more has the message.
        let is_left = !self.listeners.take_heard();
        let more = self.walk();
        // What was left in the ear has rung the bell already.
        self.hear() || more || is_left && self.listeners.backlog.is_empty()
    }

    /// After a panic, which is a defect: what the seats had is not known for sure any more, so their clients connect again
    /// and go on from where they know themselves to be.
    fn give_up(&mut self, lines: &[Arc<Line>]) -> bool {
        tracing::error!(walked = %self.walked, "a fan-out worker panicked; its connections are closed");
        let seats = std::mem::take(&mut self.seats);
        let ear = self.core.signals.ear(self.inbox.bell.clone());
        let listeners = Listeners::new(ear, self.inbox.bell.clone());
        let listeners = std::mem::replace(&mut self.listeners, listeners);
        for line in seats.lines().chain(listeners.lines()).chain(lines) {
            line.close_for_defect();
        }
        self.run = Run::default();
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
        let mut left = &events[..];
        while !left.is_empty() {
            point!("deliver", (as_of, left.len(), self.stand()));
            left = self.deliver(left, as_of);
        }
        !events.is_empty()
    }

    /// The ring does not reach back to where this worker is: the store has what is missing.
    fn clear(&mut self) {
        tracing::warn!(walked = %self.walked, "the tail does not reach back to a fan-out worker; its subscriptions catch up");
        // All at once: to take each from its room would be to look for it among all the others.
        for seat in std::mem::take(&mut self.seats).into_seats() {
            self.leave(seat, self.walked, Seq::ZERO);
        }
        self.walked = self.core.tail.head();
        self.listen_again();
    }

    /// What no one else can see of it.
    #[cfg(test)]
    pub(super) fn stand(&self) -> impl std::hash::Hash + use<> {
        (self.walked, self.seats.stand(self.walked))
    }

    /// Whether it serves this subscription, up to the tail's head.
    #[cfg(test)]
    pub(super) fn has_seated(&self, sub: &Arc<Sub>) -> bool {
        self.walked == self.core.tail.head() && self.seats.has(sub)
    }

    /// Delivers some events from the front; what is left. An event that may change what seats follow is delivered by itself:
    /// within a run the roster stays as it is.
    fn deliver<'a>(&mut self, events: &'a [Arc<Event>], as_of: AsOf) -> &'a [Arc<Event>] {
        let plain = events.iter().take_while(|event| !changes_access(event));
        let run = &events[..plain.count().max(1).min(events.len())];
        if let [event] = run {
            self.listeners.heed(event);
            for id in self.concerned(event) {
                self.decide(id, event, as_of);
            }
        }
        let (done, left) = events.split_at(self.deliver_run(run, as_of));
        if let Some(last) = done.last() {
            self.walked = last.cursor.seq;
        }
        self.let_go();
        left
    }

    /// Sends those away that could not be served.
    fn let_go(&mut self) {
        for (line, over) in std::mem::take(&mut self.stalled) {
            self.unseat_line(&line, over);
        }
        for id in std::mem::take(&mut self.leaving) {
            let missed = self.seats.get_mut(id).and_then(|seat| seat.missed);
            if let Some(missed) = missed {
                self.unseat(id, missed, missed);
            }
        }
    }

    /// Seats for which this event may change what they follow.
    /// None for an event of which [`changes_access`] says so.
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
            seat.miss(seq);
            return;
        }
        let before = seat.access.rooms.contains_key(&room);
        let shown = show(&seat.line, &seat.sub, &mut seat.access, event, as_of);
        match shown {
            Shown::Done => {}
            Shown::Over => stall(&mut self.stalled, &seat.line, seq),
            Shown::Missed => {
                seat.miss(seq);
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

    /// Takes a seat away; its subscription catches up from the last event that it got. Everything up to `reached` was
    /// delivered to it, or up to what it missed.
    fn unseat(&mut self, id: SeatId, reached: Seq, must_reach: Seq) {
        if let Some(seat) = self.seats.remove(id) {
            self.leave(seat, reached, must_reach);
        }
    }

    fn leave(&self, seat: Seat, reached: Seq, must_reach: Seq) {
        let place = match seat.missed {
            Some(missed) => Seq(missed.0.saturating_sub(1)),
            None => reached.max(seat.from),
        };
        self.catch_up(&seat.line, seat.sub, place, *seat.access, must_reach);
    }

    /// Takes all seats of a connection away, which got over its budget with the event at `over`.
    fn unseat_line(&mut self, line: &Arc<Line>, over: Seq) {
        for id in self.seats.of_line(line.id) {
            // A payload later than what the others got is not what this one waits for.
            if let Some(seat) = self.seats.get_mut(id) {
                seat.missed = seat.missed.filter(|missed| *missed <= over);
            }
            self.unseat(id, over, Seq::ZERO);
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

fn stall(stalled: &mut Vec<(Arc<Line>, Seq)>, line: &Arc<Line>, over: Seq) {
    if !line.stalled.swap(true, Ordering::Relaxed) {
        stalled.push((line.clone(), over));
    }
}

/// Whether an event may change what someone follows.
fn changes_access(event: &Event) -> bool {
    matches!(
        event.what,
        What::RoomCreated { .. }
            | What::MemberJoined(_)
            | What::MemberLeft(_)
            | What::RoomUpdated { made_private: true }
            | What::RoomDeleted { .. }
    )
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
