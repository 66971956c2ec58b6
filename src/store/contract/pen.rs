//! Writes batches as the chat would, and remembers what it wrote.

mod batch;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::{
    Cursor, Data, Emoji, Event, Fingerprint, Member, MemberId, Message, MessageBody, MessageId,
    Reaction, ReactionKey, Reply, Role, Room, RoomId, RoomName, Seq, Standing, Timestamp, User,
    UserId, Visibility, What,
};
use crate::store::{Needs, Store};

/// One store's writer, with all that the store should hold.
pub(crate) struct Pen<'s, S> {
    pub(crate) store: &'s S,
    pub(crate) users: HashMap<UserId, Arc<User>>,
    pub(crate) rooms: HashMap<RoomId, Arc<Room>>,
    pub(crate) members: HashMap<(RoomId, UserId), Arc<Member>>,
    pub(crate) messages: HashMap<MessageId, Arc<Message>>,
    pub(crate) reactions: HashMap<ReactionKey, Seq>,
    /// As they were written.
    pub(crate) log: Vec<Arc<Event>>,
    at: i64,
    written: usize,
    dirty_users: BTreeSet<UserId>,
    dirty_rooms: BTreeSet<RoomId>,
    dirty_members: BTreeSet<(RoomId, UserId)>,
    reads: BTreeSet<(RoomId, UserId)>,
    sent: BTreeSet<MessageId>,
    changed: BTreeSet<MessageId>,
    dirty_reactions: BTreeSet<ReactionKey>,
}

impl<'s, S: Store> Pen<'s, S> {
    /// Takes up a fresh store, and leads it.
    pub(crate) async fn new(store: &'s S) -> Self {
        store.lead().await.unwrap();
        let needs = Needs {
            rooms: [RoomId::LOBBY].into(),
            ..Needs::default()
        };
        let facts = store.begin(&needs).await.unwrap();
        store.rollback().await.unwrap();
        Self {
            store,
            users: HashMap::new(),
            rooms: facts.rooms,
            members: HashMap::new(),
            messages: HashMap::new(),
            reactions: HashMap::new(),
            log: Vec::new(),
            at: 1_000_000,
            written: 0,
            dirty_users: BTreeSet::new(),
            dirty_rooms: BTreeSet::new(),
            dirty_members: BTreeSet::new(),
            reads: BTreeSet::new(),
            sent: BTreeSet::new(),
            changed: BTreeSet::new(),
            dirty_reactions: BTreeSet::new(),
        }
    }

    pub(crate) fn head(&self) -> Seq {
        Seq(self.log.len() as u64)
    }

    fn next(&self) -> Cursor {
        self.store.epochs().cursor(self.head().next())
    }

    fn log(&mut self, actor: &UserId, room: RoomId, what: What) {
        self.log.push(Arc::new(Event {
            cursor: self.next(),
            at: Timestamp(self.at),
            room: self.rooms[&room].clone(),
            actor: self.users[actor].clone(),
            what,
        }));
        self.at += 1;
    }

    pub(crate) fn user(&mut self, name: &str) -> UserId {
        let id = UserId::parse("sub", name).unwrap();
        let user = User::unseen(id.clone());
        self.users.entry(id.clone()).or_insert(Arc::new(user));
        self.dirty_users.insert(id.clone());
        id
    }

    fn set_room(&mut self, id: RoomId, change: impl FnOnce(&mut Room)) {
        change(Arc::make_mut(self.rooms.get_mut(&id).unwrap()));
        self.dirty_rooms.insert(id);
    }

    fn set_message(&mut self, id: MessageId, change: impl FnOnce(&mut Message)) -> Arc<Message> {
        let message = Arc::make_mut(self.messages.get_mut(&id).unwrap());
        change(message);
        message.version += 1;
        if !self.sent.contains(&id) {
            self.changed.insert(id);
        }
        self.shown(id)
    }

    /// The message as it is now, with the one it replies to.
    pub(crate) fn shown(&self, id: MessageId) -> Arc<Message> {
        let mut message = Message::clone(&self.messages[&id]);
        message.author = self.users[&message.author.id].clone();
        if let Some(reply) = &mut message.reply_to {
            reply.message = self.messages.get(&reply.id).cloned();
        }
        Arc::new(message)
    }

    fn set_member(
        &mut self,
        room: RoomId,
        user: &UserId,
        standing: Standing,
        role: Option<Role>,
    ) -> Arc<Member> {
        let key = (room, user.clone());
        let fresh = Member {
            id: MemberId::generate(),
            room,
            user: self.users[user].clone(),
            role: Role::Member,
            joined_at: Timestamp(self.at),
            joined_seq: self.next().seq,
            standing: Standing::Left,
            read_up_to: None,
        };
        let (at, seq) = (fresh.joined_at, fresh.joined_seq);
        let member = Arc::make_mut(self.members.entry(key.clone()).or_insert(Arc::new(fresh)));
        if standing == Standing::Active && !member.is_active() {
            (member.joined_at, member.joined_seq) = (at, seq);
        }
        member.standing = standing;
        member.role = role.unwrap_or(member.role);
        let member = self.members[&key].clone();
        self.dirty_members.insert(key);
        self.count(room);
        member
    }

    pub(crate) fn member(&self, room: RoomId, user: &UserId) -> &Arc<Member> {
        &self.members[&(room, user.clone())]
    }

    fn count(&mut self, room: RoomId) {
        let active = || (self.members.values()).filter(|it| it.room == room && it.is_active());
        let members = active().count();
        let owners = active().filter(|it| it.role == Role::Owner).count();
        self.set_room(room, |room| {
            room.member_count = members.try_into().unwrap();
            room.owner_count = owners.try_into().unwrap();
        });
    }

    pub(crate) fn create_room(
        &mut self,
        owner: &UserId,
        members: &[&UserId],
        visibility: Visibility,
    ) -> RoomId {
        let id = RoomId::generate();
        let room = Room {
            id,
            name: RoomName::parse("a room").unwrap(),
            visibility,
            data: None,
            created_at: Timestamp(self.at),
            last_activity_at: Timestamp(self.at),
            last_message: None,
            member_count: 0,
            owner_count: 0,
            direct: false,
            fingerprint: Some(Fingerprint(rand::random())),
            deleted: false,
        };
        self.rooms.insert(id, Arc::new(room));
        self.set_member(id, owner, Standing::Active, Some(Role::Owner));
        for user in members {
            self.set_member(id, user, Standing::Active, None);
        }
        let all: Vec<UserId> = (members.iter().map(|it| (*it).clone()))
            .chain([owner.clone()])
            .collect();
        self.log(
            owner,
            id,
            What::RoomCreated {
                members: all.into(),
            },
        );
        id
    }

    pub(crate) fn send(&mut self, author: &UserId, room: RoomId, body: &str) -> MessageId {
        self.reply(author, room, body, None)
    }

    pub(crate) fn reply(
        &mut self,
        author: &UserId,
        room: RoomId,
        body: &str,
        reply_to: Option<MessageId>,
    ) -> MessageId {
        let id = MessageId::generate();
        let message = Message {
            id,
            room,
            author: self.users[author].clone(),
            body: Some(MessageBody::stored(body)),
            data: Data::parse(serde_json::json!({ "n": self.at })).unwrap(),
            version: 1,
            created_at: Timestamp(self.at),
            edited_at: None,
            deleted_at: None,
            reply_to: reply_to.map(|id| Reply { id, message: None }),
            cursor: self.next(),
            fingerprint: Fingerprint(rand::random()),
            reactions: Arc::default(),
        };
        self.messages.insert(id, Arc::new(message));
        self.sent.insert(id);
        let at = self.at;
        self.set_room(room, |room| {
            room.last_activity_at = Timestamp(at);
            room.last_message = Some(id);
        });
        self.log(author, room, What::MessageSent(self.shown(id)));
        id
    }

    pub(crate) fn edit(&mut self, id: MessageId, body: &str) {
        let at = self.at;
        let message = self.set_message(id, |message| {
            message.body = Some(MessageBody::stored(body));
            message.edited_at = Some(Timestamp(at));
        });
        let author = message.author.id.clone();
        self.log(&author, message.room, What::MessageEdited(message.clone()));
    }

    pub(crate) fn react(&mut self, user: &UserId, id: MessageId, emoji: &str) {
        let emoji = Emoji::parse(emoji).unwrap();
        let key = self.reaction(user, id, &emoji);
        let place = self.next().seq;
        assert_eq!(self.reactions.insert(key, place), None);
        self.set_reactions(id, |reactions| {
            match reactions.iter_mut().find(|it| it.emoji == emoji) {
                Some(reaction) => reaction.count += 1,
                None => reactions.push(Reaction {
                    emoji: emoji.clone(),
                    count: 1,
                    since: place,
                }),
            }
        });
        let message = self.shown(id);
        self.log(user, message.room, What::ReactionAdded(message, emoji));
    }

    pub(crate) fn unreact(&mut self, user: &UserId, id: MessageId, emoji: &str) {
        let emoji = Emoji::parse(emoji).unwrap();
        let key = self.reaction(user, id, &emoji);
        self.reactions.remove(&key).unwrap();
        self.set_reactions(id, |reactions| {
            let at = reactions.iter().position(|it| it.emoji == emoji).unwrap();
            reactions[at].count -= 1;
            reactions.retain(|it| it.count > 0);
        });
        let message = self.shown(id);
        self.log(user, message.room, What::ReactionRemoved(message, emoji));
    }

    fn reaction(&mut self, user: &UserId, message: MessageId, emoji: &Emoji) -> ReactionKey {
        let key = ReactionKey {
            message,
            emoji: emoji.clone(),
            user: user.clone(),
        };
        self.dirty_reactions.insert(key.clone());
        key
    }

    fn set_reactions(&mut self, id: MessageId, change: impl FnOnce(&mut Vec<Reaction>)) {
        let message = Arc::make_mut(self.messages.get_mut(&id).unwrap());
        let mut reactions = message.reactions.to_vec();
        change(&mut reactions);
        message.reactions = reactions.into();
    }

    /// Whether a user reacts so.
    pub(crate) fn reacts(&self, user: &UserId, message: MessageId, emoji: &str) -> bool {
        self.reactions.contains_key(&ReactionKey {
            message,
            emoji: Emoji::parse(emoji).unwrap(),
            user: user.clone(),
        })
    }

    pub(crate) fn delete(&mut self, id: MessageId) {
        self.reactions.retain(|key, _| key.message != id);
        let at = self.at;
        let message = self.set_message(id, |message| {
            *message = message.blanked();
            message.deleted_at = Some(Timestamp(at));
        });
        let author = message.author.id.clone();
        self.log(&author, message.room, What::MessageDeleted(message.clone()));
    }

    pub(crate) fn join(&mut self, user: &UserId, room: RoomId) {
        let member = self.set_member(room, user, Standing::Active, None);
        self.log(user, room, What::MemberJoined(member));
    }

    pub(crate) fn leave(&mut self, user: &UserId, room: RoomId) {
        let member = self.set_member(room, user, Standing::Left, None);
        self.log(user, room, What::MemberLeft(member));
    }

    pub(crate) fn remove(&mut self, owner: &UserId, user: &UserId, room: RoomId) {
        let member = self.set_member(room, user, Standing::Removed, None);
        self.log(owner, room, What::MemberLeft(member));
    }

    pub(crate) fn promote(&mut self, user: &UserId, room: RoomId, role: Role) {
        let member = self.set_member(room, user, Standing::Active, Some(role));
        self.log(user, room, What::MemberUpdated(member));
    }

    pub(crate) fn read(&mut self, user: &UserId, room: RoomId, up_to: Seq) {
        let key = (room, user.clone());
        Arc::make_mut(self.members.get_mut(&key).unwrap()).read_up_to = Some(up_to);
        self.reads.insert(key);
    }

    pub(crate) fn show(&mut self, actor: &UserId, room: RoomId, visibility: Visibility) {
        let was = self.rooms[&room].visibility;
        self.set_room(room, |room| room.visibility = visibility);
        let made_private = was == Visibility::Public && visibility == Visibility::Private;
        self.log(actor, room, What::RoomUpdated { made_private });
    }

    pub(crate) fn describe(&mut self, actor: &UserId, room: RoomId, data: serde_json::Value) {
        let data = Data::parse(data).unwrap();
        self.set_room(room, |room| room.data = data);
        let made_private = false;
        self.log(actor, room, What::RoomUpdated { made_private });
    }

    pub(crate) fn delete_room(&mut self, actor: &UserId, room: RoomId) {
        let was = self.rooms[&room].visibility;
        self.set_room(room, |room| {
            room.deleted = true;
            room.name = RoomName::stored("");
            room.data = None;
        });
        self.messages.retain(|_, message| message.room != room);
        let there = &self.messages;
        self.reactions
            .retain(|key, _| there.contains_key(&key.message));
        self.log(actor, room, What::RoomDeleted { was });
    }
}
