//! What a replay must say, found the slow way: by walking the whole log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::pen::Pen;
use crate::model::{Event, Fingerprint, Message, RoomId, Scope, Seq, UserId, Visibility, What};
use crate::store::{Replayed, Store};

/// How a room stood to a viewer at a place.
#[derive(Clone, Copy, Default)]
struct Stand {
    exists: bool,
    public: bool,
    member: bool,
}

impl Stand {
    fn readable(self, scope: &Scope) -> bool {
        self.exists && (self.member || (self.public && *scope != Scope::Mine))
    }

    fn after(mut self, event: &Event, viewer: &UserId) -> Self {
        self.public = event.room.visibility == Visibility::Public;
        self.exists = true;
        match &event.what {
            What::RoomCreated { members } => self.member = members.contains(viewer),
            What::MemberJoined(member) if member.user.id == *viewer => self.member = true,
            What::MemberLeft(member) if member.user.id == *viewer => self.member = false,
            What::RoomDeleted { .. } => self.exists = false,
            _ => {}
        }
        self
    }
}

impl<S: Store> Pen<'_, S> {
    /// An event as the store must show it now.
    pub(crate) fn now(&self, event: &Event) -> Arc<Event> {
        let message = |then: &Arc<Message>| {
            let there = self.messages.contains_key(&then.id);
            if there {
                self.shown(then.id)
            } else {
                self.empty(then.id, event)
            }
        };
        let member = |user: &UserId| self.members[&(event.room.id, user.clone())].clone();
        let what = match &event.what {
            What::RoomCreated { .. } => What::RoomCreated {
                members: self.joined(event.cursor.seq),
            },
            What::MemberJoined(it) => What::MemberJoined(member(&it.user.id)),
            What::MemberUpdated(it) => What::MemberUpdated(member(&it.user.id)),
            What::MemberLeft(it) => What::MemberLeft(member(&it.user.id)),
            other => other.clone(),
        };
        let now = Event {
            room: self.rooms[&event.room.id].clone(),
            what,
            ..event.clone()
        };
        Arc::new(match event.message() {
            Some(it) => now.showing(message(it)),
            None => now,
        })
    }

    fn joined(&self, seq: Seq) -> Arc<[UserId]> {
        let joined = self.members.values().filter(|it| it.joined_seq == seq);
        let users: BTreeSet<UserId> = joined.map(|it| it.user.id.clone()).collect();
        users.into_iter().collect()
    }

    fn empty(&self, id: crate::model::MessageId, event: &Event) -> Arc<Message> {
        Arc::new(Message {
            id,
            room: event.room.id,
            author: event.actor.clone(),
            body: None,
            data: None,
            version: 1,
            created_at: event.at,
            edited_at: None,
            deleted_at: Some(event.at),
            reply_to: None,
            cursor: event.cursor,
            fingerprint: Fingerprint([0; 16]),
            reactions: Arc::default(),
        })
    }

    /// The readable rooms now, and where each of the others was lost last.
    fn walk(
        &self,
        viewer: &UserId,
        scope: &Scope,
    ) -> (BTreeMap<RoomId, bool>, BTreeMap<RoomId, Seq>) {
        let mut stands: BTreeMap<RoomId, Stand> = BTreeMap::new();
        let lobby = Stand {
            exists: true,
            public: true,
            member: false,
        };
        stands.insert(RoomId::LOBBY, lobby);
        let mut lost = BTreeMap::new();
        for event in &self.log {
            let stand = stands.entry(event.room_id()).or_default();
            let next = stand.after(event, viewer);
            if stand.readable(scope) && !next.readable(scope) {
                lost.insert(event.room_id(), event.cursor.seq);
            }
            *stand = next;
        }
        let asked = |id: &RoomId| match scope {
            Scope::Mine => true,
            Scope::Rooms(rooms) => rooms.contains(id),
        };
        stands.retain(|id, stand| asked(id) && stand.readable(scope));
        lost.retain(|id, _| asked(id) && !stands.contains_key(id));
        let readable = stands.into_iter().map(|(id, stand)| (id, stand.member));
        (readable.collect(), lost)
    }

    /// What a replay must hold, without what comes first when it opens.
    pub(crate) fn replay(&self, viewer: &UserId, scope: &Scope, after: Seq) -> Vec<Replayed> {
        let (readable, lost) = self.walk(viewer, scope);
        let mut items = Vec::new();
        for event in self.log.iter().skip(after.0 as usize) {
            if readable.contains_key(&event.room_id()) {
                items.push(Replayed::Event(self.now(event)));
            } else if lost.get(&event.room_id()) == Some(&event.cursor.seq) {
                items.push(Replayed::Revoked {
                    cursor: event.cursor,
                    room: event.room_id(),
                });
            }
        }
        items
    }

    /// The named rooms that are told first, when a replay opens.
    pub(crate) fn never(&self, viewer: &UserId, scope: &Scope, after: Seq) -> BTreeSet<RoomId> {
        let Scope::Rooms(rooms) = scope else {
            return BTreeSet::new();
        };
        let (readable, lost) = self.walk(viewer, scope);
        let told_later = |id: &RoomId| lost.get(id).is_some_and(|seq| *seq > after);
        let unreadable = rooms.iter().filter(|id| !readable.contains_key(id));
        unreadable.filter(|id| !told_later(id)).copied().collect()
    }

    /// The readable rooms, and whether the viewer is a member of each.
    pub(crate) fn readable(&self, viewer: &UserId, scope: &Scope) -> BTreeMap<RoomId, bool> {
        self.walk(viewer, scope).0
    }
}
