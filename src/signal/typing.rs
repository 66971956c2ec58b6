//! Who types where, until it is sent, stopped, or six seconds have gone by without another word. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{RoomId, User, UserId};

/// Everyone who types.
#[derive(Default)]
pub(super) struct Typing {
    /// By user first: one who leaves stops everywhere.
    by: BTreeMap<(UserId, uuid::Uuid), (Arc<User>, Instant)>,
    lapses: BTreeSet<(Instant, UserId, uuid::Uuid)>,
}

/// Someone who types no longer.
pub(super) type Stopped = (RoomId, Arc<User>);

impl Typing {
    /// As clients forget it by themselves.
    pub(super) const LASTS: Duration = Duration::from_secs(6);

    /// A user types, or still does.
    pub(super) fn start(&mut self, room: RoomId, user: &Arc<User>, now: Instant) {
        self.stop(room, &user.id);
        let until = now + Self::LASTS;
        let (id, room) = (user.id.clone(), room.uuid());
        self.lapses.insert((until, id.clone(), room));
        self.by.insert((id, room), (user.clone(), until));
    }

    /// A user types no longer in a room; `None` where it did not.
    pub(super) fn stop(&mut self, room: RoomId, user: &UserId) -> Option<Stopped> {
        let ((id, uuid), (user, until)) = self.by.remove_entry(&(user.clone(), room.uuid()))?;
        self.lapses.remove(&(until, id, uuid));
        Some((room, user))
    }

    /// A user types no longer anywhere.
    pub(super) fn stop_all(&mut self, user: &UserId) -> Vec<Stopped> {
        let from = (user.clone(), uuid::Uuid::nil());
        let of_user = self.by.range(from..).take_while(|((id, _), _)| id == user);
        let rooms: Vec<_> = of_user
            .map(|((_, room), _)| RoomId::from_uuid(*room))
            .collect();
        let stopped = rooms.into_iter().filter_map(|room| self.stop(room, user));
        stopped.collect()
    }

    /// One who has not said it again.
    pub(super) fn lapse(&mut self, now: Instant) -> Option<Stopped> {
        let (_, user, room) = self.lapses.first().filter(|(at, ..)| *at <= now)?;
        let (user, room) = (user.clone(), RoomId::from_uuid(*room));
        self.stop(room, &user)
    }

    /// When the next one lapses.
    pub(super) fn next_lapse(&self) -> Option<Instant> {
        self.lapses.first().map(|(at, ..)| *at)
    }
}
