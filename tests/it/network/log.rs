//! The log as the database file has it: the oracle.

use std::path::Path;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use uuid::Uuid;

use super::stream::{Scope, Seq};

/// One event.
pub(super) struct Entry {
    pub(super) seq: Seq,
    pub(super) room: Uuid,
    pub(super) message: Option<Uuid>,
    /// A message came, and it is none of the other things that happen.
    pub(super) is_send: bool,
}

impl Entry {
    /// Whether a stream of this scope shows it.
    pub(super) fn is_in(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Mine => true,
            Scope::Rooms(rooms) => rooms.contains(&self.room),
            Scope::Messages(room) => self.is_send && self.room == *room,
        }
    }
}

/// Reads all of it; the server may be there or not.
pub(super) async fn read(database: &Path) -> Vec<Entry> {
    let options = SqliteConnectOptions::new().filename(database);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let query = "SELECT seq, room, message, kind FROM events ORDER BY seq";
    let rows = sqlx::query(query).fetch_all(&pool).await.unwrap();
    pool.close().await;
    let uuid = |bytes: Vec<u8>| Uuid::from_slice(&bytes).unwrap();
    let entries = rows.iter().map(|row| Entry {
        seq: u64::try_from(row.get::<i64, _>(0)).unwrap(),
        room: uuid(row.get(1)),
        message: row.get::<Option<Vec<u8>>, _>(2).map(uuid),
        is_send: row.get::<i64, _>(3) == 1,
    });
    entries.collect()
}
