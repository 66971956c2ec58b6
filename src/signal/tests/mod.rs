//! Signals, without anyone who listens through a socket.

mod ears;
mod presence;
mod rooms;
mod typing;

use std::sync::Arc;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::Signals;
use crate::bus::LocalBus;
use crate::log::{Tail, TailLimits};
use crate::model::{User, UserId};
use crate::store::Store;
use crate::store::sqlite::SqliteStore;

fn user(name: &str) -> Arc<User> {
    Arc::new(User::unseen(UserId::stored(name)))
}

/// Over an empty log that nobody writes to.
async fn signals() -> (Signals, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("tidings.db").display());
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&url).await.unwrap());
    let (limits, stop) = (TailLimits::default(), CancellationToken::new());
    let started = Tail::start(store.clone(), &LocalBus::new(), limits, stop).await;
    (Signals::new(store, started.unwrap().0), folder)
}
