//! Payloads that have to wait for the store.

use std::sync::atomic::Ordering::SeqCst;

use super::{EVENTS, LAST, Stage, of, room};
use crate::hub::worker::LANE_MAX;
use crate::model::Visibility::Private;

#[tokio::test]
async fn what_changes_while_a_first_picture_waits_is_told_behind_it() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    stage.hold(true);
    let bob = stage.client("bob", &[of(LAST, &[r])]).await;
    let _ada = stage.arrive("ada");
    stage.work().await;
    assert_eq!(bob.heard().await, [""; 0]);
    stage.hold(false);
    stage.work().await;
    assert_eq!(bob.heard().await, ["1 there: ", "ada Online: "]);
}

#[tokio::test]
async fn who_misses_the_first_picture_is_told_nothing_before_the_next() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    stage.hold(true);
    let bob = stage.client("bob", &[of(LAST, &[r])]).await;
    stage.say(r, "said");
    let _ada = stage.arrive("ada");
    stage.work().await;
    bob.stop_reading();
    // The first one is made and dropped, while the others are behind it.
    stage.let_one_through().await;
    assert_eq!(bob.heard().await, [""; 0]);
    // Now there is room for them, and they are not for him.
    stage.hold(false);
    stage.work().await;
    assert_eq!(bob.heard().await, [""; 0]);
    // It keeps up again.
    stage.say(r, "asks again");
    stage.work().await;
    assert_eq!(bob.heard().await, ["2 there: "]);
    stage.say(r, "hears again");
    stage.work().await;
    assert_eq!(bob.heard().await, ["hears again: "]);
}

#[tokio::test]
async fn what_waited_behind_a_missed_picture_does_not_come_before_the_next() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    stage.hold(true);
    let bob = stage.client("bob", &[of(LAST, &[r])]).await;
    stage.say(r, "said");
    stage.say(r, "said too");
    stage.work().await;
    bob.stop_reading();
    stage.let_one_through().await;
    assert_eq!(bob.heard().await, [""; 0]);
    // It keeps up again and is to be told who is there while what it is not to be told still waits.
    stage.say(r, "asks again");
    stage.work().await;
    stage.hold(false);
    stage.work().await;
    assert_eq!(bob.heard().await, ["1 there: "]);
}

#[tokio::test]
async fn who_lost_the_room_while_its_payload_was_made_is_not_told_that_it_has_read_on() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    let wish = "roomRead { says last }".to_owned();
    let bob = stage.client("bob", &[wish, EVENTS.into()]).await;
    assert_eq!(bob.heard().await, ["CaughtUp"]);
    stage.store_has("seen");
    stage.reads(r, "bob");
    stage.work().await;
    assert_eq!(bob.heard().await, ["bob reads: seen"]);
    stage.hold(true);
    stage.reads(r, "bob");
    stage.work().await;
    stage.world.leave(r, "bob");
    stage.work().await;
    stage.hold(false);
    stage.work().await;
    assert_eq!(bob.heard().await, ["AccessRevoked"]);
}

#[tokio::test]
async fn two_payloads_at_most_are_made_from_the_store_at_once_and_one_reader_is_left_to_others() {
    for (readers, most) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        let mut stage = Stage::with_readers(readers).await;
        let r = room(&mut stage).await;
        let wishes: Vec<_> = (0..6)
            .map(|n| format!("roomRead {{ says last a{n}: says }}"))
            .collect();
        let bob = stage.client("bob", &wishes).await;
        stage.hold(true);
        stage.reads(r, "bob");
        stage.work().await;
        let probe = stage.world.probe.clone();
        assert_eq!(probe.held.load(SeqCst), most);
        stage.hold(false);
        stage.work().await;
        assert_eq!(bob.heard().await.len(), 6);
        assert_eq!(probe.held_max.load(SeqCst), most);
    }
}

#[tokio::test]
async fn what_is_deleted_while_a_payload_is_made_is_not_in_it() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    let (message, _) = stage.world.reply(r, "regretted", None);
    stage.work().await;
    let bob = stage.client("bob", &[of(LAST, &[r])]).await;
    bob.heard().await;
    stage.store_has("regretted");
    stage.hold(true);
    stage.say(r, "look");
    stage.work().await;
    stage.delete(message);
    stage.store_has("nothing");
    stage.work().await;
    stage.hold(false);
    stage.work().await;
    assert_eq!(bob.heard().await, ["look: nothing"]);
}

#[tokio::test]
async fn so_many_rooms_read_on_wait_for_their_payloads_and_no_more() {
    let mut stage = Stage::new().await;
    let bob = stage
        .client("bob", &["roomRead { says last }".into()])
        .await;
    stage.hold(true);
    for _ in 0..2 * LANE_MAX {
        let r = stage.world.create("bob", Private);
        stage.work().await;
        stage.reads(r, "bob");
    }
    stage.work().await;
    stage.hold(false);
    stage.work().await;
    let mut heard = bob.heard().await;
    for _ in 0..LANE_MAX {
        stage.work().await;
        heard.extend(bob.heard().await);
    }
    assert_eq!(heard.len(), LANE_MAX);
}
