//! Checkpoints on a connection of their own: after something was wiped, so that what it said leaves the write-ahead log
//! too, and when that log has grown beyond its bound.
//!
//! Ordinary checkpoints are SQLite's own (every 1,000 pages, by the writer's commit).

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::rows::{Columns, Result};
use super::sql;

/// Between two sweeps, so that a stream of deletions does not make the writer wait all the time.
const PAUSE: Duration = Duration::from_secs(1);
/// After a sweep that readers or the writer stood in the way of.
const RETRY: Duration = Duration::from_millis(50);
/// How often the log's size is looked at.
const LOOK: Duration = Duration::from_secs(30);
/// SQLite cannot begin the log anew while there is always someone reading it. Then the sweep makes room.
const WAL_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long a checkpoint waits for readers. The writer waits with it, so it is short.
const BUSY: Duration = Duration::from_millis(100);

/// The task that sweeps.
pub(super) struct Sweeper {
    wanted: watch::Sender<u64>,
    done: watch::Receiver<u64>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Sweeper {
    pub(super) async fn start(options: &SqliteConnectOptions) -> Result<Self> {
        let conn = options.clone().busy_timeout(BUSY).connect().await?;
        let mut wal = options.get_filename().as_os_str().to_owned();
        wal.push("-wal");
        let (wanted, wishes) = watch::channel(0);
        let (swept, done) = watch::channel(0);
        let stop = CancellationToken::new();
        let sweep = sweep(conn, PathBuf::from(wal), wishes, swept, stop.clone());
        Ok(Self {
            wanted,
            done,
            stop,
            task: Mutex::new(Some(tokio::spawn(sweep))),
        })
    }

    /// Something was wiped.
    pub(super) fn want(&self) {
        self.wanted.send_modify(|wishes| *wishes += 1);
    }

    /// Waits until all that was wiped before the call has left the write-ahead log.
    pub(super) async fn swept(&self) {
        let wanted = *self.wanted.borrow();
        // An error means that the task is gone: closing empties the log as well.
        let _ = self.done.clone().wait_for(|done| *done >= wanted).await;
    }

    pub(super) async fn close(&self) {
        self.stop.cancel();
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

/// A store that was dropped without `close` leaves no task behind.
impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn sweep(
    mut conn: SqliteConnection,
    wal: PathBuf,
    mut wishes: watch::Receiver<u64>,
    swept: watch::Sender<u64>,
    stop: CancellationToken,
) {
    while let Some(wish) = stop
        .run_until_cancelled(timeout(LOOK, wishes.changed()))
        .await
    {
        let too_long = wish.is_err() && bytes(&wal) > WAL_BYTES_MAX;
        if wish.is_err() && !too_long {
            continue;
        }
        let upto = *wishes.borrow_and_update();
        while !checkpoint(&mut conn).await {
            if stop.run_until_cancelled(sleep(RETRY)).await.is_none() {
                break;
            }
        }
        swept.send_replace(upto);
        stop.run_until_cancelled(sleep(PAUSE)).await;
    }
    let _ = conn.close().await;
}

/// Only looks at the directory entry: opening and closing the file itself would drop SQLite's locks on it.
fn bytes(wal: &std::path::Path) -> u64 {
    std::fs::metadata(wal).map_or(0, |it| it.len())
}

/// Whether everything is in the file and the log empty.
pub(super) async fn checkpoint(conn: &mut SqliteConnection) -> bool {
    match sqlx::query(sql::CHECKPOINT).fetch_all(conn).await {
        Ok(rows) => (rows.first()).is_some_and(|row| matches!(Columns::of(row).int(), Ok(0))),
        Err(error) => {
            tracing::debug!(%error, "checkpoint put off");
            false
        }
    }
}
