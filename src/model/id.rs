//! Ids: UUIDs in canonical text for what Tidings makes or clients make before sending; a token's `sub` for users.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::error::Error;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id: UUID v7, so that neighbours in time are neighbours in the index.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// Reads a UUID in canonical text: lower case, with hyphens, 36 characters.
            ///
            /// # Errors
            /// `BAD_USER_INPUT` naming `field` for anything else, upper case included: one id has one spelling.
            pub fn parse(field: &'static str, text: &str) -> Result<Self, Error> {
                parse_canonical(text).map(Self).ok_or(Error::NotUuid { field })
            }

            /// The id from its 16 bytes, as a store keeps it.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The id as a UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

uuid_id! {
    /// A room's id. Clients may make it before they create the room.
    RoomId
}
uuid_id! {
    /// A message's id. Clients may make it before they send.
    MessageId
}
uuid_id! {
    /// A membership's id, made by the server. It outlives leaving and coming back.
    MemberId
}

impl RoomId {
    /// The public room that every new database begins with.
    pub const LOBBY: Self = Self(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001));
}

/// Any UUID that may name a room, a message or a membership: they share one space, so that one id is one thing.
pub type NodeId = Uuid;

/// Reads lower-case hyphenated text only: `Uuid::parse_str` alone also takes upper case, braces and `urn:uuid:`.
pub(crate) fn parse_canonical(text: &str) -> Option<Uuid> {
    let canonical = text.len() == 36 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    canonical.then(|| Uuid::try_parse(text).ok()).flatten()
}

/// A user's id: the `sub` of its tokens, 1 to 255 bytes, without control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// As long as an OpenID Connect `sub` may be (Core 1.0, section 2).
    pub const MAX_BYTES: usize = 255;

    /// Reads a `sub`.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` naming `field` when it is empty, over 255 bytes, or holds a control character.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Error> {
        let sound = !text.is_empty()
            && text.len() <= Self::MAX_BYTES
            && !text.chars().any(char::is_control);
        if sound {
            Ok(Self(text.into()))
        } else {
            Err(Error::BadUserId { field })
        }
    }

    /// The id as a store kept it; it was parsed before it was written.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The `sub`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::borrow::Borrow<str> for UserId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let canonical = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(
            RoomId::parse("id", canonical).unwrap().to_string(),
            canonical
        );
        for other in [
            "01890A5D-AC96-774B-BCCE-B302099A8057",
            "01890a5dac96774bbcceb302099a8057",
            "{01890a5d-ac96-774b-bcce-b302099a8057}",
            "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057",
            "lobby",
            "",
        ] {
            assert!(RoomId::parse("id", other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_sub_of_255_bytes_is_taken_and_of_256_refused() {
        assert!(UserId::parse("sub", &"a".repeat(255)).is_ok());
        assert!(UserId::parse("sub", &"a".repeat(256)).is_err());
        assert!(UserId::parse("sub", "").is_err());
        assert!(UserId::parse("sub", "a\nb").is_err());
    }
}
