//! Members: who comes, goes, and stays; and what a room that is gone means to them.

use super::*;

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
