//! Where a subscription begins: at the place it asked for, or where it is told that this cannot be.

use std::sync::Arc;

use super::super::Item;
use super::super::position::{Start, may_change, start};
use super::{Asked, CatchUp, Stop, without};
use crate::error::Error;
use crate::interleave::point;
use crate::model::{Access, Event, Resync, RoomId, Scope, Seq};

impl CatchUp {
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
        if !self.is_unchanged_until(bounds.head) {
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

    /// Whether the ring has every event from here to `head` and none of them changes what the viewer follows.
    fn is_unchanged_until(&self, head: Seq) -> bool {
        let viewer = &self.line.viewer.user.id;
        let between = usize::try_from(head.0.saturating_sub(self.place.0)).unwrap_or(usize::MAX);
        let events = self.core.tail.since(self.place, between);
        events.is_some_and(|events| {
            let changes = |event: &Arc<Event>| may_change(event, viewer, &self.scope);
            // The tail may be a moment behind the store.
            events.len() == between && !events.iter().any(changes)
        })
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
