//! `Event` and the types that implement it.
//!
//! `RoomEvent` implements `Event`, which the library cannot derive: both list the same objects, and [`RoomEventIsEvent`]
//! adds the sentence to the schema.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::registry::Registry;
use async_graphql::{
    ContextSelectionSet, Enum, ID, Interface, Object, OutputType, Positioned, ServerResult, Value,
    parser::types::Field,
};

use super::member::RoomMember;
use super::message::Message;
use super::room::Room;
use super::scalars::{Cursor, DateTime};
use super::user::User;
use crate::hub::Item;
use crate::model::{self, Resync, RoomId, What};
use crate::store::Replayed;

/// Keep the cursor of the last one handled. There will be more types: an unknown one is its cursor and no more.
#[derive(Interface)]
#[graphql(field(name = "cursor", ty = "Cursor", desc = "Where in the log it stands."))]
#[allow(missing_docs, reason = "each is the type of its name")]
pub enum Event {
    MessageSent(MessageSent),
    MessageEdited(MessageEdited),
    MessageDeleted(MessageDeleted),
    ReactionAdded(ReactionAdded),
    ReactionRemoved(ReactionRemoved),
    RoomCreated(RoomCreated),
    RoomUpdated(RoomUpdated),
    MemberJoined(MemberJoined),
    MemberUpdated(MemberUpdated),
    MemberLeft(MemberLeft),
    CaughtUp(CaughtUp),
    ResyncRequired(ResyncRequired),
    AccessRevoked(AccessRevoked),
}

/// A change that the log keeps. What it refers to is shown as it is now, so a replay holds no deleted body.
#[derive(Interface)]
#[graphql(
    field(name = "cursor", ty = "Cursor", desc = "Where in the log it stands."),
    field(name = "at", ty = "DateTime", desc = "When it happened."),
    field(name = "room", ty = "Room", desc = "The room it happened in."),
    field(name = "actor", ty = "User", desc = "Who did it.")
)]
#[allow(missing_docs, reason = "each is the type of its name")]
pub(super) enum RoomEvent {
    MessageSent(MessageSent),
    MessageEdited(MessageEdited),
    MessageDeleted(MessageDeleted),
    ReactionAdded(ReactionAdded),
    ReactionRemoved(ReactionRemoved),
    RoomCreated(RoomCreated),
    RoomUpdated(RoomUpdated),
    MemberJoined(MemberJoined),
    MemberUpdated(MemberUpdated),
    MemberLeft(MemberLeft),
}

impl Event {
    /// What `events` yields for an item; `None` for a signal.
    pub fn from_item(item: Item) -> Option<Self> {
        Some(match item {
            Item::Event(event) => Self::new(event),
            Item::CaughtUp(cursor) => Self::CaughtUp(CaughtUp { cursor }),
            Item::Resync { cursor, reason } => {
                Self::ResyncRequired(ResyncRequired { cursor, reason })
            }
            Item::Revoked { cursor, room } => Self::AccessRevoked(AccessRevoked { cursor, room }),
            Item::Signal(_) => return None,
        })
    }

    /// One thing of a replay.
    pub(super) fn replayed(item: Replayed) -> Self {
        match item {
            Replayed::Event(event) => Self::new(event),
            Replayed::Revoked { cursor, room } => {
                Self::AccessRevoked(AccessRevoked { cursor, room })
            }
        }
    }

    /// The name of its type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::MessageSent(_) => "MessageSent",
            Self::MessageEdited(_) => "MessageEdited",
            Self::MessageDeleted(_) => "MessageDeleted",
            Self::ReactionAdded(_) => "ReactionAdded",
            Self::ReactionRemoved(_) => "ReactionRemoved",
            Self::RoomCreated(_) => "RoomCreated",
            Self::RoomUpdated(_) => "RoomUpdated",
            Self::MemberJoined(_) => "MemberJoined",
            Self::MemberUpdated(_) => "MemberUpdated",
            Self::MemberLeft(_) => "MemberLeft",
            Self::CaughtUp(_) => "CaughtUp",
            Self::ResyncRequired(_) => "ResyncRequired",
            Self::AccessRevoked(_) => "AccessRevoked",
        }
    }

    fn new(event: Arc<model::Event>) -> Self {
        match event.what.clone() {
            What::MessageSent(about) => Self::MessageSent(MessageSent { event, about }),
            What::MessageEdited(about) => Self::MessageEdited(MessageEdited { event, about }),
            What::MessageDeleted(about) => Self::MessageDeleted(MessageDeleted { event, about }),
            What::ReactionAdded(about, _) => Self::ReactionAdded(ReactionAdded { event, about }),
            What::ReactionRemoved(about, _) => {
                Self::ReactionRemoved(ReactionRemoved { event, about })
            }
            What::RoomCreated { .. } => Self::RoomCreated(RoomCreated { event, about: () }),
            What::RoomUpdated { .. } => Self::RoomUpdated(RoomUpdated { event, about: () }),
            // Whoever could see the room loses it here.
            What::RoomDeleted { .. } => Self::AccessRevoked(AccessRevoked {
                cursor: event.cursor,
                room: event.room_id(),
            }),
            What::MemberJoined(about) => Self::MemberJoined(MemberJoined { event, about }),
            What::MemberUpdated(about) => Self::MemberUpdated(MemberUpdated { event, about }),
            What::MemberLeft(about) => Self::MemberLeft(MemberLeft { event, about }),
        }
    }
}

impl Message {
    /// The message that `messageSent` yields for an event; `None` for an event of another kind.
    pub fn sent(event: &model::Event) -> Option<Self> {
        match &event.what {
            What::MessageSent(message) => {
                Some(Self::new(message.clone(), Some(event.room.clone())))
            }
            _ => None,
        }
    }
}

macro_rules! room_events {
    ($( $(#[$doc:meta])* $name:ident about $about:ty { $($more:tt)* } )*) => { $(
        $(#[$doc])*
        pub struct $name {
            event: Arc<model::Event>,
            #[allow(dead_code, reason = "a room's own events are about nothing else")]
            about: $about,
        }

        $(#[$doc])*
        #[Object]
        impl $name {
            /// Where in the log it stands.
            async fn cursor(&self) -> Cursor {
                self.event.cursor.into()
            }

            /// When it happened.
            async fn at(&self) -> DateTime {
                DateTime(self.event.at)
            }

            /// The room it happened in.
            async fn room(&self) -> Room {
                Room::about(self.event.room.clone(), self.event.message().cloned())
            }

            /// Who did it.
            async fn actor(&self) -> User {
                User(self.event.actor.clone())
            }

            $($more)*
        }
    )* };
}

room_events! {
    /// A message came.
    MessageSent about Arc<model::Message> {
        /// The message.
        async fn message(&self) -> Message {
            Message::new(self.about.clone(), Some(self.event.room.clone()))
        }
    }

    /// Body or data changed.
    MessageEdited about Arc<model::Message> {
        /// The message with what it says now.
        async fn message(&self) -> Message {
            Message::new(self.about.clone(), Some(self.event.room.clone()))
        }
    }

    /// The `actor` is the author or an owner.
    MessageDeleted about Arc<model::Message> {
        /// What is left of the message.
        async fn message(&self) -> Message {
            Message::new(self.about.clone(), Some(self.event.room.clone()))
        }
    }

    /// The `actor` reacted.
    ReactionAdded about Arc<model::Message> {
        /// The message with the reaction.
        async fn message(&self) -> Message {
            Message::new(self.about.clone(), Some(self.event.room.clone()))
        }

        /// With what.
        async fn emoji(&self) -> &str {
            self.event.emoji().map_or("", model::Emoji::as_str)
        }
    }

    /// The `actor` took a reaction back.
    ReactionRemoved about Arc<model::Message> {
        /// The message without the reaction.
        async fn message(&self) -> Message {
            Message::new(self.about.clone(), Some(self.event.room.clone()))
        }

        /// Which one.
        async fn emoji(&self) -> &str {
            self.event.emoji().map_or("", model::Emoji::as_str)
        }
    }

    /// A room was made with the viewer in it.
    RoomCreated about () {}

    /// Name, visibility or data changed.
    RoomUpdated about () {}

    /// Someone is in. Where it is the viewer: read the room, its past is not replayed.
    MemberJoined about Arc<model::Member> {
        /// Who, and in which role.
        async fn member(&self) -> RoomMember {
            RoomMember::then(self.about.clone())
        }
    }

    /// A role changed.
    MemberUpdated about Arc<model::Member> {
        /// Who, and the new role.
        async fn member(&self) -> RoomMember {
            RoomMember::then(self.about.clone())
        }
    }

    /// Someone left, or the `actor` removed them.
    MemberLeft about Arc<model::Member> {
        /// Who.
        async fn user(&self) -> User {
            User(self.about.user.clone())
        }

        /// The id that the RoomMember had.
        async fn member_id(&self) -> ID {
            self.about.id.to_string().into()
        }
    }
}

/// The replay is over; what follows is live. Sent once a subscription, also when there was nothing to replay.
pub struct CaughtUp {
    cursor: model::Cursor,
}

/// The replay is over; what follows is live. Sent once a subscription, also when there was nothing to replay.
#[Object]
impl CaughtUp {
    /// Everything up to here was sent.
    async fn cursor(&self) -> Cursor {
        self.cursor.into()
    }
}

/// The place asked for cannot be honoured: drop what is cached and read afresh. The stream goes on, live, from `cursor`.
pub struct ResyncRequired {
    cursor: model::Cursor,
    reason: Resync,
}

/// The place asked for cannot be honoured: drop what is cached and read afresh. The stream goes on, live, from `cursor`.
#[Object]
impl ResyncRequired {
    /// The stream goes on from here.
    async fn cursor(&self) -> Cursor {
        self.cursor.into()
    }

    /// Why.
    async fn reason(&self) -> ResyncReason {
        self.reason.into()
    }
}

/// Another database or a restored one; older than the log is kept; beyond its end.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
#[graphql(remote = "Resync", display)]
pub enum ResyncReason {
    /// Another database, or one that was restored from a backup.
    EpochChanged,
    /// Older than the log is kept.
    CursorExpired,
    /// Beyond the end of the log.
    CursorAhead,
}

/// Nothing more of this room follows: the viewer left it, was removed, it was made private or deleted, or it cannot be
/// seen. It stands in the place of the event that did it. Drop what is cached. (Who leaves a PUBLIC room but named it in
/// `roomIds` goes on.)
pub struct AccessRevoked {
    cursor: model::Cursor,
    room: RoomId,
}

/// Nothing more of this room follows: the viewer left it, was removed, it was made private or deleted, or it cannot be
/// seen. It stands in the place of the event that did it. Drop what is cached. (Who leaves a PUBLIC room but named it in
/// `roomIds` goes on.)
#[Object]
impl AccessRevoked {
    /// The place of the event that did it.
    async fn cursor(&self) -> Cursor {
        self.cursor.into()
    }

    /// Which room.
    async fn room_id(&self) -> ID {
        self.room.to_string().into()
    }
}

/// Not a type of the schema: registering it says that `RoomEvent` implements `Event`.
pub(super) struct RoomEventIsEvent;

impl OutputType for RoomEventIsEvent {
    fn type_name() -> Cow<'static, str> {
        RoomEvent::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.add_implements(&RoomEvent::type_name(), &Event::type_name());
        RoomEvent::create_type_info(registry)
    }

    async fn resolve(
        &self,
        _ctx: &ContextSelectionSet<'_>,
        _field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        Ok(Value::Null)
    }
}
