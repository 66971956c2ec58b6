//! Reading on.

use super::*;
use crate::model::{Cursor, Epochs, Seq};

/// Who wrote the log before the batch: 100 events.
const BEFORE: Epoch = Epoch::stored(7);

fn at(seq: u64) -> Cursor {
    Cursor {
        seq: Seq(seq),
        epoch: BEFORE,
    }
}

impl World {
    fn after_100_events() -> Self {
        let epochs = Epochs::new(vec![(BEFORE, Seq(1))]);
        let facts = Facts {
            head: Seq(100),
            epochs: epochs.into(),
            ..Facts::default()
        };
        Self(Batch::new(facts, Timestamp(1_000), BEFORE))
    }

    fn mark(&mut self, by: &str, room: RoomId, up_to: Cursor) -> Result<Option<Seq>, Code> {
        self.act(by, Act::MarkRead { room, up_to })?;
        let member = self.0.member(room, &UserId::stored(by));
        Ok(member.unwrap().read_up_to)
    }
}

#[test]
fn a_mark_moves_forward_only() {
    let mut world = World::after_100_events();
    let room = world.room("ada", Visibility::Private);
    for (up_to, then) in [(40, 40), (39, 40), (0, 40), (40, 40), (41, 41), (100, 100)] {
        let mark = world.mark("ada", room, at(up_to));
        assert_eq!(mark, Ok(Some(Seq(then))), "{up_to}");
    }
}

#[test]
fn the_marks_of_a_batch_are_one_and_no_event() {
    let mut world = World::after_100_events();
    let room = world.room("ada", Visibility::Private);
    for up_to in [7, 9, 8] {
        world.mark("ada", room, at(up_to)).unwrap();
    }
    let changes = world.changes();
    let marks: Vec<_> = (changes.reads.iter().map(|it| it.member.read_up_to)).collect();
    assert_eq!(marks, [Some(Seq(9))]);
    assert_eq!(changes.events.len(), 1, "the room's making");
}

#[test]
fn a_mark_that_stays_where_it_is_writes_nothing() {
    let mut world = World::after_100_events();
    let room = world.room("ada", Visibility::Private);
    world.mark("ada", room, at(9)).unwrap();
    let before = world.0.extent();
    for up_to in [9, 8, 0] {
        world.mark("ada", room, at(up_to)).unwrap();
    }
    assert_eq!(world.0.extent(), before);
}

#[test]
fn a_place_that_the_log_does_not_have_is_refused() {
    let mut world = World::after_100_events();
    let room = world.room("ada", Visibility::Private);
    let elsewhere = Cursor {
        seq: Seq(5),
        epoch: Epoch::stored(8),
    };
    // 101 is the room's making: of this batch, so no one can know its place yet.
    for up_to in [at(101), at(5_000), elsewhere] {
        let refused = world.mark("ada", room, up_to);
        assert_eq!(refused, Err(Code::ResyncRequired), "{up_to}");
    }
    assert_eq!(world.mark("ada", room, at(100)), Ok(Some(Seq(100))));
}

#[test]
fn only_those_who_are_in_read_on() {
    let mut world = World::after_100_events();
    let public = world.room("ada", Visibility::Public);
    let private = world.room("ada", Visibility::Private);
    let gone = world.room("ada", Visibility::Public);
    world.act("ada", Act::DeleteRoom(gone)).unwrap();
    for (by, room, code) in [
        ("ben", public, Code::Forbidden),
        ("ben", private, Code::NotFound),
        ("ada", gone, Code::NotFound),
        ("ada", RoomId::generate(), Code::NotFound),
    ] {
        assert_eq!(world.mark(by, room, at(1)), Err(code), "{by} {room}");
    }
    world.act("ben", Act::JoinRoom(public)).unwrap();
    assert_eq!(world.mark("ben", public, at(1)), Ok(Some(Seq(1))));
    world.act("ben", Act::LeaveRoom(public)).unwrap();
    assert_eq!(world.mark("ben", public, at(2)), Err(Code::Forbidden));
}

#[test]
fn a_reader_reads_on() {
    let mut world = World::after_100_events();
    let room = world.room("ada", Visibility::Private);
    let add = Act::AddMember {
        room,
        user: UserId::stored("ben"),
        role: Some(Role::Reader),
    };
    world.act("ada", add).unwrap();
    assert_eq!(world.mark("ben", room, at(3)), Ok(Some(Seq(3))));
}

#[test]
fn who_comes_back_goes_on_from_its_mark() {
    let mut world = World::after_100_events();
    let room = world.room("ada", Visibility::Public);
    world.act("ben", Act::JoinRoom(room)).unwrap();
    world.mark("ben", room, at(50)).unwrap();
    world.act("ben", Act::LeaveRoom(room)).unwrap();
    world.act("ben", Act::JoinRoom(room)).unwrap();
    assert_eq!(world.mark("ben", room, at(10)), Ok(Some(Seq(50))));
}

#[test]
fn sending_moves_no_mark() {
    let mut world = World::after_100_events();
    let room = world.room("ada", Visibility::Private);
    (world.send("ada", room, MessageId::generate(), "hello")).unwrap();
    assert!(world.changes().reads.is_empty());
}
