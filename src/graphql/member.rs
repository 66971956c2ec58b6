//! `RoomMember`.

use std::sync::Arc;

use async_graphql::{ID, Object};

use super::room::RoomRole;
use super::scalars::DateTime;
use super::user::User;
use crate::model;

/// A user in a room.
#[derive(Clone)]
pub(super) struct RoomMember(pub Arc<model::Member>);

/// A user in a room.
#[Object]
impl RoomMember {
    /// Made by the server; the same when the user leaves and comes back.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Who.
    async fn user(&self) -> User {
        User(self.0.user.clone())
    }

    /// What it may do.
    async fn role(&self) -> RoomRole {
        self.0.role.into()
    }

    /// When it last came in.
    async fn joined_at(&self) -> DateTime {
        DateTime(self.0.joined_at)
    }
}
