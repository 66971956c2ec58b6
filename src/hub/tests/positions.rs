//! Positions: what a ping says has been queued, so that a client may resume from it and misses nothing.

use std::cell::Cell;

use super::world::World;
use crate::model::Visibility::Private;

const EVENTS: &str = "subscription { events { kind room body } }";

#[tokio::test]
async fn a_quiet_subscription_moves_on_with_the_log() {
    let world = World::new().await;
    let (quiet, busy) = (world.create("bob", Private), world.create("ada", Private));
    world.settled().await;
    let mut bob = world.client("bob");
    bob.subscribe(&world, "quiet", EVENTS).await;
    let first = bob.until("CaughtUp").await;
    assert_eq!(first, ["CaughtUp"]);
    assert_eq!(bob.ping().await["quiet"], world.cursor(2).to_string());
    for _ in 0..10 {
        world.send(busy, "not bob's");
    }
    world.settled().await;
    // Delivered behind everything else, so the worker has walked past it.
    world.send(quiet, "bob's");
    assert_eq!(bob.event().await["body"], "bob's");
    bob.connection().ping();
    assert_eq!(bob.ping().await["quiet"], world.cursor(13).to_string());
    world.end().await;
}

#[tokio::test]
async fn a_subscription_begins_at_the_end_of_the_log_though_the_tail_has_yet_to_come_there() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    world.settled().await;
    world.mute(true);
    world.send(room, "acknowledged");
    let head = world.hub.head();
    assert_eq!(head, world.cursor(2));
    let (mut now, mut after) = (world.client("ada"), world.client("ada"));
    now.subscribe(&world, "1", EVENTS).await;
    after.resume(&world, "1", EVENTS, Some(head)).await;
    for client in [&mut now, &mut after] {
        assert_eq!(client.until("CaughtUp").await, ["CaughtUp"]);
        assert_eq!(client.ping().await["1"], head.to_string());
    }
    world.mute(false);
    world.send(room, "next");
    for client in [&mut now, &mut after] {
        assert_eq!(client.event().await["body"], "next");
    }
    world.end().await;
}

#[tokio::test]
async fn a_subscription_that_has_not_begun_is_where_it_asked_to_begin() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    for _ in 0..100 {
        world.send(room, "something to replay");
    }
    world.settled().await;
    let mut ada = world.client_with("ada", 4_096);
    ada.subscribe(&world, "1", EVENTS).await;
    ada.until("CaughtUp").await;
    ada.resume(&world, "2", EVENTS, Some(world.cursor(3))).await;
    ada.connection().ping();
    let mut delivered = 3;
    loop {
        let message = ada.message().await;
        if message["type"] == "ping" {
            let place = message["payload"]["resume"]["2"].as_str();
            let Some(place) = place else { continue };
            // Whatever it says was queued before it: what was read so far is at least that.
            assert!(place <= world.cursor(delivered).to_string().as_str());
            assert!(place >= world.cursor(3).to_string().as_str());
            break;
        }
        if message["id"] == "2" {
            delivered += 1;
        }
    }
    world.end().await;
}

#[tokio::test]
async fn before_it_has_begun_a_client_is_given_back_what_it_said_and_not_a_place_of_another_log() {
    let world = World::new().await;
    world.create("ada", Private);
    world.settled().await;
    let full = world.hub.fill();
    let mut ada = world.client("ada");
    // Of before a backup was put in place: it stands in the variables for good.
    let events = r#"subscription { events(after: "00000000s40000000007") { kind } }"#;
    (ada.resume(&world, "1", events, Some(world.cursor(1)))).await;
    ada.connection().ping();
    assert_eq!(ada.ping().await["1"], world.cursor(1).to_string());
    drop(full);
    world.end().await;
}

#[tokio::test]
async fn going_live_is_told_with_a_ping_behind_caught_up() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    world.send(room, "a");
    world.settled().await;
    let mut ada = world.client("ada");
    ada.resume(&world, "1", EVENTS, Some(world.cursor(0))).await;
    let seen = ada.until("CaughtUp").await;
    assert_eq!(seen, ["RoomCreated", "a", "CaughtUp"]);
    let ping = ada.message().await;
    assert_eq!(ping["type"], "ping");
    assert_eq!(ping["payload"]["resume"]["1"], world.cursor(2).to_string());
    world.end().await;
}

#[tokio::test]
async fn while_a_ping_is_made_no_subscription_comes_goes_or_gets_further() {
    let world = World::new().await;
    world.create("ada", Private);
    world.settled().await;
    let mut ada = world.client("ada");
    ada.subscribe(&world, "1", EVENTS).await;
    ada.subscribe(&world, "2", EVENTS).await;
    ada.ping().await;
    let line = &ada.connection().line;
    let (told, held) = (Cell::new(0), Cell::new(0));
    line.ping(|_| {
        told.set(told.get() + 1);
        held.set(held.get() + usize::from(line.is_held()));
        world.cursor(1)
    });
    assert_eq!((told.get(), held.get()), (2, 2));
    world.end().await;
}
