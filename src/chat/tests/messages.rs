//! Messages: sent once, edited, deleted, replied to.

use super::*;

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
