//! Rooms and who is in them.

use std::sync::Arc;

use super::{Data, Fingerprint, MemberId, MessageId, RoomId, RoomName, Seq, Timestamp, User};

/// Who may read a room.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Visibility {
    /// Anyone signed in may read and join.
    Public,
    /// Members only.
    Private,
}

/// What a member may do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// All that a member may, and change the room, its members and anyone's messages.
    Owner,
    /// Read and send.
    Member,
    /// Read.
    Reader,
}

/// Messages in order, and the members who may read them.
#[derive(Clone, PartialEq, Debug)]
pub struct Room {
    /// Its id.
    pub id: RoomId,
    /// Its name.
    pub name: RoomName,
    /// Who may read it.
    pub visibility: Visibility,
    /// Of two users, for ever: see `chat/direct.rs`.
    pub direct: bool,
    /// The app's own.
    pub data: Option<Data>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its newest message was sent, else when it was made.
    pub last_activity_at: Timestamp,
    /// Its newest message, deleted or not.
    pub last_message: Option<MessageId>,
    /// Members with [`Standing::Active`].
    pub member_count: u32,
    /// Active members who are owners; for "no owner would be left" without counting rows.
    pub owner_count: u32,
    /// Gone for good. What is left is the id, so that it is not used again and that replays can tell that access ended.
    pub deleted: bool,
    /// Of what it was made with and by whom, so that a retry is told from another room under its id. `None` where that is
    /// not known (rooms older than this, the lobby) or of no use (direct rooms).
    pub fingerprint: Option<Fingerprint>,
}

/// Whether a membership counts now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Standing {
    /// In the room.
    Active,
    /// Left, and may come back with the role it had.
    Left,
    /// Removed by an owner: only an owner lets it in again.
    Removed,
}

/// A user in a room, now or once.
#[derive(Clone, PartialEq, Debug)]
pub struct Member {
    /// Stays the same through leaving and coming back.
    pub id: MemberId,
    /// The room.
    pub room: RoomId,
    /// The user.
    pub user: Arc<User>,
    /// What it may do; kept while it is away.
    pub role: Role,
    /// When it last came in.
    pub joined_at: Timestamp,
    /// The event by which it last came in: the order of a room's members.
    pub joined_seq: Seq,
    /// Whether it counts.
    pub standing: Standing,
    /// The place up to which it has read, if it ever said so; kept while it is away. It has no order in the log: of two
    /// copies of a member, only the one that was read last is right.
    pub read_up_to: Option<Seq>,
}

/// A member has read on. Not an event: it has no place in the log, and what is told of it may be lost.
#[derive(Clone, PartialEq, Debug)]
pub struct ReadAdvanced {
    /// Where.
    pub room: Arc<Room>,
    /// Who, with the place up to which it has read now.
    pub member: Arc<Member>,
}

impl Member {
    /// Whether the user is in the room now.
    pub fn is_active(&self) -> bool {
        self.standing == Standing::Active
    }
}
