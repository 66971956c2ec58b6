//! Who is there in each room that someone listens to. Pure: told of members, of changes, and of the log's events.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::presence::{Change, Status};
use super::told::Said;
use crate::model::{Event, Role, Room, RoomId, Seq, User, UserId, What};

/// The rooms that someone listens to.
#[derive(Default)]
pub(super) struct Rooms {
    heard: HashMap<RoomId, Heard>,
    /// Members of those rooms, and which.
    of: HashMap<UserId, Vec<RoomId>>,
}

/// A room that someone listens to.
struct Heard {
    /// As its newest event left it.
    room: Arc<Room>,
    /// Members are those as of this place, and of the events after it that were taken.
    as_of: Seq,
    members: HashMap<UserId, Role>,
    /// Members who are there, those with the same ids first each time.
    online: BTreeMap<UserId, Arc<User>>,
    away: BTreeMap<UserId, Arc<User>>,
}

impl Heard {
    fn present(&self) -> usize {
        self.online.len() + self.away.len()
    }

    fn place(&mut self, user: &Arc<User>, status: Status) {
        self.online.remove(&user.id);
        self.away.remove(&user.id);
        let user = (user.id.clone(), user.clone());
        match status {
            Status::Online => self.online.extend([user]),
            Status::Away => self.away.extend([user]),
            Status::Offline => {}
        }
    }
}

impl Rooms {
    /// In a room where more are present, each one's coming and going is no news, and everyone would be told each.
    pub(super) const TOLD_MAX: usize = 200;

    /// Takes up a room with its members as of a place. `there` says how a user stands.
    pub(super) fn take_up<'a>(
        &mut self,
        room: Arc<Room>,
        as_of: Seq,
        members: Vec<(UserId, Role)>,
        there: impl Fn(&UserId) -> Option<(&'a Arc<User>, Status)>,
    ) {
        let id = room.id;
        self.drop(id);
        let mut heard = Heard {
            room,
            as_of,
            members: members.into_iter().collect(),
            online: BTreeMap::new(),
            away: BTreeMap::new(),
        };
        for member in heard.members.keys() {
            self.of.entry(member.clone()).or_default().push(id);
        }
        let present: Vec<_> = heard.members.keys().filter_map(there).collect();
        for (user, status) in present {
            heard.place(user, status);
        }
        self.heard.insert(id, heard);
    }

    /// Nobody listens any more.
    pub(super) fn drop(&mut self, room: RoomId) {
        let members = self.heard.remove(&room).map(|heard| heard.members);
        for member in members.into_iter().flat_map(HashMap::into_keys) {
            self.forget(&member, room);
        }
    }

    /// A room that someone listens to.
    pub(super) fn get(&self, room: RoomId) -> Option<&Arc<Room>> {
        self.heard.get(&room).map(|heard| &heard.room)
    }

    /// The role of a member in a room that someone listens to.
    pub(super) fn role(&self, room: RoomId, user: &UserId) -> Option<Role> {
        self.heard.get(&room)?.members.get(user).copied()
    }

    /// Who is there.
    pub(super) fn who_is_there(&self, room: RoomId) -> Option<Said> {
        let heard = self.heard.get(&room)?;
        let first =
            |of: &BTreeMap<_, Arc<User>>| of.values().take(Said::NAMED_MAX).cloned().collect();
        Some(Said::WhoIsThere {
            online: first(&heard.online),
            away: first(&heard.away),
            present: heard.present(),
        })
    }

    /// A user's presence has changed; the rooms in which that is told.
    pub(super) fn changed(&mut self, change: &Change) -> Vec<RoomId> {
        let rooms = self.of.get(&change.user.id).cloned().unwrap_or_default();
        let mut told = Vec::new();
        for room in rooms {
            let Some(heard) = self.heard.get_mut(&room) else {
                continue;
            };
            heard.place(&change.user, change.status);
            if heard.present() <= Self::TOLD_MAX {
                told.push(room);
            }
        }
        told
    }

    /// Takes the log's next event; a member who came in and is there, where that is told.
    pub(super) fn follow<'a>(
        &mut self,
        event: &Event,
        there: impl Fn(&UserId) -> Option<(&'a Arc<User>, Status)>,
    ) -> Option<Change> {
        let id = event.room_id();
        let heard = self.heard.get_mut(&id)?;
        if event.cursor.seq <= heard.as_of {
            return None;
        }
        heard.as_of = event.cursor.seq;
        heard.room = event.room.clone();
        match &event.what {
            What::MemberUpdated(member) => {
                heard.members.insert(member.user.id.clone(), member.role);
                None
            }
            What::MemberJoined(member) => {
                let user = &member.user.id;
                if heard.members.insert(user.clone(), member.role).is_some() {
                    return None;
                }
                self.of.entry(user.clone()).or_default().push(id);
                let (user, status) = there(user)?;
                heard.place(user, status);
                let change = Change {
                    user: user.clone(),
                    status,
                    last_seen_at: None,
                };
                (heard.present() <= Self::TOLD_MAX).then_some(change)
            }
            What::MemberLeft(member) => {
                heard.members.remove(&member.user.id);
                heard.place(&member.user, Status::Offline);
                self.forget(&member.user.id, id);
                None
            }
            What::RoomDeleted { .. } => {
                self.drop(id);
                None
            }
            _ => None,
        }
    }

    fn forget(&mut self, member: &UserId, room: RoomId) {
        if let Some(rooms) = self.of.get_mut(member) {
            rooms.retain(|other| *other != room);
            if rooms.is_empty() {
                self.of.remove(member);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.heard.is_empty() && self.of.is_empty()
    }
}
