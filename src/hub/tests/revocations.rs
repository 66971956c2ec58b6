//! Connections whose tokens are withdrawn.

use std::collections::HashMap;
use std::sync::Arc;

use super::world::{World, user, viewer};
use crate::auth::Viewer;
use crate::hub::{Connection, Notice, Outbox};
use crate::model::Timestamp;

const WITHDRAWN: Notice = Notice::Close(4403, "Forbidden: the token was withdrawn");

fn issued(name: &str, secs: i64) -> Arc<Viewer> {
    let viewer = Viewer {
        issued_at: Some(Timestamp(secs * 1000)),
        ..(*viewer(name)).clone()
    };
    Arc::new(viewer)
}

fn connect(world: &World, viewer: Arc<Viewer>) -> Connection {
    let outbox = Arc::new(Outbox::new(Outbox::BUDGET_BYTES));
    world.hub.connect(viewer, outbox, World::dress())
}

fn revoke(world: &World, name: &str, up_to: i64) {
    let revocations = &world.hub.core.lines.revocations;
    revocations.replace(HashMap::from([(user(name).id.clone(), up_to)]));
}

/// Whether it has been told to close, now that whoever watches has had its turn.
async fn told(connection: &Connection) -> Option<Notice> {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    futures_util::FutureExt::now_or_never(connection.notice())
}

#[tokio::test]
async fn all_connections_of_the_user_close_and_no_others() {
    let world = World::new().await;
    let old = [10, 20].map(|secs| connect(&world, issued("ada", secs)));
    let undated = connect(&world, viewer("ada"));
    let newer = connect(&world, issued("ada", 21));
    let ben = connect(&world, issued("ben", 10));
    revoke(&world, "ada", 20);
    for connection in old.iter().chain([&undated]) {
        assert_eq!(connection.notice().await, WITHDRAWN);
    }
    assert_eq!(told(&newer).await, None);
    assert_eq!(told(&ben).await, None);
    // Each is told once.
    revoke(&world, "ada", 21);
    assert_eq!(newer.notice().await, WITHDRAWN);
    world.end().await;
}

#[tokio::test]
async fn who_comes_just_after_the_revocation_is_told_too() {
    let world = World::new().await;
    revoke(&world, "ada", 20);
    let late = connect(&world, issued("ada", 20));
    assert_eq!(late.notice().await, WITHDRAWN);
    let fresh = connect(&world, issued("ada", 21));
    assert_eq!(told(&fresh).await, None);
    world.end().await;
}

#[tokio::test]
async fn a_fresh_token_counts_and_no_older_one() {
    let world = World::new().await;
    let renewed = connect(&world, issued("ada", 10));
    renewed.renew(&issued("ada", 30));
    revoke(&world, "ada", 20);
    assert_eq!(told(&renewed).await, None);
    renewed.renew(&issued("ada", 20));
    assert_eq!(renewed.notice().await, WITHDRAWN);
    world.end().await;
}

#[tokio::test]
async fn nothing_is_kept_of_a_connection_that_is_gone() {
    let world = World::new().await;
    let connections: Vec<_> = (0..9).map(|n| connect(&world, issued("ada", n))).collect();
    assert_eq!(world.hub.core.lines.count(), 9);
    drop(connections);
    assert_eq!(world.hub.core.lines.count(), 0);
    world.end().await;
}
