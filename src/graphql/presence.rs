//! `Presence`: who is there.

use async_graphql::{Context, Enum, SimpleObject};

use super::asking::deps;
use super::loaders;
use super::scalars::DateTime;
use crate::error::Error;
use crate::model::{Timestamp, UserId};
use crate::signal::{Known, Status};

/// ONLINE: has a live socket. AWAY: has one, and said so. OFFLINE: has none.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
#[graphql(remote = "Status")]
pub(super) enum PresenceStatus {
    /// Has a live socket.
    Online,
    /// Has one, and said so.
    Away,
    /// Has none.
    Offline,
}

/// One for each user, however many devices.
#[derive(SimpleObject)]
pub(super) struct Presence {
    /// Whether the user is there.
    status: PresenceStatus,
    /// Null while online.
    last_seen_at: Option<DateTime>,
}

impl Presence {
    /// How a user stands, to a viewer that shares a room with it or is that user; else nothing is told.
    pub(super) async fn of(ctx: &Context<'_>, user: &UserId) -> Result<Self, Error> {
        // Before the store is asked: what it does not have yet is here, and what is no longer here it has.
        let known = deps(ctx)?.signals.known(user);
        let Some(stored) = loaders::last_seen(ctx, user).await? else {
            return Ok(Self::new(Status::Offline, None));
        };
        Ok(match known {
            Known::There(status) => Self::new(status, None),
            Known::LastSeen(at) => Self::new(Status::Offline, Some(at)),
            Known::Gone => Self::new(Status::Offline, stored),
        })
    }

    fn new(status: Status, last_seen_at: Option<Timestamp>) -> Self {
        Self {
            status: status.into(),
            last_seen_at: last_seen_at.map(DateTime),
        }
    }
}
