//! `Reaction`.
//!
//! Emoji and counts come along with the message; who reacts is looked up, for all reactions of a page at once.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::answer;
use super::error::Result;
use super::loaders;
use super::page::size;
use super::per_viewer::per_viewer;
use super::user::User;
use crate::model::{self, MessageId};

/// So many users where nothing is said: a line of names.
const USERS: usize = 20;
const USERS_MAX: usize = 100;

/// One emoji under one message. Made only of messages that the viewer may read.
pub(super) struct Reaction {
    message: MessageId,
    reaction: model::Reaction,
}

impl Reaction {
    /// Those of a message, by first use.
    pub(super) fn under(message: &Arc<model::Message>) -> Vec<Self> {
        let reaction = |reaction: &model::Reaction| Self {
            message: message.id,
            reaction: reaction.clone(),
        };
        message.reactions.iter().map(reaction).collect()
    }
}

/// One emoji under one message.
#[Object]
impl Reaction {
    /// One for each message and emoji: caches keep `viewerReacted` by it when an event brings the rest.
    async fn id(&self) -> ID {
        // Nothing has to be kept for it, and it is the same when the emoji goes and comes back.
        format!("{}:{}", self.message, self.reaction.emoji.as_str()).into()
    }

    /// The emoji.
    async fn emoji(&self) -> &str {
        self.reaction.emoji.as_str()
    }

    /// How many react with it.
    async fn count(&self) -> u32 {
        self.reaction.count
    }

    /// The first to react: 20 unless said, at most 100.
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "So many of them: 20 unless said, at most 100.")] first: Option<i32>,
    ) -> Result<Vec<User>> {
        let first = size("first", first, USERS, USERS_MAX)?;
        let under = (self.message, self.reaction.emoji.clone());
        let users = loaders::reactors(ctx, under, first).await?;
        answer::items(ctx, users.len()).await;
        Ok(users.iter().cloned().map(User).collect())
    }

    /// Leave it out of subscriptions and let the cache read false where it has none: the event's `actor` tells who reacted.
    #[graphql(directive = per_viewer::apply())]
    async fn viewer_reacted(&self, ctx: &Context<'_>) -> Result<bool> {
        let reacted = loaders::reacted(ctx, self.message).await?;
        Ok(reacted.contains(&self.reaction.emoji))
    }
}
