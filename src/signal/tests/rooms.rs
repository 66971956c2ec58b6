//! Who is there in a room that someone listens to.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::presence::{Change, Status};
use super::super::rooms::Rooms;
use super::super::told::Said;
use super::user;
use crate::model::{
    Cursor, Epoch, Event, Member, MemberId, Role, Room, RoomId, RoomName, Seq, Standing, Timestamp,
    User, UserId, Visibility, What,
};

pub(super) fn room() -> Arc<Room> {
    Arc::new(Room {
        id: RoomId::generate(),
        name: RoomName::stored("a room"),
        visibility: Visibility::Private,
        direct: false,
        data: None,
        created_at: Timestamp(1),
        last_activity_at: Timestamp(1),
        last_message: None,
        member_count: 1,
        owner_count: 1,
        deleted: false,
        fingerprint: None,
    })
}

fn change(user: &Arc<User>, status: Status) -> Change {
    Change {
        user: user.clone(),
        status,
        last_seen_at: (status == Status::Offline).then_some(Timestamp(9)),
    }
}

/// Online, away and all who are there.
fn there(rooms: &Rooms, room: RoomId) -> (Vec<String>, Vec<String>, usize) {
    let Some(Said::WhoIsThere {
        online,
        away,
        present,
    }) = rooms.who_is_there(room)
    else {
        panic!("the room was taken up");
    };
    let names = |users: Vec<Arc<User>>| users.iter().map(|user| user.id.to_string()).collect();
    (names(online), names(away), present)
}

fn event(seq: u64, room: &Arc<Room>, what: What) -> Event {
    let cursor = Cursor {
        seq: Seq(seq),
        epoch: Epoch::stored(1),
    };
    Event {
        cursor,
        at: Timestamp(1),
        room: room.clone(),
        actor: user("ada"),
        what,
    }
}

fn member(room: &Room, user: &Arc<User>, standing: Standing) -> Arc<Member> {
    Arc::new(Member {
        id: MemberId::generate(),
        room: room.id,
        user: user.clone(),
        role: Role::Member,
        joined_at: Timestamp(1),
        joined_seq: Seq(1),
        standing,
        read_up_to: None,
    })
}

fn members(users: &[Arc<User>]) -> Vec<(UserId, Role)> {
    users
        .iter()
        .map(|user| (user.id.clone(), Role::Member))
        .collect()
}

#[test]
fn each_one_is_told_of_while_two_hundred_are_there_and_no_more_beyond() {
    let (mut rooms, about) = (Rooms::default(), room());
    let users: Vec<_> = (0..202).map(|n| user(&format!("user-{n:03}"))).collect();
    rooms.take_up(about.clone(), Seq(1), members(&users), |_| None);
    for (n, user) in users.iter().enumerate() {
        let told = rooms.changed(&change(user, Status::Online));
        assert_eq!(told.is_empty(), n >= 200, "{n}");
    }
    assert!(rooms.changed(&change(&users[0], Status::Away)).is_empty());
    let (online, away, present) = there(&rooms, about.id);
    assert_eq!((online.len(), away.len(), present), (100, 1, 202));
    assert!(
        rooms
            .changed(&change(&users[0], Status::Offline))
            .is_empty()
    );
    assert_eq!(
        rooms.changed(&change(&users[1], Status::Offline)),
        [about.id]
    );
    assert_eq!(there(&rooms, about.id).2, 200);
}

#[test]
fn members_come_and_go_by_the_log_each_event_once() {
    let (mut rooms, about) = (Rooms::default(), room());
    let [ada, ben, cay] = ["ada", "ben", "cay"].map(user);
    let all = [ada.clone(), ben.clone(), cay.clone()];
    let here: HashMap<_, _> = all.iter().map(|user| (user.id.clone(), user)).collect();
    let status = |id: &UserId| {
        if id.as_str() == "cay" {
            Status::Away
        } else {
            Status::Online
        }
    };
    let there_is = |id: &UserId| here.get(id).map(|user| (*user, status(id)));
    rooms.take_up(about.clone(), Seq(5), members(&all[..1]), there_is);
    assert_eq!(there(&rooms, about.id), (vec!["ada".into()], vec![], 1));
    let joined = |seq, who| {
        event(
            seq,
            &about,
            What::MemberJoined(member(&about, who, Standing::Active)),
        )
    };
    // The members that were read have this one already.
    assert_eq!(rooms.follow(&joined(5, &ben), there_is), None);
    let came = rooms.follow(&joined(6, &ben), there_is);
    assert_eq!(
        came.map(|change| (change.user, change.status)),
        Some((ben.clone(), Status::Online))
    );
    assert_eq!(
        rooms.follow(&joined(7, &cay), there_is).unwrap().status,
        Status::Away
    );
    assert_eq!(
        there(&rooms, about.id),
        (vec!["ada".into(), "ben".into()], vec!["cay".into()], 3)
    );
    let left = event(
        8,
        &about,
        What::MemberLeft(member(&about, &ben, Standing::Left)),
    );
    assert_eq!(rooms.follow(&left, there_is), None);
    assert_eq!(
        there(&rooms, about.id),
        (vec!["ada".into()], vec!["cay".into()], 2)
    );
    assert!(rooms.changed(&change(&ben, Status::Away)).is_empty());
    let gone = event(
        9,
        &about,
        What::RoomDeleted {
            was: Visibility::Private,
        },
    );
    rooms.follow(&gone, there_is);
    assert!(rooms.who_is_there(about.id).is_none());
    assert!(rooms.is_empty());
}
