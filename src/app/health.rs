//! Whether the process lives, and whether it should be sent anyone.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::time::timeout;

use crate::store::sqlite::SqliteStore;
use crate::transport::drain::Drain;

/// A store that takes longer is of no use to a client either.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Health {
    store: Arc<SqliteStore>,
    drain: Drain,
}

/// `/healthz`: it lives. `/readyz`: it is not stopping and its store answers; else 503 with the reason in a word.
pub(super) fn routes(store: Arc<SqliteStore>, drain: Drain) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(Health { store, drain })
}

async fn ready(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.drain.has_begun() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match timeout(STORE_TIMEOUT, health.store.ready()).await {
        Ok(Ok(())) => (StatusCode::OK, "ready\n"),
        Ok(Err(error)) => {
            tracing::error!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "store\n")
        }
        Err(_) => {
            tracing::error!("not ready: the store did not answer in time");
            (StatusCode::SERVICE_UNAVAILABLE, "store\n")
        }
    }
}
