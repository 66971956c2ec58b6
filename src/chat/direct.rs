//! Rules of direct rooms: private, two members for ever, one room for each pair.
//!
//! Both are members and neither owns it, so nobody changes, deletes or opens it to others.

use std::sync::Arc;

use super::{Answer, members, users};
use crate::error::Error;
use crate::log::Batch;
use crate::model::{Role, Room, RoomId, RoomName, User, UserId, Visibility, What};

/// `id`: made of the two users' ids.
pub(super) fn open(
    batch: &mut Batch,
    by: &Arc<User>,
    id: RoomId,
    with: &UserId,
) -> Result<Answer, Error> {
    if *with == by.id {
        return Err(Error::BadInput {
            field: "userId",
            why: "a direct room is for two: this is you yourself".to_owned(),
        });
    }
    if let Some(room) = batch.room(id).filter(|room| room.direct) {
        return Ok(Answer::Room(room.clone()));
    }
    if batch.is_taken(id.uuid()) {
        return Err(Error::Conflict {
            why: "the direct room's id is already something else's",
        });
    }
    let room = Arc::new(Room {
        id,
        name: RoomName::stored(""),
        visibility: Visibility::Private,
        direct: true,
        data: None,
        created_at: batch.now(),
        last_activity_at: batch.now(),
        last_message: None,
        member_count: 2,
        owner_count: 0,
        deleted: false,
        fingerprint: None,
    });
    let with = users::known_or_unseen(with, batch);
    let members = [by.id.clone(), with.id.clone()].into();
    batch.put_room(room.clone());
    for user in [by.clone(), with] {
        users::note(user.clone(), batch);
        members::admit(batch, &room, user, Role::Member, None);
    }
    batch.append(room.clone(), by.clone(), What::RoomCreated { members });
    Ok(Answer::Room(room))
}

/// What would change who is in a direct room, or the room itself.
///
/// # Errors
/// `FORBIDDEN` for a direct room.
pub(super) fn refuse(room: &Room) -> Result<(), Error> {
    if room.direct {
        return Err(Error::Forbidden {
            needs: "a direct room stays as it is, with the two who are in it",
        });
    }
    Ok(())
}
