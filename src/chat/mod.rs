//! What *happens*: the commands and their rules.
//!
//! [`Chat`] is what the API calls. Each command is decided by a pure function over the facts of its batch (`rules`), so
//! that rules are tested without a socket, a clock or a database.

use std::sync::Arc;

use crate::auth::Viewer;
use crate::error::Error;
use crate::model::{
    Data, Member, MemberId, Message, MessageBody, MessageId, Role, Room, RoomId, RoomName, UserId,
    Visibility,
};

/// A room to be made.
#[derive(Clone, Debug)]
pub struct CreateRoom {
    /// Made by the client, or `None` for a new one.
    pub id: Option<RoomId>,
    /// Its name.
    pub name: RoomName,
    /// Who may read it.
    pub visibility: Visibility,
    /// Added as members in the same step; at most [`CreateRoom::MAX_MEMBERS`].
    pub members: Vec<UserId>,
    /// The app's own.
    pub data: Option<Data>,
}

impl CreateRoom {
    /// So that one command stays small beside the others of its batch.
    pub const MAX_MEMBERS: usize = 100;
}

/// A change to a room; `None` leaves a thing as it is.
#[derive(Clone, Debug)]
pub struct UpdateRoom {
    /// Which room.
    pub room: RoomId,
    /// Its new name.
    pub name: Option<RoomName>,
    /// Who may read it from now on.
    pub visibility: Option<Visibility>,
    /// The app's own.
    pub data: Option<Data>,
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct SendMessage {
    /// Made by the client, or `None` for a new one.
    pub id: Option<MessageId>,
    /// Where to.
    pub room: RoomId,
    /// What it says; blank only beside `data`.
    pub body: MessageBody,
    /// The app's own.
    pub data: Option<Data>,
    /// A message of the same room.
    pub reply_to: Option<MessageId>,
}

/// A message to be changed.
#[derive(Clone, Debug)]
pub struct EditMessage {
    /// Which message.
    pub message: MessageId,
    /// What it says from now on. Parse it as if there were data beside it; whether there is, the rules find out.
    pub body: MessageBody,
    /// `None` leaves it as it is.
    pub data: Option<Data>,
    /// Refused with `CONFLICT` when the message has another.
    pub expected_version: Option<u32>,
}

/// What became of a send.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The message as it is now.
    pub message: Arc<Message>,
    /// Its room.
    pub room: Arc<Room>,
    /// The id was sent before.
    pub duplicate: bool,
}

/// The commands. Cheap to clone. Each hands its command to the writer on first poll, before anything is awaited, so
/// polling futures in an order is enough to keep that order.
#[derive(Clone)]
pub struct Chat {}

#[allow(
    clippy::missing_errors_doc,
    reason = "each gives what the schema's description of its mutation says"
)]
impl Chat {
    /// Notes who signed in, so that others see its name. Free when nothing changed since the last time.
    pub async fn sign_in(&self, _viewer: &Viewer) -> Result<(), Error> {
        unimplemented!()
    }

    /// `createRoom`.
    pub async fn create_room(&self, _by: &Viewer, _input: CreateRoom) -> Result<Arc<Room>, Error> {
        unimplemented!()
    }

    /// `updateRoom`.
    pub async fn update_room(&self, _by: &Viewer, _input: UpdateRoom) -> Result<Arc<Room>, Error> {
        unimplemented!()
    }

    /// `deleteRoom`.
    pub async fn delete_room(&self, _by: &Viewer, _room: RoomId) -> Result<(), Error> {
        unimplemented!()
    }

    /// `joinRoom`.
    pub async fn join_room(&self, _by: &Viewer, _room: RoomId) -> Result<Arc<Room>, Error> {
        unimplemented!()
    }

    /// `leaveRoom`.
    pub async fn leave_room(&self, _by: &Viewer, _room: RoomId) -> Result<(), Error> {
        unimplemented!()
    }

    /// `addMember`; `None` is MEMBER for someone new and changes nothing for someone who is there.
    pub async fn add_member(
        &self,
        _by: &Viewer,
        _room: RoomId,
        _user: UserId,
        _role: Option<Role>,
    ) -> Result<(Arc<Room>, Arc<Member>), Error> {
        unimplemented!()
    }

    /// `removeMember`.
    pub async fn remove_member(
        &self,
        _by: &Viewer,
        _room: RoomId,
        _user: UserId,
    ) -> Result<(Arc<Room>, MemberId), Error> {
        unimplemented!()
    }

    /// `sendMessage`.
    pub async fn send_message(&self, _by: &Viewer, _input: SendMessage) -> Result<Sent, Error> {
        unimplemented!()
    }

    /// `editMessage`.
    pub async fn edit_message(
        &self,
        _by: &Viewer,
        _input: EditMessage,
    ) -> Result<Arc<Message>, Error> {
        unimplemented!()
    }

    /// `deleteMessage`.
    pub async fn delete_message(
        &self,
        _by: &Viewer,
        _message: MessageId,
    ) -> Result<Arc<Message>, Error> {
        unimplemented!()
    }
}
