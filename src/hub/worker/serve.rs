//! What connections ask of their worker: seats, their sweeping, pings.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::Item;
use super::super::cache::AsOf;
use super::super::catch_up::CatchUp;
use super::super::line::{HandOver, Line, Place, Sub};
use super::super::operation::Rendered;
use super::super::position::{Seating, seating};
use super::super::seats::Seat;
use super::{Shown, Worker, show};
use crate::interleave::point;
use crate::model::Seq;

impl Worker {
    /// Does what a connection has left word for.
    pub(super) fn serve(&mut self, line: &Arc<Line>) {
        point!("serve", (line.id, self.stand()));
        let mail = line.collect();
        // What was in the tail when a seat was asked for comes before `CaughtUp`.
        self.walk_to(self.core.tail.head());
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
            self.listeners.sweep(line);
        }
        for hand_over in mail.listeners {
            self.seat_listener(line, hand_over);
        }
        for sub in mail.own {
            self.seat_own(line, sub);
        }
        let mut news = false;
        for hand_over in mail.hand_overs {
            news |= self.seat(line, hand_over);
        }
        if mail.ping || news {
            self.ping(line);
            self.listeners.ask_again(line);
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
        let remainder = match seating(place, self.walked, self.core.pace.seating) {
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
                    self.unseat_line(line, self.walked);
                    return false;
                }
                Shown::Missed => {
                    self.catch_up(line, sub, place, access, seq);
                    return false;
                }
                Shown::Ended => return false,
            }
        }
        let from = place.max(self.walked);
        if !self.greet(line, &sub, from, as_of) {
            sub.set_place(Place::At(from));
            let access = (from, access);
            CatchUp::from_seat(&self.core, line, sub, access, Seq::ZERO).greet();
            return false;
        }
        let first = !sub.was_live.swap(true, Ordering::Relaxed);
        sub.set_place(Place::Live(from));
        self.seats.add(Seat {
            line: line.clone(),
            sub,
            line_id: line.id,
            outbox: line.outbox.clone(),
            access: Box::new(access),
            from,
            decided: Seq::ZERO,
            missed: None,
        });
        first
    }

    /// Says `CaughtUp` where it has not been said; false when its payload cannot be had at once.
    fn greet(&self, line: &Line, sub: &Sub, place: Seq, as_of: AsOf) -> bool {
        if sub.operation.messages_only || sub.greeted.load(Ordering::Relaxed) {
            return true;
        }
        let item = Item::CaughtUp(self.core.store.epochs().cursor(place));
        let Rendered::Now(payload) = sub.operation.render(&item, as_of) else {
            return false;
        };
        line.outbox.push_live(sub.frame(payload), &sub.ended);
        sub.greeted.store(true, Ordering::Relaxed);
        true
    }

    /// Queues a ping with the positions of all subscriptions of a connection, behind everything that they cover.
    fn ping(&self, line: &Line) {
        let epochs = self.core.store.epochs();
        line.ping(|place| match place {
            Place::Asked(cursor) => cursor,
            Place::At(place) => epochs.cursor(place),
            // Not asked for.
            Place::Nowhere => epochs.cursor(self.walked),
            Place::Live(from) => epochs.cursor(from.max(self.walked)),
        });
    }
}
