//! Signals come behind the log that they were said behind, and give way to it.

use std::rc::Rc;
use std::time::Duration;

use super::{EVENTS, SAYS, Stage, of, room, settle};
use crate::interleave::explored;

#[tokio::test]
async fn a_signal_waits_for_the_message_that_was_answered_before_it_was_said() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    let bob = stage.client("bob", &[of(SAYS, &[r]), EVENTS.into()]).await;
    assert_eq!(bob.heard().await, ["1 there", "CaughtUp"]);
    // It is announced, and the tail has not heard of it.
    stage.world.send(r, "look at this");
    stage.say(r, "pointer");
    while stage.turn() {}
    assert_eq!(bob.heard().await, [""; 0]);
    stage.work().await;
    assert_eq!(bob.heard().await, ["look at this", "pointer"]);
}

#[tokio::test]
async fn who_is_removed_in_the_same_instant_hears_nothing_that_was_said_behind_it() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    let bob = stage.client("bob", &[of(SAYS, &[r]), EVENTS.into()]).await;
    assert_eq!(bob.heard().await, ["1 there", "CaughtUp"]);
    stage.say(r, "before");
    stage.world.leave(r, "bob");
    stage.say(r, "behind");
    while stage.turn() {}
    stage.work().await;
    assert_eq!(bob.heard().await, ["before", "AccessRevoked"]);
}

#[tokio::test]
async fn what_is_not_told_in_time_is_dropped_and_who_is_there_is_told_anew() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    tokio::time::pause();
    let bob = stage.client("bob", &[of(SAYS, &[r])]).await;
    assert_eq!(bob.heard().await, ["1 there"]);
    let mut ada = None;
    for (late, comes, heard) in [
        (999, false, vec!["late"]),
        (1_000, false, vec![]),
        (1_000, true, vec!["2 there"]),
    ] {
        // What it was said behind is not walked to for a while.
        stage.world.send(r, "slow");
        stage.say(r, "late");
        if comes {
            ada = Some(stage.arrive("ada"));
        }
        stage.turn();
        tokio::time::advance(Duration::from_millis(late)).await;
        stage.work().await;
        assert_eq!(bob.heard().await, heard, "{late}");
    }
    drop(ada);
    stage.say(r, "in time");
    stage.work().await;
    assert_eq!(bob.heard().await, ["in time"]);
}

/// On this thread, at each signal that the worker has told.
fn at_each_told(hook: impl Fn() + 'static) {
    explored::set(Some(Rc::new(move |name, _| {
        if name == "told" {
            hook();
        }
    })));
}

#[tokio::test]
async fn telling_ends_when_its_time_is_over() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    let bob = stage.client("bob", &[of(SAYS, &[r])]).await;
    assert_eq!(bob.heard().await, ["1 there"]);
    for kind in ["one", "two", "three"] {
        stage.say(r, kind);
    }
    at_each_told(|| std::thread::sleep(Duration::from_millis(3)));
    for kind in ["one", "two", "three"] {
        assert!(stage.turn());
        assert_eq!(bob.heard().await, [kind]);
    }
    assert!(!stage.turn());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn telling_ends_when_the_log_has_grown() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    let bob = stage.client("bob", &[of(SAYS, &[r]), EVENTS.into()]).await;
    let mut heard = Vec::new();
    while !["1 there", "CaughtUp"]
        .iter()
        .all(|it| heard.iter().any(|heard| heard == it))
    {
        stage.work().await;
        heard.extend(bob.heard().await);
    }
    for kind in ["one", "two", "three"] {
        stage.say(r, kind);
    }
    // Just when the first is told something happens, and comes to the tail by another thread.
    let (tail, update) = (stage.world.tail.clone(), stage.world.updater(r));
    let (head, has_happened) = (tail.head(), std::cell::Cell::new(false));
    at_each_told(move || {
        if !has_happened.replace(true) {
            update();
            while tail.head() == head {
                std::thread::yield_now();
            }
        }
    });
    assert!(stage.turn());
    assert_eq!(bob.heard().await, ["one"]);
    while stage.turn() {}
    assert_eq!(bob.heard().await, ["RoomUpdated", "two", "three"]);
}

#[tokio::test]
async fn who_is_there_is_told_in_the_end_however_long_it_takes() {
    let mut stage = Stage::new().await;
    let rooms = [room(&mut stage).await, room(&mut stage).await];
    at_each_told(|| std::thread::sleep(Duration::from_millis(1_100)));
    let bob = stage.client("bob", &[of(SAYS, &rooms)]).await;
    assert_eq!(bob.heard().await, ["1 there", "1 there"]);
}

#[tokio::test]
async fn what_came_while_the_worker_was_behind_is_told_without_another_word() {
    let mut stage = Stage::new().await;
    let r = room(&mut stage).await;
    let bob = stage.client("bob", &[of(SAYS, &[r])]).await;
    assert_eq!(bob.heard().await, ["1 there"]);
    stage.world.send(r, "what the tail has not heard of");
    stage.say(r, "one");
    stage.say(r, "two");
    assert!(!stage.turn());
    stage.say(r, "three");
    assert!(!stage.turn());
    settle().await;
    at_each_told(|| std::thread::sleep(Duration::from_millis(3)));
    assert!(stage.turn());
    explored::set(None);
    while stage.turn() {}
    assert_eq!(bob.heard().await, ["one", "two", "three"]);
}
