//! The denylist, written by a visitor while the store is open.

use super::super::{OpenError, Visit};
use super::{Folder, url};
use crate::model::{Timestamp, UserId};
use crate::store::contract::Bench;
use crate::store::{Needs, Store};

fn ada() -> UserId {
    UserId::parse("id", "ada").unwrap()
}

#[tokio::test]
async fn the_denylist_is_read_while_all_readers_are_taken() {
    let bench = Folder::fresh().await;
    let store = bench.store();
    let first = store.denylist(None).await.unwrap().unwrap();
    let mut taken = Vec::new();
    for _ in 0..store.readers.count() {
        taken.push(store.readers.lease().await.unwrap());
    }
    assert_eq!(store.denylist(Some(first.version)).await.unwrap(), None);
}

#[tokio::test]
async fn a_visit_beside_an_open_store_is_noticed_by_its_version() {
    let bench = Folder::fresh().await;
    let store = bench.store();
    let first = store.denylist(None).await.unwrap().unwrap();
    assert!(first.up_to.is_empty());
    assert_eq!(store.denylist(Some(first.version)).await.unwrap(), None);

    let mut visit = Visit::open(&url(bench.dir.path())).await.unwrap();
    visit.revoke(&ada(), Timestamp(20_999)).await.unwrap();
    let second = store.denylist(Some(first.version)).await.unwrap().unwrap();
    assert_eq!(second.up_to, [(ada(), 20)].into());
    // An earlier one takes nothing back.
    visit.revoke(&ada(), Timestamp(10_000)).await.unwrap();
    let third = store.denylist(Some(second.version)).await.unwrap().unwrap();
    assert_eq!(third.up_to, [(ada(), 20)].into());
    visit.revoke(&ada(), Timestamp(30_000)).await.unwrap();
    let fourth = store.denylist(Some(third.version)).await.unwrap().unwrap();
    assert_eq!(fourth.up_to, [(ada(), 30)].into());
    assert!(visit.allow(&ada()).await.unwrap());
    assert!(!visit.allow(&ada()).await.unwrap());
    visit.close().await.unwrap();
    let last = store.denylist(Some(fourth.version)).await.unwrap().unwrap();
    assert!(last.up_to.is_empty());
    assert_eq!(store.denylist(Some(last.version)).await.unwrap(), None);
}

#[tokio::test]
async fn a_visit_stands_in_no_batchs_way_and_survives_the_store() {
    let bench = Folder::fresh().await;
    bench.store().lead().await.unwrap();
    bench.store().begin(&Needs::default()).await.unwrap();
    let mut visit = Visit::open(&url(bench.dir.path())).await.unwrap();
    let (ada, store) = (ada(), bench.store());
    // It waits for the batch, and the batch does not wait for it.
    let (revoked, _) = tokio::join!(visit.revoke(&ada, Timestamp(20_000)), async {
        store.rollback().await.unwrap();
    });
    revoked.unwrap();
    bench.store().begin(&Needs::default()).await.unwrap();
    bench.store().rollback().await.unwrap();
    visit.close().await.unwrap();
    let bench = bench.reopened().await;
    let kept = bench.store().denylist(None).await.unwrap().unwrap();
    assert_eq!(kept.up_to, [(ada, 20)].into());
}

#[tokio::test]
async fn there_is_nothing_to_visit_where_no_server_has_been() {
    let dir = tempfile::tempdir().unwrap();
    let absent = Visit::open(&url(dir.path())).await;
    assert!(matches!(absent, Err(OpenError::NotYet { .. })));
    assert!(!dir.path().join("tidings.db").exists());
    std::fs::write(dir.path().join("tidings.db"), "").unwrap();
    let empty = Visit::open(&url(dir.path())).await;
    assert!(matches!(empty, Err(OpenError::NotYet { .. })));
    std::fs::write(dir.path().join("tidings.db"), "Dear diary".repeat(99)).unwrap();
    let foreign = Visit::open(&url(dir.path())).await;
    assert!(matches!(foreign, Err(OpenError::NotOurs { .. })));
}
