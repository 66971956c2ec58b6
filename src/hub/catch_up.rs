//! Catching up: what a subscription has missed, at the pace of its socket, until its worker takes it.

mod begin;
mod show;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;

use super::ask::Unanswered;
use super::line::{HandOver, Line, Place, Sub};
use super::position::{Next, next, page_events};
use super::seats::put_back;
use super::{Core, Intent, Item};
use crate::error::Error;
#[cfg(test)]
use crate::interleave::explored;
use crate::interleave::point;
use crate::model::{Access, Cursor, Resync, RoomId, Scope, Seq, Verdict};
use crate::store::{PageLimit, Replayed};

/// A subscription that is not live.
pub(super) struct CatchUp {
    core: Arc<Core>,
    line: Arc<Line>,
    sub: Arc<Sub>,
    /// What is still asked for: named rooms that were lost are out of it for good.
    scope: Scope,
    /// Everything up to here was queued.
    place: Seq,
    /// What it follows as of `place`, where that is known.
    access: Option<Access>,
    /// Its worker could not have the payload of this event at once: it is delivered from here.
    must_reach: Seq,
    /// Rooms that were asked for and cannot be seen are still to be told.
    opening: bool,
    /// `CaughtUp` is still to be said, and its worker could not have its payload at once.
    greets: bool,
    /// The size of its latest frame.
    frame_bytes: usize,
    /// Held until the store has said where and with what it begins, and never while a socket is waited for.
    starting: Option<OwnedSemaphorePermit>,
    /// Held while it walks the ring, and never while a socket or the store is waited for.
    turn: Option<OwnedSemaphorePermit>,
}

/// Why catching up ends before the subscription is live.
enum Stop {
    /// The subscription or its connection has ended.
    Ended,
    /// The store does not answer.
    Unavailable,
    /// What was read shows something that was deleted since: to be read again.
    Stale,
}

impl From<Unanswered> for Stop {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Ended => Self::Ended,
            Unanswered::Unavailable => Self::Unavailable,
        }
    }
}

/// Where a new subscription wants to begin.
pub(super) struct Asked {
    /// The end of the log when it was asked for.
    pub(super) head: Seq,
    /// From `connection_init`.
    pub(super) resume: Option<Cursor>,
    /// The root field's argument.
    pub(super) after: Option<Cursor>,
}

impl CatchUp {
    /// What a frame is taken for before there was one: a message of a few lines.
    const FRAME_BYTES: usize = 2_048;

    /// A subscription that its worker could not serve any longer.
    pub(super) fn from_seat(
        core: &Arc<Core>,
        line: &Arc<Line>,
        sub: Arc<Sub>,
        (place, access): (Seq, Access),
        must_reach: Seq,
    ) -> Self {
        Self {
            core: core.clone(),
            line: line.clone(),
            sub,
            scope: access.scope.clone(),
            place,
            access: Some(access),
            must_reach,
            opening: false,
            greets: false,
            frame_bytes: Self::FRAME_BYTES,
            starting: None,
            turn: None,
        }
    }

    /// Runs it as a task of the hub.
    pub(super) fn go_on(self) {
        self.start(None);
    }

    /// As [`Self::go_on`], and says `CaughtUp` before it asks for a seat again.
    pub(super) fn greet(mut self) {
        self.greets = true;
        self.go_on();
    }

    /// Begins a new subscription as a task of the hub.
    pub(super) fn begin(
        core: &Arc<Core>,
        line: &Arc<Line>,
        sub: Arc<Sub>,
        intent: &Intent,
        asked: Asked,
    ) {
        let begin = Self {
            core: core.clone(),
            line: line.clone(),
            sub,
            scope: intent.scope.clone(),
            place: asked.head,
            access: None,
            must_reach: Seq::ZERO,
            opening: true,
            greets: false,
            frame_bytes: Self::FRAME_BYTES,
            starting: None,
            turn: None,
        };
        begin.start(Some(asked));
    }

    fn start(mut self, asked: Option<Asked>) {
        let (core, line) = (self.core.clone(), self.line.clone());
        point!("start", Arc::as_ptr(&self.sub) as usize);
        core.spawn(async move {
            if asked.is_some() {
                // A closed semaphore cannot be: it lives as long as the hub.
                self.starting = self.core.starts.clone().acquire_owned().await.ok();
            }
            // Boxed, so that it takes its room only once it begins.
            let run = Box::pin(self.run(asked));
            if AssertUnwindSafe(run).catch_unwind().await.is_err() {
                tracing::error!("a catch-up panicked; its connection is closed");
                line.close_for_defect();
            }
        });
    }

    async fn run(mut self, asked: Option<Asked>) {
        let begun = match asked {
            // Its client may have given it up while it waited for its turn.
            Some(_) if self.sub.has_ended() => Err(Stop::Ended),
            Some(asked) => self.find_start(&asked).await,
            None => Ok(()),
        };
        let stop = match begun {
            Ok(()) => self.go_live().await,
            Err(stop) => stop,
        };
        if let Stop::Unavailable = stop {
            self.line.close_unanswered();
        }
    }

    /// Goes on until the worker has been asked for a seat.
    async fn go_live(&mut self) -> Stop {
        loop {
            point!("go live", self.stand());
            if self.sub.has_ended() {
                return Stop::Ended;
            }
            let went = match self.access.take() {
                None if self.opening => self.open().await,
                None => self.read_page().await,
                Some(access) => match self.next() {
                    Next::HandOver if self.greets => {
                        self.access = Some(access);
                        self.say_caught_up().await
                    }
                    Next::HandOver => {
                        self.hand_over(access);
                        return Stop::Ended;
                    }
                    Next::Drain => {
                        self.access = Some(access);
                        self.drain().await;
                        Ok(())
                    }
                    Next::Walk => self.walk_ring(access).await,
                },
            };
            match went {
                Ok(()) | Err(Stop::Stale) => {}
                Err(stop) => return stop,
            }
        }
    }

    async fn say_caught_up(&mut self) -> Result<(), Stop> {
        let item = Item::CaughtUp(self.core.store.epochs().cursor(self.place));
        let as_of = self.core.payloads.as_of();
        self.show(&item, as_of).await?;
        self.sub.greeted.store(true, Ordering::Relaxed);
        self.greets = false;
        Ok(())
    }

    fn next(&self) -> Next {
        if self.core.tail.since(self.place, 1).is_none() {
            // The worker could not deliver the remainder and would send it back here, to and fro while nothing happens.
            return Next::Walk;
        }
        let outbox = &self.line.outbox;
        next(
            self.place,
            self.core.tail.head(),
            self.must_reach,
            self.core.pace.remainder,
            outbox.queued_bytes(),
            outbox.quarter_bytes(),
        )
    }

    fn hand_over(&mut self, access: Access) {
        point!("hand over", self.place);
        let hand_over = HandOver {
            sub: self.sub.clone(),
            place: self.place,
            access,
        };
        self.line.post(|mail| mail.hand_overs.push(hand_over));
    }

    /// Delivers events from the ring as the worker would: by what the viewer follows at each of them.
    async fn walk_ring(&mut self, mut access: Access) -> Result<(), Stop> {
        self.take_turn().await;
        let as_of = self.core.payloads.as_of();
        let Some(events) = self.core.tail.since(self.place, self.core.pace.ring) else {
            // Now the store has to say what may be read; what was lost stays lost.
            self.turn = None;
            self.scope = what_is_left(access);
            return Ok(());
        };
        point!("ring", (as_of, events.len()));
        for event in &events {
            let before = access.rooms.get(&event.room_id()).copied();
            let item = match access.follow(event) {
                Verdict::Skip => None,
                Verdict::Deliver => Some(Item::Event(event.clone())),
                Verdict::Revoke => Some(Item::Revoked {
                    cursor: event.cursor,
                    room: event.room_id(),
                }),
            };
            if let Some(item) = item
                && let Err(stop) = self.show(&item, as_of).await
            {
                put_back(&mut access, event.room_id(), before);
                self.access = Some(access);
                return Err(stop);
            }
            self.reach(event.cursor.seq);
        }
        self.access = Some(access);
        Ok(())
    }

    /// Delivers a page from the store: rooms that are readable now, and where rooms were lost.
    async fn read_page(&mut self) -> Result<(), Stop> {
        let budget = self.line.outbox.budget_bytes();
        let limit = PageLimit {
            items: page_events(self.frame_bytes, budget),
            bytes: budget,
        };
        let viewer = &self.line.viewer.user.id;
        let store = &self.core.store;
        let read = async || {
            // From before it is read, and from after the wait for that: what is deleted meanwhile is read again.
            let as_of = self.core.payloads.as_of().read_from_store();
            let page = store.replay(viewer, &self.scope, self.place, limit, self.opening);
            Ok((as_of, page.await?))
        };
        let (as_of, page) = self.retry(read).await?;
        self.starting = None;
        if self.place < page.bounds.floor {
            return self.resync(Resync::CursorExpired).await;
        }
        point!("page", (as_of, page.end));
        for replayed in page.items {
            match replayed {
                Replayed::Event(event) => {
                    let seq = event.cursor.seq;
                    self.show(&Item::Event(event), as_of).await?;
                    self.reach(seq);
                }
                Replayed::Revoked { cursor, room } => {
                    self.show(&Item::Revoked { cursor, room }, as_of).await?;
                    self.scope = without(&self.scope, room);
                    self.reach(cursor.seq);
                }
            }
        }
        self.opening = false;
        self.reach(page.end);
        if page.end >= page.bounds.head {
            self.access = Some(page.access);
        }
        Ok(())
    }

    /// What no one else can see of it.
    #[cfg(test)]
    fn stand(&self) -> impl std::hash::Hash {
        let access = self.access.as_ref().map(explored::access);
        let scope = explored::scope(&self.scope);
        let told = (self.opening, self.greets);
        (self.place, access, scope, self.must_reach, told)
    }

    async fn take_turn(&mut self) {
        // A closed semaphore cannot be: it lives as long as the hub.
        if self.turn.is_none() {
            self.turn = self.core.turns.clone().acquire_owned().await.ok();
        }
    }

    async fn drain(&mut self) {
        let outbox = &self.line.outbox;
        if outbox.queued_bytes() <= outbox.quarter_bytes() {
            return;
        }
        self.turn = None;
        outbox
            .drained_or_cancelled(outbox.quarter_bytes(), &self.sub.ended)
            .await;
    }

    fn fail(&self, error: &Error) -> Result<(), Stop> {
        self.line.fail(&self.sub, error);
        Err(Stop::Ended)
    }

    /// Everything up to there was queued.
    fn reach(&mut self, place: Seq) {
        self.place = place;
        self.sub.set_place(Place::At(place));
    }
}

/// The scope without the rooms that were lost: a stream of named rooms does not take one up again.
fn what_is_left(access: Access) -> Scope {
    match access.scope {
        Scope::Mine => Scope::Mine,
        Scope::Rooms(_) => Scope::Rooms(access.rooms.into_keys().collect()),
    }
}

fn without(scope: &Scope, lost: RoomId) -> Scope {
    match scope {
        Scope::Mine => Scope::Mine,
        Scope::Rooms(rooms) => {
            let left = rooms.iter().copied().filter(|room| *room != lost);
            Scope::Rooms(left.collect())
        }
    }
}
