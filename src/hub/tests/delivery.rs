//! What reaches a subscriber: events from now or from a place, in order, once, rendered once for all.

use std::sync::atomic::Ordering;

use futures_util::FutureExt;

use super::world::World;
use crate::hub::operation::Rendered;
use crate::hub::{Item, Notice};
use crate::log::TailLimits;
use crate::model::Visibility::{Private, Public};

const EVENTS: &str = "subscription { events { kind room body } }";

#[tokio::test]
async fn a_subscriber_sees_what_happens_from_now_on_in_order() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    world.send(room, "before");
    world.settled().await;
    let mut ada = world.client("ada");
    ada.subscribe(&world, "1", EVENTS).await;
    for body in ["a", "b", "c"] {
        world.send(room, body);
    }
    let mut seen = ada.until("c").await;
    if !seen.contains(&"CaughtUp".to_owned()) {
        seen.push(ada.event().await["kind"].as_str().unwrap().into());
    }
    seen.retain(|event| event != "CaughtUp");
    assert_eq!(seen, ["a", "b", "c"]);
    world.end().await;
}

#[tokio::test]
async fn a_resumed_subscriber_gets_what_it_missed_then_caught_up_then_live() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    for body in ["a", "b", "c"] {
        world.send(room, body);
    }
    let mut ada = world.client("ada");
    ada.resume(&world, "1", EVENTS, Some(world.cursor(2))).await;
    assert_eq!(ada.until("CaughtUp").await, ["b", "c", "CaughtUp"]);
    world.send(room, "d");
    let next = ada.next().await;
    assert_eq!(next["id"], "1");
    assert_eq!(next["payload"]["data"]["events"]["body"], "d");
    assert_eq!(
        next["payload"]["extensions"]["cursor"],
        world.cursor(5).to_string()
    );
    world.end().await;
}

#[tokio::test]
async fn messages_alone_carry_messages_alone() {
    let world = World::new().await;
    let room = world.create("ada", Public);
    world.settled().await;
    let text = format!(r#"subscription {{ messageSent(roomId: "{room}") {{ body }} }}"#);
    let mut bob = world.client("bob");
    bob.subscribe(&world, "m", &text).await;
    // Live for sure, not only asked for.
    assert_eq!(bob.ping().await["m"], world.cursor(1).to_string());
    world.join(room, "cy");
    world.send(room, "hello");
    let next = bob.next().await;
    assert_eq!(next["payload"]["data"]["messageSent"]["body"], "hello");
    world.make_private(room);
    let error = bob.next().await;
    assert_eq!(error["type"], "error");
    assert_eq!(error["payload"][0]["extensions"]["code"], "NOT_FOUND");
    assert_eq!(bob.notice().await, Notice::Ended("m".into()));
    world.end().await;
}

/// A client that has heard of an end may use the id again at once, and who carries what it says looks for notices first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_an_end_can_be_heard_of_its_notice_is_there() {
    let world = World::with(1, TailLimits::default()).await;
    for _ in 0..200 {
        let room = world.create("ada", Public);
        let text = format!(r#"subscription {{ messageSent(roomId: "{room}") {{ body }} }}"#);
        let mut bob = world.client("bob");
        bob.subscribe(&world, "m", &text).await;
        bob.ping().await;
        world.make_private(room);
        while bob.outbox.queued_bytes() == 0 {
            std::hint::spin_loop();
        }
        let ended = bob.notice().now_or_never();
        assert_eq!(ended, Some(Notice::Ended("m".into())));
    }
    world.end().await;
}

#[tokio::test]
async fn any_number_of_subscribers_cost_one_render_an_event() {
    let world = World::new().await;
    let room = world.create("ada", Public);
    let mut clients = Vec::new();
    for n in 0..20 {
        let mut client = world.client("ada");
        let text = format!("subscription N{n} {{ events {{ kind, room body # {n}\n }} }}");
        client.subscribe(&world, "1", &text).await;
        client.until("CaughtUp").await;
        clients.push(client);
    }
    let before = world.probe.renders.load(Ordering::SeqCst);
    world.send(room, "hello");
    for client in &mut clients {
        assert_eq!(client.event().await["body"], "hello");
    }
    assert_eq!(world.probe.renders.load(Ordering::SeqCst), before + 1);
    world.end().await;
}

#[tokio::test]
async fn nothing_follows_unsubscribe_and_nothing_follows_a_drop() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    let mut ada = world.client("ada");
    ada.subscribe(&world, "1", EVENTS).await;
    ada.subscribe(&world, "2", EVENTS).await;
    ada.until("CaughtUp").await;
    ada.until("CaughtUp").await;
    ada.connection().unsubscribe("1");
    world.send(room, "a");
    assert_eq!(ada.next().await["id"], "2");
    ada.connection().ping();
    let positions = ada.ping().await;
    assert_eq!(positions.as_object().unwrap().len(), 1);
    assert_eq!(positions["2"], world.cursor(2).to_string());
    ada.connection = None;
    let outbox = ada.outbox.clone();
    world.send(room, "b");
    let mut other = world.client("ada");
    other
        .resume(&world, "1", EVENTS, Some(world.cursor(2)))
        .await;
    other.until("CaughtUp").await;
    assert_eq!(outbox.queued_bytes(), 0);
    world.end().await;
}

#[tokio::test]
async fn one_open_stream_renders_one_event_after_the_other_in_place() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    world.send(room, "hello");
    world.settled().await;
    let plan = world.plan("ada", EVENTS).await.unwrap();
    let as_of = world.hub.core.payloads.as_of();
    for event in world.log() {
        let rendered = plan.operation.render(&Item::Event(event), as_of);
        assert!(matches!(rendered, Rendered::Now(_)), "{rendered:?}");
    }
    world.end().await;
}
