//! `Message`.
//!
//! Its room, its author, its reactions and what it replies to come along with it, so that showing one costs no read; only a reply's
//! own reply has to be looked up.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::answer;
use super::error::Result;
use super::loaders;
use super::reaction::Reaction;
use super::room::Room;
use super::scalars::{Cursor, DateTime, Json};
use super::user::User;
use crate::error::Error;
use crate::model;

/// Keeps its place when edited; an empty place when deleted. Made only of messages that the viewer may read.
#[derive(Clone)]
pub struct Message {
    pub(super) message: Arc<model::Message>,
    room: Option<Arc<model::Room>>,
}

impl Message {
    /// A message with its room; without, the room is looked up for the viewer when it is asked for.
    pub fn new(message: Arc<model::Message>, room: Option<Arc<model::Room>>) -> Self {
        Self { message, room }
    }
}

/// Keeps its place when edited; an empty place when deleted.
#[Object]
impl Message {
    /// A UUID, lower case with hyphens.
    pub(super) async fn id(&self) -> ID {
        self.message.id.to_string().into()
    }

    /// Where it was sent.
    async fn room(&self, ctx: &Context<'_>) -> Result<Room> {
        let room = match &self.room {
            Some(room) => room.clone(),
            None => loaders::readable(ctx, self.message.room)
                .await?
                .ok_or(Error::NotFound { what: "room" })?,
        };
        Ok(Room::about(room, Some(self.message.clone())))
    }

    /// Who sent it.
    async fn author(&self) -> User {
        User(self.message.author.clone())
    }

    /// Null once deleted. Empty only beside `data`.
    async fn body(&self, ctx: &Context<'_>) -> Option<&str> {
        let body = self.message.body.as_ref()?.as_str();
        answer::text(ctx, body).await;
        Some(body)
    }

    /// The app's own: attachments (address, type, size), mentions, cards. Null once deleted.
    async fn data(&self, ctx: &Context<'_>) -> Option<Json> {
        let data = self.message.data.as_ref()?;
        answer::data(ctx, data).await;
        Some(Json::Kept(data.clone()))
    }

    /// 1, then one more for each edit. (0 is free for a client's optimistic entry.)
    async fn version(&self) -> u32 {
        self.message.version
    }

    /// When it was sent.
    async fn created_at(&self) -> DateTime {
        DateTime(self.message.created_at)
    }

    /// When it was last edited.
    async fn edited_at(&self) -> Option<DateTime> {
        self.message.edited_at.map(DateTime)
    }

    /// When it was deleted.
    async fn deleted_at(&self) -> Option<DateTime> {
        self.message.deleted_at.map(DateTime)
    }

    /// In the same room; a deleted one is given too.
    async fn reply_to(&self, ctx: &Context<'_>) -> Result<Option<Self>> {
        let Some(reply) = &self.message.reply_to else {
            return Ok(None);
        };
        let message = match &reply.message {
            Some(message) => Some(message.clone()),
            None => loaders::message(ctx, reply.id).await?,
        };
        Ok(message.map(|message| Self::new(message, self.room.clone())))
    }

    /// Where in the log the message was sent: its order in the room.
    async fn cursor(&self) -> Cursor {
        self.message.cursor.into()
    }

    /// By first use; at most 20 different emoji.
    async fn reactions(&self, ctx: &Context<'_>) -> Vec<Reaction> {
        answer::items(ctx, self.message.reactions.len()).await;
        Reaction::under(&self.message)
    }
}
