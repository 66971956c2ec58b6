//! Where things are *kept*: the [`Store`] trait, what a batch needs to know ([`Needs`], [`Facts`]) and what it changes
//! ([`Changes`]), and the pages that readers ask for.
//!
//! A store knows no rules. It is told what a batch of commands may touch, says how that stands, and writes what was
//! decided in one transaction. Every store passes the same contract tests.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::{
    Access, Cursor, Emoji, Epochs, Event, Member, MemberId, Message, MessageId, NodeId, Reaction,
    ReactionKey, ReadAdvanced, Role, Room, RoomId, Scope, Seq, Timestamp, User, UserId,
};

#[cfg(test)]
pub(crate) mod contract;
pub mod sqlite;

/// The store failed. Cloned to each caller whose batch it took along.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{doing}: {source}")]
pub struct StoreError {
    /// What was being done, for the log.
    pub doing: &'static str,
    /// The driver's error.
    #[source]
    pub source: Arc<dyn std::error::Error + Send + Sync>,
}

/// What a batch of commands may touch.
#[derive(Default, Debug)]
pub struct Needs {
    /// Rooms, deleted ones included.
    pub rooms: HashSet<RoomId>,
    /// Memberships, whatever their standing.
    pub members: HashSet<(RoomId, UserId)>,
    /// Messages, each with the message it replies to; their rooms come along into `rooms`, and the memberships of
    /// `viewers_of_messages` in those rooms into `members`.
    pub messages: HashSet<MessageId>,
    /// For a message named by a command whose room is not known yet: the user whose membership in that room matters.
    pub viewers_of_messages: HashSet<(MessageId, UserId)>,
    /// Reactions that may be there or not.
    pub reactions: HashSet<ReactionKey>,
    /// UUIDs that a command wants to give to something new.
    pub nodes: HashSet<NodeId>,
    /// Users.
    pub users: HashSet<UserId>,
}

/// How what a batch may touch stands, inside the batch's transaction. Decisions change it as they go, so that later
/// commands see earlier ones.
#[derive(Default, Debug)]
pub struct Facts {
    /// The end of the log.
    pub head: Seq,
    /// Who wrote which part of it, for the cursors that commands name.
    pub epochs: Arc<Epochs>,
    /// Rooms that exist or existed.
    pub rooms: HashMap<RoomId, Arc<Room>>,
    /// Memberships, whatever their standing.
    pub members: HashMap<(RoomId, UserId), Arc<Member>>,
    /// Messages.
    pub messages: HashMap<MessageId, Arc<Message>>,
    /// Those of the asked-for reactions that are there, each with the event that made it.
    pub reactions: HashMap<ReactionKey, Seq>,
    /// Those of the asked-for UUIDs that name something already: a room (deleted or not), a message, a
    /// membership, or a user whose `sub` is that UUID.
    pub taken: HashSet<NodeId>,
    /// Users.
    pub users: HashMap<UserId, Arc<User>>,
}

/// What a batch decided, coalesced: each thing once, in its final state.
#[derive(Default, Debug)]
pub struct Changes {
    /// In log order, gapless, beginning at `Facts::head` + 1.
    pub events: Vec<Arc<Event>>,
    /// New or changed users.
    pub users: Vec<Arc<User>>,
    /// New or changed rooms. A room with `deleted` set loses its name, data and messages.
    pub rooms: Vec<Arc<Room>>,
    /// New or changed memberships, but for what they have read.
    pub members: Vec<Arc<Member>>,
    /// What members have read, each by its newest mark. No events.
    pub reads: Vec<ReadAdvanced>,
    /// New messages.
    pub sent: Vec<Arc<Message>>,
    /// Messages that were there before the batch: edited or deleted. A `None` body is wiped from the file.
    pub changed: Vec<Arc<Message>>,
    /// Reactions that came, with the event that made them, and that went (`None`). Those under a message that the batch
    /// deletes go by themselves.
    pub reactors: Vec<(ReactionKey, Option<Seq>)>,
    /// How the emoji of those stand under their messages; `None` when nobody uses it any more.
    pub reactions: Vec<(MessageId, Emoji, Option<Reaction>)>,
    /// Users, and when each was last seen. A time before the one that is kept changes nothing.
    pub seen: Vec<(UserId, Timestamp)>,
    /// Forget the events up to and including this place.
    pub prune_to: Option<Seq>,
}

impl Changes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        let Self {
            events,
            users,
            rooms,
            members,
            reads,
            sent,
            changed,
            reactors,
            reactions,
            seen,
            prune_to,
        } = self;
        let people = users.len() + members.len() + reads.len() + seen.len();
        let things = events.len() + rooms.len() + sent.len() + changed.len();
        let reacting = reactors.len() + reactions.len();
        people + things + reacting == 0 && prune_to.is_none()
    }
}

/// The log's two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The last place that retention took away; 0 when nothing was.
    pub floor: Seq,
    /// The newest event.
    pub head: Seq,
}

/// A room as one viewer stands to it.
#[derive(Clone, Debug)]
pub struct RoomView {
    /// The room; never a deleted one.
    pub room: Arc<Room>,
    /// The viewer's role, where it is an active member.
    pub role: Option<Role>,
    /// The place up to which the viewer has read, where it is an active member and ever said so.
    pub read_up_to: Option<Seq>,
}

/// Which part of a list is wanted. Both bounds are exclusive and may be given together.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PageArgs<K> {
    /// Only what comes after this key in the list's order.
    pub after: Option<K>,
    /// Only what comes before this key in the list's order.
    pub before: Option<K>,
    /// At most so many.
    pub limit: usize,
    /// Count from the end: the last ones of what the bounds leave. The order of the items stays the list's.
    pub backwards: bool,
}

/// A part of a list, in the list's order.
#[derive(Clone, PartialEq, Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// There is something in the list before the first item (within the bounds).
    pub has_previous: bool,
    /// There is something in the list after the last item (within the bounds).
    pub has_next: bool,
}

/// A place in a list of rooms: newest activity first, then by id, descending.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RoomKey {
    /// The room's `last_activity_at`.
    pub at: Timestamp,
    /// The room.
    pub id: RoomId,
}

/// A place in a list of members: first to join first, then by user id.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MemberKey {
    /// The event by which the user came in.
    pub joined_seq: Seq,
    /// The user.
    pub user: UserId,
}

/// Which rooms a list holds.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum RoomList {
    /// Public ones.
    Public,
    /// Those that this user is in.
    Of(UserId),
    /// Those that both are in.
    Shared(UserId, UserId),
}

/// One thing in a viewer's replay.
#[derive(Clone, PartialEq, Debug)]
pub enum Replayed {
    /// An event of a room that the viewer may read now.
    Event(Arc<Event>),
    /// The viewer lost this room here, or may not see it at all (then the place is the one the replay began from).
    Revoked {
        /// The place.
        cursor: Cursor,
        /// The room.
        room: RoomId,
    },
}

impl Replayed {
    /// Its place.
    pub fn cursor(&self) -> Cursor {
        match self {
            Self::Event(event) => event.cursor,
            Self::Revoked { cursor, .. } => *cursor,
        }
    }
}

/// What a page of a replay may hold.
#[derive(Clone, Copy, Debug)]
pub struct PageLimit {
    /// Things.
    pub items: usize,
    /// About so many bytes of memory, but one event at least. See [`PageLimit::EVENT_BYTES`] for how they are counted.
    pub bytes: usize,
}

impl PageLimit {
    /// What an event counts by itself. To it comes, once a page, what a message or a room says: a body by its length, JSON by
    /// eight times that, which is about what it takes once it is parsed. What a message replies to counts with it.
    pub const EVENT_BYTES: usize = 512;

    /// So many things, whatever they say.
    pub fn of(items: usize) -> Self {
        Self {
            items,
            bytes: usize::MAX,
        }
    }
}

/// A piece of a viewer's replay, read in one transaction.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplayPage {
    /// In log order.
    pub items: Vec<Replayed>,
    /// Go on from here: the last item's place if the page is full, else `bounds.head`.
    pub end: Seq,
    /// The log's ends in that transaction.
    pub bounds: Bounds,
    /// What the viewer may read as of `bounds.head`.
    pub access: Access,
}

/// How many of a store's readers may be busy with what is not urgent, at most `most`: one is left to others where there are
/// several.
pub fn readers_left(store: &dyn Store, most: usize) -> usize {
    store.readers().saturating_sub(1).clamp(1, most)
}

/// The log's ends, a room, and its active members.
pub type Attendance = (Bounds, Arc<Room>, Vec<(UserId, Role)>);

/// Where things are kept.
///
/// Writing (`lead`, `begin`, `commit`, `rollback`) is the writer's alone: one at a time, never cancelled half-way.
/// Reading may be done by anyone at once and sees committed batches only.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Begins a new epoch and records it. Called once, by the writer, before anything is written.
    async fn lead(&self) -> Result<Bounds, StoreError>;

    /// Opens the batch's transaction and reads what it needs.
    async fn begin(&self, needs: &Needs) -> Result<Facts, StoreError>;

    /// Writes the changes and commits. An error means that nothing of the batch is kept.
    async fn commit(&self, changes: &Changes) -> Result<(), StoreError>;

    /// Gives up the open transaction, if there is one.
    async fn rollback(&self) -> Result<(), StoreError>;

    /// Who wrote which part of the log.
    fn epochs(&self) -> &Epochs;

    /// The key for [`crate::model::Fingerprint`]s, made once with the database.
    fn fingerprint_key(&self) -> &[u8; 32];

    /// How many reads are answered at once; more wait for their turn.
    fn readers(&self) -> usize;

    /// The end of the log, without a read: what was there when the epoch began, and each batch from before its
    /// `commit` returns. The tail hears of it a moment later.
    fn head(&self) -> Seq;

    /// The log's ends.
    async fn bounds(&self) -> Result<Bounds, StoreError>;

    /// The newest place whose event, and every event before it, is older than this: as far as retention may prune.
    async fn place_before(&self, at: Timestamp) -> Result<Seq, StoreError>;

    /// Everyone's events after a place, in order, at most `limit`: for the tail.
    async fn events(&self, after: Seq, limit: usize) -> Result<Vec<Arc<Event>>, StoreError>;

    /// A viewer's rooms now, as of the log's head in the same transaction.
    async fn access(&self, viewer: &UserId, scope: &Scope) -> Result<(Bounds, Access), StoreError>;

    /// A room that exists and its active members' ids and roles, whoever asks, as of the log's head in the same transaction.
    async fn attendance(&self, room: RoomId) -> Result<Option<Attendance>, StoreError>;

    /// A viewer's events after a place, in order: those of rooms readable now, and where rooms were lost on the way.
    /// Rooms of `Scope::Rooms` that are not readable and were not lost after `after` come first, as revoked at `after`,
    /// when `opening` is set; they are beside the limit.
    async fn replay(
        &self,
        viewer: &UserId,
        scope: &Scope,
        after: Seq,
        limit: PageLimit,
        opening: bool,
    ) -> Result<ReplayPage, StoreError>;

    /// Rooms that exist, readable or not, in any order.
    async fn rooms(&self, viewer: &UserId, ids: &[RoomId]) -> Result<Vec<RoomView>, StoreError>;

    /// For each of these rooms that the viewer is in: its messages by others after the place up to which the viewer has
    /// read, from the beginning where there is none, deleted ones not counted. In any order.
    async fn unread(
        &self,
        viewer: &UserId,
        rooms: &[RoomId],
    ) -> Result<Vec<(RoomId, u32)>, StoreError>;
    /// Messages, each with the one it replies to, in any order.
    async fn messages(&self, ids: &[MessageId]) -> Result<Vec<Arc<Message>>, StoreError>;

    /// What the viewer reacts with under these messages.
    async fn reacted(
        &self,
        viewer: &UserId,
        messages: &[MessageId],
    ) -> Result<HashSet<(MessageId, Emoji)>, StoreError>;

    /// For each of these emoji under a message the first to react, at most `limit`, first to react first.
    async fn reactors(
        &self,
        under: &[(MessageId, Emoji)],
        limit: usize,
    ) -> Result<Vec<Vec<Arc<User>>>, StoreError>;

    /// Active memberships, in any order.
    async fn members(&self, ids: &[MemberId]) -> Result<Vec<Arc<Member>>, StoreError>;

    /// Those of the users that the viewer may see: itself, those it shares a room with, those in a public room.
    async fn users(&self, viewer: &UserId, ids: &[UserId]) -> Result<Vec<Arc<User>>, StoreError>;

    /// Those of the users whose presence the viewer may know - itself, and those it shares a room with - and when each was
    /// last seen, where that is known.
    async fn last_seen(
        &self,
        viewer: &UserId,
        ids: &[UserId],
    ) -> Result<Vec<(UserId, Option<Timestamp>)>, StoreError>;

    /// A user's profile, whoever asks; `None` when it never signed in and was never added to a room.
    async fn profile(&self, id: &UserId) -> Result<Option<Arc<User>>, StoreError>;

    /// Of each of these lists a page, newest activity first.
    async fn room_pages(
        &self,
        lists: &[RoomList],
        args: &PageArgs<RoomKey>,
    ) -> Result<Vec<Page<Arc<Room>>>, StoreError>;

    /// For each of these rooms a page of its messages, oldest first. The key is the place where a message was sent.
    async fn message_pages(
        &self,
        rooms: &[RoomId],
        args: &PageArgs<Seq>,
    ) -> Result<Vec<Page<Arc<Message>>>, StoreError>;

    /// For each of these rooms a page of its active members, first to join first.
    async fn member_pages(
        &self,
        rooms: &[RoomId],
        args: &PageArgs<MemberKey>,
    ) -> Result<Vec<Page<Arc<Member>>>, StoreError>;

    /// How many statements readers have run, for tests that count them.
    fn reads(&self) -> u64;

    /// Ends all connections; what was committed is in the file.
    async fn close(&self);
}
