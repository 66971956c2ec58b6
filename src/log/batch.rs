//! A batch while it is being decided: the facts as the commands so far have left them, and what has changed.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::Error;
use crate::model::{
    Cursor, Emoji, Epoch, Event, Member, MemberId, Message, MessageId, ReactionKey, ReadAdvanced,
    Room, RoomId, Seq, Timestamp, User, UserId, What,
};
use crate::store::{Changes, Facts};

/// A batch while it is being decided.
///
/// A command first checks, then changes: one that is refused must not have called any `put_…` or [`Batch::append`].
#[derive(Debug)]
pub struct Batch {
    facts: Facts,
    now: Timestamp,
    epoch: Epoch,
    events: Vec<Arc<Event>>,
    users: Touched<UserId>,
    rooms: Touched<RoomId>,
    members: Touched<(RoomId, UserId)>,
    reads: Touched<(RoomId, UserId)>,
    sent: Touched<MessageId>,
    changed: Touched<MessageId>,
    reactors: Touched<ReactionKey>,
    reactions: Touched<(MessageId, Emoji)>,
}

/// Keys in the order they were first touched.
#[derive(Debug)]
struct Touched<K> {
    order: Vec<K>,
    seen: HashSet<K>,
}

impl<K: Clone + Eq + std::hash::Hash> Touched<K> {
    fn new() -> Self {
        Self {
            order: Vec::new(),
            seen: HashSet::new(),
        }
    }

    fn touch(&mut self, key: &K) {
        if self.seen.insert(key.clone()) {
            self.order.push(key.clone());
        }
    }
}

impl Batch {
    /// Begins with how things stand. `epoch` is the writer's.
    pub fn new(facts: Facts, now: Timestamp, epoch: Epoch) -> Self {
        Self {
            facts,
            now,
            epoch,
            events: Vec::new(),
            users: Touched::new(),
            rooms: Touched::new(),
            members: Touched::new(),
            reads: Touched::new(),
            sent: Touched::new(),
            changed: Touched::new(),
            reactors: Touched::new(),
            reactions: Touched::new(),
        }
    }

    /// The batch's instant.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The place that the next event will have.
    pub fn next(&self) -> Cursor {
        let seq = Seq(self.facts.head.0 + self.events.len() as u64 + 1);
        Cursor {
            seq,
            epoch: self.epoch,
        }
    }

    /// The place that a cursor names, if this log had it before the batch. Of what retention took away only events are
    /// gone, not places.
    ///
    /// # Errors
    /// `RESYNC_REQUIRED`, with the cursor of the log's end: the cursor is of another history, or of none yet.
    pub fn place(&self, cursor: Cursor) -> Result<Seq, Error> {
        let Facts { epochs, head, .. } = &self.facts;
        let honoured = epochs.honour(cursor, Seq::ZERO, *head);
        honoured.map_err(|reason| Error::ResyncRequired {
            reason,
            cursor: epochs.cursor(*head).to_string(),
        })
    }

    /// Whether a UUID names something already.
    pub fn is_taken(&self, id: uuid::Uuid) -> bool {
        self.facts.taken.contains(&id)
    }

    /// A user, if it is known.
    pub fn user(&self, id: &UserId) -> Option<&Arc<User>> {
        self.facts.users.get(id)
    }

    /// A room, deleted ones included.
    pub fn room(&self, id: RoomId) -> Option<&Arc<Room>> {
        self.facts.rooms.get(&id)
    }

    /// A membership, whatever its standing.
    pub fn member(&self, room: RoomId, user: &UserId) -> Option<&Arc<Member>> {
        self.facts.members.get(&(room, user.clone()))
    }

    /// A message, deleted ones included.
    pub fn message(&self, id: MessageId) -> Option<&Arc<Message>> {
        self.facts.messages.get(&id)
    }

    /// Whether this reaction is there.
    pub fn has_reaction(&self, key: &ReactionKey) -> bool {
        self.facts.reactions.contains_key(key)
    }

    /// Adds an event at [`Batch::next`].
    pub fn append(&mut self, room: Arc<Room>, actor: Arc<User>, what: What) {
        let event = Event {
            cursor: self.next(),
            at: self.now,
            room,
            actor,
            what,
        };
        self.events.push(Arc::new(event));
    }

    /// Adds or changes a user.
    pub fn put_user(&mut self, user: Arc<User>) {
        self.users.touch(&user.id);
        self.facts.users.insert(user.id.clone(), user);
    }

    /// Adds or changes a room.
    pub fn put_room(&mut self, room: Arc<Room>) {
        self.rooms.touch(&room.id);
        self.facts.taken.insert(room.id.uuid());
        self.facts.rooms.insert(room.id, room);
    }

    /// Adds or changes a membership.
    pub fn put_member(&mut self, member: Arc<Member>) {
        let key = (member.room, member.user.id.clone());
        self.members.touch(&key);
        self.facts.taken.insert(MemberId::uuid(member.id));
        self.facts.members.insert(key, member);
    }

    /// Notes what a member has read.
    pub fn put_read(&mut self, member: Arc<Member>) {
        let key = (member.room, member.user.id.clone());
        self.reads.touch(&key);
        self.facts.members.insert(key, member);
    }

    /// Adds a message.
    pub fn put_sent(&mut self, message: Arc<Message>) {
        self.sent.touch(&message.id);
        self.facts.taken.insert(message.id.uuid());
        self.facts.messages.insert(message.id, message);
    }

    /// Changes a message, of this batch or an earlier one.
    pub fn put_changed(&mut self, message: Arc<Message>) {
        if !self.sent.seen.contains(&message.id) {
            self.changed.touch(&message.id);
        }
        self.facts.messages.insert(message.id, message);
    }

    /// Adds or takes away a reaction by the next event. `message`: with its reactions as they are then.
    pub fn put_reaction(&mut self, message: Arc<Message>, key: ReactionKey, is_there: bool) {
        self.reactors.touch(&key);
        self.reactions.touch(&(key.message, key.emoji.clone()));
        let place = self.next().seq;
        if is_there {
            self.facts.reactions.insert(key, place);
        } else {
            self.facts.reactions.remove(&key);
        }
        self.facts.messages.insert(message.id, message);
    }

    /// A measure of what has changed so far: equal before and after a command that was refused.
    pub(crate) fn extent(&self) -> [usize; 9] {
        [
            self.events.len(),
            self.users.order.len(),
            self.rooms.order.len(),
            self.members.order.len(),
            self.reads.order.len(),
            self.sent.order.len(),
            self.changed.order.len(),
            self.reactors.order.len(),
            self.reactions.order.len(),
        ]
    }

    /// What is to be written: each thing once, in its final state. Messages of a room that the same batch deleted are
    /// not written at all, nor are reactions under a message that it deleted.
    pub(crate) fn into_changes(self) -> Changes {
        let Self {
            facts,
            events,
            users,
            rooms,
            members,
            reads,
            sent,
            changed,
            reactors,
            reactions,
            ..
        } = self;
        let kept = |id: &MessageId| {
            let message = facts.messages.get(id)?;
            let gone = facts
                .rooms
                .get(&message.room)
                .is_some_and(|room| room.deleted);
            (!gone).then(|| message.clone())
        };
        let alive = |id: &MessageId| kept(id).filter(|message| message.deleted_at.is_none());
        let reactor = |key: ReactionKey| {
            alive(&key.message)?;
            let place = facts.reactions.get(&key).copied();
            Some((key, place))
        };
        let reaction = |(id, emoji): (MessageId, Emoji)| {
            let message = alive(&id)?;
            let now = message.reactions.iter().find(|it| it.emoji == emoji);
            Some((id, emoji, now.cloned()))
        };
        Changes {
            seen: Vec::new(),
            users: users
                .order
                .iter()
                .filter_map(|id| facts.users.get(id).cloned())
                .collect(),
            rooms: rooms
                .order
                .iter()
                .filter_map(|id| facts.rooms.get(id).cloned())
                .collect(),
            members: members
                .order
                .iter()
                .filter_map(|key| facts.members.get(key).cloned())
                .collect(),
            reads: reads
                .order
                .iter()
                .filter_map(|key| {
                    let room = facts.rooms.get(&key.0)?.clone();
                    let member = facts.members.get(key)?.clone();
                    Some(ReadAdvanced { room, member })
                })
                .collect(),
            sent: sent.order.iter().filter_map(kept).collect(),
            changed: changed.order.iter().filter_map(kept).collect(),
            reactors: reactors.order.into_iter().filter_map(reactor).collect(),
            reactions: reactions.order.into_iter().filter_map(reaction).collect(),
            events,
            prune_to: None,
        }
    }
}
