//! `Subscription`: what may be followed.
//!
//! Each resolver is executed twice. When the hub *plans*, it finds an intent slot in its context: it checks its arguments,
//! sees to it that the viewer may follow them, writes its intent and yields nothing. When the hub *renders*, it finds a
//! feed there, ignores its arguments and yields what it is fed, one item at a time, for whoever shares the operation.

use std::collections::HashSet;

use async_graphql::{Context, ID, Subscription};
use futures_util::stream::{BoxStream, StreamExt, empty};

use super::asking::viewer;
use super::error::Result;
use super::event::Event;
use super::loaders;
use super::message::Message;
use super::room::Room;
use super::scalars::Cursor;
use super::signal::Signal;
use crate::error::Error;
use crate::hub::{Feed, Intent, IntentSlot, Item, Wish};
use crate::model::{self, RoomId, Scope, What};

/// To follow: as it happens, and from where one was cut off.
#[derive(Default)]
pub struct Subscription;

/// Rooms that `events` takes by name: each costs a look into the store. Without names there is no limit.
const NAMED_ROOMS_MAX: usize = 500;
/// Rooms that `signals` takes: what a client shows at once, and a burst of who is there when it comes back.
const HEARD_ROOMS_MAX: usize = 100;

/// To follow: as it happens, and from where one was cut off.
#[Subscription]
impl Subscription {
    /// Each message as it is sent in a room: the simplest way in. With `after`, first those sent since, as they are now.
    /// Ends with RESYNC_REQUIRED when `after` cannot be honoured, with NOT_FOUND when the viewer may not see the room.
    async fn message_sent(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which room.")] room_id: ID,
        #[graphql(desc = "Begin with what follows this place in the log.")] after: Option<Cursor>,
    ) -> Result<BoxStream<'static, Message>> {
        if let Some(feed) = ctx.data_opt::<Feed>() {
            return Ok(feed.clone().filter_map(sent).boxed());
        }
        let room = RoomId::parse("roomId", &room_id)?;
        viewer(ctx)?;
        let readable = loaders::readable(ctx, room).await?;
        readable.ok_or(Error::NotFound { what: "room" })?;
        intend(ctx, Scope::Rooms([room].into()), true, after)?;
        Ok(empty().boxed())
    }

    /// All that happens in the viewer's rooms, or in `roomIds`, in log order. Without `roomIds`, rooms joined later come
    /// in by themselves; a room of `roomIds` that the viewer may not see is answered by AccessRevoked and the others go
    /// on.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "These rooms only, members or not.")] room_ids: Option<Vec<ID>>,
        #[graphql(desc = "Begin with what follows this place in the log.")] after: Option<Cursor>,
    ) -> Result<BoxStream<'static, Event>> {
        if let Some(feed) = ctx.data_opt::<Feed>() {
            return Ok(feed
                .clone()
                .filter_map(async |item| Event::from_item(item))
                .boxed());
        }
        viewer(ctx)?;
        let scope = match room_ids {
            None => Scope::Mine,
            Some(ids) => Scope::Rooms(named(&ids, NAMED_ROOMS_MAX)?.into()),
        };
        intend(ctx, scope, false, after)?;
        Ok(empty().boxed())
    }

    /// Typing, presence, read positions and the app's own signals in these rooms, at most 100; a room that the viewer is not
    /// a member of is left out, the others go on. At most once; starts with who is there.
    async fn signals(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which rooms.")] room_ids: Vec<ID>,
    ) -> Result<BoxStream<'static, Signal>> {
        if let Some(feed) = ctx.data_opt::<Feed>() {
            return Ok(feed
                .clone()
                .filter_map(async |item| Signal::from_item(item))
                .boxed());
        }
        viewer(ctx)?;
        let rooms = named(&room_ids, HEARD_ROOMS_MAX)?;
        wish(ctx, Wish::Signals(rooms.into()))?;
        Ok(empty().boxed())
    }

    /// A room in which the viewer has read on, on any of its devices: select `unreadCount` and the badge is right. At most
    /// once.
    async fn room_read(&self, ctx: &Context<'_>) -> Result<BoxStream<'static, Room>> {
        if let Some(feed) = ctx.data_opt::<Feed>() {
            return Ok(feed
                .clone()
                .filter_map(async |item| Room::read_on(item))
                .boxed());
        }
        viewer(ctx)?;
        wish(ctx, Wish::RoomRead)?;
        Ok(empty().boxed())
    }
}

fn intend(
    ctx: &Context<'_>,
    scope: Scope,
    messages_only: bool,
    after: Option<Cursor>,
) -> Result<(), Error> {
    let after: Option<model::Cursor> = after.map(|after| after.parsed("after")).transpose()?;
    let intent = Intent {
        scope,
        messages_only,
        after,
    };
    wish(ctx, intent.into())
}

fn wish(ctx: &Context<'_>, wish: Wish) -> Result<(), Error> {
    let slot = ctx.data_opt::<IntentSlot>().ok_or(Error::Internal)?;
    slot.write(wish);
    Ok(())
}

/// Rooms by their ids, each once.
fn named(ids: &[ID], max: usize) -> Result<Vec<RoomId>, Error> {
    if ids.len() > max {
        return Err(Error::BadInput {
            field: "roomIds",
            why: format!("{} rooms; the limit is {max}", ids.len()),
        });
    }
    let mut seen = HashSet::new();
    let rooms = ids.iter().map(|id| RoomId::parse("roomIds", id));
    let mut rooms = rooms.collect::<Result<Vec<_>, _>>()?;
    rooms.retain(|room| seen.insert(*room));
    Ok(rooms)
}

/// What `messageSent` shows of an item: the hub feeds it nothing else.
async fn sent(item: Item) -> Option<Message> {
    match item {
        Item::Event(event) => match &event.what {
            What::MessageSent(message) => {
                Some(Message::new(message.clone(), Some(event.room.clone())))
            }
            _ => None,
        },
        _ => None,
    }
}
