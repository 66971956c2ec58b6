//! Direct rooms, command by command.

use super::*;

impl World {
    fn open(&mut self, by: &str, with: &str) -> Result<Arc<Room>, Code> {
        let [by_id, with] = [by, with].map(UserId::stored);
        let id = super::super::fingerprint::Fingerprints::new([7; 32]).direct_room(&by_id, &with);
        match self.act(by, Act::OpenDirectRoom { id, with })? {
            Answer::Room(room) => Ok(room),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_pair_has_one_direct_room_whoever_opens_it() {
    let mut world = World::new();
    let room = world.open("ada", "bob").unwrap();
    assert_eq!(world.open("bob", "ada").unwrap(), room);
    assert_eq!(world.open("ada", "bob").unwrap(), room);
    let other = world.open("ada", "eve").unwrap();
    assert_ne!(other.id, room.id);
    assert!(room.direct && room.name.as_str().is_empty());
    assert_eq!(room.visibility, Visibility::Private);
    assert_eq!((room.member_count, room.owner_count), (2, 0));
    let changes = world.changes();
    assert_eq!(changes.events.len(), 2);
    let What::RoomCreated { members } = &changes.events[0].what else {
        panic!()
    };
    assert_eq!(**members, ["ada", "bob"].map(UserId::stored));
    assert_eq!(changes.members.len(), 4);
    assert!(changes.members.iter().all(|it| it.role == Role::Member));
}

#[test]
fn nobody_has_a_direct_room_alone() {
    let mut world = World::new();
    assert_eq!(world.open("ada", "ada").unwrap_err(), Code::BadUserInput);
}

#[test]
fn a_direct_room_stays_as_it_is() {
    let mut world = World::new();
    let room = world.open("ada", "bob").unwrap();
    let update = UpdateRoom {
        room: room.id,
        name: Some(RoomName::parse("ours").unwrap()),
        visibility: Some(Visibility::Public),
        data: None,
    };
    for who in ["ada", "bob"] {
        for act in [
            Act::UpdateRoom(update.clone()),
            Act::DeleteRoom(room.id),
            Act::LeaveRoom(room.id),
        ] {
            assert_eq!(world.act(who, act).unwrap_err(), Code::Forbidden);
        }
        for other in ["ada", "bob", "eve"] {
            let refused = world.add(who, room.id, other, None);
            assert_eq!(refused.unwrap_err(), Code::Forbidden);
            let refused = world.remove(who, room.id, other);
            assert_eq!(refused.unwrap_err(), Code::Forbidden);
        }
    }
    // To others it is not there at all.
    for act in [
        Act::JoinRoom(room.id),
        Act::LeaveRoom(room.id),
        Act::DeleteRoom(room.id),
    ] {
        assert_eq!(world.act("eve", act).unwrap_err(), Code::NotFound);
    }
    let Answer::Room(joined) = world.act("ada", Act::JoinRoom(room.id)).unwrap() else {
        panic!()
    };
    assert_eq!(joined, room);
    world
        .send("bob", room.id, MessageId::generate(), "hello")
        .unwrap();
    assert_eq!(world.events().len(), 2);
}

#[test]
fn a_room_that_has_a_direct_rooms_id_is_not_given_for_it() {
    let mut world = World::new();
    let [ada, bob] = ["ada", "bob"].map(UserId::stored);
    let id = super::super::fingerprint::Fingerprints::new([7; 32]).direct_room(&ada, &bob);
    world.room_with_id("eve", Visibility::Private, id);
    assert_eq!(world.open("ada", "bob").unwrap_err(), Code::Conflict);
}
