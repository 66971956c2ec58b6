//! An operation rendered once for all its subscribers.
//!
//! It is one subscription of the schema's own, kept open: an item is put into its [`Feed`], the stream is polled once in
//! place, and the payload is there - or not, when a field had to wait; then the item is rendered by an execution of its
//! own, elsewhere.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_graphql::{Data, Response};
use bytes::Bytes;
use futures_util::future::{BoxFuture, WeakShared};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, Stream, StreamExt};

use super::cache::{AsOf, Key, Payloads};
use super::payload::{broken, errors_json, is_unavailable, payload};
use super::{Execute, Item};
use crate::auth::Viewer;
use crate::document::Prepared;
use crate::model::{Event, What};

/// What the subscription resolvers of a render read: the items, one at a time. Found in the request's data.
#[derive(Clone, Default)]
pub struct Feed(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    item: Option<Item>,
    waker: Option<Waker>,
    last: bool,
    store_read: bool,
}

impl Feed {
    /// One item, then the end: for an execution that nobody shares.
    pub fn once(item: Item) -> Self {
        let feed = Self::default();
        feed.put(item);
        feed.lock().last = true;
        feed
    }

    /// To be called by a resolver that reads the store: what it finds there is of now, not of the item's place. Such a
    /// payload is never made in place or kept for others, also where the store answers at once.
    pub fn reads_store(&self) {
        self.lock().store_read = true;
    }

    fn has_read_store(&self) -> bool {
        self.lock().store_read
    }

    fn put(&self, item: Item) {
        let waker = {
            let mut slot = self.lock();
            slot.item = Some(item);
            slot.store_read = false;
            slot.waker.take()
        };
        // The executor's streams are polled only when woken, also when polled by hand.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for Feed {
    type Item = Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let mut slot = self.lock();
        match slot.item.take() {
            Some(item) => Poll::Ready(Some(item)),
            None if slot.last => Poll::Ready(None),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// What a render came to.
#[derive(Debug)]
pub(super) enum Rendered {
    /// The payload.
    Now(Bytes),
    /// It needs something that is not there yet: see [`Operation::render_later`].
    Later,
}

fn has_read_store(live: Option<&Live>) -> bool {
    live.is_some_and(|live| live.feed.has_read_store())
}

/// The store did not answer while a payload was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unavailable;

/// A render under way, kept by those who wait for it.
type Flight = WeakShared<BoxFuture<'static, Result<Bytes, Unavailable>>>;

/// An operation that any number of subscriptions share.
pub(super) struct Operation {
    /// Its number, for the cache and the rosters.
    pub(super) id: u64,
    /// `messageSent` rather than `events`.
    pub(super) messages_only: bool,
    /// How much it selects, which is what it costs to be kept.
    pub(super) selections: usize,
    /// Whose it is, where it selects what depends on who asks.
    viewer: Option<Arc<Viewer>>,
    prepared: Prepared,
    execute: Execute,
    payloads: Arc<Payloads>,
    /// More than one subscription has asked for it. Payloads for a single one are not worth keeping.
    is_shared: AtomicBool,
    /// Payloads that were kept.
    kept: AtomicU64,
    live: Mutex<Option<Live>>,
    flights: Mutex<HashMap<(Key, AsOf), Flight>>,
}

struct Live {
    feed: Feed,
    stream: BoxStream<'static, Response>,
}

/// Everything that an operation is made of.
pub(super) struct Parts {
    pub(super) id: u64,
    pub(super) messages_only: bool,
    pub(super) selections: usize,
    pub(super) viewer: Option<Arc<Viewer>>,
    pub(super) prepared: Prepared,
    pub(super) execute: Execute,
    pub(super) payloads: Arc<Payloads>,
}

impl Operation {
    /// A render that takes longer has failed.
    const RENDER_WITHIN: Duration = Duration::from_secs(10);

    pub(super) fn new(parts: Parts) -> Self {
        Self {
            id: parts.id,
            messages_only: parts.messages_only,
            selections: parts.selections,
            viewer: parts.viewer,
            prepared: parts.prepared,
            execute: parts.execute,
            payloads: parts.payloads,
            is_shared: AtomicBool::new(false),
            kept: AtomicU64::new(0),
            live: Mutex::new(None),
            flights: Mutex::default(),
        }
    }

    /// Opens it for its first item.
    ///
    /// # Errors
    /// A JSON array of GraphQL errors: the validator refuses what is executed for all, though it let each subscriber's own
    /// document pass.
    pub(super) fn open(&self) -> Result<(), String> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if live.is_some() {
            return Ok(());
        }
        let mut opened = self.opened();
        let mut cx = Context::from_waker(Waker::noop());
        match opened.stream.poll_next_unpin(&mut cx) {
            Poll::Ready(Some(response)) => Err(errors_json(&response.errors)),
            _ => {
                *live = Some(opened);
                Ok(())
            }
        }
    }

    /// Whether it shows such an event at all.
    pub(super) fn wants(&self, event: &Event) -> bool {
        !self.messages_only || matches!(event.what, What::MessageSent(_))
    }

    /// The payload, from the cache or by one poll. `as_of`: from before the item's event was read.
    pub(super) fn render(&self, item: &Item, as_of: AsOf) -> Rendered {
        let kept = self.kept.load(Ordering::Acquire);
        if let Some(bytes) = self.cached(item) {
            return Rendered::Now(bytes);
        }
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        // Another worker may have made it while this one waited.
        if self.kept.load(Ordering::Acquire) != kept
            && let Some(bytes) = self.cached(item)
        {
            return Rendered::Now(bytes);
        }
        let polled = catch_unwind(AssertUnwindSafe(|| self.poll(&mut live, item)));
        match polled {
            Ok(Poll::Ready(Some(response)))
                if !is_unavailable(&response) && !has_read_store(live.as_ref()) =>
            {
                let bytes = payload(&response, item.cursor());
                self.keep(item, &bytes, as_of);
                Rendered::Now(bytes)
            }
            Ok(Poll::Ready(None)) => {
                *live = None;
                Rendered::Now(broken(item.cursor()))
            }
            Ok(_) => {
                // What it waits for belongs to this item: the next one begins afresh.
                *live = None;
                Rendered::Later
            }
            Err(_) => {
                *live = None;
                tracing::error!(cursor = ?item.cursor(), "a payload could not be rendered: the resolver panicked");
                Rendered::Now(broken(item.cursor()))
            }
        }
    }

    /// The payload by an execution of its own, which may wait. All who ask for the same one share it.
    pub(super) async fn render_later(
        self: &Arc<Self>,
        item: &Item,
        as_of: AsOf,
    ) -> Result<Bytes, Unavailable> {
        if let Some(bytes) = self.cached(item) {
            return Ok(bytes);
        }
        let key = self.key(item).filter(|_| as_of.is_shared());
        let Some(key) = key else {
            return self.clone().execute_alone(item.clone()).await;
        };
        let flight = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            // One that was begun before a deletion may show what was deleted: no joining it after.
            let under_way = flights.get(&(key, as_of)).and_then(WeakShared::upgrade);
            under_way.unwrap_or_else(|| {
                flights.retain(|_, flight| flight.upgrade().is_some());
                let flight = self.clone().execute_alone(item.clone()).boxed().shared();
                flights.extend(flight.downgrade().map(|weak| ((key, as_of), weak)));
                flight
            })
        };
        flight.await
    }

    async fn execute_alone(self: Arc<Self>, item: Item) -> Result<Bytes, Unavailable> {
        let mut stream = self.execute(Feed::once(item.clone()));
        let response = AssertUnwindSafe(stream.next()).catch_unwind();
        match tokio::time::timeout(Self::RENDER_WITHIN, response).await {
            Ok(Ok(Some(response))) if is_unavailable(&response) => Err(Unavailable),
            Ok(Ok(Some(response))) => {
                // Not kept for others: what it read from the store may be deleted without this event being about it.
                Ok(payload(&response, item.cursor()))
            }
            Ok(Ok(None)) => Ok(broken(item.cursor())),
            Ok(Err(_)) => {
                tracing::error!(cursor = ?item.cursor(), "a payload could not be rendered: the resolver panicked");
                Ok(broken(item.cursor()))
            }
            Err(_) => Err(Unavailable),
        }
    }

    /// Polls the open stream; opens it first, and once more when it has ended.
    fn poll(&self, live: &mut Option<Live>, item: &Item) -> Poll<Option<Response>> {
        let mut polled = Poll::Ready(None);
        for _ in 0..2 {
            let open = live.get_or_insert_with(|| self.opened());
            open.feed.put(item.clone());
            let mut cx = Context::from_waker(Waker::noop());
            polled = open.stream.poll_next_unpin(&mut cx);
            if !matches!(polled, Poll::Ready(None)) {
                break;
            }
            *live = None;
        }
        polled
    }

    fn opened(&self) -> Live {
        let feed = Feed::default();
        let stream = self.execute(feed.clone());
        Live { feed, stream }
    }

    /// A public operation has no viewer at all: a mark that was forgotten gives an error, never a leak.
    fn execute(&self, feed: Feed) -> BoxStream<'static, Response> {
        let mut data = Data::default();
        data.insert(feed);
        if let Some(viewer) = &self.viewer {
            data.insert(viewer.clone());
        }
        (self.execute)(self.prepared.clone(), data)
    }

    /// To be called when another subscription asks for it.
    pub(super) fn share(&self) {
        self.is_shared.store(true, Ordering::Relaxed);
    }

    fn key(&self, item: &Item) -> Option<Key> {
        let (seq, revoked) = match item {
            Item::Event(event) => (event.cursor.seq, None),
            Item::Revoked { cursor, room } => (cursor.seq, Some(*room)),
            Item::CaughtUp(_) | Item::Resync { .. } | Item::Signal(_) => return None,
        };
        self.viewer.is_none().then_some(Key {
            operation: self.id,
            seq,
            revoked,
        })
    }

    fn cached(&self, item: &Item) -> Option<Bytes> {
        if let Item::Signal(told) = item {
            return told.made(self.id);
        }
        if !self.is_shared.load(Ordering::Relaxed) {
            return None;
        }
        self.payloads.get(&self.key(item)?)
    }

    fn keep(&self, item: &Item, bytes: &Bytes, as_of: AsOf) {
        if let Item::Signal(told) = item {
            told.keep(self.id, bytes);
            self.kept.fetch_add(1, Ordering::Release);
            return;
        }
        let key = self.key(item);
        let Some(key) = key.filter(|_| self.is_shared.load(Ordering::Relaxed)) else {
            return;
        };
        let event = match item {
            Item::Event(event) => Some(&**event),
            _ => None,
        };
        self.payloads.keep(key, bytes, event, as_of);
        self.kept.fetch_add(1, Ordering::Release);
    }
}
