//! Tokens that were withdrawn while the server runs: `tidings revoke` writes them into the database, and here they are noticed.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::auth::Revocations;
use crate::store::StoreError;
use crate::store::sqlite::SqliteStore;

/// A withdrawn token's sockets are to be gone within a second. A look costs one row, and waking two threads.
const EVERY: Duration = Duration::from_millis(500);

/// Reads the denylist; its version.
pub(super) async fn read(store: &SqliteStore, into: &Revocations) -> Result<i64, StoreError> {
    Ok(news(store, into, None).await?.unwrap_or_default())
}

/// Looks for changes since `known` until `stop`. While the database cannot be read, what is known stays in force.
pub(super) async fn follow(
    mut known: i64,
    store: Arc<SqliteStore>,
    into: Arc<Revocations>,
    stop: CancellationToken,
) {
    let looking = async {
        let mut failing = false;
        loop {
            tokio::time::sleep(EVERY).await;
            match news(&store, &into, Some(known)).await {
                Ok(version) => {
                    failing = false;
                    known = version.unwrap_or(known);
                }
                Err(error) => {
                    if !failing {
                        tracing::error!(error = ?error, "whose tokens were withdrawn cannot be read");
                    }
                    failing = true;
                }
            }
        }
    };
    stop.run_until_cancelled(looking).await;
}

async fn news(
    store: &SqliteStore,
    into: &Revocations,
    known: Option<i64>,
) -> Result<Option<i64>, StoreError> {
    let Some(list) = store.denylist(known).await? else {
        return Ok(None);
    };
    if known.is_some() {
        tracing::info!(
            users = list.up_to.len(),
            "tokens were withdrawn, or let in again"
        );
    }
    into.replace(list.up_to);
    Ok(Some(list.version))
}
