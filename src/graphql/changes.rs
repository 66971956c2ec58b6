//! `Query.changes`: the log by page, for clients that do not stay.

use async_graphql::{Context, Object};

use super::answer;
use super::asking::{deps, store, viewer};
use super::error::Result;
use super::event::Event;
use super::page::size;
use super::scalars::Cursor;
use crate::model::{self, Data, Message, Scope, Seq};
use crate::store::{Bounds, PageLimit, Replayed, Store};

/// Events where nothing is said: what a phone missed overnight.
const DEFAULT: usize = 200;
/// As many as the store reads in one go.
const MAX: usize = 500;
/// What the events of a page may say in all: ten seconds on a line of 50 kB a second. The first one passes in any case.
const BYTES_MAX: usize = 512 * 1024;
/// What is read for a page may hold, as the store counts it: JSON is a multiple of its text.
const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A piece of the log.
pub(super) struct ChangePage {
    events: Vec<Event>,
    cursor: Cursor,
    has_more: bool,
    reset: bool,
}

/// A piece of the log.
#[Object]
impl ChangePage {
    /// As `Subscription.events` brings them, for the same code: room events, and AccessRevoked for a room lost on the
    /// way.
    async fn events(&self, ctx: &Context<'_>) -> &[Event] {
        answer::items_of(ctx, self.events.iter().map(Event::kind)).await;
        &self.events
    }

    /// Ask again from here.
    async fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// There is more already.
    async fn has_more(&self) -> bool {
        self.has_more
    }

    /// True when `after` could not be honoured: drop what is cached and read the rooms afresh, then go on from `cursor`.
    async fn reset(&self) -> bool {
        self.reset
    }
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
        // Most of those who poll have missed nothing. The tail may be a moment behind, so one row of the store decides.
        if after.seq >= deps(ctx)?.tail.head() {
            let bounds = store.bounds().await?;
            if after.seq >= bounds.head {
                return Ok(match honoured(store, after, bounds) {
                    Some(place) => Self::page(store, Vec::new(), place, false),
                    None => Self::afresh(store, bounds),
                });
            }
        }
        // One more than is shown: whether there is more for this viewer is known only from the next one.
        let most = PageLimit {
            items: limit + 1,
            bytes: READ_BYTES_MAX,
        };
        let page = store.replay(viewer, &Scope::Mine, after.seq, most, false);
        let page = page.await?;
        // Honoured by the bounds of the transaction that read the page: the log may be pruned at any time.
        let Some(place) = honoured(store, after, page.bounds) else {
            return Ok(Self::afresh(store, page.bounds));
        };
        let mut items = page.items;
        let fitting = fitting(&items, limit);
        if fitting == items.len() {
            let has_more = page.end < page.bounds.head;
            return Ok(Self::page(store, items, page.end, has_more));
        }
        items.truncate(fitting);
        let end = items.last().map_or(place, |last| last.cursor().seq);
        Ok(Self::page(store, items, end, true))
    }

    fn page(store: &dyn Store, items: Vec<Replayed>, end: Seq, has_more: bool) -> Self {
        Self {
            events: items.into_iter().map(Event::replayed).collect(),
            cursor: store.epochs().cursor(end).into(),
            has_more,
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

fn honoured(store: &dyn Store, after: model::Cursor, bounds: Bounds) -> Option<Seq> {
    let honoured = store.epochs().honour(after, bounds.floor, bounds.head);
    honoured.ok()
}

/// How many of these make a page.
fn fitting(items: &[Replayed], limit: usize) -> usize {
    let mut bytes = 0;
    let fits = |item: &&Replayed| {
        let first = bytes == 0;
        bytes += weight(item);
        first || bytes <= BYTES_MAX
    };
    items.iter().take(limit).take_while(fits).count()
}

/// About what an event says as text.
fn weight(item: &Replayed) -> usize {
    /// Ids, names, times.
    const REST: usize = 512;
    let Replayed::Event(event) = item else {
        return REST;
    };
    let message = event.message().map_or(0, |message| {
        let reply = message
            .reply_to
            .as_ref()
            .and_then(|reply| reply.message.as_deref());
        said(message) + reply.map_or(0, said)
    });
    REST + message
}

fn said(message: &Message) -> usize {
    let body = message.body.as_ref().map_or(0, |body| body.as_str().len());
    body + message.data.as_ref().map_or(0, |_| Data::MAX_BYTES)
}
