//! Who is there in each room that someone listens to. Pure: told of members, of changes, and of the log's events.
//!
//! Nothing here takes longer the more members a room has: whoever takes a room up looks its members up a few at a time, and
//! what is left of a room that nobody listens to any more is forgotten a few at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::attendance::Attendance;
use super::presence::{Change, Status};
use super::told::Said;
use crate::model::{Event, Role, Room, RoomId, Seq, User, UserId, What};

/// The rooms that someone listens to.
#[derive(Default)]
pub(super) struct Rooms {
    heard: HashMap<RoomId, Heard>,
    /// Members of those rooms, and which. Of a room that was left it holds members until they are forgotten.
    of: BTreeSet<(UserId, RoomId)>,
    /// Rooms that were left, with members to be forgotten.
    left: VecDeque<Left>,
}

/// A room that someone listens to.
struct Heard {
    /// As its newest event left it.
    room: Arc<Room>,
    /// Members are those as of this place, and of the events after it that were taken.
    as_of: Seq,
    members: HashMap<UserId, Role>,
    /// Those of whom it is not yet known whether they are there.
    unplaced: Vec<UserId>,
    /// Members who are there, those with the same ids first each time.
    online: BTreeMap<UserId, Arc<User>>,
    away: BTreeMap<UserId, Arc<User>>,
}

/// What is left of a room. To be dropped where nobody waits.
pub(super) struct Left {
    room: RoomId,
    members: std::collections::hash_map::IntoKeys<UserId, Role>,
    _present: [BTreeMap<UserId, Arc<User>>; 2],
}

impl Left {
    /// Some of the members to be forgotten; nothing when all were.
    pub(super) fn next(&mut self) -> Vec<UserId> {
        self.members.by_ref().take(Rooms::SLICE).collect()
    }
}

/// What is to be told in a room.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum News {
    /// How one stands.
    One(Change),
    /// So few are there again that each is told of: all who are, since nobody was told meanwhile.
    All,
}

impl Heard {
    fn present(&self) -> usize {
        self.online.len() + self.away.len()
    }

    /// A member stands otherwise; what is to be told of it.
    fn place(&mut self, change: Change) -> Option<News> {
        let was_crowded = self.is_crowded();
        let user = &change.user;
        self.online.remove(&user.id);
        self.away.remove(&user.id);
        let entry = (user.id.clone(), user.clone());
        match change.status {
            Status::Online => self.online.extend([entry]),
            Status::Away => self.away.extend([entry]),
            Status::Offline => {}
        }
        if !self.unplaced.is_empty() || self.is_crowded() {
            None
        } else if was_crowded {
            Some(News::All)
        } else {
            Some(News::One(change))
        }
    }

    fn is_crowded(&self) -> bool {
        self.present() > Rooms::TOLD_MAX
    }
}

impl Rooms {
    /// In a room where more are present, each one's coming and going is no news, and everyone would be told each.
    pub(super) const TOLD_MAX: usize = 200;
    /// Members that are looked up or forgotten at a time: a millisecond at most.
    pub(super) const SLICE: usize = 512;

    /// Takes up a room with its members as of a place; who of them is there is to be found out by [`Rooms::place_some`].
    pub(super) fn take_up(&mut self, room: Arc<Room>, as_of: Seq, members: Attendance) {
        let id = room.id;
        self.drop(id);
        let heard = Heard {
            room,
            as_of,
            members: members.roles,
            unplaced: members.ids,
            online: BTreeMap::new(),
            away: BTreeMap::new(),
        };
        self.heard.insert(id, heard);
    }

    /// Looks up some members of a room that was taken up; true when there are more. `there` says how a user stands.
    pub(super) fn place_some<'a>(
        &mut self,
        room: RoomId,
        there: impl Fn(&UserId) -> Option<(&'a Arc<User>, Status)>,
    ) -> bool {
        let Some(heard) = self.heard.get_mut(&room) else {
            return false;
        };
        let from = heard.unplaced.len().saturating_sub(Self::SLICE);
        for member in heard.unplaced.split_off(from) {
            // Who has left meanwhile is none any more.
            if !heard.members.contains_key(&member) {
                continue;
            }
            if let Some((user, status)) = there(&member) {
                heard.place(Change::now(user, status));
            }
            self.of.insert((member, room));
        }
        !heard.unplaced.is_empty()
    }

    /// Nobody listens any more.
    pub(super) fn drop(&mut self, room: RoomId) {
        if let Some(heard) = self.heard.remove(&room) {
            self.left.push_back(Left {
                room,
                members: heard.members.into_keys(),
                _present: [heard.online, heard.away],
            });
        }
    }

    /// Whether a room was left.
    pub(super) fn has_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// A room that was left: its members are to be forgotten, some at a time.
    pub(super) fn next_left(&mut self) -> Option<Left> {
        self.left.pop_front()
    }

    /// Forgets some members of a room that was left, unless someone listens to it again and they are members.
    pub(super) fn forget(&mut self, left: &Left, members: Vec<UserId>) {
        let heard = self.heard.get(&left.room);
        for member in members {
            if !heard.is_some_and(|heard| heard.members.contains_key(&member)) {
                self.of.remove(&(member, left.room));
            }
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

    /// Who is there, once that is known.
    pub(super) fn who_is_there(&self, room: RoomId) -> Option<Said> {
        let heard = self.heard.get(&room)?;
        let first =
            |of: &BTreeMap<_, Arc<User>>| of.values().take(Said::NAMED_MAX).cloned().collect();
        heard.unplaced.is_empty().then(|| Said::WhoIsThere {
            online: first(&heard.online),
            away: first(&heard.away),
            present: heard.present(),
        })
    }

    /// A user's presence has changed; what is told where.
    pub(super) fn changed(&mut self, change: &Change) -> Vec<(RoomId, News)> {
        let user = &change.user.id;
        let from = (user.clone(), RoomId::from_uuid(uuid::Uuid::nil()));
        let of_user = self.of.range(from..).take_while(|(other, _)| other == user);
        let mut told = Vec::new();
        for (_, room) in of_user {
            let heard = self.heard.get_mut(room);
            let heard = heard.filter(|heard| heard.members.contains_key(user));
            let news = heard.and_then(|heard| heard.place(change.clone()));
            told.extend(news.map(|news| (*room, news)));
        }
        told
    }

    /// Takes the log's next event; what is told of a member who came in and is there, or of those who are after one has left.
    pub(super) fn follow<'a>(
        &mut self,
        event: &Event,
        there: impl Fn(&UserId) -> Option<(&'a Arc<User>, Status)>,
    ) -> Option<News> {
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
                self.of.insert((user.clone(), id));
                let (user, status) = there(user)?;
                heard.place(Change::now(user, status))
            }
            What::MemberLeft(member) => {
                let user = &member.user;
                heard.members.remove(&user.id);
                self.of.remove(&(user.id.clone(), id));
                // That one has left is told by the log.
                let news = heard.place(Change::now(user, Status::Offline));
                news.filter(|news| *news == News::All)
            }
            What::RoomDeleted { .. } => {
                self.drop(id);
                None
            }
            _ => None,
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.heard.is_empty() && self.of.is_empty() && self.left.is_empty()
    }
}
