//! Events: what the log keeps.

use std::sync::Arc;

use super::{
    Cursor, Emoji, Member, Message, MessageId, Room, RoomId, Timestamp, User, UserId, Visibility,
};

/// One durable change, at its place in the log, with all that a payload about it needs.
///
/// Straight from the writer it shows things as the event left them; read back from the store, as they are now.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// Its place.
    pub cursor: Cursor,
    /// When it happened.
    pub at: Timestamp,
    /// The room it happened in.
    pub room: Arc<Room>,
    /// Who did it.
    pub actor: Arc<User>,
    /// What happened.
    pub what: What,
}

/// What an event was.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// A message came.
    MessageSent(Arc<Message>),
    /// Body or data changed.
    MessageEdited(Arc<Message>),
    /// Body and data are gone.
    MessageDeleted(Arc<Message>),
    /// The actor reacted.
    ReactionAdded(Arc<Message>, Emoji),
    /// The actor took a reaction back.
    ReactionRemoved(Arc<Message>, Emoji),
    /// A room was made.
    RoomCreated {
        /// Those who came in with it, its owner among them.
        members: Arc<[UserId]>,
    },
    /// Name, visibility or data changed.
    RoomUpdated {
        /// It was public before and is private now: those who are not members lose it here.
        made_private: bool,
    },
    /// The room is gone: everyone who could see it loses it here.
    RoomDeleted {
        /// Who could see it.
        was: Visibility,
    },
    /// A user came in.
    MemberJoined(Arc<Member>),
    /// A role changed.
    MemberUpdated(Arc<Member>),
    /// A user left or was removed.
    MemberLeft(Arc<Member>),
}

impl Event {
    /// The message, where it is about one.
    pub fn message(&self) -> Option<&Arc<Message>> {
        match &self.what {
            What::MessageSent(message)
            | What::MessageEdited(message)
            | What::MessageDeleted(message)
            | What::ReactionAdded(message, _)
            | What::ReactionRemoved(message, _) => Some(message),
            _ => None,
        }
    }

    /// The emoji, where it is about a reaction.
    pub fn emoji(&self) -> Option<&Emoji> {
        match &self.what {
            What::ReactionAdded(_, emoji) | What::ReactionRemoved(_, emoji) => Some(emoji),
            _ => None,
        }
    }

    /// The same event showing another state of its message; itself where it shows none.
    #[must_use]
    pub fn showing(&self, message: Arc<Message>) -> Self {
        let what = match &self.what {
            What::MessageSent(_) => What::MessageSent(message),
            What::MessageEdited(_) => What::MessageEdited(message),
            What::MessageDeleted(_) => What::MessageDeleted(message),
            What::ReactionAdded(_, emoji) => What::ReactionAdded(message, emoji.clone()),
            What::ReactionRemoved(_, emoji) => What::ReactionRemoved(message, emoji.clone()),
            other => other.clone(),
        };
        Self {
            what,
            ..self.clone()
        }
    }

    /// Whether it shows the body of `message`, itself or as a quoted reply.
    pub fn shows(&self, message: &MessageId) -> bool {
        self.message().is_some_and(|shown| {
            shown.id == *message
                || shown
                    .reply_to
                    .as_ref()
                    .is_some_and(|reply| reply.id == *message)
        })
    }

    /// The room's id.
    pub fn room_id(&self) -> RoomId {
        self.room.id
    }
}
