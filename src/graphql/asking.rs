//! What a request brings along - who asks, where the log ended when it began - and what resolvers get out of it.

use std::sync::Arc;

use async_graphql::{Context, Data};

use super::error::Result;
use super::loaders::Loaders;
use crate::auth::{Authenticator, Viewer};
use crate::chat::Chat;
use crate::error::Error;
use crate::hub::Feed;
use crate::log::Tail;
use crate::model::{Cursor, Seq};
use crate::signal::Signals;
use crate::store::Store;

/// What resolvers work with, for the life of the schema.
#[derive(Clone)]
pub struct Deps {
    /// For reading.
    pub store: Arc<dyn Store>,
    /// For mutations.
    pub chat: Chat,
    /// For the end of the log.
    pub tail: Arc<Tail>,
    /// For fresh tokens.
    pub authenticator: Arc<Authenticator>,
    /// For who is there.
    pub signals: Signals,
}

/// The end of the log before the request's first resolver ran. Sibling fields are polled at once, so `head` would
/// otherwise come after reads whose answer it must not be ahead of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadAtStart(pub Cursor);

/// A request's data: who asks, the end of the log taken just now, and the request's own loaders. Without a viewer every
/// root field answers `UNAUTHENTICATED`.
pub fn equip(viewer: Option<&Arc<Viewer>>, head: Cursor) -> Data {
    let mut data = Data::default();
    data.insert(HeadAtStart(head));
    data.insert(Loaders::default());
    if let Some(viewer) = viewer {
        data.insert(viewer.clone());
    }
    data
}

pub(super) fn deps<'a>(ctx: &Context<'a>) -> Result<&'a Deps, Error> {
    // `data` would name a Rust type to the client.
    ctx.data_opt::<Deps>().ok_or(Error::Internal)
}

pub(super) fn store<'a>(ctx: &Context<'a>) -> Result<&'a dyn Store, Error> {
    if let Some(feed) = ctx.data_opt::<Feed>() {
        feed.reads_store();
    }
    deps(ctx).map(|deps| &*deps.store)
}

/// Who asks. An operation that is shared between viewers has none.
pub(super) fn viewer<'a>(ctx: &Context<'a>) -> Result<&'a Viewer, Error> {
    let viewer = ctx.data_opt::<Arc<Viewer>>();
    viewer.map(|viewer| &**viewer).ok_or(Error::NoToken)
}

pub(super) fn head(ctx: &Context<'_>) -> Result<Cursor, Error> {
    if let Some(HeadAtStart(head)) = ctx.data_opt() {
        return Ok(*head);
    }
    let deps = deps(ctx)?;
    Ok(deps.tail.end(&*deps.store))
}

/// The place that a cursor names in a list of messages. Messages outlive the log, so a pruned place is as good as any;
/// one of a history that was cut off is not: its number means another message now.
pub(super) async fn place(
    ctx: &Context<'_>,
    field: &'static str,
    text: Option<String>,
) -> Result<Option<Seq>> {
    let Some(text) = text else { return Ok(None) };
    let cursor: Cursor = text.parse().map_err(|_| Error::BadCursor { field })?;
    let deps = deps(ctx)?;
    let end = deps.tail.end(&*deps.store);
    let refused = |reason| Error::ResyncRequired {
        reason,
        cursor: end.to_string(),
    };
    let honoured = deps.store.epochs().honour(cursor, Seq::ZERO, end.seq);
    Ok(Some(honoured.map_err(refused)?))
}
