//! A schema as small as it can be for everything that the hub tells apart: fields that are there at once, that wait, that
//! fail, that panic, that depend on who asks.

use std::pin::Pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use async_graphql::{
    Context, EmptyMutation, ErrorExtensions, Object, Schema, Subscription, TypeDirective,
};
use futures_util::{Stream, StreamExt, stream};

use crate::auth::Viewer;
use crate::hub::{Feed, Intent, IntentSlot, Item, Wish};
use crate::model::{RoomId, Scope, What};
use crate::signal::Said;

#[TypeDirective(name = "perViewer", location = "FieldDefinition")]
fn per_viewer() {}

/// How many payloads were rendered, and whether the store answers.
#[derive(Default)]
pub(super) struct Probe {
    pub(super) renders: std::sync::atomic::AtomicU32,
    /// What waits is not there before so many renders were begun.
    pub(super) waits_for_renders: std::sync::atomic::AtomicU32,
    pub(super) store_is_down: std::sync::atomic::AtomicBool,
    /// What the store has last of a room.
    pub(super) last: Mutex<String>,
    /// What was read from the store is kept back.
    pub(super) is_held: std::sync::atomic::AtomicBool,
    /// Reads that are kept back, and the most there were.
    pub(super) held: std::sync::atomic::AtomicU32,
    pub(super) held_max: std::sync::atomic::AtomicU32,
}

/// A read that is under way, or given up.
struct Held<'a>(&'a Probe);

impl<'a> Held<'a> {
    fn new(probe: &'a Probe) -> Self {
        let held = probe.held.fetch_add(1, SeqCst) + 1;
        probe.held_max.fetch_max(held, SeqCst);
        Self(probe)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, SeqCst);
    }
}

pub(super) struct Query;

#[Object]
impl Query {
    async fn head(&self) -> &str {
        ""
    }
}

pub(super) struct User;

#[Object]
impl User {
    async fn id(&self) -> &str {
        "u"
    }
}

pub(super) struct RoomConnection;

#[Object]
impl RoomConnection {
    async fn nodes(&self) -> Vec<&str> {
        Vec::new()
    }
}

pub(super) struct Event(Item);

fn kind(item: &Item) -> &'static str {
    match item {
        Item::Event(event) => match &event.what {
            What::MessageSent(_) => "MessageSent",
            What::MessageEdited(_) => "MessageEdited",
            What::MessageDeleted(_) => "MessageDeleted",
            What::ReactionAdded(..) => "ReactionAdded",
            What::ReactionRemoved(..) => "ReactionRemoved",
            What::RoomCreated { .. } => "RoomCreated",
            What::RoomUpdated { .. } => "RoomUpdated",
            What::RoomDeleted { .. } => "RoomDeleted",
            What::MemberJoined(_) => "MemberJoined",
            What::MemberUpdated(_) => "MemberUpdated",
            What::MemberLeft(_) => "MemberLeft",
        },
        Item::CaughtUp(_) => "CaughtUp",
        Item::Resync { .. } => "ResyncRequired",
        Item::Revoked { .. } => "AccessRevoked",
        Item::Signal(_) => "Signal",
    }
}

#[Object]
impl Event {
    async fn kind(&self, ctx: &Context<'_>) -> &str {
        let probe = ctx.data_unchecked::<Arc<Probe>>();
        probe
            .renders
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        kind(&self.0)
    }

    async fn room(&self) -> Option<String> {
        match &self.0 {
            Item::Event(event) => Some(event.room_id().to_string()),
            Item::Revoked { room, .. } => Some(room.to_string()),
            _ => None,
        }
    }

    async fn body(&self, upper: Option<bool>) -> Option<String> {
        let Item::Event(event) = &self.0 else {
            return None;
        };
        let body = event.message()?.body.as_ref()?.as_str().to_owned();
        Some(match upper {
            Some(true) => body.to_uppercase(),
            _ => body,
        })
    }

    /// Not there at once.
    async fn waits(&self, ctx: &Context<'_>) -> &str {
        let probe = ctx.data_unchecked::<Arc<Probe>>();
        tokio::task::yield_now().await;
        while probe.renders.load(std::sync::atomic::Ordering::SeqCst)
            < probe
                .waits_for_renders
                .load(std::sync::atomic::Ordering::SeqCst)
        {
            tokio::task::yield_now().await;
        }
        "waited"
    }

    /// Needs the store.
    async fn stored(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<&str>> {
        let probe = ctx.data_unchecked::<Arc<Probe>>();
        if probe
            .store_is_down
            .load(std::sync::atomic::Ordering::SeqCst)
        {
            let error = async_graphql::Error::new("the store did not answer");
            return Err(error.extend_with(|_, values| values.set("code", "UNAVAILABLE")));
        }
        Ok(Some("stored"))
    }

    /// Panics over such a message.
    async fn panics(&self) -> Option<&str> {
        if let Item::Event(event) = &self.0
            && let Some(message) = event.message()
            && message
                .body
                .as_ref()
                .is_some_and(|body| body.as_str() == "boom")
        {
            panic!("boom");
        }
        Some("calm")
    }

    #[graphql(directive = per_viewer::apply())]
    async fn mine(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<String>> {
        viewer(ctx).map(Some)
    }

    /// A field whose mark was forgotten.
    async fn forgotten(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<String>> {
        viewer(ctx).map(Some)
    }

    async fn users(&self) -> Vec<User> {
        Vec::new()
    }

    async fn rooms(&self) -> RoomConnection {
        RoomConnection
    }

    async fn user(&self) -> User {
        User
    }
}

/// A signal, or that the viewer has read on.
pub(super) struct Signal(Item);

#[Object]
impl Signal {
    async fn says(&self) -> String {
        let Item::Signal(told) = &self.0 else {
            return String::new();
        };
        match &told.what {
            Said::WhoIsThere { present, .. } => format!("{present} there"),
            Said::Presence(change) => format!("{} {:?}", change.user.id, change.status),
            Said::Typing { user, typing } => format!("{} types {typing}", user.id),
            Said::Read(member) => format!("{} reads", member.user.id),
            Said::App { kind, .. } => kind.as_str().to_owned(),
        }
    }

    /// From the store, when that is let through.
    async fn last(&self, ctx: &Context<'_>) -> String {
        ctx.data_unchecked::<Feed>().reads_store();
        let probe = ctx.data_unchecked::<Arc<Probe>>();
        let last = probe.last.lock().unwrap().clone();
        let _held = Held::new(probe);
        tokio::task::yield_now().await;
        while probe.is_held.load(SeqCst) {
            tokio::task::yield_now().await;
        }
        last
    }
}

fn viewer(ctx: &Context<'_>) -> async_graphql::Result<String> {
    let viewer = ctx.data_opt::<Arc<Viewer>>();
    let viewer = viewer.ok_or_else(|| {
        async_graphql::Error::new("sign in")
            .extend_with(|_, values| values.set("code", "UNAUTHENTICATED"))
    })?;
    Ok(viewer.user.id.to_string())
}

pub(super) struct Subscription;

type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

type Signals = Pin<Box<dyn Stream<Item = Signal> + Send>>;

fn listen(ctx: &Context<'_>, wish: impl FnOnce() -> Wish) -> Signals {
    if let Some(feed) = ctx.data_opt::<Feed>() {
        return feed.clone().map(Signal).boxed();
    }
    ctx.data_unchecked::<IntentSlot>().write(wish());
    stream::empty().boxed()
}

fn follow(ctx: &Context<'_>, intent: impl FnOnce() -> Intent) -> Events {
    if let Some(feed) = ctx.data_opt::<Feed>() {
        return feed.clone().map(Event).boxed();
    }
    ctx.data_unchecked::<IntentSlot>().write(intent());
    stream::empty().boxed()
}

fn room(text: &str) -> RoomId {
    RoomId::parse("roomId", text).unwrap()
}

#[Subscription]
impl Subscription {
    async fn message_sent(
        &self,
        ctx: &Context<'_>,
        room_id: async_graphql::ID,
        after: Option<String>,
    ) -> async_graphql::Result<Events> {
        if *room_id == "hidden" {
            let error = async_graphql::Error::new("there is no such room");
            return Err(error.extend_with(|_, values| values.set("code", "NOT_FOUND")));
        }
        Ok(follow(ctx, || Intent {
            scope: Scope::Rooms([room(&room_id)].into()),
            messages_only: true,
            after: after.map(|after| after.parse().unwrap()),
        }))
    }

    async fn events(
        &self,
        ctx: &Context<'_>,
        room_ids: Option<Vec<async_graphql::ID>>,
        after: Option<String>,
    ) -> Events {
        follow(ctx, || Intent {
            scope: room_ids.map_or(Scope::Mine, |ids| {
                Scope::Rooms(ids.iter().map(|id| room(id)).collect())
            }),
            messages_only: false,
            after: after.map(|after| after.parse().unwrap()),
        })
    }

    async fn signals(&self, ctx: &Context<'_>, room_ids: Vec<async_graphql::ID>) -> Signals {
        listen(ctx, || {
            Wish::Signals(room_ids.iter().map(|id| room(id)).collect())
        })
    }

    async fn room_read(&self, ctx: &Context<'_>) -> Signals {
        listen(ctx, || Wish::RoomRead)
    }
}

pub(super) type TestSchema = Schema<Query, EmptyMutation, Subscription>;

pub(super) fn schema(probe: Arc<Probe>) -> TestSchema {
    Schema::build(Query, EmptyMutation, Subscription)
        .data(probe)
        .finish()
}
