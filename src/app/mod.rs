//! How it is *wired*: what the server is made of, in which order it starts, and how it stops.
//!
//! The order of starting is the order of dependence: address, store, writer, tail, routes. Stopping is the reverse, and
//! waits for each: sockets first, in turns, then requests, then what was handed to the writer, then the file.

mod api;
mod banner;
mod health;
pub mod logs;
mod revocations;
pub mod signals;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use api::Api;

use crate::auth::{Authenticator, Minter};
use crate::bus::{Bus, LocalBus};
use crate::chat::Chat;
use crate::config::{Bad, Settings};
use crate::log::{self, Tail, TailLimits, Writer};
use crate::signal::Signals;
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{Store, StoreError};
use crate::transport::drain::Drain;
use crate::transport::http::Http;
use crate::transport::listener::Listener;
use crate::transport::playground::{self, PlaygroundConfig};
use crate::transport::ws::Waits;

/// How long a development token of the playground's holds: a day of trying things out.
const PLAYGROUND_TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);
/// Requests that were under way when the last socket closed have their whole time left; no more than that.
const REQUESTS_GRACE: Duration = Http::TIMEOUT;

/// Why the server does not start. One line each.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting that cannot be used here and now.
    #[error(transparent)]
    Setting(#[from] Bad),
    /// The database was opened and then failed.
    #[error("the database failed while {0}")]
    Store(#[from] StoreError),
    /// The operating system gives no more threads.
    #[error("no thread for writing and delivering events: {0}")]
    Threads(std::io::Error),
    /// A defect: the schema that this binary prints cannot be read back.
    #[error("the schema cannot be read: {0}")]
    Schema(String),
}

/// Serves until `stop`, then drains.
///
/// # Errors
/// The server did not start.
pub async fn serve(settings: Settings, stop: CancellationToken) -> Result<(), StartError> {
    let server = Server::start(&settings).await?;
    banner::show(&settings, server.addr());
    stop.cancelled().await;
    server.stop().await;
    Ok(())
}

/// A server that listens. [`Server::stop`] ends it; nothing of it is left then.
pub struct Server {
    addr: SocketAddr,
    parts: Parts,
    api: Api,
    /// Keeps the time of signals; ends once `leaving` is cancelled, after the sockets and before the writer.
    signalling: JoinHandle<()>,
    leaving: CancellationToken,
    /// Accepts until `closing`; ends when the last connection that is not a WebSocket has.
    listening: JoinHandle<()>,
    closing: CancellationToken,
    /// Ends connections where they stand.
    cut: CancellationToken,
    /// What runs in the background: writer, tail, retention.
    tasks: TaskTracker,
    stopping: CancellationToken,
}

/// What routes are made of. Cheap to clone.
#[derive(Clone)]
pub struct Parts {
    /// Where things are kept.
    pub store: Arc<SqliteStore>,
    /// Who is asking.
    pub authenticator: Arc<Authenticator>,
    /// What happens.
    pub chat: Chat,
    /// What has happened lately.
    pub tail: Arc<Tail>,
    /// Who is there.
    pub signals: Signals,
    /// Whether the server is stopping.
    pub drain: Drain,
}

impl Server {
    /// Binds, opens the database and serves.
    ///
    /// # Errors
    /// The address or the database cannot be had, or others can read the development key.
    pub async fn start(settings: &Settings) -> Result<Self, StartError> {
        // Before the database is made: a second server in the same folder should leave no trace.
        let listener = bind(settings).await?;
        let addr = listener
            .local_addr()
            .map_err(|error| unusable(settings, &error))?;
        let store = open(settings).await?;
        let authenticator = Arc::new(authenticator(settings)?);
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        let leaving = CancellationToken::new();
        let stops = (&stopping, &leaving);
        let (parts, signalling) =
            start_parts(settings, store, authenticator, &tasks, stops).await?;
        let signalling = tokio::spawn(signalling);
        let api = Api::new(settings, &parts)?;
        let (closing, cut) = (CancellationToken::new(), CancellationToken::new());
        let health = health::routes(parts.store.clone(), parts.drain.clone());
        let listener = listener.always(health.layer(middleware::from_fn(logs::request)));
        let listening = tokio::spawn(listener.serve(
            router(settings, &parts, &api),
            parts.drain.clone(),
            closing.clone(),
            cut.clone(),
        ));
        Ok(Self {
            addr,
            parts,
            api,
            signalling,
            leaving,
            listening,
            closing,
            cut,
            tasks,
            stopping,
        })
    }

    /// Where it listens; tells the port where 0 was asked for.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops: sockets are closed in turns over the grace period and what was asked is answered. Whoever asks in the
    /// meantime learns that the server is not ready.
    pub async fn stop(self) {
        let drain = &self.parts.drain;
        drain.begin();
        tracing::info!(sockets = drain.sockets(), "stopping");
        let cut = drain.finished().await;
        self.closing.cancel();
        let mut listening = self.listening;
        if tokio::time::timeout(REQUESTS_GRACE, &mut listening)
            .await
            .is_err()
        {
            self.cut.cancel();
            let _ = listening.await;
        }
        self.api.hub.stop().await;
        self.leaving.cancel();
        let _ = self.signalling.await;
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.parts.store.close().await;
        tracing::info!(sockets_cut = cut, "stopped");
    }
}

async fn bind(settings: &Settings) -> Result<Listener, Bad> {
    let bound = Listener::bind(settings.bind, settings.connections_per_ip).await;
    let listener = bound.map_err(|error| unusable(settings, &error))?;
    Ok(match settings.ping_every {
        Some(every) => listener.give_up_after(every + Waits::default().answer),
        None => listener,
    })
}

fn unusable(settings: &Settings, error: &std::io::Error) -> Bad {
    let why = match error.kind() {
        std::io::ErrorKind::AddrInUse => "another program listens there already".to_owned(),
        std::io::ErrorKind::AddrNotAvailable => "not an address of this machine".to_owned(),
        std::io::ErrorKind::PermissionDenied => {
            "not allowed; ports below 1024 are root's".to_owned()
        }
        _ => error.to_string(),
    };
    Bad::new("TIDINGS_BIND", settings.bind.to_string(), why)
}

async fn open(settings: &Settings) -> Result<Arc<SqliteStore>, Bad> {
    let url = &settings.database.url;
    let options = SqliteOptions {
        synchronous: settings.synchronous,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open_with(url, &options).await;
    store
        .map(Arc::new)
        .map_err(|error| Bad::new("TIDINGS_DATABASE_URL", url, error.to_string()))
}

/// The authenticator of these settings; makes the development key where there is none yet.
///
/// # Errors
/// The key cannot be made, read or trusted.
pub fn authenticator(settings: &Settings) -> Result<Authenticator, Bad> {
    Authenticator::new(settings.key.clone(), settings.rules.clone()).map_err(|error| {
        Bad::new(
            "TIDINGS_DATABASE_URL",
            &settings.database.url,
            error.to_string(),
        )
    })
}

async fn start_parts(
    settings: &Settings,
    store: Arc<SqliteStore>,
    authenticator: Arc<Authenticator>,
    tasks: &TaskTracker,
    (stopping, leaving): (&CancellationToken, &CancellationToken),
) -> Result<(Parts, impl Future<Output = ()> + Send + use<>), StartError> {
    let kept: Arc<dyn Store> = store.clone();
    let bus = Arc::new(LocalBus::new());
    let (writer, writing) = Writer::start(kept.clone(), bus.clone(), stopping.clone()).await?;
    let limits = TailLimits::default();
    let (tail, following) = Tail::start(kept.clone(), &*bus, limits, stopping.clone()).await?;
    keep_log(tasks, writing, following).map_err(StartError::Threads)?;
    tasks.spawn(log::keep_days(
        settings.retention_days,
        kept,
        writer.clone(),
        stopping.clone(),
    ));
    let withdrawn = authenticator.revocations().clone();
    let known = revocations::read(&store, &withdrawn).await?;
    tasks.spawn(revocations::follow(
        known,
        store.clone(),
        withdrawn,
        stopping.clone(),
    ));
    let warming = (authenticator.clone(), stopping.clone());
    tasks.spawn(async move {
        let (authenticator, stopping) = warming;
        stopping.run_until_cancelled(authenticator.warm()).await;
    });
    let signals = Signals::new(store.clone(), tail.clone());
    let signalling = (signals.clone()).run(writer.clone(), bus.listen_reads(), leaving.clone());
    let parts = Parts {
        chat: Chat::new(writer, *store.fingerprint_key()),
        store,
        authenticator,
        tail,
        signals,
        drain: Drain::new(settings.drain),
    };
    Ok((parts, signalling))
}

/// Writer and tail on a thread of their own. Between a send and its delivery they are woken five times; among thousands of
/// tasks of those who connect and catch up they would wait for their turn as often.
fn keep_log(
    tasks: &TaskTracker,
    writing: impl Future<Output = ()> + Send + 'static,
    following: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let (ended, end) = oneshot::channel::<()>();
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                // As tasks, so that each is polled only when it was woken.
                let writing = tokio::spawn(writing);
                let _ = tokio::join!(writing, tokio::spawn(following));
            });
            drop(ended);
        })?;
    tasks.spawn(async move {
        let _ = end.await;
    });
    Ok(())
}

/// Everything that is served, by path.
fn router(settings: &Settings, parts: &Parts, api: &Api) -> Router {
    let front = if settings.playground {
        playground::routes(PlaygroundConfig {
            graphql_path: Http::PATH.to_owned(),
            dev_token: dev_minter(settings, parts).map(|minter| {
                let mint: playground::MintToken =
                    Arc::new(move |user| minter.mint(user, None, PLAYGROUND_TOKEN_TTL));
                mint
            }),
        })
    } else {
        playground::pointer_routes(Http::PATH)
    };
    health::routes(parts.store.clone(), parts.drain.clone())
        .merge(api.routes())
        .merge(front)
        .layer(middleware::from_fn(logs::request))
}

/// Whoever reaches the playground is given a token, so only where nobody else can reach it.
fn dev_minter(settings: &Settings, parts: &Parts) -> Option<Minter> {
    settings
        .is_development()
        .then(|| parts.authenticator.minter())
        .flatten()
}
