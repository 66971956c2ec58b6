//! Keyed hashes: of what a client's id was first used for, and of what a direct room is made of.
//!
//! Without the key, which stays in the database, nothing can be guessed from one and none can be made.

use uuid::Builder;

use super::{CreateRoom, SendMessage};
use crate::model::{Fingerprint, RoomId, UserId, Visibility};

/// Makes them.
#[derive(Clone)]
pub(super) struct Fingerprints {
    key: [u8; 32],
}

impl Fingerprints {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// Of a message's first content.
    pub(super) fn message(&self, input: &SendMessage) -> Fingerprint {
        let room = input.room.uuid();
        let data = input.data.as_ref().map(ToString::to_string);
        let reply_to = input.reply_to.map(|id| id.uuid().into_bytes());
        Fingerprint(self.hash(&[
            room.as_bytes(),
            input.body.as_str().as_bytes(),
            data.unwrap_or_default().as_bytes(),
            reply_to.as_ref().map_or(&[], |id| id.as_slice()),
        ]))
    }

    /// Of what a room is made with, and by whom. The order of its members does not count, nor does its maker among them.
    pub(super) fn room(&self, by: &UserId, input: &CreateRoom) -> Fingerprint {
        let mut members: Vec<&UserId> = input.members.iter().filter(|it| *it != by).collect();
        members.sort_unstable();
        members.dedup();
        let data = input.data.as_ref().map(ToString::to_string);
        let data = data.unwrap_or_default();
        let visibility: &[u8] = match input.visibility {
            Visibility::Public => b"public",
            Visibility::Private => b"private",
        };
        let mut parts = vec![
            by.as_str().as_bytes(),
            input.name.as_str().as_bytes(),
            visibility,
            data.as_bytes(),
        ];
        parts.extend(members.iter().map(|it| it.as_str().as_bytes()));
        Fingerprint(self.hash(&parts))
    }

    /// The id of the direct room of two users, whichever of them asks: a UUID v8, so that there is nothing to look up and
    /// no second room to be made.
    pub(super) fn direct_room(&self, one: &UserId, other: &UserId) -> RoomId {
        let (first, second) = (one.min(other), one.max(other));
        let parts: [&[u8]; 3] = [
            b"direct room",
            first.as_str().as_bytes(),
            second.as_str().as_bytes(),
        ];
        RoomId::from_uuid(Builder::from_custom_bytes(self.hash(&parts)).into_uuid())
    }

    /// Each part is preceded by its length, so that no two contents read the same.
    fn hash(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in parts {
            hasher
                .update(&(part.len() as u64).to_le_bytes())
                .update(part);
        }
        let mut first = [0; 16];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_one_room_and_each_pair_its_own() {
        let (hers, other) = (Fingerprints::new([1; 32]), Fingerprints::new([2; 32]));
        let [ada, bob, eve] = ["ada", "bob", "eve"].map(UserId::stored);
        let room = hers.direct_room(&ada, &bob);
        assert_eq!(room, hers.direct_room(&bob, &ada));
        assert_ne!(room, hers.direct_room(&ada, &eve));
        assert_ne!(room, other.direct_room(&ada, &bob));
        assert_eq!(room.uuid().get_version_num(), 8);
        // Where one name ends and the other begins counts.
        let [one, two] = ["adab", "ob"].map(UserId::stored);
        assert_ne!(room, hers.direct_room(&one, &two));
    }
}
