//! Who may read what as of a place: the log walked from its beginning.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::{Access, Event, RoomId, Scope, Seq, UserId, Visibility, What};

#[derive(Default)]
struct RoomState {
    public: bool,
    deleted: bool,
    members: HashSet<UserId>,
}

impl RoomState {
    fn take(&mut self, event: &Event) {
        match &event.what {
            What::RoomCreated { members } => self.members.extend(members.iter().cloned()),
            What::MemberJoined(member) => {
                self.members.insert(member.user.id.clone());
            }
            What::MemberLeft(member) => {
                self.members.remove(&member.user.id);
            }
            What::RoomDeleted { .. } => self.deleted = true,
            _ => {}
        }
        self.public = event.room.visibility == Visibility::Public;
    }

    fn can_be_read(&self, room: RoomId, viewer: &UserId, scope: &Scope) -> bool {
        let member = self.members.contains(viewer);
        let wanted = match scope {
            Scope::Mine => member,
            Scope::Rooms(ids) => ids.contains(&room) && (member || self.public),
        };
        wanted && !self.deleted
    }
}

/// Who may read what after these events.
fn rooms(events: &[Arc<Event>]) -> HashMap<RoomId, RoomState> {
    let mut rooms: HashMap<RoomId, RoomState> = HashMap::new();
    for event in events {
        rooms.entry(event.room_id()).or_default().take(event);
    }
    rooms
}

pub(in crate::hub::tests) fn access_after(
    events: &[Arc<Event>],
    viewer: &UserId,
    scope: &Scope,
) -> Access {
    let readable = rooms(events).into_iter().filter_map(|(id, room)| {
        let member = room.members.contains(viewer);
        room.can_be_read(id, viewer, scope).then_some((id, member))
    });
    Access {
        viewer: viewer.clone(),
        scope: scope.clone(),
        rooms: readable.collect(),
    }
}

/// Where rooms were lost after a place, whether they could be read there or not.
pub(super) fn losses(
    log: &[Arc<Event>],
    after: Seq,
    viewer: &UserId,
    scope: &Scope,
) -> HashMap<RoomId, Seq> {
    let (before, since) = log.split_at(after.0 as usize);
    let (mut rooms, mut losses) = (rooms(before), HashMap::new());
    for event in since {
        let id = event.room_id();
        let room = rooms.entry(id).or_default();
        let could = room.can_be_read(id, viewer, scope);
        room.take(event);
        if could && !room.can_be_read(id, viewer, scope) {
            losses.insert(id, event.cursor.seq);
        }
    }
    losses
}
