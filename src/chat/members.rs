//! Rules of membership: coming in, going out, being let in and being removed.

use std::sync::Arc;

use super::{Answer, direct, rooms, users};
use crate::error::Error;
use crate::log::Batch;
use crate::model::{Member, MemberId, Role, Room, RoomId, Standing, User, UserId, What};

const LAST_OWNER: Error = Error::Conflict {
    why: "the room would have no owner: make another member an owner first",
};

pub(super) fn join(batch: &mut Batch, by: &Arc<User>, id: RoomId) -> Result<Answer, Error> {
    let (room, member) = rooms::readable(batch, id, &by.id)?;
    if member.as_ref().is_some_and(|member| member.is_active()) {
        return Ok(Answer::Room(room));
    }
    let role = role_on_joining(member.as_deref())?;
    let (room, _) = come_in(batch, &room, by, by.clone(), role, member.as_deref());
    Ok(Answer::Room(room))
}

/// Who comes back by itself has the role it left with; whom an owner removed does not come back by itself.
pub(super) fn role_on_joining(member: Option<&Member>) -> Result<Role, Error> {
    match member {
        None => Ok(Role::Member),
        Some(member) if member.standing == Standing::Left => Ok(member.role),
        Some(_) => Err(Error::Forbidden {
            needs: "an owner removed you; only an owner may let you in again",
        }),
    }
}

/// Brings a user in, with the event. Returns the room and the membership as they are then.
pub(super) fn come_in(
    batch: &mut Batch,
    room: &Arc<Room>,
    by: &Arc<User>,
    user: Arc<User>,
    role: Role,
    before: Option<&Member>,
) -> (Arc<Room>, Arc<Member>) {
    let room = Arc::new(Room {
        member_count: room.member_count + 1,
        owner_count: room.owner_count + owners(role),
        ..(**room).clone()
    });
    users::note(user.clone(), batch);
    batch.put_room(room.clone());
    let member = admit(batch, &room, user, role, before);
    batch.append(room.clone(), by.clone(), What::MemberJoined(member.clone()));
    (room, member)
}

/// Writes an active membership that begins with the next event.
pub(super) fn admit(
    batch: &mut Batch,
    room: &Room,
    user: Arc<User>,
    role: Role,
    before: Option<&Member>,
) -> Arc<Member> {
    let member = Arc::new(Member {
        id: before.map_or_else(MemberId::generate, |member| member.id),
        room: room.id,
        user,
        role,
        joined_at: batch.now(),
        joined_seq: batch.next().seq,
        standing: Standing::Active,
        read_up_to: before.and_then(|member| member.read_up_to),
    });
    batch.put_member(member.clone());
    member
}

pub(super) fn leave(batch: &mut Batch, by: &Arc<User>, id: RoomId) -> Result<Answer, Error> {
    if was_there_and_left(batch, id, &by.id) {
        return Ok(Answer::Done);
    }
    let (room, member) = rooms::readable(batch, id, &by.id)?;
    // A public room's reader who is no member has nothing to leave.
    let Some(member) = member.filter(|member| member.is_active()) else {
        return Ok(Answer::Done);
    };
    direct::refuse(&room)?;
    go_out(batch, &room, by, &member, Standing::Left)?;
    Ok(Answer::Done)
}

/// Leaving twice is no error, also where the room cannot be seen from outside, and whether or not it is still there: who has
/// left does not learn of its end.
fn was_there_and_left(batch: &Batch, id: RoomId, user: &UserId) -> bool {
    batch
        .member(id, user)
        .is_some_and(|member| !member.is_active())
}

fn go_out(
    batch: &mut Batch,
    room: &Arc<Room>,
    by: &Arc<User>,
    member: &Member,
    standing: Standing,
) -> Result<(Arc<Room>, Arc<Member>), Error> {
    if is_last_owner(room, member) && room.member_count > 1 {
        return Err(LAST_OWNER);
    }
    let member = Arc::new(Member {
        standing,
        ..member.clone()
    });
    // Counts that do not count those who are there are a defect: not to be made worse.
    let less = |count: u32, by: u32| count.checked_sub(by).ok_or(Error::Internal);
    let room = Arc::new(Room {
        member_count: less(room.member_count, 1)?,
        owner_count: less(room.owner_count, owners(member.role))?,
        ..(**room).clone()
    });
    batch.put_member(member.clone());
    batch.put_room(room.clone());
    batch.append(room.clone(), by.clone(), What::MemberLeft(member.clone()));
    Ok((room, member))
}

fn is_last_owner(room: &Room, member: &Member) -> bool {
    member.role == Role::Owner && room.owner_count == 1
}

fn owners(role: Role) -> u32 {
    u32::from(role == Role::Owner)
}

pub(super) fn add(
    batch: &mut Batch,
    by: &Arc<User>,
    id: RoomId,
    user: &UserId,
    role: Option<Role>,
) -> Result<Answer, Error> {
    let room = rooms::owned(batch, id, &by.id)?;
    let before = batch.member(id, user).cloned();
    if let Some(member) = before.as_ref().filter(|member| member.is_active()) {
        return set_role(batch, &room, by, member, role.unwrap_or(member.role));
    }
    let user = users::known_or_unseen(user, batch);
    let role = role.unwrap_or(Role::Member);
    let (room, member) = come_in(batch, &room, by, user, role, before.as_deref());
    Ok(Answer::Member(room, member))
}

fn set_role(
    batch: &mut Batch,
    room: &Arc<Room>,
    by: &Arc<User>,
    member: &Arc<Member>,
    role: Role,
) -> Result<Answer, Error> {
    if member.role == role {
        return Ok(Answer::Member(room.clone(), member.clone()));
    }
    if is_last_owner(room, member) {
        return Err(LAST_OWNER);
    }
    let owner_count = room.owner_count - owners(member.role) + owners(role);
    let room = Arc::new(Room {
        owner_count,
        ..(**room).clone()
    });
    let member = Arc::new(Member {
        role,
        ..(**member).clone()
    });
    batch.put_room(room.clone());
    batch.put_member(member.clone());
    batch.append(
        room.clone(),
        by.clone(),
        What::MemberUpdated(member.clone()),
    );
    Ok(Answer::Member(room, member))
}

pub(super) fn remove(
    batch: &mut Batch,
    by: &Arc<User>,
    id: RoomId,
    user: &UserId,
) -> Result<Answer, Error> {
    let room = rooms::owned(batch, id, &by.id)?;
    let member = batch
        .member(id, user)
        .cloned()
        .ok_or(Error::NotFound { what: "member" })?;
    if member.is_active() {
        // An owner who removes itself has left: no one else is needed to let it in again.
        let standing = if *user == by.id {
            Standing::Left
        } else {
            Standing::Removed
        };
        let (room, member) = go_out(batch, &room, by, &member, standing)?;
        return Ok(Answer::Member(room, member));
    }
    if member.standing == Standing::Left {
        // It is out already, so nothing happens that the log would tell; but it no longer comes back by itself.
        batch.put_member(Arc::new(Member {
            standing: Standing::Removed,
            ..(*member).clone()
        }));
    }
    Ok(Answer::Member(room, member))
}
