//! The API's parts, over what the server is made of: one schema, one executor, one hub, for HTTP and sockets alike.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt;

use super::{Parts, StartError};
use crate::config::{Rate, Settings};
use crate::document::{Documents, Limits, Shape};
use crate::graphql::executor::{Allowance, Allowances, Executor};
use crate::graphql::{self, Deps};
use crate::hub::{Hub, Setup};
use crate::store::Store;
use crate::transport::http::{self, Door, Http, Upgrade};
use crate::transport::stream::Streams;
use crate::transport::ws::{self, AtOnce, Endpoint, Live, Waits};

/// Queries and mutations that one socket may have going at once: a client that pipelines more is better told.
const OPERATIONS_AT_ONCE: usize = 100;

/// What answers requests. Cheap to clone.
#[derive(Clone)]
pub(super) struct Api {
    http: Http,
    /// Stopped after the sockets, before the writer.
    pub(super) hub: Hub,
}

impl Api {
    pub(super) fn new(settings: &Settings, parts: &Parts) -> Result<Self, StartError> {
        let store: Arc<dyn Store> = parts.store.clone();
        let (chat, tail) = (parts.chat.clone(), parts.tail.clone());
        let schema = graphql::schema(Deps {
            store: store.clone(),
            chat: chat.clone(),
            tail: tail.clone(),
            authenticator: parts.authenticator.clone(),
            signals: parts.signals.clone(),
        });
        let shape = Arc::new(
            Shape::read(&graphql::sdl()).map_err(|error| StartError::Schema(error.to_string()))?,
        );
        let executor = executor(settings, parts, schema, shape.clone());
        let documents = Arc::new(Documents::new(Limits::default(), shape.clone()));
        let streams = executor.clone();
        let hub = Hub::start(Setup {
            store,
            tail,
            execute: Arc::new(move |prepared, data| streams.stream(prepared, data)),
            shape,
            revocations: parts.authenticator.revocations().clone(),
            signals: parts.signals.clone(),
            workers: settings.fanout_workers.get(),
        })
        .map_err(StartError::Threads)?;
        let admit = Arc::new(Door {
            authenticator: parts.authenticator.clone(),
            chat,
        });
        let live = Live {
            documents: documents.clone(),
            executor: executor.clone(),
            admit: admit.clone(),
            hub: hub.clone(),
        };
        let sockets = Endpoint::new(Arc::new(live), sockets(settings), parts.drain.clone());
        let streams = Streams::beside(&sockets, hub.clone());
        let upgrade: Upgrade = Arc::new(move |request| {
            let response = sockets.upgrade(request);
            async move { response }.boxed()
        });
        let http = Http {
            documents,
            executor,
            admit,
            origins: Arc::new(settings.allowed_origins.clone()),
            timeout: Http::TIMEOUT,
            playground: settings.playground,
            upgrade: Some(upgrade),
            streams: Some(streams),
        };
        Ok(Self { http, hub })
    }

    pub(super) fn routes(&self) -> Router {
        http::routes(self.http.clone())
    }
}

fn executor(
    settings: &Settings,
    parts: &Parts,
    schema: graphql::Schema,
    shape: Arc<Shape>,
) -> Executor {
    let allowance = |rate: Option<Rate>| {
        rate.map_or(Allowance::new(0, 0), |rate| {
            Allowance::new(rate.per_second.get(), rate.burst.get())
        })
    };
    let allowances = Allowances {
        mutations: allowance(settings.mutations),
        signals: allowance(settings.signals),
    };
    let (store, tail) = (parts.store.clone(), parts.tail.clone());
    let equip = move |viewer: Option<&Arc<_>>| graphql::equip(viewer, tail.end(&*store));
    Executor::new(schema, shape, allowances, equip)
}

fn sockets(settings: &Settings) -> ws::Settings {
    let count = |limit: Option<NonZeroU32>| limit.map_or(0, |limit| limit.get() as usize);
    ws::Settings {
        waits: Waits {
            init: settings.init_timeout.unwrap_or(Duration::ZERO),
            ping: settings.ping_every.unwrap_or(Duration::ZERO),
            ..Waits::default()
        },
        at_once: AtOnce {
            subscriptions: count(settings.subscriptions_per_connection),
            operations: OPERATIONS_AT_ONCE,
        },
        connections_per_user: count(settings.connections_per_user),
        sockets_per_second: settings.sockets_per_second,
        addresses_apart: settings.connections_per_ip.is_some(),
        origins: Arc::new(settings.allowed_origins.clone()),
    }
}
