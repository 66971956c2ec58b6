//! `Signal` and the types that implement it.

use std::sync::Arc;

use async_graphql::{Interface, Object};

use super::member::RoomMember;
use super::presence::PresenceStatus;
use super::room::Room;
use super::scalars::{DateTime, Json};
use super::user::User;
use crate::hub::Item;
use crate::model::{self, Data};
use crate::signal::{Change, Kind, Said, Told};

/// At most once, never stored, no place in the log. There will be more types: ignore an unknown one.
#[derive(Interface)]
#[graphql(field(name = "room", ty = "Room", desc = "Where."))]
#[allow(missing_docs, reason = "each is the type of its name")]
pub enum Signal {
    RoomPresence(RoomPresence),
    PresenceChanged(PresenceChanged),
    TypingChanged(TypingChanged),
    ReadAdvanced(ReadAdvanced),
    AppSignal(AppSignal),
}

impl Signal {
    /// What `signals` yields for an item; `None` for one of the log.
    pub fn from_item(item: Item) -> Option<Self> {
        let Item::Signal(told) = item else {
            return None;
        };
        let room = told.room.clone();
        Some(match &told.what {
            Said::WhoIsThere { .. } => Self::RoomPresence(RoomPresence(told)),
            Said::Presence(change) => Self::PresenceChanged(PresenceChanged {
                room,
                change: change.clone(),
            }),
            Said::Typing { user, typing } => Self::TypingChanged(TypingChanged {
                room,
                user: user.clone(),
                typing: *typing,
            }),
            Said::Read(member) => Self::ReadAdvanced(ReadAdvanced {
                room,
                member: member.clone(),
            }),
            Said::App { user, kind, data } => Self::AppSignal(AppSignal {
                room,
                user: user.clone(),
                kind: kind.clone(),
                data: data.clone(),
            }),
        })
    }
}

impl Room {
    /// The room that `roomRead` yields for an item; `None` for another.
    pub fn read_on(item: Item) -> Option<Self> {
        match item {
            Item::Signal(told) => Some(Self::new(told.room.clone())),
            _ => None,
        }
    }
}

/// Sent first, once for each room. Two lists rather than `user.presence`, which would make the operation @perViewer.
pub struct RoomPresence(Arc<Told>);

/// Sent first, once for each room. Two lists rather than `user.presence`, which would make the operation @perViewer.
#[Object]
impl RoomPresence {
    /// Where.
    async fn room(&self) -> Room {
        Room::new(self.0.room.clone())
    }

    /// At most 100.
    async fn online(&self) -> Vec<User> {
        match &self.0.what {
            Said::WhoIsThere { online, .. } => shown(online),
            _ => Vec::new(),
        }
    }

    /// At most 100.
    async fn away(&self) -> Vec<User> {
        match &self.0.what {
            Said::WhoIsThere { away, .. } => shown(away),
            _ => Vec::new(),
        }
    }

    /// All who are online or away.
    async fn present_count(&self) -> usize {
        match &self.0.what {
            Said::WhoIsThere { present, .. } => *present,
            _ => 0,
        }
    }
}

fn shown(users: &[Arc<model::User>]) -> Vec<User> {
    users.iter().cloned().map(User).collect()
}

/// Write it to `user.presence` in the cache. Not told in rooms where more than 200 are present: read `presentCount` there.
pub struct PresenceChanged {
    room: Arc<model::Room>,
    change: Change,
}

/// Write it to `user.presence` in the cache. Not told in rooms where more than 200 are present: read `presentCount` there.
#[Object]
impl PresenceChanged {
    /// Where.
    async fn room(&self) -> Room {
        Room::new(self.room.clone())
    }

    /// Who.
    async fn user(&self) -> User {
        User(self.change.user.clone())
    }

    /// How it stands now.
    async fn status(&self) -> PresenceStatus {
        self.change.status.into()
    }

    /// Null while online.
    async fn last_seen_at(&self) -> Option<DateTime> {
        self.change.last_seen_at.map(DateTime)
    }
}

/// Forget it after six seconds unless it comes again.
pub struct TypingChanged {
    room: Arc<model::Room>,
    user: Arc<model::User>,
    typing: bool,
}

/// Forget it after six seconds unless it comes again.
#[Object]
impl TypingChanged {
    /// Where.
    async fn room(&self) -> Room {
        Room::new(self.room.clone())
    }

    /// Who.
    async fn user(&self) -> User {
        User(self.user.clone())
    }

    /// Whether it types.
    async fn typing(&self) -> bool {
        self.typing
    }
}

/// Look at `member.readUpTo`.
pub struct ReadAdvanced {
    room: Arc<model::Room>,
    member: Arc<model::Member>,
}

/// Look at `member.readUpTo`.
#[Object]
impl ReadAdvanced {
    /// Where.
    async fn room(&self) -> Room {
        Room::new(self.room.clone())
    }

    /// Who, and how far.
    async fn member(&self) -> RoomMember {
        RoomMember::now(self.member.clone())
    }
}

/// What sendSignal said.
pub struct AppSignal {
    room: Arc<model::Room>,
    user: Arc<model::User>,
    kind: Kind,
    data: Option<Data>,
}

/// What sendSignal said.
#[Object]
impl AppSignal {
    /// Where.
    async fn room(&self) -> Room {
        Room::new(self.room.clone())
    }

    /// Who said it.
    async fn user(&self) -> User {
        User(self.user.clone())
    }

    /// What kind it is: the app's own word.
    async fn kind(&self) -> &str {
        self.kind.as_str()
    }

    /// What it says.
    async fn data(&self) -> Option<Json> {
        self.data.clone().map(Json::Kept)
    }
}
