//! Delivering a run of events: each payload made once, then one write for each connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::super::Item;
use super::super::cache::AsOf;
use super::super::operation::Rendered;
use super::super::outbox::Live;
use super::super::roster::SeatId;
use super::super::seats::Seat;
use super::{Worker, stall};
use crate::interleave::point;
use crate::model::{Event, Seq};

/// The payloads of a run, and who is to have them. Kept from run to run for its room.
#[derive(Default)]
pub(super) struct Run {
    payloads: Vec<(Seq, Bytes)>,
    /// In the payloads.
    bytes: usize,
    /// Sorted by connection, each connection's by event.
    due: Vec<Due>,
}

/// A payload for a seat: the connection's number, the payload's, the seat's.
type Due = (u64, u32, SeatId);

impl Run {
    /// A run ends with the event that brings it here: what waits for the first write should not wait for more. 3 MB.
    const DUE_MAX: usize = 128 * 1024;
    /// Some milliseconds of rendering.
    const PAYLOADS_MAX: usize = 512;

    fn clear(&mut self) {
        self.payloads.clear();
        self.bytes = 0;
        self.due.clear();
    }

    /// The event that it is due for.
    fn seq(&self, (_, payload, _): &Due) -> Seq {
        let payload = self.payloads.get(*payload as usize);
        payload.map_or(Seq::ZERO, |(seq, _)| *seq)
    }

    fn is_full(&self, bytes_max: usize) -> bool {
        self.due.len() >= Self::DUE_MAX
            || self.payloads.len() >= Self::PAYLOADS_MAX
            || self.bytes >= bytes_max
    }
}

impl Worker {
    /// Delivers events to the seats of their rooms, as many from the front as one run takes; how many.
    pub(super) fn deliver_run(&mut self, events: &[Arc<Event>], as_of: AsOf) -> usize {
        let mut taken = 0;
        for event in events {
            self.render_for_all(event, as_of);
            taken += 1;
            if self.run.is_full(self.core.pace.payload_bytes) {
                break;
            }
        }
        if !self.run.due.is_sorted() {
            self.run.due.sort_unstable();
        }
        self.write_all();
        // What was written is not held until there is more to deliver.
        self.run.clear();
        taken
    }

    /// Makes an event's payloads, one for each operation, and notes who is to have them. Operations without end about one
    /// event hold up nobody else: once much is made of it, those whose turn would come later catch up.
    fn render_for_all(&mut self, event: &Arc<Event>, as_of: AsOf) {
        let seq = event.cursor.seq;
        let much = self.run.bytes + self.core.pace.payload_bytes;
        let item = Item::Event(event.clone());
        let (roster, slots) = self.seats.rostered();
        for group in roster.groups(event.room_id()) {
            if !group.operation.wants(event) {
                continue;
            }
            let payload = u32::try_from(self.run.payloads.len()).unwrap_or(u32::MAX);
            let mut rendered = None;
            for id in &group.seats {
                let Some(seat) = slots.get_mut(*id as usize).and_then(Option::as_mut) else {
                    continue;
                };
                if seq <= seat.from || seq == seat.decided || seat.missed.is_some() {
                    continue;
                }
                let rendered = rendered.get_or_insert_with(|| match self.run.bytes < much {
                    true => group.operation.render(&item, as_of),
                    false => Rendered::Later,
                });
                match rendered {
                    Rendered::Now(_) => self.run.due.push((seat.line_id, payload, *id)),
                    Rendered::Later => {
                        seat.miss(seq);
                        self.leaving.push(*id);
                    }
                }
            }
            if let Some(Rendered::Now(bytes)) = rendered {
                self.run.bytes += bytes.len();
                self.run.payloads.push((seq, bytes));
            }
        }
    }

    /// Gives each connection what it is to have, in one go.
    fn write_all(&mut self) {
        let (_, slots) = self.seats.rostered();
        for dues in self.run.due.chunk_by(|(one, ..), (other, ..)| one == other) {
            let Some(seat) = dues.first().and_then(|(_, _, id)| seat_of(slots, *id)) else {
                continue;
            };
            point!("write", seat.line_id);
            let mut taken = 0;
            // Mostly nobody is, and then the line itself need not be looked at.
            if self.stalled.is_empty() || !seat.line.stalled.load(Ordering::Relaxed) {
                let live = |at: usize| live(slots, &self.run.payloads, &dues[at]);
                let delivered = seat.outbox.deliver(dues.len(), live);
                taken = delivered.taken;
                if delivered.over {
                    let over = self.run.seq(&dues[taken - 1]);
                    stall(&mut self.stalled, &seat.line, over);
                }
            }
            for due in &dues[taken..] {
                if let Some(seat) = slots.get_mut(due.2 as usize).and_then(Option::as_mut) {
                    seat.miss(self.run.seq(due));
                }
            }
        }
    }
}

fn seat_of(slots: &[Option<Seat>], id: SeatId) -> Option<&Seat> {
    slots.get(id as usize).and_then(Option::as_ref)
}

fn live<'a>(slots: &'a [Option<Seat>], payloads: &'a [(Seq, Bytes)], due: &Due) -> Live<'a> {
    static NOTHING: Bytes = Bytes::new();
    static ENDED: AtomicBool = AtomicBool::new(true);
    let (_, payload, id) = *due;
    match (seat_of(slots, id), payloads.get(payload as usize)) {
        (Some(seat), Some((_, payload))) => Live {
            prefix: &seat.sub.prefix,
            payload,
            ended: &seat.sub.ended,
        },
        // Neither seats nor payloads go while a run is written.
        _ => Live {
            prefix: &NOTHING,
            payload: &NOTHING,
            ended: &ENDED,
        },
    }
}
