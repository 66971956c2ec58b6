//! What goes wrong: readers that are slow, payloads that must wait, resolvers that panic, a store that does not answer,
//! places that cannot be honoured.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::world::World;
use crate::hub::Notice;
use crate::log::TailLimits;
use crate::model::Visibility::{Private, Public};
use crate::model::{Cursor, Epoch, Seq};

const EVENTS: &str = "subscription { events { kind room body } }";

fn bodies(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("message {n}")).collect()
}

#[tokio::test]
async fn a_slow_reader_holds_little_loses_nothing_and_slows_no_one() {
    const BUDGET: usize = 4_096;
    let world = World::new().await;
    let room = world.create("ada", Private);
    world.settled().await;
    let mut slow = world.client_with("ada", BUDGET);
    let mut fast = world.client("ada");
    for id in ["1", "2"] {
        slow.subscribe(&world, id, EVENTS).await;
        slow.until("CaughtUp").await;
    }
    fast.subscribe(&world, "1", EVENTS).await;
    fast.until("CaughtUp").await;
    let sent = bodies(500);
    for body in &sent {
        world.send(room, body);
    }
    // The slow one reads nothing until the fast one has everything.
    assert_eq!(fast.until(sent.last().unwrap()).await, sent);
    let most = BUDGET + 400;
    assert!(slow.outbox.queued_bytes() <= most);
    let mut seen = [Vec::new(), Vec::new()];
    while seen.iter().any(|seen| seen.len() < sent.len()) {
        let next = slow.next().await;
        assert!(slow.outbox.queued_bytes() <= most);
        let body = &next["payload"]["data"]["events"]["body"];
        let body = body.as_str().unwrap().to_owned();
        seen[usize::from(next["id"] == "2")].push(body);
    }
    assert_eq!(seen, [sent.clone(), sent]);
    // It is live again, and is not told twice that it has caught up.
    world.send(room, "live");
    for _ in 0..2 {
        assert_eq!(slow.event().await["body"], "live");
    }
    world.end().await;
}

#[tokio::test]
async fn a_slow_reader_that_the_ring_has_left_behind_goes_on_from_the_store() {
    let limits = TailLimits {
        events: 50,
        ..TailLimits::default()
    };
    let world = World::with(2, limits).await;
    let room = world.create("ada", Private);
    world.settled().await;
    let mut slow = world.client_with("ada", 4_096);
    slow.subscribe(&world, "1", EVENTS).await;
    slow.until("CaughtUp").await;
    let sent = bodies(600);
    for body in &sent {
        world.send(room, body);
        world.settled().await;
    }
    assert_eq!(slow.until(sent.last().unwrap()).await, sent);
    assert!(world.store.replays.load(Ordering::SeqCst) > 1);
    world.end().await;
}

#[tokio::test]
async fn a_payload_that_must_wait_comes_in_its_place() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    world.settled().await;
    let mut ada = world.client("ada");
    let text = "subscription { events { kind room body waits } }";
    ada.subscribe(&world, "1", text).await;
    let mut at_once = world.client("ada");
    at_once.subscribe(&world, "1", EVENTS).await;
    at_once.until("CaughtUp").await;
    let sent = bodies(100);
    for body in &sent {
        world.send(room, body);
    }
    assert_eq!(at_once.until(sent.last().unwrap()).await, sent);
    let mut seen = ada.until(sent.last().unwrap()).await;
    seen.retain(|event| event != "CaughtUp");
    assert_eq!(seen, sent);
    world.end().await;
}

#[tokio::test]
async fn a_field_that_must_wait_stands_where_it_was_asked_for() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    world.settled().await;
    let mut ada = world.client("ada");
    let text = "subscription { events { kind waits body user { id } } }";
    ada.subscribe(&world, "1", text).await;
    ada.until("CaughtUp").await;
    world.send(room, "hello");
    let event = ada.event().await.to_string();
    let asked = r#"{"kind":"MessageSent","waits":"waited","body":"hello","user":{"id":"u"}}"#;
    assert_eq!(event, asked);
    world.end().await;
}

#[tokio::test]
async fn waiting_payloads_are_shared_by_all_who_wait_at_once() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    world.settled().await;
    let text = "subscription { events { kind room body waits } }";
    let mut clients = Vec::new();
    for _ in 0..10 {
        let client = world.client("ada");
        client.subscribe(&world, "1", text).await;
        clients.push(client);
    }
    for client in &mut clients {
        client.ping().await;
    }
    let before = world.probe.renders.load(Ordering::SeqCst);
    // Two workers and ten catch-ups poll it in vain; only then is the one execution that they share let through.
    let all = before + 2 + 10 + 1;
    world.probe.waits_for_renders.store(all, Ordering::SeqCst);
    world.send(room, "hello");
    for client in &mut clients {
        while client.event().await["body"] != "hello" {}
    }
    assert_eq!(world.probe.renders.load(Ordering::SeqCst), all);
    world.end().await;
}

#[tokio::test]
async fn a_panic_is_told_and_the_stream_goes_on() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    world.settled().await;
    let mut ada = world.client("ada");
    let text = "subscription { events { kind room body panics } }";
    ada.subscribe(&world, "1", text).await;
    ada.until("CaughtUp").await;
    world.send(room, "boom");
    world.send(room, "calm");
    let told = ada.next().await;
    let payload = &told["payload"];
    assert_eq!(payload["data"], json!(null));
    assert_eq!(
        payload["errors"][0]["extensions"]["code"],
        "INTERNAL_SERVER_ERROR"
    );
    assert_eq!(payload["extensions"]["cursor"], world.cursor(2).to_string());
    assert_eq!(ada.event().await["panics"], "calm");
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_late_costs_nothing_but_time() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    world.send(room, "a");
    world.settled().await;
    world.store.failures.store(4, Ordering::SeqCst);
    let mut ada = world.client("ada");
    ada.subscribe(&world, "1", EVENTS).await;
    assert_eq!(ada.until("CaughtUp").await, ["CaughtUp"]);
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_closes_1013_and_is_no_payload() {
    let world = World::new().await;
    world.create("ada", Private);
    world.settled().await;
    world.store.failures.store(u32::MAX, Ordering::SeqCst);
    let ada = world.client("ada");
    ada.subscribe(&world, "1", EVENTS).await;
    assert!(matches!(ada.notice().await, Notice::Close(1013, _)));
    assert_eq!(ada.outbox.queued_bytes(), 0);
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_the_store_fails_is_tried_again_then_closes() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    world.settled().await;
    let mut ada = world.client("ada");
    let text = "subscription { events { kind room body stored } }";
    ada.subscribe(&world, "1", text).await;
    ada.until("CaughtUp").await;
    world.probe.store_is_down.store(true, Ordering::SeqCst);
    world.send(room, "hello");
    let notice = ada.notice().await;
    assert!(matches!(notice, Notice::Close(1013, _)), "{notice:?}");
    while ada.outbox.queued_bytes() > 0 {
        assert_eq!(ada.message().await["type"], "ping");
    }
    world.end().await;
}

#[tokio::test]
async fn a_place_that_cannot_be_honoured_is_told_with_one_to_go_on_from() {
    let world = World::new().await;
    let room = world.create("ada", Public);
    world.send(room, "a");
    world.send(room, "b");
    world.settled().await;
    *world.store.floor.lock().unwrap() = Seq(2);
    let stranger = Cursor {
        seq: Seq(3),
        epoch: Epoch::stored(9),
    };
    for (cursor, reason) in [
        (stranger, "EPOCH_CHANGED"),
        (world.cursor(1), "CURSOR_EXPIRED"),
        (world.cursor(99), "CURSOR_AHEAD"),
    ] {
        let mut ada = world.client("ada");
        ada.resume(&world, "1", EVENTS, Some(cursor)).await;
        let told = ada.next().await;
        assert_eq!(told["payload"]["data"]["events"]["kind"], "ResyncRequired");
        let head = world.cursor(3).to_string();
        assert_eq!(told["payload"]["extensions"]["cursor"], head);
        assert_eq!(ada.event().await["kind"], "CaughtUp");

        let text = format!(
            r#"subscription {{ messageSent(roomId: "{room}", after: "{cursor}") {{ body }} }}"#
        );
        ada.subscribe(&world, "m", &text).await;
        let error = ada.next().await;
        let extensions = &error["payload"][0]["extensions"];
        assert_eq!(error["type"], "error");
        assert_eq!(extensions["code"], "RESYNC_REQUIRED");
        assert_eq!(extensions["reason"], reason);
        assert_eq!(extensions["cursor"], head);
        assert_eq!(ada.notice().await, Notice::Ended("m".into()));
    }
    world.end().await;
}

#[tokio::test]
async fn a_dropped_connection_leaves_nothing_behind_live_or_waiting() {
    let world = World::with(1, TailLimits::default()).await;
    let room = world.create("ada", Private);
    for body in bodies(100) {
        world.send(room, &body);
    }
    world.settled().await;
    let mut live = world.client("ada");
    live.subscribe(&world, "1", EVENTS).await;
    live.until("CaughtUp").await;
    // This one is never read: its catch-up waits for room.
    let waiting = world.client_with("ada", 600);
    let after = Some(world.cursor(0));
    waiting.resume(&world, "1", EVENTS, after).await;
    while waiting.outbox.queued_bytes() == 0 {
        tokio::task::yield_now().await;
    }
    let lines = [&live, &waiting].map(|client| Arc::downgrade(&client.connection().line));
    drop((live, waiting));
    let gone = async {
        while lines.iter().any(|line| line.strong_count() > 0) {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(std::time::Duration::from_secs(10), gone);
    gone.await.expect("a connection is still held");
    world.end().await;
}

#[tokio::test]
async fn unsubscribing_ends_a_catch_up_that_waits() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    for body in bodies(100) {
        world.send(room, &body);
    }
    world.settled().await;
    let client = world.client_with("ada", 600);
    let after = Some(world.cursor(0));
    client.resume(&world, "1", EVENTS, after).await;
    while client.outbox.queued_bytes() == 0 {
        tokio::task::yield_now().await;
    }
    let sub = Arc::downgrade(&client.connection().line.subs()[0]);
    client.connection().unsubscribe("1");
    let gone = async {
        while sub.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(std::time::Duration::from_secs(10), gone);
    gone.await.expect("the catch-up still waits");
    world.end().await;
}
