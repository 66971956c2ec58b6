//! `Query`.

use async_graphql::{Context, ID, Object};

use super::asking::{head, store, viewer};
use super::changes::ChangePage;
use super::connection::RoomConnection;
use super::error::Result;
use super::loaders;
use super::message::Message;
use super::node::{Node, visible_message, visible_user};
use super::page::{Asked, Place};
use super::room::Room;
use super::scalars::Cursor;
use super::user::User;
use crate::model::{MessageId, RoomId, UserId};
use crate::store::{RoomKey, RoomList};

/// To read: once, by page, or what has changed.
pub struct Query;

/// To read: once, by page, or what has changed.
#[Object]
impl Query {
    /// Who is asking.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<User> {
        let token = &viewer(ctx)?.user;
        let kept = store(ctx)?.profile(&token.id).await?;
        // What the token says is written when it signs in, which may be still under way.
        let newest = kept.filter(|kept| kept.profile_at >= token.profile_at);
        Ok(User(newest.unwrap_or_else(|| token.clone())))
    }

    /// Null when there is no such room or the viewer may not see it: the two are not told apart.
    async fn room(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The room's id.")] id: ID,
    ) -> Result<Option<Room>> {
        let room = loaders::readable(ctx, RoomId::parse("id", &id)?).await?;
        Ok(room.map(Room::new))
    }

    /// Null as `room` is.
    async fn message(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The message's id.")] id: ID,
    ) -> Result<Option<Message>> {
        viewer(ctx)?;
        visible_message(ctx, MessageId::parse("id", &id)?).await
    }

    /// Null unless it is the viewer, shares a room with the viewer, or is in a public room.
    async fn user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The `sub` of the user's tokens.")] id: ID,
    ) -> Result<Option<User>> {
        visible_user(ctx, UserId::parse("id", &id)?).await
    }

    /// Null as `room` is. Users are looked for first.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of a user, room, message or membership.")] id: ID,
    ) -> Result<Option<Node>> {
        viewer(ctx)?;
        Node::find(ctx, &id).await
    }

    /// Public rooms, joined or not, newest activity first. The viewer's own are `viewer { rooms }`.
    async fn rooms(
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
    ) -> Result<RoomConnection> {
        viewer(ctx)?;
        let (after, before) = (
            RoomKey::bound("after", after)?,
            RoomKey::bound("before", before)?,
        );
        let wanted = Asked { first, last }.between(after, before)?;
        let page = loaders::rooms(ctx, RoomList::Public, wanted.args.clone()).await?;
        Ok(RoomConnection::new(&wanted, &page))
    }

    /// The end of the log, taken before anything else of this answer is read: show the answer, subscribe with
    /// `after: head`, and nothing is missed (some may come twice). Take it from the answer itself, not from a cache that
    /// other answers write to.
    async fn head(&self, ctx: &Context<'_>) -> Result<Cursor> {
        viewer(ctx)?;
        Ok(head(ctx)?.into())
    }

    /// What happened in the viewer's rooms since `after`, in log order: for clients that poll or wake from a push. 200
    /// events unless said, at most 500. Without `after`: `reset`, no events, and the cursor to begin from.
    async fn changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The `cursor` of the last answer, or any other place in the log.")]
        after: Option<Cursor>,
        #[graphql(desc = "At most so many events: 200 unless said, at most 500.")] first: Option<
            i32,
        >,
    ) -> Result<ChangePage> {
        ChangePage::read(ctx, after, first).await
    }
}
