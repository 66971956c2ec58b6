//! Retention: the log is kept for so many days. Messages stay; only the replay of older events is given up.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Command, Writer};
use crate::error::Error;
use crate::model::{Seq, Timestamp};
use crate::store::Store;

/// Often enough that a log kept for a day is at most an hour over.
const EVERY: Duration = Duration::from_secs(3600);
/// Events that one transaction forgets, so that senders wait a few milliseconds at most.
const PIECE_EVENTS: u64 = 5_000;

/// Forgets what is older than `days`, now and every hour, until `stop`. 0 keeps everything.
pub async fn keep_days<C: Command>(
    days: u32,
    store: Arc<dyn Store>,
    writer: Writer<C>,
    stop: CancellationToken,
) {
    if days == 0 {
        return;
    }
    let kept_millis = i64::from(days) * 24 * 3600 * 1000;
    let forgetting = async {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            let before = Timestamp(Timestamp::now().0 - kept_millis);
            if let Err(error) = forget_before(before, &*store, &writer).await {
                tracing::warn!(error = ?error, "retention is put off to the next hour");
            }
        }
    };
    stop.run_until_cancelled(forgetting).await;
}

async fn forget_before<C: Command>(
    before: Timestamp,
    store: &dyn Store,
    writer: &Writer<C>,
) -> Result<(), Error> {
    let target = store.place_before(before).await?;
    let mut floor = store.bounds().await?.floor;
    while floor < target {
        floor = Seq(target.0.min(floor.0 + PIECE_EVENTS));
        writer.prune(floor).await?;
    }
    Ok(())
}
