//! `RoomMember`.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::asking::deps;
use super::error::Result;
use super::loaders;
use super::room::RoomRole;
use super::scalars::{Cursor, DateTime};
use super::user::User;
use crate::model;

/// A user in a room.
#[derive(Clone)]
pub(super) struct RoomMember {
    pub(super) member: Arc<model::Member>,
    /// The member is shown as an event left it, which says nothing of what it has read since.
    then: bool,
}

impl RoomMember {
    /// As it is now.
    pub(super) fn now(member: Arc<model::Member>) -> Self {
        Self {
            member,
            then: false,
        }
    }

    /// As an event left it.
    pub(super) fn then(member: Arc<model::Member>) -> Self {
        Self { member, then: true }
    }
}

/// A user in a room.
#[Object]
impl RoomMember {
    /// Made by the server; the same when the user leaves and comes back.
    pub(super) async fn id(&self) -> ID {
        self.member.id.to_string().into()
    }

    /// Who.
    async fn user(&self) -> User {
        User(self.member.user.clone())
    }

    /// What it may do.
    async fn role(&self) -> RoomRole {
        self.member.role.into()
    }

    /// When it last came in.
    async fn joined_at(&self) -> DateTime {
        DateTime(self.member.joined_at)
    }

    /// For `seen by`: a message is read when its cursor is not greater.
    async fn read_up_to(&self, ctx: &Context<'_>) -> Result<Option<Cursor>> {
        // Marks have no order in the log, so an older one would put a client's cache back.
        let now = match self.then {
            true => loaders::member(ctx, self.member.id).await?,
            false => None,
        };
        let place = now.as_ref().unwrap_or(&self.member).read_up_to;
        let epochs = deps(ctx)?.store.epochs();
        Ok(place.map(|seq| epochs.cursor(seq).into()))
    }
}
