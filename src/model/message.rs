//! Messages.

use std::sync::Arc;

use super::{Cursor, Data, MessageBody, MessageId, Reaction, RoomId, Timestamp, User};

/// A keyed hash of the first content sent under an id. A retry is told by it from another message (body, data, reply) or
/// room (who makes it, name, visibility, data, members), also after that was changed or deleted; the key keeps a deleted body from being guessed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint(pub [u8; 16]);

/// A message as it stands, or as an event left it.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Where it was sent.
    pub room: RoomId,
    /// Who sent it.
    pub author: Arc<User>,
    /// What it says; `None` once deleted.
    pub body: Option<MessageBody>,
    /// The app's own; `None` once deleted.
    pub data: Option<Data>,
    /// 1, then one more for each edit or deletion.
    pub version: u32,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When it was last edited.
    pub edited_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// What it replies to.
    pub reply_to: Option<Reply>,
    /// Where in the log it was sent: its order in the room.
    pub cursor: Cursor,
    /// Of the content it was first sent with.
    pub fingerprint: Fingerprint,
    /// By first use; none once deleted.
    pub reactions: Arc<[Reaction]>,
}

/// A reference to another message of the same room.
#[derive(Clone, PartialEq, Debug)]
pub struct Reply {
    /// The message replied to.
    pub id: MessageId,
    /// That message, where it came along. Its own reply carries only an id.
    pub message: Option<Arc<Message>>,
}

impl Message {
    /// The same message with nothing left of what it said, nor of what was said to it. Version and times are the caller's.
    #[must_use]
    pub fn blanked(&self) -> Self {
        Self {
            body: None,
            data: None,
            reactions: Arc::default(),
            ..self.clone()
        }
    }
}
