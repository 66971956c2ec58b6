//! SQLite alone: the file, its lock, its plans. The contract is in [`crate::store::contract`].

use std::path::Path;

use async_trait::async_trait;
use tempfile::TempDir;

use super::SqliteStore;
use crate::store::Store;
use crate::store::contract::{Bench, contract};

mod blocks;
mod file;
mod plans;
mod revocations;
mod wiping;

/// A database in a folder of its own.
struct Folder {
    dir: TempDir,
    store: SqliteStore,
}

fn url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("tidings.db").display())
}

#[async_trait]
impl Bench for Folder {
    type Store = SqliteStore;

    async fn fresh() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&url(dir.path())).await.unwrap();
        Self { dir, store }
    }

    fn store(&self) -> &SqliteStore {
        &self.store
    }

    async fn reopened(self) -> Self {
        self.store.close().await;
        drop(self.store);
        let store = SqliteStore::open(&url(self.dir.path())).await.unwrap();
        Self {
            dir: self.dir,
            store,
        }
    }
}

contract!(Folder);
