//! GraphQL over HTTP (<https://graphql.github.io/graphql-over-http/draft/>): queries by GET and POST, mutations by POST,
//! subscriptions by either, as streams.
//!
//! What a request asks for is `document`'s to judge and what it is answered is the executor's; here is only how that
//! looks in HTTP. The WebSocket transport shares the path and is handed whatever wants to upgrade.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, HeaderName, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::any;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

mod admission;
mod etag;
mod intake;
mod media;
mod origin;
mod origins;
mod reply;
mod single;

#[cfg(test)]
mod tests;

pub use admission::{Admit, Door, bearer};
pub use origin::origin_allowed;
pub use origins::Origins;

pub(in crate::transport) use etag::has_tag;
pub(in crate::transport) use media::{takes, wants_html};

use crate::auth::Viewer;
use crate::document::{Documents, Params, Prepared};
use crate::error::Error;
use crate::graphql::executor::Executor;
use crate::transport::stream::{Format, Streams, Wanted};
use crate::transport::ws::from;
use media::Media;
use reply::Refusal;

/// Takes over a request that wants to become a WebSocket.
pub type Upgrade = Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>;

/// What the API over HTTP is made of. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    /// Makes operations ready.
    pub documents: Arc<Documents>,
    /// Runs them.
    pub executor: Executor,
    /// Lets viewers in.
    pub admit: Arc<dyn Admit>,
    /// Which other sites' scripts may call.
    pub origins: Arc<Origins>,
    /// From the head of the request to the answer. What a mutation has handed to the writer goes on after it.
    pub timeout: Duration,
    /// A browser that opens the API's address is shown the playground instead.
    pub playground: bool,
    /// Where WebSockets go; `None` where there are none.
    pub upgrade: Option<Upgrade>,
    /// Where subscriptions go; `None` where there are none.
    pub streams: Option<Arc<Streams>>,
}

impl Http {
    /// The path of the API, for HTTP and WebSocket alike.
    pub const PATH: &'static str = "/graphql";
    /// Longer than any healthy answer takes, shorter than clients and proxies wait.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
}

/// The API at [`Http::PATH`].
pub fn routes(http: Http) -> Router {
    let cors = origin::cors(http.origins.clone());
    Router::new()
        .route(Http::PATH, any(entry))
        .layer(cors)
        .with_state(http)
}

async fn entry(State(http): State<Http>, request: Request) -> Response {
    if let Some(upgrade) = &http.upgrade
        && wants_websocket(&request)
    {
        return upgrade(request).await;
    }
    if http.playground && is_visit(&request) {
        return Redirect::to("/").into_response();
    }
    if let Some(streams) = &http.streams
        && let Some(wish) = single::wish(&request)
    {
        let answer = http.shared_stream(streams, wish, request).await;
        return answer.unwrap_or_else(|refusal| refusal.respond(Media::Json));
    }
    let Some(media) = media::accepted(request.headers()) else {
        return unacceptable().respond(Media::Json);
    };
    match http.answer(request, media).await {
        Ok(response) => response,
        Err(refusal) => refusal.respond(media),
    }
}

impl Http {
    async fn answer(&self, request: Request, media: Media) -> Result<Response<Body>, Refusal> {
        let deadline = Instant::now() + self.timeout;
        let (parts, body) = request.into_parts();
        let params = self.params(&parts, body, deadline).await?;
        let run = self.run(&parts, params, media);
        timeout_at(deadline, run).await.map_err(|_| overdue())?
    }

    async fn params(
        &self,
        parts: &Parts,
        body: Body,
        deadline: Instant,
    ) -> Result<Params, Refusal> {
        match parts.method {
            Method::GET => intake::from_uri(&parts.uri),
            Method::POST if !media::is_json(&parts.headers) => Err(unsupported()),
            Method::POST => timeout_at(deadline, intake::from_body(body))
                .await
                .map_err(|_| too_slow())?,
            _ => {
                let message = "this method is not served: use POST, or GET for queries";
                let allow = match self.streams {
                    Some(_) => "GET, POST, PUT, DELETE",
                    None => "GET, POST",
                };
                Err(Refusal::method(message, allow))
            }
        }
    }

    async fn run(
        &self,
        parts: &Parts,
        params: Params,
        media: Media,
    ) -> Result<Response<Body>, Refusal> {
        let prepared = self
            .documents
            .prepare_params(params)
            .map_err(Refusal::graphql)?;
        only_reads(&parts.method, &prepared)?;
        if prepared.kind == OperationType::Subscription
            && let Some(streams) = &self.streams
            && let Some(format) = media::streaming(&parts.headers)
        {
            return self.stream(streams, format, parts, prepared).await;
        }
        let may_be_kept = parts.method == Method::GET && prepared.kind == OperationType::Query;
        let response = self.execute(&parts.headers, prepared).await?;
        Ok(match may_be_kept {
            true => etag::kept(media, &response, &parts.headers),
            false => reply::executed(media, &response),
        })
    }

    async fn stream(
        &self,
        streams: &Arc<Streams>,
        format: Format,
        parts: &Parts,
        prepared: Prepared,
    ) -> Result<Response<Body>, Refusal> {
        admitted(streams, &parts.headers)?;
        let viewer = self.known(&parts.headers).await?;
        let wanted = Wanted {
            format,
            version: parts.version,
            headers: &parts.headers,
            from: from(&parts.extensions),
            prepared,
            viewer,
        };
        let stream = streams.open(wanted).await;
        stream.map_err(Refusal::passing)
    }

    async fn execute(
        &self,
        headers: &HeaderMap,
        prepared: Prepared,
    ) -> Result<async_graphql::Response, Refusal> {
        let viewer = self.viewer(headers).await?;
        let execution = self.executor.execute(prepared, viewer);
        execution.await.map_err(Refusal::graphql)
    }

    /// Who asks for a stream. Told by the status, whatever else the client would accept: a result would be the end for it.
    async fn known(&self, headers: &HeaderMap) -> Result<Arc<Viewer>, Refusal> {
        let viewer = self.viewer(headers).await.map_err(Refusal::by_status)?;
        viewer.ok_or_else(|| Refusal::passing(Error::NoToken.into()))
    }

    async fn viewer(&self, headers: &HeaderMap) -> Result<Option<Arc<Viewer>>, Refusal> {
        let refuse = |error: Error| Refusal::graphql(error.into());
        let Some(token) = bearer(headers).map_err(refuse)? else {
            return Ok(None);
        };
        self.admit.admit(token).await.map(Some).map_err(refuse)
    }
}

fn admitted(streams: &Streams, headers: &HeaderMap) -> Result<(), Refusal> {
    let message = "this origin may not open a stream";
    match streams.admits(headers) {
        true => Ok(()),
        false => Err(Refusal::new(StatusCode::FORBIDDEN, message)),
    }
}

/// A GET is followed from links, preloaded and repeated: it must not do anything.
fn only_reads(method: &Method, prepared: &Prepared) -> Result<(), Refusal> {
    match *method == Method::GET && prepared.kind == OperationType::Mutation {
        true => Err(Refusal::method("send mutations by POST", "POST")),
        false => Ok(()),
    }
}

/// RFC 6455, 4.2.1; what else the upgrade needs is the WebSocket transport's to check.
fn wants_websocket(request: &Request) -> bool {
    let upgrades = request.headers().get_all(UPGRADE);
    request.method() == Method::GET
        && upgrades
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"))
}

/// A person's browser at the API's bare address.
fn is_visit(request: &Request) -> bool {
    request.method() == Method::GET
        && request.uri().query().is_none()
        && media::wants_html(request.headers())
}

fn unacceptable() -> Refusal {
    let message =
        "answers are application/graphql-response+json, application/json or text/event-stream";
    let accept = "application/graphql-response+json, application/json, text/event-stream";
    Refusal::new(StatusCode::NOT_ACCEPTABLE, message).with(ACCEPT, accept)
}

fn unsupported() -> Refusal {
    const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
    let message = "send application/json in UTF-8, and say so in Content-Type";
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Refusal::new(status, message).with(ACCEPT_POST, "application/json")
}

fn too_slow() -> Refusal {
    let message = "the body did not arrive in time";
    Refusal::new(StatusCode::REQUEST_TIMEOUT, message)
}

fn overdue() -> Refusal {
    let message = "the answer is overdue: what was asked for may still be done; try again";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
}
