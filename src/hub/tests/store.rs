//! A log in memory that can be read as a store is: what hub tests need of one, written as plainly as can be.

mod readable;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

pub(super) use self::readable::access_after;
use self::readable::losses;
use crate::interleave::point;
use crate::model::{
    Access, Emoji, Epoch, Epochs, Event, Member, MemberId, Message, MessageId, Role, Room, RoomId,
    Scope, Seq, Timestamp, User, UserId, What,
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
    /// Reads of who is in a room that are under way, and the most there were.
    attending: AtomicUsize,
    pub(super) attending_max: AtomicUsize,
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
            attending: AtomicUsize::new(0),
            attending_max: AtomicUsize::new(0),
        }
    }
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

/// What no test of the hub comes to: it asks for places, for access, for replays and for who is in a room, and the tail asks
/// for events. Tests write to `log` itself, and their schemas resolve from what is told or from a `Probe`.
fn nobody_calls(what: &str) -> ! {
    unreachable!(
        "{what} is for the writer, retention and resolvers, and hub tests have none of them"
    )
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
        let attending = self.attending.fetch_add(1, Ordering::SeqCst) + 1;
        self.attending_max.fetch_max(attending, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.attending.fetch_sub(1, Ordering::SeqCst);
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
        nobody_calls("last_seen")
    }
    async fn begin(&self, _: &Needs) -> Result<Facts, StoreError> {
        nobody_calls("begin")
    }
    async fn commit(&self, _: &Changes) -> Result<(), StoreError> {
        nobody_calls("commit")
    }
    async fn rollback(&self) -> Result<(), StoreError> {
        nobody_calls("rollback")
    }
    async fn place_before(&self, _: Timestamp) -> Result<Seq, StoreError> {
        nobody_calls("place_before")
    }
    async fn rooms(&self, _: &UserId, _: &[RoomId]) -> Result<Vec<RoomView>, StoreError> {
        nobody_calls("rooms")
    }
    async fn unread(&self, _: &UserId, _: &[RoomId]) -> Result<Vec<(RoomId, u32)>, StoreError> {
        nobody_calls("unread")
    }
    async fn messages(&self, _: &[MessageId]) -> Result<Vec<Arc<Message>>, StoreError> {
        nobody_calls("messages")
    }
    async fn reacted(
        &self,
        _: &UserId,
        _: &[MessageId],
    ) -> Result<HashSet<(MessageId, Emoji)>, StoreError> {
        nobody_calls("reacted")
    }
    async fn reactors(
        &self,
        _: &[(MessageId, Emoji)],
        _: usize,
    ) -> Result<Vec<Vec<Arc<User>>>, StoreError> {
        nobody_calls("reactors")
    }
    async fn members(&self, _: &[MemberId]) -> Result<Vec<Arc<Member>>, StoreError> {
        nobody_calls("members")
    }
    async fn users(&self, _: &UserId, _: &[UserId]) -> Result<Vec<Arc<User>>, StoreError> {
        nobody_calls("users")
    }
    async fn profile(&self, _: &UserId) -> Result<Option<Arc<User>>, StoreError> {
        nobody_calls("profile")
    }
    async fn room_pages(
        &self,
        _: &[RoomList],
        _: &PageArgs<RoomKey>,
    ) -> Result<Vec<Page<Arc<Room>>>, StoreError> {
        nobody_calls("room_pages")
    }
    async fn message_pages(
        &self,
        _: &[RoomId],
        _: &PageArgs<Seq>,
    ) -> Result<Vec<Page<Arc<Message>>>, StoreError> {
        nobody_calls("message_pages")
    }
    async fn member_pages(
        &self,
        _: &[RoomId],
        _: &PageArgs<MemberKey>,
    ) -> Result<Vec<Page<Arc<Member>>>, StoreError> {
        nobody_calls("member_pages")
    }
    fn reads(&self) -> u64 {
        0
    }
    async fn close(&self) {}
}
