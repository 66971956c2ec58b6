//! Read-only connections, lent one at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions, Connection, Error};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rows::Result;

/// A statement with its binds.
pub(super) type Statement = Query<'static, Sqlite, SqliteArguments>;

/// How long a read waits for a free connection before the caller is told to come back.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The connections.
pub(super) struct Readers {
    options: SqliteConnectOptions,
    count: usize,
    idle: Mutex<Vec<SqliteConnection>>,
    free: Arc<Semaphore>,
    statements: AtomicU64,
}

impl Readers {
    pub(super) fn new(options: SqliteConnectOptions, count: usize) -> Self {
        Self {
            options,
            count,
            idle: Mutex::default(),
            free: Arc::new(Semaphore::new(count)),
            statements: AtomicU64::new(0),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many texts have been run. One text may hold several statements, but always the same number of them.
    pub(super) fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Runs a statement that is a transaction by itself.
    pub(super) async fn fetch(&self, statement: Statement) -> Result<Vec<SqliteRow>> {
        let mut lease = self.lease().await?;
        let rows = lease.fetch(statement).await?;
        lease.end();
        Ok(rows)
    }

    /// Takes a connection for several statements.
    pub(super) async fn lease(&self) -> Result<Lease<'_>> {
        let permit = tokio::time::timeout(WAIT_MAX, self.free.clone().acquire_owned())
            .await
            .map_err(|_| Error::PoolTimedOut)?
            .map_err(|_| Error::PoolClosed)?;
        let idle = self.lock().pop();
        let conn = match idle {
            Some(conn) => conn,
            None => self.options.connect().await?,
        };
        Ok(Lease {
            on_loan: Some((conn, permit)),
            home: self,
        })
    }

    /// Waits for what is being read, then ends the connections.
    pub(super) async fn close(&self) {
        let all = u32::try_from(self.count).unwrap_or(u32::MAX);
        // Ten seconds at most: no read holds a connection for longer than a page.
        let all = tokio::time::timeout(WAIT_MAX, self.free.acquire_many(all)).await;
        self.free.close();
        drop(all);
        let idle = std::mem::take(&mut *self.lock());
        for conn in idle {
            // Nothing was written through it.
            let _ = conn.close().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection on loan. Dropped before [`Lease::end`] - the reader went away, or a statement failed - it is closed
/// rather than given back, and with it the transaction that may be open. Its place is free once that is done: the
/// statement that nobody waits for any more runs to its end all the same, and must not have another beside it.
pub(super) struct Lease<'a> {
    on_loan: Option<(SqliteConnection, OwnedSemaphorePermit)>,
    home: &'a Readers,
}

impl Lease<'_> {
    pub(super) async fn fetch(&mut self, statement: Statement) -> Result<Vec<SqliteRow>> {
        self.home.statements.fetch_add(1, Ordering::Relaxed);
        let Some((conn, _)) = &mut self.on_loan else {
            return Err(Error::PoolClosed);
        };
        statement.fetch_all(conn).await
    }

    pub(super) fn end(mut self) {
        if let Some((conn, _permit)) = self.on_loan.take() {
            self.home.lock().push(conn);
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let (Some((conn, permit)), Ok(runtime)) = (self.on_loan.take(), Handle::try_current()) {
            runtime.spawn(async move {
                // Nothing was written through it.
                let _ = conn.close().await;
                drop(permit);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn a_read_that_is_given_up_keeps_its_place_until_its_statement_has_ended() {
        const SLOW: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000) \
             SELECT count(*) FROM n";
        let readers = Readers::new(SqliteConnectOptions::new().in_memory(true), 2);
        for _ in 0..2 {
            let mut lease = readers.lease().await.unwrap();
            let mut read = Box::pin(lease.fetch(sqlx::query(SLOW)));
            let begun = std::future::poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await;
            assert!(begun.is_pending());
        }
        assert_eq!(readers.free.available_permits(), 0);
        let rows = readers.fetch(sqlx::query("SELECT 1")).await.unwrap();
        assert_eq!(rows.len(), 1);
        readers.close().await;
    }

    #[tokio::test]
    async fn a_read_that_came_to_its_end_gives_its_connection_back() {
        let readers = Readers::new(SqliteConnectOptions::new().in_memory(true), 1);
        for _ in 0..3 {
            readers.fetch(sqlx::query("SELECT 1")).await.unwrap();
            assert_eq!(
                (readers.free.available_permits(), readers.lock().len()),
                (1, 1)
            );
        }
        readers
            .fetch(sqlx::query("no statement"))
            .await
            .unwrap_err();
        assert_eq!(readers.free.available_permits(), 0, "it is being closed");
        readers.fetch(sqlx::query("SELECT 1")).await.unwrap();
        readers.close().await;
    }
}
