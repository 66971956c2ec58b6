//! The rules, command by command, over facts in memory.

mod direct;
mod making;
mod reactions;

use std::sync::Arc;

use super::*;
use crate::error::Code;
use crate::log::{Batch, Command as _};
use crate::model::Fingerprint;
use crate::model::{Epoch, Role, Standing, Timestamp, User, What};
use crate::store::{Changes, Facts};

mod reads;

struct World(Batch);

fn user(id: &str) -> Arc<User> {
    Arc::new(User {
        id: UserId::stored(id),
        name: id.to_uppercase().as_str().into(),
        avatar_url: None,
        profile_at: Timestamp(1),
    })
}

impl World {
    fn new() -> Self {
        Self(Batch::new(
            Facts::default(),
            Timestamp(1_000),
            Epoch::generate(),
        ))
    }

    fn act(&mut self, by: &str, act: Act) -> Result<Answer, Code> {
        let before = self.0.extent();
        let outcome = Command { by: user(by), act }.decide(&mut self.0);
        if outcome.is_err() {
            assert_eq!(before, self.0.extent(), "a refused command left a trace");
        }
        outcome.map_err(|error| error.code())
    }

    fn room(&mut self, owner: &str, visibility: Visibility) -> RoomId {
        self.room_with_id(owner, visibility, RoomId::generate())
    }

    fn room_with_id(&mut self, owner: &str, visibility: Visibility, id: RoomId) -> RoomId {
        let name = RoomName::parse("a room").unwrap();
        let input = CreateRoom {
            id: Some(id),
            name,
            visibility,
            members: vec![],
            data: None,
        };
        self.create(owner, input).unwrap().id
    }

    fn send(&mut self, by: &str, room: RoomId, id: MessageId, body: &str) -> Result<Sent, Code> {
        self.reply(by, room, id, body, None)
    }

    fn reply(
        &mut self,
        by: &str,
        room: RoomId,
        id: MessageId,
        body: &str,
        reply_to: Option<MessageId>,
    ) -> Result<Sent, Code> {
        let fingerprint = Fingerprint(
            *blake3::hash(body.as_bytes())
                .as_bytes()
                .first_chunk()
                .unwrap(),
        );
        let body = MessageBody::parse(body, false).unwrap();
        let input = SendMessage {
            id: Some(id),
            room,
            body,
            data: None,
            reply_to,
        };
        match self.act(
            by,
            Act::SendMessage {
                id,
                fingerprint,
                input,
            },
        )? {
            Answer::Sent(sent) => Ok(sent),
            other => panic!("{other:?}"),
        }
    }

    fn edit(
        &mut self,
        by: &str,
        message: MessageId,
        body: &str,
        expected: Option<u32>,
    ) -> Result<Arc<Message>, Code> {
        let body = MessageBody::parse(body, true).unwrap();
        let input = EditMessage {
            message,
            body,
            data: None,
            expected_version: expected,
        };
        message_of(self.act(by, Act::EditMessage(input))?)
    }

    fn delete(&mut self, by: &str, message: MessageId) -> Result<Arc<Message>, Code> {
        message_of(self.act(by, Act::DeleteMessage(message))?)
    }

    fn add(
        &mut self,
        by: &str,
        room: RoomId,
        user: &str,
        role: Option<Role>,
    ) -> Result<Answer, Code> {
        self.act(
            by,
            Act::AddMember {
                room,
                user: UserId::stored(user),
                role,
            },
        )
    }

    fn remove(&mut self, by: &str, room: RoomId, user: &str) -> Result<Answer, Code> {
        self.act(
            by,
            Act::RemoveMember {
                room,
                user: UserId::stored(user),
            },
        )
    }

    fn events(self) -> Vec<What> {
        self.changes()
            .events
            .iter()
            .map(|event| event.what.clone())
            .collect()
    }

    fn changes(self) -> Changes {
        self.0.into_changes()
    }
}

fn message_of(answer: Answer) -> Result<Arc<Message>, Code> {
    match answer {
        Answer::Message(message) => Ok(message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sending_the_same_twice_is_sending_once_also_after_an_edit_and_a_deletion() {
    let mut world = World::new();
    let room = world.room("ada", Visibility::Private);
    let id = MessageId::generate();
    assert!(!world.send("ada", room, id, "hello").unwrap().duplicate);
    assert!(world.send("ada", room, id, "hello").unwrap().duplicate);
    world.edit("ada", id, "hello, world", None).unwrap();
    let again = world.send("ada", room, id, "hello").unwrap();
    assert_eq!((again.duplicate, again.message.version), (true, 2));
    world.delete("ada", id).unwrap();
    let again = world.send("ada", room, id, "hello").unwrap();
    assert_eq!((again.duplicate, again.message.body.clone()), (true, None));
    assert_eq!(world.events().len(), 4);
}

#[test]
fn an_id_means_one_thing() {
    let mut world = World::new();
    let room = world.room("ada", Visibility::Public);
    let id = MessageId::generate();
    world.send("ada", room, id, "hello").unwrap();
    assert_eq!(
        world.send("ada", room, id, "other").unwrap_err(),
        Code::Conflict
    );
    assert_eq!(
        world.send("bob", room, id, "hello").unwrap_err(),
        Code::Conflict
    );
    let rooms_id = MessageId::from_uuid(room.uuid());
    assert_eq!(
        world.send("ada", room, rooms_id, "hello").unwrap_err(),
        Code::Conflict
    );
}

#[test]
fn sending_joins_a_public_room_and_a_private_one_is_as_if_absent() {
    let mut world = World::new();
    let public = world.room("ada", Visibility::Public);
    let private = world.room("ada", Visibility::Private);
    let sent = world
        .send("bob", public, MessageId::generate(), "hello")
        .unwrap();
    assert_eq!(sent.room.member_count, 2);
    assert_eq!(
        world
            .send("bob", private, MessageId::generate(), "hello")
            .unwrap_err(),
        Code::NotFound
    );
    let absent = RoomId::generate();
    assert_eq!(
        world
            .send("bob", absent, MessageId::generate(), "hello")
            .unwrap_err(),
        Code::NotFound
    );
    let events = world.events();
    assert!(matches!(&events[2], What::MemberJoined(member) if member.user.id.as_str() == "bob"));
    assert!(matches!(&events[3], What::MessageSent(_)));
    assert_eq!(events.len(), 4);
}

#[test]
fn a_reader_cannot_send_nor_edit_what_it_sent_before() {
    let mut world = World::new();
    let room = world.room("ada", Visibility::Public);
    let id = MessageId::generate();
    world.send("bob", room, id, "hello").unwrap();
    world.add("ada", room, "bob", Some(Role::Reader)).unwrap();
    assert_eq!(
        world
            .send("bob", room, MessageId::generate(), "hello")
            .unwrap_err(),
        Code::Forbidden
    );
    assert_eq!(
        world.edit("bob", id, "hm", None).unwrap_err(),
        Code::Forbidden
    );
    // It comes back with the role it left with.
    world.act("bob", Act::LeaveRoom(room)).unwrap();
    assert_eq!(
        world
            .send("bob", room, MessageId::generate(), "hello")
            .unwrap_err(),
        Code::Forbidden
    );
}

#[test]
fn an_edit_checks_author_version_and_says_the_same_only_once() {
    let mut world = World::new();
    let room = world.room("ada", Visibility::Public);
    let id = MessageId::generate();
    world.send("ada", room, id, "one").unwrap();
    world.act("bob", Act::JoinRoom(room)).unwrap();
    assert_eq!(
        world.edit("bob", id, "two", None).unwrap_err(),
        Code::Forbidden
    );
    assert_eq!(world.edit("ada", id, "two", Some(1)).unwrap().version, 2);
    assert_eq!(world.edit("ada", id, "two", Some(1)).unwrap().version, 2);
    assert_eq!(
        world.edit("ada", id, "three", Some(1)).unwrap_err(),
        Code::Conflict
    );
    assert_eq!(
        world.edit("ada", id, " ", None).unwrap_err(),
        Code::BadUserInput
    );
    assert_eq!(
        world
            .edit("ada", MessageId::generate(), "x", None)
            .unwrap_err(),
        Code::NotFound
    );
}

#[test]
fn a_deletion_wins_over_every_version_and_is_blank_in_later_quotes() {
    let mut world = World::new();
    let room = world.room("ada", Visibility::Public);
    let (first, second) = (MessageId::generate(), MessageId::generate());
    world.send("ada", room, first, "secret").unwrap();
    let reply = world
        .reply("bob", room, second, "to that", Some(first))
        .unwrap();
    assert!(
        reply
            .message
            .reply_to
            .as_ref()
            .unwrap()
            .message
            .as_ref()
            .unwrap()
            .body
            .is_some()
    );
    assert_eq!(world.delete("bob", first).unwrap_err(), Code::Forbidden);
    let deleted = world.delete("ada", first).unwrap();
    assert_eq!((deleted.version, deleted.body.clone()), (2, None));
    assert_eq!(world.delete("ada", first).unwrap().version, 2);
    let edited = world.edit("bob", second, "to what?", None).unwrap();
    assert!(
        edited
            .reply_to
            .as_ref()
            .unwrap()
            .message
            .as_ref()
            .unwrap()
            .body
            .is_none()
    );
    // An owner may delete anyone's.
    world.delete("ada", second).unwrap();
}

#[test]
fn a_reply_stays_in_its_room() {
    let mut world = World::new();
    let (here, there) = (
        world.room("ada", Visibility::Public),
        world.room("ada", Visibility::Public),
    );
    let id = MessageId::generate();
    world.send("ada", there, id, "hello").unwrap();
    let reply = world.reply("ada", here, MessageId::generate(), "hi", Some(id));
    assert_eq!(reply.unwrap_err(), Code::NotFound);
}

#[test]
fn the_last_owner_stays_while_others_are_there() {
    let mut world = World::new();
    let room = world.room("ada", Visibility::Private);
    world.add("ada", room, "bob", None).unwrap();
    assert_eq!(
        world.act("ada", Act::LeaveRoom(room)).unwrap_err(),
        Code::Conflict
    );
    assert_eq!(
        world.remove("ada", room, "ada").unwrap_err(),
        Code::Conflict
    );
    assert_eq!(
        world
            .add("ada", room, "ada", Some(Role::Member))
            .unwrap_err(),
        Code::Conflict
    );
    world.add("ada", room, "bob", Some(Role::Owner)).unwrap();
    world.act("ada", Act::LeaveRoom(room)).unwrap();
    world.act("ada", Act::LeaveRoom(room)).unwrap();
    world.act("bob", Act::LeaveRoom(room)).unwrap();
    let left = world
        .events()
        .iter()
        .filter(|what| matches!(what, What::MemberLeft(_)))
        .count();
    assert_eq!(left, 2);
}

#[test]
fn whom_an_owner_removed_only_an_owner_lets_in_again() {
    let mut world = World::new();
    let room = world.room("ada", Visibility::Public);
    world.act("bob", Act::JoinRoom(room)).unwrap();
    assert_eq!(
        world.remove("bob", room, "ada").unwrap_err(),
        Code::Forbidden
    );
    assert_eq!(
        world.remove("ada", room, "eve").unwrap_err(),
        Code::NotFound
    );
    world.remove("ada", room, "bob").unwrap();
    assert_eq!(
        world.act("bob", Act::JoinRoom(room)).unwrap_err(),
        Code::Forbidden
    );
    assert_eq!(
        world
            .send("bob", room, MessageId::generate(), "hello")
            .unwrap_err(),
        Code::Forbidden
    );
    let Answer::Member(_, member) = world.add("ada", room, "bob", None).unwrap() else {
        panic!()
    };
    assert_eq!(
        (member.role, member.standing),
        (Role::Member, Standing::Active)
    );
    // One who left by itself may be kept out as well.
    world.act("bob", Act::LeaveRoom(room)).unwrap();
    world.remove("ada", room, "bob").unwrap();
    assert_eq!(
        world.act("bob", Act::JoinRoom(room)).unwrap_err(),
        Code::Forbidden
    );
}

#[test]
fn what_is_already_so_is_no_event() {
    let mut world = World::new();
    let room = world.room("ada", Visibility::Public);
    world.room_with_id("ada", Visibility::Public, room);
    world.act("ada", Act::JoinRoom(room)).unwrap();
    world.add("ada", room, "ada", None).unwrap();
    let unchanged = UpdateRoom {
        room,
        name: None,
        visibility: Some(Visibility::Public),
        data: None,
    };
    world.act("ada", Act::UpdateRoom(unchanged)).unwrap();
    assert_eq!(world.events().len(), 1);
}

#[test]
fn a_deleted_room_is_gone_for_everyone_and_its_id_with_it() {
    let mut world = World::new();
    let room = world.room("ada", Visibility::Public);
    let id = MessageId::generate();
    world.send("bob", room, id, "hello").unwrap();
    assert_eq!(
        world.act("bob", Act::DeleteRoom(room)).unwrap_err(),
        Code::Forbidden
    );
    world.act("ada", Act::DeleteRoom(room)).unwrap();
    world.act("ada", Act::DeleteRoom(room)).unwrap();
    assert_eq!(
        world
            .send("bob", room, MessageId::generate(), "hello")
            .unwrap_err(),
        Code::NotFound
    );
    assert_eq!(
        world.edit("bob", id, "x", None).unwrap_err(),
        Code::NotFound
    );
    let changes = world.changes();
    assert!(
        changes.sent.is_empty(),
        "messages of a deleted room are not written"
    );
    assert_eq!(changes.events.len(), 4);
}

#[test]
fn making_a_room_private_is_told_by_its_event() {
    let mut world = World::new();
    let room = world.room("ada", Visibility::Public);
    let update = |visibility| {
        Act::UpdateRoom(UpdateRoom {
            room,
            name: None,
            visibility: Some(visibility),
            data: None,
        })
    };
    assert_eq!(
        world.act("bob", update(Visibility::Private)).unwrap_err(),
        Code::Forbidden
    );
    world.act("ada", update(Visibility::Private)).unwrap();
    world.act("ada", update(Visibility::Public)).unwrap();
    let made_private: Vec<_> = world.events()[1..]
        .iter()
        .map(|what| matches!(what, What::RoomUpdated { made_private: true }))
        .collect();
    assert_eq!(made_private, [true, false]);
}

#[test]
fn an_older_token_does_not_undo_a_newer_profile() {
    let mut world = World::new();
    let named = |name: &str, at| {
        Arc::new(User {
            id: UserId::stored("ada"),
            name: name.into(),
            avatar_url: None,
            profile_at: Timestamp(at),
        })
    };
    for (name, at) in [("Ada", 10), ("Ada L.", 20), ("Old", 15)] {
        Command {
            by: named(name, at),
            act: Act::SignIn,
        }
        .decide(&mut world.0)
        .unwrap();
    }
    assert_eq!(&*world.changes().users[0].name, "Ada L.");
}

#[test]
fn a_room_takes_100_members_at_once_and_no_more() {
    let mut world = World::new();
    let members = |count: usize| {
        (0..count)
            .map(|n| UserId::stored(&format!("user-{n}")))
            .collect()
    };
    let mut create = |count| {
        let id = RoomId::generate();
        let name = RoomName::parse("a room").unwrap();
        let visibility = Visibility::Private;
        let input = CreateRoom {
            id: Some(id),
            name,
            visibility,
            members: members(count),
            data: None,
        };
        world.create("ada", input)
    };
    assert_eq!(create(100).unwrap().member_count, 101);
    assert_eq!(create(101).unwrap_err(), Code::BadUserInput);
}
