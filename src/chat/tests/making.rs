//! Making a room twice.

use super::super::fingerprint::Fingerprints;
use super::*;

fn input(id: RoomId, name: &str, members: &[&str]) -> CreateRoom {
    CreateRoom {
        id: Some(id),
        name: RoomName::parse(name).unwrap(),
        visibility: Visibility::Private,
        members: members.iter().map(|it| UserId::stored(it)).collect(),
        data: None,
    }
}

impl World {
    pub(super) fn create(&mut self, by: &str, input: CreateRoom) -> Result<Arc<Room>, Code> {
        let id = input.id.unwrap();
        let fingerprint = Fingerprints::new([7; 32]).room(&UserId::stored(by), &input);
        let act = Act::CreateRoom {
            id,
            fingerprint,
            input,
        };
        match self.act(by, act)? {
            Answer::Room(room) => Ok(room),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_same_id_twice_is_one_room_and_another_room_under_it_a_conflict() {
    let mut world = World::new();
    let id = RoomId::generate();
    let first = world.create("ada", input(id, "tea", &["bob", "eve"]));
    let first = first.unwrap();
    // In whatever order its members are named, and the maker among them or not.
    let again = world.create("ada", input(id, "tea", &["eve", "ada", "bob", "eve"]));
    assert_eq!(again.unwrap(), first);
    let public = CreateRoom {
        visibility: Visibility::Public,
        ..input(id, "tea", &["bob", "eve"])
    };
    let with_data = CreateRoom {
        data: Data::parse(serde_json::json!({ "topic": 1 })).unwrap(),
        ..input(id, "tea", &["bob", "eve"])
    };
    for other in [
        input(id, "coffee", &["bob", "eve"]),
        input(id, "tea", &["bob"]),
        public,
        with_data,
    ] {
        assert_eq!(world.create("ada", other).unwrap_err(), Code::Conflict);
    }
    let others = world.create("bob", input(id, "tea", &["bob", "eve"]));
    assert_eq!(others.unwrap_err(), Code::Conflict);
    assert_eq!(world.events().len(), 1);
}

#[test]
fn a_retry_gives_the_room_as_it_is_now_while_its_maker_may_read_it() {
    let mut world = World::new();
    let id = RoomId::generate();
    let made = input(id, "tea", &["bob"]);
    world.create("ada", made.clone()).unwrap();
    let rename = UpdateRoom {
        room: id,
        name: Some(RoomName::parse("coffee").unwrap()),
        visibility: None,
        data: None,
    };
    world.act("ada", Act::UpdateRoom(rename)).unwrap();
    world.add("ada", id, "bob", Some(Role::Owner)).unwrap();
    world.add("bob", id, "ada", Some(Role::Reader)).unwrap();
    let again = world.create("ada", made.clone()).unwrap();
    assert_eq!(again.name.as_str(), "coffee");
    // Who was removed may not see what became of it.
    world.remove("bob", id, "ada").unwrap();
    assert_eq!(
        world.create("ada", made.clone()).unwrap_err(),
        Code::Conflict
    );
    let show = UpdateRoom {
        room: id,
        name: None,
        visibility: Some(Visibility::Public),
        data: None,
    };
    world.act("bob", Act::UpdateRoom(show)).unwrap();
    assert_eq!(world.create("ada", made.clone()).unwrap().id, id);
    world.act("bob", Act::DeleteRoom(id)).unwrap();
    assert_eq!(world.create("ada", made).unwrap_err(), Code::Conflict);
}

#[test]
fn a_room_made_before_this_was_compared_is_its_owners() {
    let mut world = World::new();
    let id = RoomId::generate();
    let made = world.create("ada", input(id, "tea", &[])).unwrap();
    let older = Room {
        fingerprint: None,
        ..(*made).clone()
    };
    world.0.put_room(Arc::new(older));
    assert!(world.create("ada", input(id, "coffee", &[])).is_ok());
    let others = world.create("bob", input(id, "tea", &[]));
    assert_eq!(others.unwrap_err(), Code::Conflict);
}
