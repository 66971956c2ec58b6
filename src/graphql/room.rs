//! `Room`, its visibility and the roles in it.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object};

use super::answer;
use super::asking::{deps, place};
use super::connection::{MessageConnection, RoomMemberConnection};
use super::error::Result;
use super::loaders;
use super::message::Message;
use super::page::{Asked, Place};
use super::per_viewer::per_viewer;
use super::scalars::{Cursor, DateTime, Json};
use crate::model::{self, Role, Visibility};
use crate::store::MemberKey;

/// PUBLIC: anyone signed in may read and join, and sending joins. PRIVATE: members only, added by owners.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
#[graphql(remote = "Visibility")]
pub enum RoomVisibility {
    /// Anyone signed in may read and join, and sending joins.
    Public,
    /// Members only, added by owners.
    Private,
}

/// READER: read. MEMBER: send and react too. OWNER: also change the room and its members, and delete anyone's message.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
#[graphql(remote = "Role")]
pub enum RoomRole {
    /// All that a member may; also change the room and its members, and delete anyone's message.
    Owner,
    /// Read, send and react.
    Member,
    /// Read.
    Reader,
}

/// Messages in order, and the members who may read them. Made only of rooms that the viewer may read.
#[derive(Clone)]
pub struct Room {
    pub(super) room: Arc<model::Room>,
    /// The message by which the room was come to: often the last one, and then nothing needs to be read.
    about: Option<Arc<model::Message>>,
}

impl Room {
    pub(super) fn new(room: Arc<model::Room>) -> Self {
        Self { room, about: None }
    }

    pub(super) fn about(room: Arc<model::Room>, about: Option<Arc<model::Message>>) -> Self {
        Self { room, about }
    }
}

/// Messages in order, and the members who may read them.
#[Object]
impl Room {
    /// A UUID, lower case with hyphens.
    pub(super) async fn id(&self) -> ID {
        self.room.id.to_string().into()
    }

    /// Empty for a direct room: show the other member.
    async fn name(&self, ctx: &Context<'_>) -> &str {
        let name = self.room.name.as_str();
        answer::text(ctx, name).await;
        name
    }

    /// Who may read it.
    async fn visibility(&self) -> RoomVisibility {
        self.room.visibility.into()
    }

    /// Made by openDirectRoom: private, two members for ever, one room for each pair.
    async fn direct(&self) -> bool {
        self.room.direct
    }

    /// The app's own: topic, picture, settings.
    async fn data(&self, ctx: &Context<'_>) -> Option<Json> {
        let data = self.room.data.as_ref()?;
        answer::data(ctx, data).await;
        Some(Json::Kept(data.clone()))
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.room.created_at)
    }

    /// When the newest message was sent, else the room made. Lists of rooms are in this order, so rooms move between
    /// pages.
    async fn last_activity_at(&self) -> DateTime {
        DateTime(self.room.last_activity_at)
    }

    /// The newest message, deleted or not. For lists of rooms: `messages(last: 1)` there replaces the history in client
    /// caches.
    async fn last_message(&self, ctx: &Context<'_>) -> Result<Option<Message>> {
        let Some(id) = self.room.last_message else {
            return Ok(None);
        };
        let message = match &self.about {
            Some(about) if about.id == id => Some(about.clone()),
            _ => loaders::message(ctx, id).await?,
        };
        Ok(message.map(|message| Message::new(message, Some(self.room.clone()))))
    }

    /// How many are in it.
    async fn member_count(&self) -> u32 {
        self.room.member_count
    }

    /// First to join first.
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The first so many, from `after` on if that is given: 50 unless said, at most 100."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this edge's cursor.")] after: Option<String>,
        #[graphql(
            desc = "The last so many, up to `before` if that is given: at most 100, never with `first`."
        )]
        last: Option<i32>,
        #[graphql(desc = "Only what precedes this edge's cursor.")] before: Option<String>,
    ) -> Result<RoomMemberConnection> {
        let (after, before) = (
            MemberKey::bound("after", after)?,
            MemberKey::bound("before", before)?,
        );
        let wanted = Asked { first, last }.between(after, before)?;
        let page = loaders::members(ctx, self.room.id, wanted.args.clone()).await?;
        Ok(RoomMemberConnection::new(&wanted, &page))
    }

    /// Oldest first; `last: 50` is the newest page. An edge's cursor is its message's `cursor`, so any place in the log
    /// will do: `after: viewerReadUpTo` begins at the first unread; `before` and `after` a message's cursor are what
    /// surrounds it.
    async fn messages(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The first so many, from `after` on if that is given: 50 unless said, at most 100."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what was sent after this place in the log.")] after: Option<String>,
        #[graphql(
            desc = "The last so many, up to `before` if that is given: at most 100, never with `first`."
        )]
        last: Option<i32>,
        #[graphql(desc = "Only what was sent before this place in the log.")] before: Option<
            String,
        >,
    ) -> Result<MessageConnection> {
        let (after, before) = (
            place(ctx, "after", after).await?,
            place(ctx, "before", before).await?,
        );
        let wanted = Asked { first, last }.between(after, before)?;
        let page = loaders::messages(ctx, self.room.id, wanted.args.clone()).await?;
        Ok(MessageConnection::new(&self.room, &wanted, &page))
    }

    /// Null when the viewer is not a member.
    #[graphql(directive = per_viewer::apply())]
    async fn viewer_role(&self, ctx: &Context<'_>) -> Result<Option<RoomRole>> {
        let view = loaders::view(ctx, self.room.id).await?;
        Ok(view.and_then(|view| view.role).map(RoomRole::from))
    }

    /// Messages by others after `viewerReadUpTo`, deleted ones not counted; 0 when not a member.
    #[graphql(directive = per_viewer::apply())]
    async fn unread_count(&self, ctx: &Context<'_>) -> Result<u32> {
        Ok(loaders::unread(ctx, self.room.id).await?)
    }

    /// The place up to which the viewer has read, by its furthest `markRead`. Null before the first, and when the viewer
    /// is not a member.
    #[graphql(directive = per_viewer::apply())]
    async fn viewer_read_up_to(&self, ctx: &Context<'_>) -> Result<Option<Cursor>> {
        let view = loaders::view(ctx, self.room.id).await?;
        let place = view.and_then(|view| view.read_up_to);
        let epochs = deps(ctx)?.store.epochs();
        Ok(place.map(|seq| epochs.cursor(seq).into()))
    }
}
