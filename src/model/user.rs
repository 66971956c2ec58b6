//! Users: whoever has signed in or been added to a room.

use std::sync::Arc;

use super::{Timestamp, UserId};

/// A user as the newest token showed it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// The token's `sub`.
    pub id: UserId,
    /// The token's `name`, else its `sub`.
    pub name: Arc<str>,
    /// The token's `picture`.
    pub avatar_url: Option<Arc<str>>,
    /// When the token that said so was issued (its `iat`); 0 for a user who was only ever added to a room. An older
    /// token never overwrites what a newer one said.
    pub profile_at: Timestamp,
}

impl User {
    /// A user who was added to a room and has not signed in yet.
    pub fn unseen(id: UserId) -> Self {
        Self {
            name: id.as_str().into(),
            id,
            avatar_url: None,
            profile_at: Timestamp(0),
        }
    }
}
