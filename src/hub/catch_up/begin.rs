//! Where a subscription begins: at the place it asked for, or where it is told that this cannot be.

use super::super::Item;
use super::super::position::{Start, Watch, start};
use super::{Asked, CatchUp, Stop, without};
use crate::error::Error;
use crate::interleave::point;
use crate::model::{Access, Resync, RoomId, Scope, Seq};

impl CatchUp {
    /// Events of the ring that are looked at without a pause: some tens of microseconds.
    const LOOK_EVENTS: usize = 512;

    pub(super) async fn find_start(&mut self, asked: &Asked) -> Result<(), Stop> {
        if asked.resume.is_none() && asked.after.is_none() {
            return Ok(());
        }
        let bounds = self.retry(|| self.core.store.bounds()).await?;
        let epochs = self.core.store.epochs();
        let honour = |cursor| epochs.honour(cursor, bounds.floor, bounds.head);
        match start(asked.resume.map(honour), asked.after.map(honour)) {
            Start::Head => Ok(()),
            Start::At(place) => {
                self.reach(place);
                Ok(())
            }
            Start::Resync(reason) => self.resync(reason).await,
        }
    }

    /// Begins: from the ring where it reaches back to the place and nothing since then has changed what the viewer follows,
    /// else from the store.
    pub(super) async fn open(&mut self) -> Result<(), Stop> {
        if self.core.tail.since(self.place, 1).is_none() {
            return self.read_page().await;
        }
        let viewer = &self.line.viewer.user.id;
        let store = &self.core.store;
        let read = self.retry(|| store.access(viewer, &self.scope)).await?;
        let (bounds, access) = read;
        if !self.is_unchanged_until(bounds.head).await? {
            return self.read_page().await;
        }
        self.starting = None;
        let as_of = self.core.payloads.as_of();
        point!("open", (as_of, bounds.head));
        let cursor = self.core.store.epochs().cursor(self.place);
        for room in unreadable(&self.scope, &access) {
            self.show(&Item::Revoked { cursor, room }, as_of).await?;
            self.scope = without(&self.scope, room);
        }
        self.opening = false;
        self.access = Some(access);
        Ok(())
    }

    /// Whether the ring has every event from here to `head` and none of them changes what the viewer follows. There may be
    /// thousands: others run in between.
    async fn is_unchanged_until(&self, head: Seq) -> Result<bool, Stop> {
        let watch = Watch::new(&self.line.viewer.user.id, &self.scope);
        let mut place = self.place;
        while place < head {
            if self.sub.has_ended() {
                return Err(Stop::Ended);
            }
            point!("look", place);
            match self.look(&watch, place, head) {
                Some(looked) => place = looked,
                None => return Ok(false),
            }
            if place < head {
                tokio::task::yield_now().await;
            }
        }
        Ok(true)
    }

    /// Looks at the next events on the way to `head`: up to where. `None` where one may change something, or is not in the ring.
    fn look(&self, watch: &Watch<'_>, place: Seq, head: Seq) -> Option<Seq> {
        let between = usize::try_from(head.0 - place.0).unwrap_or(usize::MAX);
        let events = self
            .core
            .tail
            .since(place, between.min(Self::LOOK_EVENTS))?;
        // None are there where the tail is a moment behind the store.
        let last = events.last()?.cursor.seq;
        let changes = events.iter().any(|event| watch.may_change(event));
        (!changes).then_some(last)
    }

    /// Tells that the place asked for cannot be honoured, and goes on from the end of the log.
    pub(super) async fn resync(&mut self, reason: Resync) -> Result<(), Stop> {
        self.starting = None;
        let cursor = self.core.tail.end(&*self.core.store);
        if self.sub.operation.messages_only {
            let cursor = cursor.to_string();
            return self.fail(&Error::ResyncRequired { reason, cursor });
        }
        let as_of = self.core.payloads.as_of();
        self.show(&Item::Resync { cursor, reason }, as_of).await?;
        self.opening = true;
        self.reach(cursor.seq);
        Ok(())
    }
}

/// Rooms that were asked for by name and that the viewer does not follow.
fn unreadable(scope: &Scope, access: &Access) -> Vec<RoomId> {
    match scope {
        Scope::Mine => Vec::new(),
        Scope::Rooms(rooms) => {
            let rooms = rooms.iter().copied();
            rooms
                .filter(|room| !access.rooms.contains_key(room))
                .collect()
        }
    }
}
