//! What mutations give back: what chat answered, shown without another read.

use async_graphql::{ID, SimpleObject};

use super::member::RoomMember;
use super::message::Message;
use super::room::Room;
use super::scalars::DateTime;
use super::user::User;

/// The room that was made.
#[derive(SimpleObject)]
pub(super) struct CreateRoomPayload {
    /// The room.
    pub(super) room: Room,
}

/// The room as it is now.
#[derive(SimpleObject)]
pub(super) struct UpdateRoomPayload {
    /// The room.
    pub(super) room: Room,
}

/// The room that is gone.
#[derive(SimpleObject)]
pub(super) struct DeleteRoomPayload {
    /// The id it had.
    pub(super) room_id: ID,
}

/// The room that the viewer is in now.
#[derive(SimpleObject)]
pub(super) struct JoinRoomPayload {
    /// The room.
    pub(super) room: Room,
}

/// The room that the viewer is no longer in.
#[derive(SimpleObject)]
pub(super) struct LeaveRoomPayload {
    /// Its id.
    pub(super) room_id: ID,
}

/// Who is in now.
#[derive(SimpleObject)]
pub(super) struct AddMemberPayload {
    /// The room.
    pub(super) room: Room,
    /// Who, and in which role.
    pub(super) member: RoomMember,
}

/// Who is no longer in.
#[derive(SimpleObject)]
pub(super) struct RemoveMemberPayload {
    /// The room.
    pub(super) room: Room,
    /// The id that the RoomMember had.
    pub(super) member_id: ID,
}

/// The message that was sent.
#[derive(SimpleObject)]
pub(super) struct SendMessagePayload {
    /// The message as it is now.
    pub(super) message: Message,
    /// This id was sent before.
    pub(super) duplicate: bool,
}

/// The message with what it says now.
#[derive(SimpleObject)]
pub(super) struct EditMessagePayload {
    /// The message.
    pub(super) message: Message,
}

/// What is left of the message.
#[derive(SimpleObject)]
pub(super) struct DeleteMessagePayload {
    /// The message.
    pub(super) message: Message,
}

/// The room in which the viewer has read on.
#[derive(SimpleObject)]
pub(super) struct MarkReadPayload {
    /// The room.
    pub(super) room: Room,
}

/// The message with the reaction.
#[derive(SimpleObject)]
pub(super) struct AddReactionPayload {
    /// The message.
    pub(super) message: Message,
}

/// The message without the reaction.
#[derive(SimpleObject)]
pub(super) struct RemoveReactionPayload {
    /// The message.
    pub(super) message: Message,
}

/// How the viewer stands now.
#[derive(SimpleObject)]
pub(super) struct SetPresencePayload {
    /// The viewer.
    pub(super) viewer: User,
}

/// The direct room with a user.
#[derive(SimpleObject)]
pub(super) struct OpenDirectRoomPayload {
    /// The room.
    pub(super) room: Room,
}

/// Whether the viewer types.
#[derive(SimpleObject)]
pub(super) struct SetTypingPayload {
    /// Null once stopped.
    pub(super) expires_at: Option<DateTime>,
}

/// The signal is on its way.
#[derive(SimpleObject)]
pub(super) struct SendSignalPayload {
    /// The room.
    pub(super) room: Room,
}
