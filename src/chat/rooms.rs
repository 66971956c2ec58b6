//! Rules of rooms: making, changing, deleting, and who may see one.

use std::sync::Arc;

use super::{Answer, CreateRoom, UpdateRoom, direct, members, users};
use crate::error::Error;
use crate::log::Batch;
use crate::model::{
    Fingerprint, Member, Role, Room, RoomId, RoomName, User, UserId, Visibility, What,
};

/// A room that the viewer may read, and its membership there, active or not.
///
/// # Errors
/// `NOT_FOUND`, the same for a room that is absent, gone or hidden.
pub(super) fn readable(
    batch: &Batch,
    id: RoomId,
    viewer: &UserId,
) -> Result<(Arc<Room>, Option<Arc<Member>>), Error> {
    let absent = Error::NotFound { what: "room" };
    let room = batch
        .room(id)
        .filter(|room| !room.deleted)
        .ok_or(absent.clone())?;
    let member = batch.member(id, viewer);
    let inside = member.is_some_and(|member| member.is_active());
    if inside || room.visibility == Visibility::Public {
        Ok((room.clone(), member.cloned()))
    } else {
        Err(absent)
    }
}

/// A room that the viewer owns.
///
/// # Errors
/// `FORBIDDEN` where it may read the room but does not own it, else `NOT_FOUND`.
pub(super) fn owned(batch: &Batch, id: RoomId, viewer: &UserId) -> Result<Arc<Room>, Error> {
    let (room, member) = readable(batch, id, viewer)?;
    direct::refuse(&room)?;
    if member.is_some_and(|member| member.is_active() && member.role == Role::Owner) {
        Ok(room)
    } else {
        Err(Error::Forbidden {
            needs: "only an owner of the room may do this",
        })
    }
}

pub(super) fn create(
    batch: &mut Batch,
    by: &Arc<User>,
    id: RoomId,
    fingerprint: Fingerprint,
    input: CreateRoom,
) -> Result<Answer, Error> {
    if let Some(room) = batch.room(id) {
        return created_before(batch, room, &by.id, fingerprint);
    }
    if batch.is_taken(id.uuid()) {
        return Err(Error::Conflict {
            why: "this id is already something else's",
        });
    }
    let mut others = input.members;
    others.sort_unstable();
    others.dedup();
    others.retain(|user| *user != by.id);
    if others.len() > CreateRoom::MAX_MEMBERS {
        let why = format!(
            "{} members; the limit is {}",
            others.len(),
            CreateRoom::MAX_MEMBERS
        );
        return Err(Error::BadInput {
            field: "memberIds",
            why,
        });
    }
    let room = Arc::new(Room {
        id,
        name: input.name,
        visibility: input.visibility,
        direct: false,
        data: input.data,
        created_at: batch.now(),
        last_activity_at: batch.now(),
        last_message: None,
        member_count: u32::try_from(others.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1),
        owner_count: 1,
        deleted: false,
        fingerprint: Some(fingerprint),
    });
    // The viewer's profile goes in before its membership refers to it.
    users::note(by.clone(), batch);
    batch.put_room(room.clone());
    members::admit(batch, &room, by.clone(), Role::Owner, None);
    for user in &others {
        let user = users::known_or_unseen(user, batch);
        users::note(user.clone(), batch);
        members::admit(batch, &room, user, Role::Member, None);
    }
    let members = std::iter::once(by.id.clone()).chain(others).collect();
    batch.append(room.clone(), by.clone(), What::RoomCreated { members });
    Ok(Answer::Room(room))
}

/// The same id twice is one room, for the one who made it with the same content: as it is now, while it may be read.
fn created_before(
    batch: &Batch,
    room: &Room,
    viewer: &UserId,
    fingerprint: Fingerprint,
) -> Result<Answer, Error> {
    let is_same = match room.fingerprint {
        Some(first) => first == fingerprint,
        None => is_owner(batch, room.id, viewer),
    };
    match readable(batch, room.id, viewer) {
        Ok((room, _)) if is_same => Ok(Answer::Room(room)),
        _ => Err(Error::Conflict {
            why: "this id is already something else's",
        }),
    }
}

pub(super) fn update(
    batch: &mut Batch,
    by: &Arc<User>,
    input: UpdateRoom,
) -> Result<Answer, Error> {
    let before = owned(batch, input.room, &by.id)?;
    let after = Room {
        name: input.name.unwrap_or_else(|| before.name.clone()),
        visibility: input.visibility.unwrap_or(before.visibility),
        data: input.data.or_else(|| before.data.clone()),
        ..(*before).clone()
    };
    if after == *before {
        return Ok(Answer::Room(before));
    }
    let made_private =
        before.visibility == Visibility::Public && after.visibility == Visibility::Private;
    let room = Arc::new(after);
    batch.put_room(room.clone());
    batch.append(room.clone(), by.clone(), What::RoomUpdated { made_private });
    Ok(Answer::Room(room))
}

pub(super) fn delete(batch: &mut Batch, by: &Arc<User>, id: RoomId) -> Result<Answer, Error> {
    if deleted_by(batch, id, &by.id) {
        return Ok(Answer::Done);
    }
    let before = owned(batch, id, &by.id)?;
    let room = Arc::new(Room {
        name: RoomName::stored(""),
        data: None,
        last_message: None,
        deleted: true,
        ..(*before).clone()
    });
    batch.put_room(room.clone());
    batch.append(
        room,
        by.clone(),
        What::RoomDeleted {
            was: before.visibility,
        },
    );
    Ok(Answer::Done)
}

/// Deleting twice is no error for one who owned the room when it went.
fn deleted_by(batch: &Batch, id: RoomId, viewer: &UserId) -> bool {
    let deleted = batch.room(id).is_some_and(|room| room.deleted);
    deleted && is_owner(batch, id, viewer)
}

fn is_owner(batch: &Batch, id: RoomId, viewer: &UserId) -> bool {
    let member = batch.member(id, viewer);
    member.is_some_and(|member| member.is_active() && member.role == Role::Owner)
}
