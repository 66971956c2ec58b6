//! How a catch-up puts payloads into its socket's queue, and how it waits: for room there, and for the store.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::super::Item;
use super::super::ask::Patience;
use super::super::cache::AsOf;
use super::super::line::Place;
use super::super::operation::Rendered;
use super::super::outbox::Queued;
use super::{CatchUp, Stop};
use crate::error::Error;
use crate::interleave::{self, point};
use crate::store::StoreError;

impl CatchUp {
    /// Queues an item's payload when the socket has room for it.
    pub(super) async fn show(&mut self, item: &Item, as_of: AsOf) -> Result<(), Stop> {
        let operation = &self.sub.operation;
        match item {
            Item::Event(event) if !operation.wants(event) => return Ok(()),
            Item::Revoked { .. } if operation.messages_only => {
                return self.fail(&Error::NotFound { what: "room" });
            }
            _ => {}
        }
        loop {
            self.drain().await;
            if let Item::Event(event) = item
                && !self.core.payloads.is_sound(event, as_of)
            {
                return Err(Stop::Stale);
            }
            let Some(payload) = self.render(item, as_of).await? else {
                return Ok(());
            };
            let frame = self.sub.frame(payload);
            let bytes = frame.len();
            let reached = item.cursor().map_or(self.place, |cursor| cursor.seq);
            point!("offer", reached);
            let reach = || {
                if let Item::Revoked { .. } = item {
                    self.line.revoked_to.fetch_max(reached.0, Ordering::Relaxed);
                }
                self.sub.set_place(Place::At(reached));
            };
            match self.line.outbox.offer(frame, &self.sub.ended, reach) {
                Queued::Full => {}
                Queued::Cancelled => return Err(Stop::Ended),
                Queued::Taken | Queued::Over => {
                    self.frame_bytes = bytes;
                    self.place = reached;
                    // A fast socket must not keep this task from letting others run.
                    interleave::consume_budget().await;
                    return Ok(());
                }
            }
        }
    }

    /// `None` where it is not for the viewer any more.
    async fn render(&mut self, item: &Item, as_of: AsOf) -> Result<Option<Bytes>, Stop> {
        if let Rendered::Now(payload) = self.sub.operation.render(item, as_of) {
            return Ok(Some(payload));
        }
        self.turn = None;
        let mut patience = Patience::new();
        loop {
            if let Ok(payload) = self.sub.operation.render_later(item, as_of).await {
                let still = self.may_still_read(item).await?;
                return Ok(still.then_some(payload));
            }
            if !patience.again().await {
                return Err(Stop::Unavailable);
            }
        }
    }

    /// A payload that had to wait shows things as the store had them just now, which may be beyond the place where the
    /// viewer lost the room. Asked after it was made, so that what is shown was readable when it was read.
    async fn may_still_read(&self, item: &Item) -> Result<bool, Stop> {
        let Item::Event(event) = item else {
            return Ok(true);
        };
        let (viewer, scope) = (&self.line.viewer.user.id, &self.scope);
        let now = self
            .retry(async || self.core.store.access(viewer, scope).await)
            .await?;
        Ok(now.1.rooms.contains_key(&event.room_id()))
    }

    pub(super) async fn retry<T, F>(&self, read: impl Fn() -> F) -> Result<T, Stop>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        Ok(self.core.ask(&self.sub, read).await?)
    }
}
