//! What *happens*: the commands and their rules.
//!
//! [`Chat`] is what the API calls. Each command is decided by a pure function over the facts of its batch, so that
//! rules are tested without a socket, a clock or a database.

mod api;
mod command;
mod direct;
mod fingerprint;
mod members;
mod messages;
mod reactions;
mod reads;
mod rooms;
mod signed_in;
#[cfg(test)]
mod tests;
mod users;

use std::sync::Arc;

pub use api::Chat;
pub use command::{Act, Answer, Command};

use crate::model::{
    Data, Message, MessageBody, MessageId, Room, RoomId, RoomName, UserId, Visibility,
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
