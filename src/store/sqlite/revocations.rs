//! Tokens that were withdrawn: read by the server, written by an administrator's command in a process of its own.

use std::collections::HashMap;
use std::path::PathBuf;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::rows::{Columns, Result};
use super::{OpenError, SqliteOptions, SqliteStore, failed, open, sql};
use crate::model::{Timestamp, UserId};
use crate::store::StoreError;

/// The denylist as it was at some moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denylist {
    /// Another one each time that something changes.
    pub version: i64,
    /// Up to which second since 1970 a user's tokens must have been issued to be refused.
    pub up_to: HashMap<UserId, i64>,
}

impl SqliteStore {
    /// The denylist, unless it is still of the version that is known. Costs one row where it is.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn denylist(&self, known: Option<i64>) -> Result<Option<Denylist>, StoreError> {
        let read = async {
            if known.is_some() {
                let rows = self.guard.fetch(sqlx::query(sql::DENYLIST_VERSION)).await?;
                let version = rows.first().map(|row| Columns::of(row).int()).transpose()?;
                if version == known {
                    return Ok(None);
                }
            }
            let rows = self.guard.fetch(sqlx::query(sql::DENYLIST)).await?;
            denylist(&rows).map(Some)
        };
        read.await
            .map_err(failed("reading whose tokens were withdrawn"))
    }
}

/// One row for each user, each with the version; a row without a user where there is none.
fn denylist(rows: &[sqlx::sqlite::SqliteRow]) -> Result<Denylist> {
    let mut list = Denylist {
        version: 0,
        up_to: HashMap::new(),
    };
    for row in rows {
        let mut row = Columns::of(row);
        list.version = row.int()?;
        if row.flag()? {
            list.up_to.insert(row.user_id()?, row.int()?);
        }
    }
    Ok(list)
}

/// A short visit to a database that a server may be using, in a process other than the server's: SQLite's own locks keep the
/// two apart. The lock that keeps a second server out is not taken.
pub struct Visit {
    path: PathBuf,
    conn: SqliteConnection,
}

impl Visit {
    /// Opens the database that is there.
    ///
    /// # Errors
    /// It is not there, not ours, or not brought up to this program's schema yet.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let (path, conn) = open::visit(url, &SqliteOptions::default()).await?;
        Ok(Self { path, conn })
    }

    /// Withdraws a user's tokens that were issued in this second or before; never fewer than before.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn revoke(&mut self, user: &UserId, at: Timestamp) -> Result<(), OpenError> {
        let statement = sqlx::query(sql::REVOKE);
        let statement = statement.bind(user.as_str()).bind(at.0.div_euclid(1000));
        let done = statement.execute(&mut self.conn).await;
        self.done(done.map(drop))
    }

    /// Lets a user's older tokens in again; whether any were withdrawn.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn allow(&mut self, user: &UserId) -> Result<bool, OpenError> {
        let statement = sqlx::query(sql::ALLOW).bind(user.as_str());
        let done = statement.execute(&mut self.conn).await;
        self.done(done.map(|done| done.rows_affected() > 0))
    }

    /// Ends the visit.
    ///
    /// # Errors
    /// What was written may not be in the file.
    pub async fn close(self) -> Result<(), OpenError> {
        let Self { path, conn } = self;
        conn.close()
            .await
            .map_err(|error| open::refused(&path, error))
    }

    fn done<T>(&self, done: Result<T>) -> Result<T, OpenError> {
        done.map_err(|error| open::refused(&self.path, error))
    }
}
