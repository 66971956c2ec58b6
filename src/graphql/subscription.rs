//! `Subscription`: a placeholder until the hub is there.

use async_graphql::{ID, Subscription};
use futures_util::stream::{BoxStream, StreamExt, empty};

use super::event::Event;
use super::message::Message;
use super::scalars::Cursor;

/// To follow: as it happens, and from where one was cut off.
#[derive(Default)]
pub struct Subscription;

/// To follow: as it happens, and from where one was cut off.
#[Subscription]
impl Subscription {
    /// Each message as it is sent in a room: the simplest way in. With `after`, first those sent since, as they are now.
    /// Ends with RESYNC_REQUIRED when `after` cannot be honoured, with NOT_FOUND when the viewer may not see the room.
    async fn message_sent(
        &self,
        #[graphql(desc = "Which room.")] room_id: ID,
        #[graphql(desc = "Begin with what follows this place in the log.")] after: Option<Cursor>,
    ) -> BoxStream<'static, Message> {
        let _ = (room_id, after);
        empty().boxed()
    }

    /// All that happens in the viewer's rooms, or in `roomIds`, in log order. Without `roomIds`, rooms joined later come
    /// in by themselves; a room of `roomIds` that the viewer may not see is answered by AccessRevoked and the others go
    /// on.
    async fn events(
        &self,
        #[graphql(desc = "These rooms only, members or not.")] room_ids: Option<Vec<ID>>,
        #[graphql(desc = "Begin with what follows this place in the log.")] after: Option<Cursor>,
    ) -> BoxStream<'static, Event> {
        let _ = (room_ids, after);
        empty().boxed()
    }
}
