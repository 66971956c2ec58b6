//! What keeps signals going: the time, the log, and rooms that are taken up.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::broadcast;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attendance::Attendance;
use super::{Heard, Signals, State};
use crate::bus::Reads;
use crate::log::{Command, Writer};
use crate::model::{Event, Room, RoomId, Seq, Timestamp};
use crate::store::readers_left;

/// What became of a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrote {
    /// There was nothing to write.
    Nothing,
    /// Something is in the store; there may be more.
    Some,
    /// It is still to be written.
    Refused,
}

impl Signals {
    /// So that many who come and go together are written together.
    const WRITE_EVERY: Duration = Duration::from_secs(1);
    /// How long a last write may take when the server stops: the writer's own time for a batch, several times over.
    const LAST_WRITE: Duration = Duration::from_secs(5);
    /// Graces and typings ended at a time, when a network that many were on fails.
    const LAPSES: usize = 128;
    /// Events taken from the tail at a time.
    const EVENTS: usize = 256;
    /// Rooms read from the store at once, where it has readers enough: one at least is left to others.
    const READS: usize = 2;
    /// After a room could not be read.
    const READ_AGAIN: Duration = Duration::from_secs(1);

    /// Keeps signals going until `stop`; then those who are there are written as seen by then. Sockets should have ended
    /// before.
    pub async fn run<C: Command>(
        self,
        writer: Writer<C>,
        reads: broadcast::Receiver<Reads>,
        stop: CancellationToken,
    ) {
        let going = async {
            tokio::join!(
                self.keep_time(),
                self.keep(&writer),
                self.follow_log(),
                self.follow_reads(reads),
                self.take_up(),
                self.forget_left(),
            )
        };
        stop.run_until_cancelled(going).await;
        self.close();
        let last = async { while self.write(&writer).await == Wrote::Some {} };
        if tokio::time::timeout(Self::LAST_WRITE, last).await.is_err() {
            tracing::warn!("when users were last seen could not all be written");
        }
    }

    /// Keeps signals going with nowhere to write when users were last seen.
    #[cfg(test)]
    pub(crate) async fn run_alone(self, reads: broadcast::Receiver<Reads>) {
        tokio::join!(
            self.keep_time(),
            self.follow_log(),
            self.follow_reads(reads),
            self.take_up(),
            self.forget_left(),
        );
    }

    /// Ends each grace and each typing when it is over.
    async fn keep_time(&self) {
        loop {
            let next = {
                let state = self.state();
                let (people, typing) = (state.people.next_lapse(), state.typing.next_lapse());
                people.into_iter().chain(typing).min()
            };
            let stirred = self.0.stirred.notified();
            match next {
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, stirred).await;
                }
                None => stirred.await,
            }
            while self.lapse() {
                tokio::task::yield_now().await;
            }
            self.write_soon();
        }
    }

    /// Ends some of what is over; true when there may be more.
    fn lapse(&self) -> bool {
        let (mut state, now) = (self.state(), Instant::now());
        for _ in 0..Self::LAPSES {
            if let Some(stopped) = state.typing.lapse(now) {
                state.tell_stopped([stopped]);
            } else if let Some(gone) = state.people.lapse(now) {
                state.tell_presence(gone);
            } else {
                return false;
            }
        }
        true
    }

    fn write_soon(&self) {
        if self.state().last_seen.is_waiting() {
            self.0.unwritten.notify_one();
        }
    }

    /// Writes when users were last seen.
    async fn keep<C: Command>(&self, writer: &Writer<C>) {
        loop {
            if self.write(writer).await == Wrote::Nothing {
                self.0.unwritten.notified().await;
            } else {
                tokio::time::sleep(Self::WRITE_EVERY).await;
            }
        }
    }

    /// Writes some of what there is.
    async fn write<C: Command>(&self, writer: &Writer<C>) -> Wrote {
        let seen = self.state().last_seen.take();
        if seen.is_empty() {
            return Wrote::Nothing;
        }
        let kept = writer.see(seen).await.is_ok();
        self.state().last_seen.written(kept);
        if kept { Wrote::Some } else { Wrote::Refused }
    }

    /// Nobody leaves any more: what ends from now on ends because the server does.
    fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let seen: Vec<_> = state.people.last_seen(Timestamp::now()).collect();
        // What was on its way may not have arrived.
        state.last_seen.written(false);
        for (user, at) in seen {
            state.last_seen.note(user, at);
        }
    }

    /// Takes the log's events as they come.
    async fn follow_log(&self) {
        let mut growth = self.0.tail.watch();
        loop {
            growth.mark_unchanged();
            while self.walk() {
                tokio::task::yield_now().await;
            }
            if growth.changed().await.is_err() {
                return;
            }
        }
    }

    /// Tells who has read on.
    async fn follow_reads(&self, mut reads: broadcast::Receiver<Reads>) {
        loop {
            match reads.recv().await {
                Ok(reads) => reads.iter().for_each(|read| self.read_on(read)),
                Err(broadcast::error::RecvError::Lagged(batches)) => {
                    tracing::warn!(batches, "not all were told who has read on");
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    /// Takes the next events; false when there are none.
    fn walk(&self) -> bool {
        let mut state = self.state();
        let Some(events) = self.0.tail.since(state.walked, Self::EVENTS) else {
            tracing::warn!(walked = %state.walked, "signals fell behind the tail; rooms are read again");
            state.walked = self.0.tail.head();
            let rooms: Vec<_> = state.ears.rooms().collect();
            for room in rooms {
                state.rooms.drop(room);
                state.wanted.insert(room);
            }
            state.ears.tell_all(&Heard::Lost);
            self.0.wanted.notify_one();
            self.0.left.notify_one();
            return true;
        };
        for event in &events {
            state.follow(event);
        }
        if state.rooms.has_left() {
            self.0.left.notify_one();
        }
        if let Some(last) = events.last() {
            state.walked = last.cursor.seq;
        }
        !events.is_empty()
    }

    /// Reads the rooms that someone wants to listen to.
    async fn take_up(&self) {
        loop {
            let wanted: Vec<_> = self.state().wanted.drain().collect();
            if wanted.is_empty() {
                self.0.wanted.notified().await;
                continue;
            }
            let rooms = futures_util::stream::iter(wanted);
            let reads = readers_left(&*self.0.store, Self::READS);
            let read = rooms.for_each_concurrent(reads, |room| self.take_up_one(room));
            read.await;
        }
    }

    async fn take_up_one(&self, id: RoomId) {
        // Asked for again while it was read: whoever has asked was told. To begin anew would lose what happens meanwhile to those
        // who know already who is there.
        if self.state().rooms.get(id).is_some() {
            return;
        }
        match self.0.store.attendance(id).await {
            Ok(Some((bounds, room, members))) => {
                let members = Attendance::gather(members).await;
                if self.begin(&room, bounds.head, members) {
                    while self.place_some(id) {
                        tokio::task::yield_now().await;
                    }
                }
            }
            // It is gone, and those who listened lose it by the log.
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "a room could not be read for its signals; it is tried again");
                tokio::time::sleep(Self::READ_AGAIN).await;
                let mut state = self.state();
                if state.ears.is_heard(id) {
                    state.wanted.insert(id);
                }
            }
        }
    }

    /// Takes up a room as it was at a place; false where nobody wants that any more, or it has to be read again.
    fn begin(&self, room: &Arc<Room>, read: Seq, members: Attendance) -> bool {
        let mut state = self.state();
        if !state.ears.is_heard(room.id) {
            return false;
        }
        let Some(missed) = self.missed(read, state.walked) else {
            state.wanted.insert(room.id);
            return false;
        };
        let State { people, rooms, .. } = &mut *state;
        rooms.take_up(room.clone(), read, members);
        for event in missed.iter().filter(|event| event.room_id() == room.id) {
            rooms.follow(event, |user| people.get(user));
        }
        true
    }

    /// Finds out of some members whether they are there, and when that is known of all, tells who is; true when there are more.
    fn place_some(&self, room: RoomId) -> bool {
        let mut state = self.state();
        let State { people, rooms, .. } = &mut *state;
        let more = rooms.place_some(room, |user| people.get(user));
        if !more {
            state.tell_who_is_there(room);
            self.0.left.notify_one();
        }
        more
    }

    /// Forgets rooms that nobody listens to any more.
    async fn forget_left(&self) {
        loop {
            let left = self.state().rooms.next_left();
            let Some(mut left) = left else {
                self.0.left.notified().await;
                continue;
            };
            loop {
                let some = left.next();
                if some.is_empty() {
                    break;
                }
                self.state().rooms.forget(&left, some);
                tokio::task::yield_now().await;
            }
        }
    }

    /// The events that were taken since a room was read; `None` where the ring has not all of them any more.
    fn missed(&self, read: Seq, walked: Seq) -> Option<Vec<Arc<Event>>> {
        let count = usize::try_from(walked.0.saturating_sub(read.0)).ok()?;
        if count == 0 {
            return Some(Vec::new());
        }
        let missed = self.0.tail.since(read, count)?;
        (missed.len() >= count).then_some(missed)
    }
}
