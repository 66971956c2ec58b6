//! `User`.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::answer;
use super::asking::viewer;
use super::connection::RoomConnection;
use super::error::Result;
use super::loaders;
use super::page::{Asked, Place};
use super::per_viewer::per_viewer;
use super::presence::Presence;
use crate::model;
use crate::store::{RoomKey, RoomList};

/// Whoever has signed in or been added to a room. Name and picture follow the newest token.
#[derive(Clone)]
pub(super) struct User(pub Arc<model::User>);

/// Whoever has signed in or been added to a room. Name and picture follow the newest token.
#[Object]
impl User {
    /// The token's `sub`.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The token's `name`, else its `sub`.
    async fn name(&self, ctx: &Context<'_>) -> &str {
        answer::text(ctx, &self.0.name).await;
        &self.0.name
    }

    /// The token's `picture`.
    async fn avatar_url(&self, ctx: &Context<'_>) -> Option<&str> {
        let address = self.0.avatar_url.as_deref()?;
        answer::text(ctx, address).await;
        Some(address)
    }

    /// OFFLINE and null to those who share no room with the user.
    #[graphql(directive = per_viewer::apply())]
    async fn presence(&self, ctx: &Context<'_>) -> Result<Presence> {
        Ok(Presence::of(ctx, &self.0.id).await?)
    }

    /// The rooms that the user shares with the viewer; for the viewer, all its rooms. Newest activity first.
    #[graphql(directive = per_viewer::apply())]
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
        let viewer = &viewer(ctx)?.user.id;
        let user = self.0.id.clone();
        let list = if user == *viewer {
            RoomList::Of(user)
        } else {
            RoomList::Shared(user, viewer.clone())
        };
        let (after, before) = (
            RoomKey::bound("after", after)?,
            RoomKey::bound("before", before)?,
        );
        let wanted = Asked { first, last }.between(after, before)?;
        let page = loaders::rooms(ctx, list, wanted.args.clone()).await?;
        Ok(RoomConnection::new(&wanted, &page))
    }
}
