//! Who is told what, and who may be heard.

use std::sync::atomic::Ordering::SeqCst;

use super::super::world::user;
use super::{EVENTS, SAYS, Stage, of, room, settle};
use crate::model::Visibility::Private;
use crate::signal::Kind;

#[tokio::test]
async fn who_was_too_slow_is_told_anew_once_it_keeps_up() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    let bob = stage.client("bob", &[of(SAYS, &[r])]).await;
    let cay = stage.client("ada", &[of(SAYS, &[r])]).await;
    assert_eq!(bob.heard().await, ["1 there", "ada Online"]);
    assert_eq!(cay.heard().await, ["2 there"]);
    bob.stop_reading();
    stage.signals.set_away(&user("ada").id, true);
    stage.work().await;
    stage.say(r, "not to bob");
    stage.work().await;
    assert_eq!(bob.heard().await, [""; 0]);
    assert_eq!(cay.heard().await, ["ada Away", "not to bob"]);
    stage.say(r, "asks again");
    stage.work().await;
    assert_eq!(bob.heard().await, ["2 there"]);
    assert_eq!(cay.heard().await, ["asks again"]);
}

#[tokio::test]
async fn of_a_room_that_was_lost_nothing_is_told_to_ones_own_devices_until_one_is_back() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    let wish = "roomRead { says }".to_owned();
    let bob = stage.client("bob", &[wish, EVENTS.into()]).await;
    assert_eq!(bob.heard().await, ["CaughtUp"]);
    stage.reads(r, "bob");
    stage.work().await;
    assert_eq!(bob.heard().await, ["bob reads"]);
    stage.world.leave(r, "bob");
    // Whoever tells what was read comes behind.
    stage.reads(r, "bob");
    stage.work().await;
    assert_eq!(bob.heard().await, ["AccessRevoked"]);
    stage.world.join(r, "bob");
    stage.reads(r, "bob");
    stage.work().await;
    assert_eq!(bob.heard().await, ["MemberJoined", "bob reads"]);
}

#[tokio::test]
async fn who_comes_when_a_room_is_lost_hears_of_nothing_that_was_read_there_before() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    stage.reads(r, "bob");
    settle().await;
    stage.world.leave(r, "bob");
    stage.world.settled().await;
    // What was read waits in the worker's ear still, the loss in the tail, when it is asked for a seat.
    let bob = stage.client("bob", &["roomRead { says }".into()]).await;
    assert_eq!(bob.heard().await, [""; 0]);
    stage.world.join(r, "bob");
    stage.world.settled().await;
    stage.reads(r, "bob");
    stage.work().await;
    assert_eq!(bob.heard().await, ["bob reads"]);
}

#[tokio::test]
async fn two_rooms_at_most_are_read_at_once_for_who_is_there_and_one_reader_is_left_to_others() {
    for (readers, most) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        let mut stage = Stage::with_readers(readers).await;
        let mut rooms = Vec::new();
        for _ in 0..6 {
            rooms.push(room(&mut stage).await);
        }
        let bob = stage.client("bob", &[of(SAYS, &rooms)]).await;
        assert_eq!(bob.heard().await, ["1 there"; 6]);
        let at_once = stage.world.store.attending_max.load(SeqCst);
        assert_eq!(at_once, most, "of {readers}");
    }
}

#[tokio::test]
async fn when_two_hundred_are_there_again_all_are_told_who() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    let names: Vec<_> = (0..201).map(|n| format!("user-{n}")).collect();
    for name in &names {
        stage.world.join(r, name);
    }
    stage.work().await;
    let bob = stage.client("bob", &[of(SAYS, &[r])]).await;
    assert_eq!(bob.heard().await, ["1 there"]);
    let mut there: Vec<_> = names.iter().map(|name| stage.arrive(name)).collect();
    stage.work().await;
    // Bob and 199 more; the others are no news.
    assert_eq!(bob.heard().await.len(), 199);
    let mut go = || {
        let one = there.pop().unwrap();
        one.leave_cleanly();
    };
    go();
    stage.work().await;
    assert_eq!(bob.heard().await, [""; 0]);
    go();
    stage.work().await;
    assert_eq!(bob.heard().await, ["200 there"]);
    go();
    stage.work().await;
    assert_eq!(bob.heard().await, ["user-198 Offline"]);
}

#[tokio::test]
async fn who_may_be_heard_is_looked_up_when_it_is_told() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    let ada = stage.client("ada", &[of(SAYS, &[r])]).await;
    assert_eq!(ada.heard().await, ["1 there"]);
    let types = |stage: &Stage, vouched| {
        let expires = stage.signals.start_typing(r, &user("bob"), vouched);
        expires.is_some()
    };
    assert!(types(&stage, None));
    // The store has said that he may, and before he is heard he is removed.
    let vouched = Some(stage.signals.place());
    stage.world.leave(r, "bob");
    stage.work().await;
    assert!(!types(&stage, vouched));
    assert!(!types(&stage, None));
    assert_eq!(ada.heard().await, ["bob types true", "bob types false"]);
    // He is let in again, and the store has said so before it is known here.
    stage.world.join(r, "bob");
    let vouched = Some(stage.signals.place());
    assert!(types(&stage, vouched));
    stage.work().await;
    assert_eq!(ada.heard().await, ["bob types true"]);
    // Where nobody listens the store's word is all there is.
    let elsewhere = stage.world.create("bob", Private);
    let kind = || Kind::parse("k").unwrap();
    let say = |vouched| {
        stage
            .signals
            .say(elsewhere, &user("bob"), vouched, kind(), None)
    };
    assert!(say(None).is_none());
    assert!(say(vouched).is_some());
    drop(ada.connection);
}
