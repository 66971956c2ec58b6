//! What no client can make grow: operations in use, operations kept ready, what they select in all.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use serde_json::json;

use super::signals::{Stage, of, room};
use super::world::{Client, World};
use crate::hub::core::Core;
use crate::hub::operation::Operation;
use crate::hub::position::Pace;
use crate::hub::{Notice, Outbox};
use crate::interleave::explored;
use crate::log::TailLimits;
use crate::model::Visibility::{Private, Public};

/// One that nobody else asks for, with so many selections.
fn distinct(number: usize, selections: usize) -> String {
    let more = "kind ".repeat(selections - 2);
    format!("subscription {{ events {{ k{number}: kind {more} }} }}")
}

fn operations(client: &Client) -> Vec<Weak<Operation>> {
    let subs = client.connection().line.subs();
    let operations = subs.iter().map(|sub| Arc::downgrade(&sub.operation));
    operations.collect()
}

async fn at_most(alive: usize, of: &[Weak<Operation>]) {
    let count = || of.iter().filter(|it| it.strong_count() > 0).count();
    let gone = async {
        // Whoever rendered or caught up with one may hold it for a moment longer.
        while count() > alive {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(std::time::Duration::from_secs(10), gone);
    let told = gone.await;
    assert!(told.is_ok(), "{} are alive of {}", count(), of.len());
}

#[tokio::test]
async fn documents_without_end_on_one_socket_leave_a_few_operations() {
    let world = World::new().await;
    let mut ada = world.client("ada");
    let mut all = Vec::new();
    for number in 0..1_500 {
        ada.subscribe(&world, "1", &distinct(number, 2)).await;
        ada.until_greeted().await;
        all.extend(operations(&ada));
        ada.connection().unsubscribe("1");
    }
    let idle = Core::IDLE_OPERATIONS.operations;
    at_most(idle, &all).await;
    let (known, kept) = world.hub.core.operations.census();
    assert!(
        known <= 2 * (idle + 1) + 256 && kept == idle,
        "{known}, {kept}"
    );
    assert!(ada.connection().line.subs().is_empty());
    world.end().await;
}

#[tokio::test]
async fn large_operations_that_no_one_uses_are_fewer() {
    let world = World::new().await;
    let ada = world.client("ada");
    let mut all = Vec::new();
    for number in 0..200 {
        ada.subscribe(&world, "1", &distinct(number, 500)).await;
        all.extend(operations(&ada));
    }
    ada.connection().unsubscribe("1");
    at_most(Core::IDLE_OPERATIONS.selections / 500, &all).await;
    world.end().await;
}

#[tokio::test]
async fn operations_in_use_are_all_kept_and_found_again() {
    let world = World::new().await;
    let count = 2 * Core::IDLE_OPERATIONS.operations;
    let clients: Vec<_> = (0..count / 32).map(|_| world.client("ada")).collect();
    for number in 0..count {
        let client = &clients[number % clients.len()];
        let id = number.to_string();
        client.subscribe(&world, &id, &distinct(number, 2)).await;
    }
    let mut all: Vec<_> = clients.iter().flat_map(operations).collect();
    assert!(all.iter().all(|operation| operation.strong_count() > 0));
    for number in 0..count {
        let plan = world.plan("bob", &distinct(number, 2)).await.unwrap();
        let operation = Arc::downgrade(&plan.operation);
        assert!(all.iter().any(|other| other.ptr_eq(&operation)));
    }
    drop(clients);
    at_most(Core::IDLE_OPERATIONS.operations, &all).await;
    all.retain(|operation| operation.strong_count() > 0);
    assert!(!all.is_empty(), "some are kept ready");
    world.end().await;
}

#[tokio::test]
async fn a_connection_selects_three_thousand_things_and_not_one_more() {
    let world = World::new().await;
    let mut ada = world.client("ada");
    for number in 0..6 {
        let id = number.to_string();
        ada.subscribe(&world, &id, &distinct(number, 500)).await;
        ada.until_greeted().await;
    }
    // What it follows already costs nothing more, in however many subscriptions.
    ada.subscribe(&world, "again", &distinct(0, 500)).await;
    ada.until_greeted().await;
    ada.subscribe(&world, "more", &distinct(6, 2)).await;
    let refused = ada.next().await;
    assert_eq!(
        (&refused["id"], &refused["type"]),
        (&json!("more"), &json!("error"))
    );
    let extensions = &refused["payload"][0]["extensions"];
    assert_eq!(extensions["code"], "RATE_LIMITED");
    assert_eq!(extensions["limit"], 3_000);
    assert_eq!(ada.notice().await, Notice::Ended("more".into()));
    ada.connection().unsubscribe("5");
    ada.subscribe(&world, "more", &distinct(6, 500)).await;
    ada.until_greeted().await;
    world.end().await;
}

#[tokio::test]
async fn payloads_for_one_are_not_kept_and_those_for_several_are() {
    let world = World::new().await;
    let room = world.create("ada", Public);
    world.settled().await;
    let payloads = &world.hub.core.payloads;
    let mut clients = Vec::new();
    for kept in [0, 1, 2] {
        let mut client = world.client("ada");
        client.subscribe(&world, "1", &distinct(0, 3)).await;
        client.until_greeted().await;
        clients.push(client);
        world.send(room, "hello");
        for client in &mut clients {
            client.event().await;
        }
        assert_eq!(payloads.len(), kept);
    }
    world.end().await;
}

/// As much of a message as a selection may ask for.
fn heavy(number: usize) -> String {
    let copies: String = (0..14).map(|copy| format!("b{copy}: body ")).collect();
    format!("events(roomIds: [$]) {{ k{number}: kind {copies} }}")
}

#[tokio::test]
async fn operations_without_end_about_one_event_hold_little_and_hold_up_nobody() {
    const EACH: usize = 10;
    let mut stage = Stage::new().await;
    let (loud, quiet) = (room(&mut stage).await, stage.world.create("cay", Private));
    stage.work().await;
    let mut heavies = Vec::new();
    for number in 0..4 {
        let wishes = (0..EACH).map(|n| of(&heavy(number * EACH + n), &[loud]));
        let wishes: Vec<_> = wishes.collect();
        heavies.push(stage.client("bob", &wishes).await);
    }
    let wish = of("events(roomIds: [$]) { kind body }", &[quiet]);
    let cay = stage.client("cay", &[wish]).await;
    for client in heavies.iter().chain([&cay]) {
        client.heard().await;
    }
    let body = "x".repeat(60_000);
    let probe = stage.world.probe.clone();
    let before = probe.renders.load(Ordering::SeqCst);
    stage.world.send(loud, &body);
    stage.world.send(quiet, "hello");
    stage.world.settled().await;
    // What is made before anything is written is held until then.
    let first = Rc::new(Cell::new(None));
    let seen = first.clone();
    explored::set(Some(Rc::new(move |name, _| {
        if name == "write" && seen.get().is_none() {
            seen.set(Some(probe.renders.load(Ordering::SeqCst) - before));
        }
    })));
    stage.turn();
    explored::set(None);
    let payload_bytes = 14 * body.len();
    let held = first.get().unwrap() as usize * payload_bytes;
    let most = Pace::default().payload_bytes;
    assert!(
        most <= held && held <= most + payload_bytes + 1_000,
        "{held}"
    );
    assert_eq!(cay.heard().await, ["hello"]);
    // The others lose nothing by it.
    for client in &heavies {
        let mut heard = 0;
        while heard < EACH {
            let more = client.heard().await.len();
            heard += more;
            stage.work().await;
        }
        assert_eq!((heard, client.heard().await.len()), (EACH, 0));
    }
}

#[tokio::test]
async fn a_page_is_no_larger_for_what_is_not_selected_of_it() {
    const MESSAGES: usize = 500;
    let limits = TailLimits {
        events: 4,
        ..TailLimits::default()
    };
    let world = World::with(1, limits).await;
    let room = world.create("ada", Public);
    let body = "x".repeat(16 * 1024);
    for _ in 0..MESSAGES {
        world.send(room, &body);
    }
    world.settled().await;
    let mut ada = world.client("ada");
    let after = Some(world.cursor(1));
    ada.resume(&world, "1", "subscription { events { kind } }", after)
        .await;
    let mut places = Vec::new();
    while places.len() < MESSAGES {
        let next = ada.next().await;
        places.push(next["payload"]["extensions"]["cursor"].to_string());
    }
    let all = (2..).take(MESSAGES);
    let all: Vec<_> = all
        .map(|seq| format!("\"{}\"", world.cursor(seq)))
        .collect();
    assert_eq!(places, all);
    assert_eq!(ada.event().await["kind"], "CaughtUp");
    let most = world.store.page_bytes.load(Ordering::SeqCst);
    let budget = Outbox::BUDGET_BYTES;
    assert!(budget / 2 < most && most <= budget, "{most}");
    world.end().await;
}
