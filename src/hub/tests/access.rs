//! Who may see what, by log order: rooms come in and go out at the place of the event that did it.

use std::sync::atomic::Ordering;

use super::world::{Client, World};
use crate::hub::Notice;
use crate::log::TailLimits;
use crate::model::RoomId;
use crate::model::Visibility::{Private, Public};

const EVENTS: &str = "subscription { events { kind room body } }";

async fn live(world: &World, name: &str, text: &str) -> Client {
    world.settled().await;
    let mut client = world.client(name);
    client.subscribe(world, "1", text).await;
    client.until("CaughtUp").await;
    client
}

fn of(rooms: &[RoomId]) -> String {
    format!("subscription {{ events(roomIds: {rooms:?}) {{ kind room body }} }}")
        .replace("[", "[\"")
        .replace("]", "\"]")
        .replace(", ", "\", \"")
}

#[tokio::test]
async fn a_room_comes_in_with_the_viewer_and_goes_out_with_it() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    let mut bob = live(&world, "bob", EVENTS).await;
    world.send(room, "secret");
    world.join(room, "bob");
    world.send(room, "welcome");
    world.join(room, "cy");
    let left = world.leave(room, "bob");
    world.send(room, "secret too");
    let mine = world.create("bob", Private);
    let seen = bob.until("RoomCreated").await;
    let expected = [
        "MemberJoined",
        "welcome",
        "MemberJoined",
        "AccessRevoked",
        "RoomCreated",
    ];
    assert_eq!(seen, expected);
    // Replayed, it is as if bob had never been there, but for the place where he lost it.
    let mut again = world.client("bob");
    again
        .resume(&world, "1", EVENTS, Some(world.cursor(1)))
        .await;
    let revoked = again.next().await;
    assert_eq!(
        revoked["payload"]["data"]["events"]["kind"],
        "AccessRevoked"
    );
    assert_eq!(
        revoked["payload"]["extensions"]["cursor"],
        world.cursor(left.0).to_string()
    );
    assert_eq!(again.until("CaughtUp").await, ["RoomCreated", "CaughtUp"]);
    world.send(mine, "live");
    assert_eq!(again.event().await["body"], "live");
    world.end().await;
}

#[tokio::test]
async fn a_public_room_that_was_named_goes_on_after_leaving_it() {
    let world = World::new().await;
    let room = world.create("ada", Public);
    world.join(room, "bob");
    let mut named = live(&world, "bob", &of(&[room])).await;
    let mut mine = live(&world, "bob", EVENTS).await;
    world.leave(room, "bob");
    world.send(room, "still");
    assert_eq!(named.until("still").await, ["MemberLeft", "still"]);
    assert_eq!(mine.event().await["kind"], "AccessRevoked");
    world.make_private(room);
    world.send(room, "hidden");
    assert_eq!(named.event().await["kind"], "AccessRevoked");
    // Coming back does not bring a named room back.
    world.join(room, "bob");
    world.send(room, "back");
    assert_eq!(mine.until("back").await, ["MemberJoined", "back"]);
    named.connection().ping();
    named.ping().await;
    assert_eq!(named.outbox.queued_bytes(), 0);
    world.end().await;
}

#[tokio::test]
async fn a_named_room_that_cannot_be_seen_is_revoked_and_the_others_go_on() {
    let world = World::new().await;
    let (open, closed) = (world.create("ada", Public), world.create("ada", Private));
    world.settled().await;
    let mut bob = world.client("bob");
    bob.subscribe(&world, "1", &of(&[closed, open])).await;
    let revoked = bob.event().await;
    assert_eq!(revoked["kind"], "AccessRevoked");
    assert_eq!(revoked["room"], closed.to_string());
    assert_eq!(bob.event().await["kind"], "CaughtUp");
    world.send(closed, "hidden");
    world.send(open, "shown");
    assert_eq!(bob.event().await["body"], "shown");
    world.end().await;
}

#[tokio::test]
async fn a_deleted_room_is_lost_to_everyone_at_its_place() {
    let world = World::new().await;
    let (room, other) = (world.create("ada", Private), world.create("ada", Private));
    let mut ada = live(&world, "ada", EVENTS).await;
    let mut one = live(&world, "ada", &of(&[room, other])).await;
    world.delete_room(room);
    world.send(other, "goes on");
    for client in [&mut ada, &mut one] {
        assert_eq!(client.until("goes on").await, ["AccessRevoked", "goes on"]);
    }
    let text = format!(r#"subscription {{ messageSent(roomId: "{other}") {{ body }} }}"#);
    let mut messages = world.client("ada");
    messages.subscribe(&world, "m", &text).await;
    messages.ping().await;
    world.delete_room(other);
    let error = messages.next().await;
    assert_eq!(error["payload"][0]["extensions"]["code"], "NOT_FOUND");
    assert_eq!(messages.notice().await, Notice::Ended("m".into()));
    world.end().await;
}

#[tokio::test]
async fn a_deleted_body_is_in_no_payload_that_is_made_or_kept() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    let mut ada = live(&world, "ada", EVENTS).await;
    let (first, _) = world.reply(room, "regretted", None);
    world.reply(room, "an answer", Some(first));
    assert_eq!(ada.until("an answer").await, ["regretted", "an answer"]);
    world.delete(first);
    ada.until("MessageDeleted").await;
    let mut late = world.client("ada");
    late.resume(&world, "1", EVENTS, Some(world.cursor(1)))
        .await;
    let seen = late.until("CaughtUp").await;
    assert_eq!(
        seen,
        ["MessageSent", "an answer", "MessageDeleted", "CaughtUp"]
    );
    world.end().await;
}

#[tokio::test]
async fn a_loss_whose_payload_must_wait_is_told_all_the_same() {
    let world = World::new().await;
    let room = world.create("ada", Private);
    let mut ada = live(&world, "ada", "subscription { events { kind body waits } }").await;
    world.leave(room, "ada");
    let mine = world.create("ada", Private);
    world.send(mine, "mine");
    let seen = ada.until("mine").await;
    assert_eq!(seen, ["AccessRevoked", "RoomCreated", "mine"]);
    world.end().await;
}

#[tokio::test]
async fn a_named_room_that_was_lost_stays_lost_however_far_its_reader_falls_behind() {
    let limits = TailLimits {
        events: 20,
        ..TailLimits::default()
    };
    let world = World::with(2, limits).await;
    let (open, room) = (world.create("ada", Public), world.create("bob", Private));
    world.settled().await;
    let mut bob = world.client_with("bob", 2_000);
    bob.subscribe(&world, "1", &of(&[open, room])).await;
    bob.until("CaughtUp").await;
    world.leave(room, "bob");
    assert_eq!(bob.until("AccessRevoked").await, ["AccessRevoked"]);
    world.join(room, "bob");
    for n in 0..100 {
        world.send(open, &format!("shown {n}"));
        world.send(room, "not shown");
        world.settled().await;
    }
    let seen = bob.until("shown 99").await;
    assert_eq!(seen.len(), 100);
    assert!(seen.iter().all(|body| body.starts_with("shown")));
    world.end().await;
}

#[tokio::test]
async fn what_is_deleted_while_a_slow_reader_waits_for_it_does_not_reach_it() {
    for events in [20, 16_384] {
        let limits = TailLimits {
            events,
            ..TailLimits::default()
        };
        let world = World::with(2, limits).await;
        let room = world.create("ada", Private);
        let sent: Vec<_> = (0..100)
            .map(|n| world.reply(room, &format!("message {n}"), None).0)
            .collect();
        world.settled().await;
        let mut ada = world.client_with("ada", 600);
        ada.resume(&world, "1", EVENTS, Some(world.cursor(1))).await;
        assert_eq!(ada.event().await["body"], "message 0");
        // The catch-up holds the next ones and waits for room.
        world.delete(sent[10]);
        world.settled().await;
        let seen = ada.until("CaughtUp").await;
        assert!(!seen.contains(&"message 10".to_owned()), "{seen:?}");
        assert_eq!(seen.len(), 99 + 2);
        world.end().await;
    }
}

#[tokio::test]
async fn a_payload_that_had_to_wait_is_not_for_one_who_lost_the_room_meanwhile() {
    let world = World::new().await;
    let (room, kept) = (world.create("ada", Private), world.create("ada", Private));
    let mut ada = live(&world, "ada", "subscription { events { kind body waits } }").await;
    let begun = || world.probe.renders.load(Ordering::SeqCst);
    // Nothing that waits is there until so many renders were begun, which is never.
    let before = begun();
    world
        .probe
        .waits_for_renders
        .store(u32::MAX, Ordering::SeqCst);
    world.send(room, "secret");
    // Polled in vain by the worker, and by the catch-up; then it waits by itself.
    while begun() < before + 3 {
        tokio::task::yield_now().await;
    }
    world.leave(room, "ada");
    world.send(kept, "hers");
    world.settled().await;
    world.probe.waits_for_renders.store(0, Ordering::SeqCst);
    assert_eq!(ada.until("hers").await, ["AccessRevoked", "hers"]);
    world.end().await;
}
