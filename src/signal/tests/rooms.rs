//! Who is there in a room that someone listens to.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::attendance::Attendance;
use super::super::presence::{Change, Status};
use super::super::rooms::{News, Rooms};
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

fn members(users: &[Arc<User>]) -> Attendance {
    let ids: Vec<_> = users.iter().map(|user| user.id.clone()).collect();
    Attendance {
        roles: ids.iter().map(|id| (id.clone(), Role::Member)).collect(),
        ids,
    }
}

/// Takes up a room, and looks up all its members.
fn take_up<'a>(
    rooms: &mut Rooms,
    about: &Arc<Room>,
    as_of: u64,
    users: &[Arc<User>],
    there: impl Fn(&UserId) -> Option<(&'a Arc<User>, Status)>,
) {
    rooms.take_up(about.clone(), Seq(as_of), members(users));
    while rooms.place_some(about.id, &there) {}
}

/// Forgets what is left of rooms.
fn forget_left(rooms: &mut Rooms) {
    while let Some(mut left) = rooms.next_left() {
        loop {
            let some = left.next();
            if some.is_empty() {
                break;
            }
            assert!(some.len() <= Rooms::SLICE);
            rooms.forget(&left, some);
        }
    }
}

fn users(count: usize) -> Vec<Arc<User>> {
    let named = (0..count).map(|n| user(&format!("user-{n:04}")));
    named.collect()
}

#[test]
fn each_one_is_told_of_while_two_hundred_are_there_and_no_more_beyond() {
    let (mut rooms, about) = (Rooms::default(), room());
    let users = users(202);
    take_up(&mut rooms, &about, 1, &users, |_| None);
    let mut changed = |n: usize, status| {
        let told = rooms.changed(&change(&users[n], status));
        let present = there(&rooms, about.id).2;
        (
            told.into_iter().map(|(_, news)| news).collect::<Vec<_>>(),
            present,
        )
    };
    let one = |n: usize, status| vec![News::One(change(&users[n], status))];
    for n in 0..200 {
        assert_eq!(changed(n, Status::Online), (one(n, Status::Online), n + 1));
    }
    assert_eq!(changed(200, Status::Online), (vec![], 201));
    assert_eq!(changed(201, Status::Online), (vec![], 202));
    assert_eq!(changed(0, Status::Away), (vec![], 202));
    assert_eq!(changed(0, Status::Offline), (vec![], 201));
    // Nobody was told of those who came and went meanwhile: now they are told who is there.
    assert_eq!(changed(1, Status::Offline), (vec![News::All], 200));
    assert_eq!(changed(2, Status::Away), (one(2, Status::Away), 200));
}

#[test]
fn who_leaves_a_crowded_room_may_be_the_one_too_many() {
    let (mut rooms, about) = (Rooms::default(), room());
    let users = users(202);
    let here: HashMap<_, _> = users.iter().map(|user| (user.id.clone(), user)).collect();
    let status = |id: &UserId| Some((here[id], Status::Online));
    take_up(&mut rooms, &about, 1, &users, status);
    let left = |seq, who| {
        let member = member(&about, who, Standing::Left);
        event(seq, &about, What::MemberLeft(member))
    };
    let told: Vec<_> = (0..3)
        .map(|n| rooms.follow(&left(2 + n, &users[n as usize]), status))
        .collect();
    assert_eq!(told, [None, Some(News::All), None]);
    assert_eq!(there(&rooms, about.id).2, 199);
}

#[test]
fn members_are_looked_up_a_few_at_a_time_and_nobody_is_told_before_all_are() {
    let (mut rooms, about) = (Rooms::default(), room());
    let users = users(2 * Rooms::SLICE + 1);
    rooms.take_up(about.clone(), Seq(1), members(&users));
    let looked_up = std::cell::Cell::new(0);
    let there_is = |_: &UserId| {
        looked_up.set(looked_up.get() + 1);
        None
    };
    for (looks, more) in [(Rooms::SLICE, true), (Rooms::SLICE, true), (1, false)] {
        assert!(rooms.who_is_there(about.id).is_none());
        // Not known to all members yet: who is looked up last is not yet there, who was looked up first is.
        for user in [&users[0], &users[2 * Rooms::SLICE]] {
            assert!(rooms.changed(&change(user, Status::Offline)).is_empty());
        }
        looked_up.set(0);
        assert_eq!(rooms.place_some(about.id, there_is), more);
        assert_eq!(looked_up.get(), looks);
    }
    assert_eq!(there(&rooms, about.id).2, 0);
    let told = rooms.changed(&change(&users[7], Status::Online));
    assert_eq!(told.len(), 1);
    rooms.drop(about.id);
    assert!(rooms.changed(&change(&users[7], Status::Away)).is_empty());
    forget_left(&mut rooms);
    assert!(rooms.is_empty());
}

/// One step in the life of a room that is taken up, a few members at a time.
#[derive(Clone, Debug)]
enum Step {
    /// Someone comes, goes, or is away.
    Stand(usize, Status),
    Join(usize),
    Leave(usize),
    Place,
    /// Nobody listens any more, and then someone does.
    TakeUp,
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..USERS;
    let status = prop_oneof![
        Just(Status::Online),
        Just(Status::Away),
        Just(Status::Offline)
    ];
    prop_oneof![
        4 => (who.clone(), status).prop_map(|(who, status)| Step::Stand(who, status)),
        2 => who.clone().prop_map(Step::Join),
        2 => who.prop_map(Step::Leave),
        2 => Just(Step::Place),
        1 => Just(Step::TakeUp),
        1 => Just(Step::Forget),
    ]
}

/// Three slices and some.
const USERS: usize = 3 * Rooms::SLICE + 40;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens while a room is taken up or forgotten: in the end those are there who are members and have come.
    #[test]
    fn what_happens_meanwhile_is_not_missed(steps in prop::collection::vec(step(), 1..60)) {
        let (mut rooms, about, users) = (Rooms::default(), room(), users(USERS));
        let mut stands = HashMap::new();
        let mut of_room: std::collections::BTreeSet<_> = (0..USERS).step_by(2).collect();
        let mut seq = 1;
        let named = |of_room: &std::collections::BTreeSet<usize>| -> Vec<_> {
            of_room.iter().map(|n| users[*n].clone()).collect()
        };
        rooms.take_up(about.clone(), Seq(seq), members(&named(&of_room)));
        macro_rules! there {
            () => {
                |id: &UserId| {
                    let (who, status) = stands.get_key_value(id)?;
                    let at: usize = who.as_str()[5..].parse().unwrap();
                    Some((&users[at], *status))
                }
            };
        }
        for step in steps {
            match step {
                Step::Stand(who, status) => {
                    match status {
                        Status::Offline => stands.remove(&users[who].id),
                        _ => stands.insert(users[who].id.clone(), status),
                    };
                    rooms.changed(&change(&users[who], status));
                }
                Step::Join(who) if of_room.insert(who) => {
                    seq += 1;
                    let member = member(&about, &users[who], Standing::Active);
                    rooms.follow(&event(seq, &about, What::MemberJoined(member)), there!());
                }
                Step::Leave(who) if of_room.remove(&who) => {
                    seq += 1;
                    let member = member(&about, &users[who], Standing::Left);
                    rooms.follow(&event(seq, &about, What::MemberLeft(member)), there!());
                }
                Step::Join(_) | Step::Leave(_) => {}
                Step::Place => { rooms.place_some(about.id, there!()); }
                Step::TakeUp => {
                    rooms.drop(about.id);
                    rooms.take_up(about.clone(), Seq(seq), members(&named(&of_room)));
                }
                Step::Forget => forget_left(&mut rooms),
            }
        }
        while rooms.place_some(about.id, there!()) {}
        forget_left(&mut rooms);
        let is_there = |who: &&usize| stands.contains_key(&users[**who].id);
        prop_assert_eq!(there(&rooms, about.id).2, of_room.iter().filter(is_there).count());
        // And each of them is found when it goes.
        for user in &users {
            rooms.changed(&change(user, Status::Offline));
        }
        prop_assert_eq!(there(&rooms, about.id).2, 0);
        rooms.drop(about.id);
        forget_left(&mut rooms);
        prop_assert!(rooms.is_empty());
    }
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
    take_up(&mut rooms, &about, 5, &all[..1], there_is);
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
    assert_eq!(came, Some(News::One(change(&ben, Status::Online))));
    let came = rooms.follow(&joined(7, &cay), there_is);
    assert_eq!(came, Some(News::One(change(&cay, Status::Away))));
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
    forget_left(&mut rooms);
    assert!(rooms.is_empty());
}
