//! A log in memory that can be read as a store is: what hub tests need of one, written as plainly as can be.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::model::{
    Access, Epoch, Epochs, Event, Member, MemberId, Message, MessageId, Room, RoomId, Scope, Seq,
    Timestamp, User, UserId, Verdict, Visibility, What,
};
use crate::store::{
    Bounds, Changes, Facts, MemberKey, Needs, Page, PageArgs, ReplayPage, Replayed, RoomKey,
    RoomList, RoomView, Store, StoreError,
};

pub(super) struct MemoryStore {
    pub(super) log: Mutex<Vec<Arc<Event>>>,
    pub(super) floor: Mutex<Seq>,
    epochs: Epochs,
    /// So many of the next reads fail.
    pub(super) failures: AtomicU32,
    pub(super) replays: AtomicU32,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            log: Mutex::default(),
            floor: Mutex::default(),
            epochs: Epochs::new(vec![(Epoch::stored(1), Seq(1))]),
            failures: AtomicU32::new(0),
            replays: AtomicU32::new(0),
        }
    }
}

#[derive(Default)]
struct RoomState {
    public: bool,
    deleted: bool,
    members: HashSet<UserId>,
}

/// Who may read what after these events.
fn rooms(events: &[Arc<Event>]) -> HashMap<RoomId, RoomState> {
    let mut rooms: HashMap<RoomId, RoomState> = HashMap::new();
    for event in events {
        let room = rooms.entry(event.room_id()).or_default();
        match &event.what {
            What::RoomCreated { members } => room.members.extend(members.iter().cloned()),
            What::MemberJoined(member) => {
                room.members.insert(member.user.id.clone());
            }
            What::MemberLeft(member) => {
                room.members.remove(&member.user.id);
            }
            What::RoomDeleted { .. } => room.deleted = true,
            _ => {}
        }
        room.public = event.room.visibility == Visibility::Public;
    }
    rooms
}

pub(super) fn access_after(events: &[Arc<Event>], viewer: &UserId, scope: &Scope) -> Access {
    let readable = rooms(events).into_iter().filter_map(|(id, room)| {
        let member = room.members.contains(viewer);
        let wanted = match scope {
            Scope::Mine => member,
            Scope::Rooms(ids) => ids.contains(&id) && (member || room.public),
        };
        (wanted && !room.deleted).then_some((id, member))
    });
    Access {
        viewer: viewer.clone(),
        scope: scope.clone(),
        rooms: readable.collect(),
    }
}

impl MemoryStore {
    fn fail_perhaps(&self) -> Result<(), StoreError> {
        let left = self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        match left {
            Ok(_) => Err(StoreError {
                doing: "a read",
                source: Arc::new(std::io::Error::other("told to fail")),
            }),
            Err(_) => Ok(()),
        }
    }

    fn ends(&self) -> Bounds {
        Bounds {
            floor: *self.floor.lock().unwrap(),
            head: Seq(self.log.lock().unwrap().len() as u64),
        }
    }

    /// What was deleted is gone from what is read back.
    fn hydrated(log: &[Arc<Event>], event: &Arc<Event>) -> Arc<Event> {
        let Some(message) = event.message() else {
            return event.clone();
        };
        let gone = log.iter().any(|later| match &later.what {
            What::MessageDeleted(deleted) => deleted.id == message.id,
            _ => false,
        });
        if !gone {
            return event.clone();
        }
        let blank = Arc::new(message.blanked());
        let what = match &event.what {
            What::MessageSent(_) => What::MessageSent(blank),
            What::MessageEdited(_) => What::MessageEdited(blank),
            _ => What::MessageDeleted(blank),
        };
        Arc::new(Event {
            what,
            ..(**event).clone()
        })
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn lead(&self) -> Result<Bounds, StoreError> {
        Ok(self.ends())
    }

    fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    fn fingerprint_key(&self) -> &[u8; 32] {
        &[0; 32]
    }

    async fn bounds(&self) -> Result<Bounds, StoreError> {
        self.fail_perhaps()?;
        Ok(self.ends())
    }

    async fn events(&self, after: Seq, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        let log = self.log.lock().unwrap();
        let events = log.iter().skip(after.0 as usize).take(limit);
        Ok(events.map(|event| Self::hydrated(&log, event)).collect())
    }

    async fn access(&self, viewer: &UserId, scope: &Scope) -> Result<(Bounds, Access), StoreError> {
        self.fail_perhaps()?;
        let log = self.log.lock().unwrap().clone();
        Ok((self.ends(), access_after(&log, viewer, scope)))
    }

    async fn replay(
        &self,
        viewer: &UserId,
        scope: &Scope,
        after: Seq,
        limit: usize,
        opening: bool,
    ) -> Result<ReplayPage, StoreError> {
        self.fail_perhaps()?;
        self.replays.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let log = self.log.lock().unwrap().clone();
        let head = Seq(log.len() as u64);
        let now = access_after(&log, viewer, scope);
        let mut then = access_after(&log[..after.0 as usize], viewer, scope);
        let mut lost = HashMap::new();
        for event in &log[after.0 as usize..] {
            if then.follow(event) == Verdict::Revoke && !now.rooms.contains_key(&event.room_id()) {
                lost.insert(event.room_id(), event.cursor.seq);
            }
        }
        let mut items = Vec::new();
        if let (true, Scope::Rooms(ids)) = (opening, scope) {
            for room in ids.iter().copied() {
                if !now.rooms.contains_key(&room) && !lost.contains_key(&room) {
                    let cursor = self.epochs.cursor(after);
                    items.push(Replayed::Revoked { cursor, room });
                }
            }
        }
        let mut end = head;
        for event in &log[after.0 as usize..] {
            let (room, cursor) = (event.room_id(), event.cursor);
            if items.len() >= limit {
                break;
            }
            if now.rooms.contains_key(&room) {
                items.push(Replayed::Event(Self::hydrated(&log, event)));
            } else if lost.get(&room) == Some(&cursor.seq) {
                items.push(Replayed::Revoked { cursor, room });
            }
            if items.len() == limit {
                end = cursor.seq;
            }
        }
        Ok(ReplayPage {
            items,
            end,
            bounds: Bounds {
                head,
                ..self.ends()
            },
            access: now,
        })
    }

    async fn begin(&self, _: &Needs) -> Result<Facts, StoreError> {
        unimplemented!()
    }
    async fn commit(&self, _: &Changes) -> Result<(), StoreError> {
        unimplemented!()
    }
    async fn rollback(&self) -> Result<(), StoreError> {
        unimplemented!()
    }
    async fn place_before(&self, _: Timestamp) -> Result<Seq, StoreError> {
        unimplemented!()
    }
    async fn rooms(&self, _: &UserId, _: &[RoomId]) -> Result<Vec<RoomView>, StoreError> {
        unimplemented!()
    }
    async fn messages(&self, _: &[MessageId]) -> Result<Vec<Arc<Message>>, StoreError> {
        unimplemented!()
    }
    async fn members(&self, _: &[MemberId]) -> Result<Vec<Arc<Member>>, StoreError> {
        unimplemented!()
    }
    async fn users(&self, _: &UserId, _: &[UserId]) -> Result<Vec<Arc<User>>, StoreError> {
        unimplemented!()
    }
    async fn profile(&self, _: &UserId) -> Result<Option<Arc<User>>, StoreError> {
        unimplemented!()
    }
    async fn room_page(
        &self,
        _: &RoomList,
        _: &PageArgs<RoomKey>,
    ) -> Result<Page<Arc<Room>>, StoreError> {
        unimplemented!()
    }
    async fn message_pages(
        &self,
        _: &[RoomId],
        _: &PageArgs<Seq>,
    ) -> Result<Vec<Page<Arc<Message>>>, StoreError> {
        unimplemented!()
    }
    async fn member_pages(
        &self,
        _: &[RoomId],
        _: &PageArgs<MemberKey>,
    ) -> Result<Vec<Page<Arc<Member>>>, StoreError> {
        unimplemented!()
    }
    fn reads(&self) -> u64 {
        0
    }
    async fn close(&self) {}
}
