//! Planning: what may be followed, and what two documents share.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::world::World;
use crate::hub::Plan;
use crate::hub::operation::{Operation, Parts};
use crate::model::Visibility::Public;

async fn plan(world: &World, text: &str, variables: Json) -> Plan {
    world.plan_with("ada", text, variables).await.unwrap()
}

fn same(a: &Plan, b: &Plan) -> bool {
    Arc::ptr_eq(&a.operation, &b.operation)
}

#[tokio::test]
async fn what_does_not_shape_a_payload_does_not_split_a_group() {
    let world = World::new().await;
    let (one, two) = (world.create("ada", Public), world.create("ada", Public));
    world.settled().await;
    let first = plan(
        &world,
        "subscription { events { kind body(upper: true) } }",
        json!({}),
    )
    .await;
    let rooms = json!([one.to_string(), two.to_string()]);
    for (text, variables) in [
        (
            "subscription Name {\n events { # hi\n kind, body(upper: true) } }",
            json!({}),
        ),
        (
            "subscription($u: Boolean, $r: [ID!]) { events(roomIds: $r) { kind body(upper: $u) } }",
            json!({ "u": true, "r": rooms }),
        ),
        (
            "subscription($b: [ID!], $a: Boolean = true) { events(roomIds: $b) { kind body(upper: $a) } }",
            json!({}),
        ),
        (
            r#"subscription { events(after: "00000000010000000001") { ...F } } fragment F on Event { kind ... on Event { body(upper: true) } }"#,
            json!({}),
        ),
        (
            "subscription($w: Boolean!) { events { kind body(upper: true) waits @include(if: $w) users @skip(if: true) { id } } }",
            json!({ "w": false }),
        ),
        (
            "subscription { ... on Subscription { events { kind body(upper: true) } } }",
            json!({}),
        ),
        (
            "subscription { events: events { kind kind: kind body(upper: true) } }",
            json!({}),
        ),
    ] {
        let other = plan(&world, text, variables).await;
        assert!(same(&first, &other), "{text}");
    }
    world.end().await;
}

#[tokio::test]
async fn what_shapes_a_payload_splits_a_group() {
    let world = World::new().await;
    let first = plan(&world, "subscription { events { kind } }", json!({})).await;
    for text in [
        "subscription { e: events { kind } }",
        "subscription { events { k: kind } }",
        "subscription { events { kind body } }",
        "subscription { events { kind body(upper: true) } }",
        "subscription { events { ... on Event { kind } body } }",
    ] {
        let other = plan(&world, text, json!({})).await;
        assert!(!same(&first, &other), "{text}");
    }
    world.end().await;
}

#[tokio::test]
async fn rooms_of_messages_share_one_operation() {
    let world = World::new().await;
    let (one, two) = (world.create("ada", Public), world.create("ada", Public));
    let text = "subscription($r: ID!) { messageSent(roomId: $r) { body } }";
    let a = plan(&world, text, json!({ "r": one.to_string() })).await;
    let b = plan(&world, text, json!({ "r": two.to_string() })).await;
    assert!(same(&a, &b));
    world.end().await;
}

#[tokio::test]
async fn an_operation_that_depends_on_who_asks_is_each_viewers_own() {
    let world = World::new().await;
    let room = world.create("ada", Public);
    world.join(room, "bob");
    world.settled().await;
    let text = "subscription { events { kind body mine } }";
    let a = world.plan("ada", text).await.unwrap();
    let b = world.plan("bob", text).await.unwrap();
    assert!(!same(&a, &b));
    assert!(same(&a, &world.plan("ada", text).await.unwrap()));
    for name in ["ada", "bob"] {
        let mut client = world.client(name);
        client.subscribe(&world, "1", text).await;
        client.until("CaughtUp").await;
        world.send(room, "hello");
        assert_eq!(client.event().await["mine"], name);
    }
    world.end().await;
}

#[tokio::test]
async fn a_forgotten_mark_is_an_error_and_no_leak() {
    let world = World::new().await;
    let room = world.create("ada", Public);
    world.settled().await;
    let mut ada = world.client("ada");
    let text = "subscription { events { kind body forgotten } }";
    ada.subscribe(&world, "1", text).await;
    ada.next().await;
    world.send(room, "hello");
    let next = ada.next().await;
    let payload = &next["payload"];
    assert_eq!(payload["data"]["events"]["forgotten"], json!(null));
    assert_eq!(payload["data"]["events"]["body"], "hello");
    let error = &payload["errors"][0];
    assert_eq!(error["extensions"]["code"], "UNAUTHENTICATED");
    assert_eq!(error["locations"], json!(null));
    world.end().await;
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused_with_a_code() {
    let world = World::new().await;
    let code = async |text: &str| {
        let errors = world.plan("ada", text).await.err().unwrap();
        let errors: Json = serde_json::from_str(&errors).unwrap();
        errors[0]["extensions"]["code"].as_str().unwrap().to_owned()
    };
    for text in [
        "subscription { events { users { id } } }",
        "subscription { events { ...F } } fragment F on Event { rooms { nodes } }",
        "subscription { events { nothing } }",
        "{ head }",
    ] {
        assert_eq!(code(text).await, "GRAPHQL_VALIDATION_FAILED", "{text}");
    }
    let hidden = r#"subscription { messageSent(roomId: "hidden") { body } }"#;
    assert_eq!(code(hidden).await, "NOT_FOUND");
    assert!(
        world
            .plan("ada", "subscription { events { user { id } } }")
            .await
            .is_ok()
    );
    world.end().await;
}

#[tokio::test]
async fn what_the_validator_refuses_of_the_shared_form_is_refused_at_once() {
    let world = World::new().await;
    let operation = |text| {
        let core = &world.hub.core;
        Operation::new(Parts {
            id: 1,
            messages_only: false,
            selections: 1,
            viewer: None,
            prepared: world.prepare(text, json!({})).unwrap(),
            execute: core.execute.clone(),
            payloads: core.payloads.clone(),
        })
    };
    let refused = operation("subscription { events { nothing } }").open();
    assert!(refused.unwrap_err().contains("GRAPHQL_VALIDATION_FAILED"));
    assert_eq!(operation("subscription { events { kind } }").open(), Ok(()));
    world.end().await;
}

#[tokio::test]
async fn a_selection_of_which_nothing_is_left_is_an_empty_object() {
    let world = World::new().await;
    let room = world.create("ada", Public);
    world.settled().await;
    let mut ada = world.client("ada");
    let text = "subscription { events { user { id @skip(if: true) } } }";
    ada.subscribe(&world, "1", text).await;
    world.send(room, "hello");
    ada.next().await;
    let next = ada.next().await;
    assert_eq!(next["payload"]["data"], json!({ "events": { "user": {} } }));
    assert_eq!(next["payload"]["errors"], json!(null), "{next}");
    world.end().await;
}
