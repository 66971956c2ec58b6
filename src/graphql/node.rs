//! `Node`: looking a thing up by nothing but its id.

use async_graphql::{Context, ID, Interface};

use super::asking::{store, viewer};
use super::error::Result;
use super::loaders;
use super::member::RoomMember;
use super::message::Message;
use super::room::Room;
use super::user::User;
use crate::model::{MemberId, MessageId, RoomId, UserId};

/// What can be fetched again by its id.
#[derive(Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "Unique across all types. Rooms, messages: a UUID, lower case with hyphens. Users: the token's `sub`. \
            Others: the server's."
))]
pub(super) enum Node {
    /// A user.
    User(User),
    /// A room.
    Room(Room),
    /// A message.
    Message(Message),
    /// A membership.
    RoomMember(RoomMember),
}

impl Node {
    /// Users first, so that a `sub` which looks like a UUID is found; then what has a UUID.
    pub(super) async fn find(ctx: &Context<'_>, id: &str) -> Result<Option<Self>> {
        if let Ok(user) = UserId::parse("id", id)
            && let Some(user) = visible_user(ctx, user).await?
        {
            return Ok(Some(Self::User(user)));
        }
        let Ok(room) = RoomId::parse("id", id) else {
            return Ok(None);
        };
        if let Some(room) = loaders::readable(ctx, room).await? {
            return Ok(Some(Self::Room(Room::new(room))));
        }
        let uuid = room.uuid();
        if let Some(message) = visible_message(ctx, MessageId::from_uuid(uuid)).await? {
            return Ok(Some(Self::Message(message)));
        }
        let member = visible_member(ctx, MemberId::from_uuid(uuid)).await?;
        Ok(member.map(Self::RoomMember))
    }
}

pub(super) async fn visible_user(ctx: &Context<'_>, id: UserId) -> Result<Option<User>> {
    let viewer = &viewer(ctx)?.user.id;
    let users = store(ctx)?.users(viewer, &[id]).await?;
    Ok(users.into_iter().next().map(User))
}

pub(super) async fn visible_message(ctx: &Context<'_>, id: MessageId) -> Result<Option<Message>> {
    let Some(message) = loaders::message(ctx, id).await? else {
        return Ok(None);
    };
    let room = loaders::readable(ctx, message.room).await?;
    Ok(room.map(|room| Message::new(message, Some(room))))
}

async fn visible_member(ctx: &Context<'_>, id: MemberId) -> Result<Option<RoomMember>> {
    let members = store(ctx)?.members(&[id]).await?;
    let Some(member) = members.into_iter().next() else {
        return Ok(None);
    };
    let room = loaders::readable(ctx, member.room).await?;
    Ok(room.map(|_| RoomMember::now(member)))
}
