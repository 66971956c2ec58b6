//! What mutations are given, and how it becomes a command: each `parsed` says which field is wrong.

use async_graphql::{ID, InputObject};

use super::room::{RoomRole, RoomVisibility};
use super::scalars::{Cursor, Json};
use crate::chat::{CreateRoom, EditMessage, SendMessage, UpdateRoom};
use crate::error::Error;
use crate::model::{Emoji, MessageBody, MessageId, RoomId, RoomName, UserId, Visibility};

/// A room to be made.
#[derive(InputObject)]
pub(super) struct CreateRoomInput {
    /// As in SendMessageInput.
    id: Option<ID>,
    /// 1 to 200 characters, not blank.
    name: String,
    /// PRIVATE unless said.
    visibility: Option<RoomVisibility>,
    /// Added as MEMBER in the same step; the viewer is the owner.
    member_ids: Option<Vec<ID>>,
    /// The app's own: topic, picture, settings.
    data: Option<Json>,
}

impl CreateRoomInput {
    pub(super) fn parsed(self) -> Result<CreateRoom, Error> {
        let id = self.id.map(|id| RoomId::parse("id", &id)).transpose()?;
        let members = self.member_ids.unwrap_or_default();
        let members = members.iter().map(|id| UserId::parse("memberIds", id));
        Ok(CreateRoom {
            id,
            name: RoomName::parse(&self.name)?,
            visibility: self
                .visibility
                .map_or(Visibility::Private, Visibility::from),
            members: members.collect::<Result<_, _>>()?,
            data: Json::parsed(self.data)?,
        })
    }
}

/// A change to a room. Null leaves a thing as it is.
#[derive(InputObject)]
pub(super) struct UpdateRoomInput {
    /// Which room.
    room_id: ID,
    /// Its new name.
    name: Option<String>,
    /// Who may read it from now on.
    visibility: Option<RoomVisibility>,
    /// The app's own, as a whole.
    data: Option<Json>,
}

impl UpdateRoomInput {
    pub(super) fn parsed(self) -> Result<UpdateRoom, Error> {
        Ok(UpdateRoom {
            room: RoomId::parse("roomId", &self.room_id)?,
            name: self.name.map(|name| RoomName::parse(&name)).transpose()?,
            visibility: self.visibility.map(Visibility::from),
            data: Json::parsed(self.data)?,
        })
    }
}

/// A room to be deleted.
#[derive(InputObject)]
pub(super) struct DeleteRoomInput {
    /// Which room.
    pub(super) room_id: ID,
}

/// A room to join.
#[derive(InputObject)]
pub(super) struct JoinRoomInput {
    /// Which room.
    pub(super) room_id: ID,
}

/// A room to leave.
#[derive(InputObject)]
pub(super) struct LeaveRoomInput {
    /// Which room.
    pub(super) room_id: ID,
}

/// A user to be let in, or given another role.
#[derive(InputObject)]
pub(super) struct AddMemberInput {
    /// Where.
    pub(super) room_id: ID,
    /// It need not have signed in yet.
    pub(super) user_id: ID,
    /// MEMBER unless said.
    pub(super) role: Option<RoomRole>,
}

/// A user to be removed.
#[derive(InputObject)]
pub(super) struct RemoveMemberInput {
    /// From where.
    pub(super) room_id: ID,
    /// Who.
    pub(super) user_id: ID,
}

/// A message to be sent.
#[derive(InputObject)]
pub(super) struct SendMessageInput {
    /// Made by the client before it sends: a UUID (v7 if it can), lower case with hyphens; else by the server. The same
    /// id again is safe and gives the first message back. CONFLICT with another content, or where anything else has this
    /// id.
    id: Option<ID>,
    /// Where to.
    room_id: ID,
    /// At most 16 KiB. May be empty when there is `data`.
    body: String,
    /// The app's own: attachments (address, type, size), mentions, cards.
    data: Option<Json>,
    /// In the same room.
    reply_to_id: Option<ID>,
}

impl SendMessageInput {
    pub(super) fn parsed(self) -> Result<SendMessage, Error> {
        let message = |field, id: Option<ID>| id.map(|id| MessageId::parse(field, &id)).transpose();
        let data = Json::parsed(self.data)?;
        Ok(SendMessage {
            id: message("id", self.id)?,
            room: RoomId::parse("roomId", &self.room_id)?,
            body: MessageBody::parse(&self.body, data.is_some())?,
            data,
            reply_to: message("replyToId", self.reply_to_id)?,
        })
    }
}

/// A message to be changed.
#[derive(InputObject)]
pub(super) struct EditMessageInput {
    /// Which message.
    message_id: ID,
    /// What it says from now on.
    body: String,
    /// Null leaves it as it is.
    data: Option<Json>,
    /// Refused with CONFLICT when the message has moved on.
    expected_version: Option<i32>,
}

impl EditMessageInput {
    pub(super) fn parsed(self) -> Result<EditMessage, Error> {
        let version = |version| {
            u32::try_from(version).map_err(|_| Error::BadInput {
                field: "expectedVersion",
                why: format!("{version} is negative"),
            })
        };
        Ok(EditMessage {
            message: MessageId::parse("messageId", &self.message_id)?,
            // Whether there is data beside it is known where the message is.
            body: MessageBody::parse(&self.body, true)?,
            data: Json::parsed(self.data)?,
            expected_version: self.expected_version.map(version).transpose()?,
        })
    }
}

/// Whether the viewer types.
#[derive(InputObject)]
pub(super) struct SetTypingInput {
    /// Where.
    pub(super) room_id: ID,
    /// True again and again while it goes on, false once it is over.
    pub(super) typing: bool,
}

/// An app's own signal.
#[derive(InputObject)]
pub(super) struct SendSignalInput {
    /// Where.
    pub(super) room_id: ID,
    /// What kind it is, the app's own word: 1 to 64 bytes.
    pub(super) kind: String,
    /// What it says.
    pub(super) data: Option<Json>,
}

/// What a viewer says of itself.
#[derive(InputObject)]
pub(super) struct SetPresenceInput {
    /// Nobody is looking, though the app is open.
    pub(super) away: bool,
}

/// A message to be deleted.
#[derive(InputObject)]
pub(super) struct DeleteMessageInput {
    /// Which message.
    pub(super) message_id: ID,
}

/// A place that has been read.
#[derive(InputObject)]
pub(super) struct MarkReadInput {
    /// Where.
    pub(super) room_id: ID,
    /// The cursor of the newest message read.
    pub(super) up_to: Cursor,
}

/// A reaction of the viewer's own.
#[derive(InputObject)]
pub(super) struct AddReactionInput {
    /// Under which message.
    message_id: ID,
    /// One grapheme.
    emoji: String,
}

/// A reaction of the viewer's own.
#[derive(InputObject)]
pub(super) struct RemoveReactionInput {
    /// Under which message.
    message_id: ID,
    /// Which one.
    emoji: String,
}

impl AddReactionInput {
    pub(super) fn parsed(self) -> Result<(MessageId, Emoji), Error> {
        let id = MessageId::parse("messageId", &self.message_id)?;
        Ok((id, Emoji::parse(&self.emoji)?))
    }
}

impl RemoveReactionInput {
    pub(super) fn parsed(self) -> Result<(MessageId, Emoji), Error> {
        let id = MessageId::parse("messageId", &self.message_id)?;
        Ok((id, Emoji::parse(&self.emoji)?))
    }
}

/// The other one of a direct room.
#[derive(InputObject)]
pub(super) struct OpenDirectRoomInput {
    /// It need not have signed in yet.
    pub(super) user_id: ID,
}
