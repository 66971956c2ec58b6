//! What things *are*: ids, cursors, users, rooms, messages and the events that befall them.
//!
//! Nothing here knows where things are kept, who may see them or how they are asked for. A value of one of these types
//! has been checked: holding a [`MessageBody`] *is* the check.

mod access;
mod cursor;
mod emoji;
mod event;
mod id;
mod message;
mod reaction;
mod room;
mod text;
mod time;
mod user;

pub use access::{Access, Scope, Verdict};
pub use cursor::{Cursor, CursorError, Epoch, Epochs, Resync, Seq};
pub use emoji::Emoji;
pub use event::{Event, What};
pub use id::{MemberId, MessageId, NodeId, RoomId, UserId};
pub use message::{Fingerprint, Message, Reply};
pub use reaction::{Reaction, ReactionKey};
pub use room::{Member, ReadAdvanced, Role, Room, Standing, Visibility};
pub use text::{Data, MessageBody, RoomName};
pub use time::Timestamp;
pub use user::User;
