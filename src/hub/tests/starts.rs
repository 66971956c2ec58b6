//! Everyone subscribes at once: a few begin at a time, and none that waits for its socket holds up the others.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;

use super::world::World;
use crate::hub::core::Core;
use crate::interleave::explored;
use crate::log::TailLimits;
use crate::model::RoomId;
use crate::model::Visibility::Private;

/// Longer than any machine takes for what has no reason to wait.
const STUCK: Duration = Duration::from_secs(60);
/// Less than a few frames, so that a catch-up waits for its reader.
const TINY_BUDGET_BYTES: usize = 600;

/// Ada's room with so many messages.
async fn written(world: &World, messages: usize) -> RoomId {
    let room = world.create("ada", Private);
    for n in 0..messages {
        world.send(room, &format!("message {n}"));
    }
    world.settled().await;
    room
}

#[tokio::test]
async fn readers_that_take_nothing_let_others_begin() {
    // From the ring, and from the store.
    for events in [16_384, 20] {
        let limits = TailLimits {
            events,
            ..TailLimits::default()
        };
        let world = World::with(2, limits).await;
        written(&world, 100).await;
        let mut stuck = Vec::new();
        for _ in 0..2 * Core::STARTS {
            let client = world.client_with("ada", TINY_BUDGET_BYTES);
            let events = "subscription { events { kind body } }";
            client
                .resume(&world, "1", events, Some(world.cursor(1)))
                .await;
            stuck.push(client);
        }
        begins(&world).await;
        let mut ada = world.client("ada");
        let events = "subscription { events { kind body } }";
        (ada.resume(&world, "1", events, Some(world.cursor(1)))).await;
        let seen = tokio::time::timeout(STUCK, ada.until("CaughtUp")).await;
        assert_eq!(seen.expect("it is let go on").len(), 101);
        drop(stuck);
        world.end().await;
    }
}

#[tokio::test]
async fn readers_that_are_told_of_many_rooms_that_they_cannot_see_let_others_begin() {
    let world = World::new().await;
    world.create("ada", Private);
    world.settled().await;
    let absent: Vec<String> = (0..50)
        .map(|_| format!("{:?}", RoomId::generate().to_string()))
        .collect();
    let events = format!(
        "subscription {{ events(roomIds: [{}]) {{ kind }} }}",
        absent.join(",")
    );
    let mut stuck = Vec::new();
    for _ in 0..2 * Core::STARTS {
        let client = world.client_with("bob", TINY_BUDGET_BYTES);
        client.subscribe(&world, "1", &events).await;
        stuck.push(client);
    }
    begins(&world).await;
    drop(stuck);
    world.end().await;
}

#[tokio::test]
async fn nobody_is_let_in_while_as_many_as_may_are_beginning() {
    let world = World::new().await;
    let starts = world.hub.core.starts.clone();
    let all = u32::try_from(Core::STARTS).unwrap();
    let beginning = starts.acquire_many(all).await.unwrap();
    let mut let_in = Box::pin(world.hub.has_room());
    assert!((&mut let_in).now_or_never().is_none());
    drop(beginning);
    let let_in = tokio::time::timeout(STUCK, let_in).await;
    let_in.expect("there is room");
    // And takes none.
    assert_eq!(starts.available_permits(), Core::STARTS);
    world.end().await;
}

#[tokio::test]
async fn those_who_walk_the_ring_take_turns() {
    let world = World::new().await;
    written(&world, 100).await;
    let turns = world.hub.core.turns.clone();
    let all = u32::try_from(Core::turns()).unwrap();
    let walking = turns.clone().acquire_many_owned(all).await.unwrap();
    let mut ada = world.client("ada");
    let events = "subscription { events { kind body } }";
    (ada.resume(&world, "1", events, Some(world.cursor(1)))).await;
    let starts = world.hub.core.starts.clone();
    let begun = starts.acquire_many(Core::STARTS as u32).await.unwrap();
    drop(begun);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(ada.message().now_or_never().is_none());
    drop(walking);
    let seen = tokio::time::timeout(STUCK, ada.until("CaughtUp")).await;
    assert_eq!(seen.expect("it has its turn").len(), 101);
    // And gives it back.
    drop(turns.acquire_many(all).await.unwrap());
    world.end().await;
}

#[tokio::test]
async fn what_was_unsubscribed_while_it_waited_for_its_turn_asks_the_store_for_nothing() {
    let world = World::new().await;
    world.create("ada", Private);
    world.settled().await;
    let full = world.hub.fill();
    let client = world.client("ada");
    let events = "subscription { events { kind body } }";
    (client.resume(&world, "1", events, Some(world.cursor(1)))).await;
    // It queues.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    client.connection.as_ref().unwrap().unsubscribe("1");
    // Each read would use up one.
    world.store.failures.store(1000, Ordering::SeqCst);
    let starts = world.hub.core.starts.clone();
    drop(full);
    drop(starts.acquire_many(Core::STARTS as u32).await.unwrap());
    assert_eq!(world.store.failures.load(Ordering::SeqCst), 1000);
    world.end().await;
}

#[tokio::test]
async fn a_long_way_to_the_head_is_looked_through_in_pieces_and_others_run_in_between() {
    let world = World::new().await;
    let room = written(&world, 2_000).await;
    let turns = Arc::new(AtomicU32::new(0));
    let others = tokio::spawn(take_turns(turns.clone()));
    let looks = Rc::new(RefCell::new(Vec::new()));
    let seen = looks.clone();
    explored::set(Some(Rc::new(move |name, _| {
        if name == "look" {
            seen.borrow_mut().push(turns.load(Ordering::SeqCst));
        }
    })));
    let mut named: Vec<_> = (0..200).map(|_| RoomId::generate()).collect();
    named.push(room);
    let named: Vec<_> = named.iter().map(|id| format!("\"{id}\"")).collect();
    let events = format!(
        "subscription {{ events(roomIds: [{}]) {{ kind }} }}",
        named.join(",")
    );
    let mut ada = world.client("ada");
    ada.resume(&world, "1", &events, Some(world.cursor(1)))
        .await;
    for _ in 0..200 {
        assert_eq!(ada.event().await["kind"], "AccessRevoked");
    }
    explored::set(None);
    others.abort();
    let looks = looks.take();
    assert_eq!(looks.len(), 4);
    // Who yields together changes places, so that one may run twice on end.
    assert!(looks.windows(3).all(|it| it[0] < it[2]), "{looks:?}");
    // It was the ring that had them all.
    assert_eq!(world.store.replays.load(Ordering::SeqCst), 0);
    for _ in 0..2_000 {
        assert_eq!(ada.event().await["kind"], "MessageSent");
    }
    assert_eq!(ada.event().await["kind"], "CaughtUp");
    world.end().await;
}

/// Counts how often others let it run.
async fn take_turns(turns: Arc<AtomicU32>) {
    loop {
        turns.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

/// Those before it have had their turn: turns go by who came first.
async fn begins(world: &World) {
    let mut ada = world.client("ada");
    ada.subscribe(world, "1", "subscription { events { kind body } }")
        .await;
    let caught_up = tokio::time::timeout(STUCK, ada.until("CaughtUp")).await;
    assert_eq!(caught_up.expect("it is let begin"), ["CaughtUp"]);
}
