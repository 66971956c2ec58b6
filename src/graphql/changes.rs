//! `Query.changes`: the log by page, for clients that do not stay.

use async_graphql::{Context, SimpleObject};

use super::asking::{store, viewer};
use super::error::Result;
use super::event::Event;
use super::page::size;
use super::scalars::Cursor;
use crate::model::{Scope, Seq};
use crate::store::{Bounds, Store};

/// Events where nothing is said: what a phone missed overnight.
const DEFAULT: usize = 200;
/// As many as the store reads in one go.
const MAX: usize = 500;

/// A piece of the log.
#[derive(SimpleObject)]
pub(super) struct ChangePage {
    /// As `Subscription.events` brings them, for the same code: room events, and AccessRevoked for a room lost on the
    /// way.
    events: Vec<Event>,
    /// Ask again from here.
    cursor: Cursor,
    /// There is more already.
    has_more: bool,
    /// True when `after` could not be honoured: drop what is cached and read the rooms afresh, then go on from `cursor`.
    reset: bool,
}

impl ChangePage {
    pub(super) async fn read(
        ctx: &Context<'_>,
        after: Option<Cursor>,
        first: Option<i32>,
    ) -> Result<Self> {
        let (viewer, store) = (&viewer(ctx)?.user.id, store(ctx)?);
        let limit = size("first", first, DEFAULT, MAX)?;
        let Some(after) = after else {
            return Ok(Self::afresh(store, store.bounds().await?));
        };
        let after = after.parsed("after")?;
        if limit == 0 {
            let bounds = store.bounds().await?;
            let honoured = store.epochs().honour(after, bounds.floor, bounds.head);
            return Ok(match honoured {
                Ok(place) => Self::page(store, Vec::new(), place, bounds),
                Err(_) => Self::afresh(store, bounds),
            });
        }
        // Honoured by the bounds of the transaction that read the page: the log may be pruned at any time.
        let page = store.replay(viewer, &Scope::Mine, after.seq, limit, false);
        let page = page.await?;
        let bounds = page.bounds;
        if store
            .epochs()
            .honour(after, bounds.floor, bounds.head)
            .is_err()
        {
            return Ok(Self::afresh(store, bounds));
        }
        let events = page.items.into_iter().map(Event::replayed).collect();
        Ok(Self::page(store, events, page.end, bounds))
    }

    fn page(store: &dyn Store, events: Vec<Event>, end: Seq, bounds: Bounds) -> Self {
        Self {
            events,
            cursor: store.epochs().cursor(end).into(),
            has_more: end < bounds.head,
            reset: false,
        }
    }

    fn afresh(store: &dyn Store, bounds: Bounds) -> Self {
        Self {
            events: Vec::new(),
            cursor: store.epochs().cursor(bounds.head).into(),
            has_more: false,
            reset: true,
        }
    }
}
