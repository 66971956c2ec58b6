//! A log in memory that can be read as a store is: what hub tests need of one, written as plainly as can be.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::interleave::point;
use crate::model::{
    Access, Emoji, Epoch, Epochs, Event, Member, MemberId, Message, MessageId, Role, Room, RoomId,
    Scope, Seq, Timestamp, User, UserId, Visibility, What,
};
use crate::store::{
    Attendance, Bounds, Changes, Facts, MemberKey, Needs, Page, PageArgs, PageLimit, ReplayPage,
    Replayed, RoomKey, RoomList, RoomView, Store, StoreError,
};

pub(super) struct MemoryStore {
    pub(super) log: Mutex<Vec<Arc<Event>>>,
    pub(super) floor: Mutex<Seq>,
    epochs: Epochs,
    /// So many of the next reads fail.
    pub(super) failures: AtomicU32,
    pub(super) replays: AtomicU32,
    /// Items of a page, at most.
    pub(super) page_items: AtomicUsize,
    /// Reads that it claims to answer at once.
    pub(super) readers: AtomicUsize,
    /// What the heaviest page weighed.
    pub(super) page_bytes: AtomicUsize,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            log: Mutex::default(),
            floor: Mutex::default(),
            epochs: Epochs::new(vec![(Epoch::stored(1), Seq(1))]),
            failures: AtomicU32::new(0),
            replays: AtomicU32::new(0),
            page_items: AtomicUsize::new(usize::MAX),
            readers: AtomicUsize::new(4),
            page_bytes: AtomicUsize::new(0),
        }
    }
}

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

pub(super) fn access_after(events: &[Arc<Event>], viewer: &UserId, scope: &Scope) -> Access {
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
fn losses(log: &[Arc<Event>], after: Seq, viewer: &UserId, scope: &Scope) -> HashMap<RoomId, Seq> {
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

impl MemoryStore {
    /// A read that is asked for, done later and answered later still.
    async fn read<T: Send>(
        &self,
        what: &'static str,
        read: impl FnOnce(&[Arc<Event>]) -> T + Send,
    ) -> Result<T, StoreError> {
        point!("ask", what);
        tokio::task::yield_now().await;
        self.fail_perhaps()?;
        let log = self.log.lock().unwrap().clone();
        let read = read(&log);
        point!("read", (log.len(), *self.floor.lock().unwrap()));
        tokio::task::yield_now().await;
        Ok(read)
    }

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

    fn ends_of(&self, log: &[Arc<Event>]) -> Bounds {
        Bounds {
            floor: *self.floor.lock().unwrap(),
            head: Seq(log.len() as u64),
        }
    }

    fn page(
        &self,
        log: &[Arc<Event>],
        viewer: &UserId,
        scope: &Scope,
        (after, limit, opening): (Seq, PageLimit, bool),
    ) -> ReplayPage {
        let head = Seq(log.len() as u64);
        let now = access_after(log, viewer, scope);
        let mut lost = losses(log, after, viewer, scope);
        lost.retain(|room, _| !now.rooms.contains_key(room));
        let mut items = Vec::new();
        if let (true, Scope::Rooms(ids)) = (opening, scope) {
            for room in ids.iter().copied() {
                if !now.rooms.contains_key(&room) && !lost.contains_key(&room) {
                    let cursor = self.epochs.cursor(after);
                    items.push(Replayed::Revoked { cursor, room });
                }
            }
        }
        let (mut end, mut bytes) = (head, 0);
        for event in &log[after.0 as usize..] {
            let (room, cursor) = (event.room_id(), event.cursor);
            if items.len() >= limit.items {
                break;
            }
            let says = event.message().and_then(|message| message.body.as_ref());
            let weight = PageLimit::EVENT_BYTES + says.map_or(0, |body| body.as_str().len());
            if bytes > 0 && bytes + weight > limit.bytes && now.rooms.contains_key(&room) {
                end = Seq(cursor.seq.0 - 1);
                break;
            }
            if now.rooms.contains_key(&room) {
                bytes += weight;
            }
            if now.rooms.contains_key(&room) {
                items.push(Replayed::Event(Self::hydrated(log, event)));
            } else if lost.get(&room) == Some(&cursor.seq) {
                items.push(Replayed::Revoked { cursor, room });
            }
            if items.len() == limit.items {
                end = cursor.seq;
            }
        }
        self.page_bytes.fetch_max(bytes, Ordering::SeqCst);
        ReplayPage {
            items,
            end,
            bounds: self.ends_of(log),
            access: now,
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
        Arc::new(event.showing(Arc::new(message.blanked())))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn lead(&self) -> Result<Bounds, StoreError> {
        Ok(self.ends_of(&self.log.lock().unwrap()))
    }

    fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    fn fingerprint_key(&self) -> &[u8; 32] {
        &[0; 32]
    }

    fn readers(&self) -> usize {
        self.readers.load(Ordering::SeqCst)
    }

    fn head(&self) -> Seq {
        Seq(self.log.lock().unwrap().len() as u64)
    }

    async fn bounds(&self) -> Result<Bounds, StoreError> {
        self.read("bounds", |log| self.ends_of(log)).await
    }

    async fn events(&self, after: Seq, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        let log = self.log.lock().unwrap();
        let events = log.iter().skip(after.0 as usize).take(limit);
        Ok(events.map(|event| Self::hydrated(&log, event)).collect())
    }

    async fn access(&self, viewer: &UserId, scope: &Scope) -> Result<(Bounds, Access), StoreError> {
        self.read("access", |log| {
            (self.ends_of(log), access_after(log, viewer, scope))
        })
        .await
    }

    async fn replay(
        &self,
        viewer: &UserId,
        scope: &Scope,
        after: Seq,
        limit: PageLimit,
        opening: bool,
    ) -> Result<ReplayPage, StoreError> {
        self.replays.fetch_add(1, Ordering::SeqCst);
        let limit = PageLimit {
            items: limit.items.min(self.page_items.load(Ordering::SeqCst)),
            ..limit
        };
        self.read("replay", |log| {
            self.page(log, viewer, scope, (after, limit, opening))
        })
        .await
    }

    async fn attendance(&self, room: RoomId) -> Result<Option<Attendance>, StoreError> {
        self.fail_perhaps()?;
        let log = self.log.lock().unwrap().clone();
        let mut found = None;
        for event in log.iter().filter(|event| event.room_id() == room) {
            let (about, members) =
                found.get_or_insert_with(|| (event.room.clone(), HashMap::new()));
            *about = event.room.clone();
            match &event.what {
                What::RoomCreated { members: all } => {
                    members.extend(all.iter().map(|user| (user.clone(), Role::Member)));
                }
                What::MemberJoined(member) => {
                    members.insert(member.user.id.clone(), member.role);
                }
                What::MemberLeft(member) => {
                    members.remove(&member.user.id);
                }
                What::RoomDeleted { .. } => return Ok(None),
                _ => {}
            }
        }
        let bounds = self.ends_of(&log);
        Ok(found.map(|(room, members)| (bounds, room, members.into_iter().collect())))
    }
    async fn last_seen(
        &self,
        _: &UserId,
        _: &[UserId],
    ) -> Result<Vec<(UserId, Option<Timestamp>)>, StoreError> {
        unimplemented!()
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
    async fn unread(&self, _: &UserId, _: &[RoomId]) -> Result<Vec<(RoomId, u32)>, StoreError> {
        unimplemented!()
    }
    async fn messages(&self, _: &[MessageId]) -> Result<Vec<Arc<Message>>, StoreError> {
        unimplemented!()
    }
    async fn reacted(
        &self,
        _: &UserId,
        _: &[MessageId],
    ) -> Result<HashSet<(MessageId, Emoji)>, StoreError> {
        unimplemented!()
    }
    async fn reactors(
        &self,
        _: &[(MessageId, Emoji)],
        _: usize,
    ) -> Result<Vec<Vec<Arc<User>>>, StoreError> {
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
    async fn room_pages(
        &self,
        _: &[RoomList],
        _: &PageArgs<RoomKey>,
    ) -> Result<Vec<Page<Arc<Room>>>, StoreError> {
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
