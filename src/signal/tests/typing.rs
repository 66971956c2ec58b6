//! Typing: six seconds, and all that ends it before.

use std::time::Duration;

use tokio::time::Instant;

use super::super::told::Kind;
use super::super::typing::Typing;
use super::user;
use crate::model::RoomId;

#[test]
fn it_lapses_after_six_seconds_and_not_before() {
    let (mut typing, ada, room) = (Typing::default(), user("ada"), RoomId::generate());
    let now = Instant::now();
    typing.start(room, &ada, now);
    assert_eq!(typing.next_lapse(), Some(now + Duration::from_secs(6)));
    assert_eq!(typing.lapse(now + Duration::from_millis(5_999)), None);
    assert_eq!(
        typing.lapse(now + Duration::from_secs(6)),
        Some((room, ada.clone()))
    );
    assert_eq!(typing.lapse(now + Duration::from_secs(60)), None);
    assert_eq!(typing.next_lapse(), None);
}

#[test]
fn who_says_it_again_types_for_six_seconds_more() {
    let (mut typing, ada, room) = (Typing::default(), user("ada"), RoomId::generate());
    let now = Instant::now();
    typing.start(room, &ada, now);
    let later = now + Duration::from_secs(5);
    typing.start(room, &ada, later);
    assert_eq!(typing.lapse(now + Duration::from_secs(6)), None);
    let lapsed = typing.lapse(later + Duration::from_secs(6));
    assert_eq!(lapsed, Some((room, ada)));
}

#[test]
fn it_is_stopped_once_in_one_room_or_in_all() {
    let (mut typing, now) = (Typing::default(), Instant::now());
    let [ada, ben, bea] = ["ada", "ben", "bea"].map(user);
    let [one, other] = [RoomId::generate(), RoomId::generate()];
    for (room, who) in [(one, &ada), (other, &ada), (one, &ben), (one, &bea)] {
        typing.start(room, who, now);
    }
    assert_eq!(typing.stop(one, &ben.id), Some((one, ben.clone())));
    assert_eq!(typing.stop(one, &ben.id), None);
    let mut stopped = typing.stop_all(&ada.id);
    stopped.sort_by_key(|(room, _)| *room);
    let mut both = [(one, ada.clone()), (other, ada.clone())];
    both.sort_by_key(|(room, _)| *room);
    assert_eq!(stopped, both);
    assert_eq!(typing.lapse(now + Typing::LASTS), Some((one, bea)));
    assert_eq!(typing.lapse(now + Typing::LASTS), None);
}

#[test]
fn a_kind_is_1_to_64_bytes() {
    assert_eq!(Kind::parse(&"k".repeat(64)).unwrap().as_str().len(), 64);
    for bad in [
        String::new(),
        "k".repeat(65),
        "\u{e9}".repeat(33),
        "a\tb".into(),
    ] {
        assert!(Kind::parse(&bad).is_err(), "{bad:?}");
    }
}
