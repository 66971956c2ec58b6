//! The playground at `/`: GraphiQL with examples in tabs, or the small page where GraphiQL was not built in.
//!
//! It serves files and one configuration, and asks no other host for anything. It knows neither how tokens are made
//! nor what the API does: in development mode the configuration holds a token, minted by whoever wires this.

mod asset;
mod gate;

use std::fmt;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde::{Deserialize, Serialize};

use crate::model::UserId;
use crate::transport::http::wants_html;
use asset::Asset;

/// Makes a development token for a user; `None` when it cannot.
pub type MintToken = Arc<dyn Fn(&UserId) -> Option<String> + Send + Sync>;

/// What the playground is told by whoever wires it.
#[derive(Clone)]
pub struct PlaygroundConfig {
    /// Where the API is on this same host, for HTTP and WebSocket alike: `/graphql`.
    pub graphql_path: String,
    /// In development mode only: the page signs in by itself. `None` leaves the token to its user.
    pub dev_token: Option<MintToken>,
}

impl fmt::Debug for PlaygroundConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlaygroundConfig")
            .field("graphql_path", &self.graphql_path)
            .field("dev_token", &self.dev_token.is_some())
            .finish()
    }
}

/// Which page the build put in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    /// GraphiQL, bundled by npm.
    Graphiql,
    /// The hand-written one, for builds without npm.
    Small,
    /// None: `PLAYGROUND=off`.
    Off,
}

impl Page {
    /// The page of this build.
    pub const BUILT: Self = match env!("PLAYGROUND_PAGE").as_bytes() {
        b"graphiql" => Self::Graphiql,
        b"small" => Self::Small,
        _ => Self::Off,
    };
}

/// Who the page signs in as when its address names no one: the user of every example in the documentation.
const DEV_USER: &str = "ada";

/// Inline styles are how Monaco and Radix lay out; fonts lie in their style sheets. `connect-src 'self'` takes in
/// WebSockets of this host in every current browser.
const GRAPHIQL_CSP: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The small page needs nothing inline.
const SMALL_CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page at `/` and what it loads from `/playground/`. A build without a page answers as [`pointer_routes`] do.
pub fn routes(config: PlaygroundConfig) -> Router {
    if Page::BUILT == Page::Off {
        return pointer_routes(&config.graphql_path);
    }
    Router::new()
        .route("/", get(front))
        .route("/playground", get(|| async { Redirect::permanent("/") }))
        .route("/playground/config.json", get(page_config))
        .route("/playground/small", get(small))
        .route("/playground/{*path}", get(file))
        .layer(middleware::map_response(isolate))
        .with_state(Arc::new(config))
}

/// A few words at `/` for a server whose playground is switched off.
pub fn pointer_routes(graphql_path: &str) -> Router {
    let text = pointer(graphql_path);
    Router::new().route("/", get(|| async { text }))
}

fn pointer(graphql_path: &str) -> String {
    format!(
        "Tidings, a real-time message server\n\nAPI     {graphql_path} (HTTP and WebSocket)\nHealth  /healthz\n"
    )
}

/// No other site frames these, opens them in its own process, or reads them; addresses stay here.
async fn isolate(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn front(State(config): State<Arc<PlaygroundConfig>>, headers: HeaderMap) -> Response {
    let mut response = if !wants_html(&headers) {
        pointer(&config.graphql_path).into_response()
    } else if Page::BUILT == Page::Graphiql {
        page("index.html", GRAPHIQL_CSP, &headers)
    } else {
        page("small.html", SMALL_CSP, &headers)
    };
    response
        .headers_mut()
        .append(VARY, HeaderValue::from_static("accept"));
    response
}

async fn small(headers: HeaderMap) -> Response {
    page("small.html", SMALL_CSP, &headers)
}

fn page(path: &str, policy: &'static str, headers: &HeaderMap) -> Response {
    let mut response = serve(path, headers);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// A worker runs under the policy of its own script, so every file carries one.
async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    page(&path, GRAPHIQL_CSP, &headers)
}

fn serve(path: &str, headers: &HeaderMap) -> Response {
    match Asset::find(path) {
        Some(asset) => asset.respond(headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Deserialize)]
struct Asked {
    user: Option<String>,
}

/// What the page learns at its start.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageConfig<'a> {
    graphql_path: &'a str,
    user: &'a str,
    token: Option<String>,
    /// Why there is no token, where there could have been one.
    notice: Option<&'static str>,
}

async fn page_config(
    State(config): State<Arc<PlaygroundConfig>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let name = asked.user.as_deref().unwrap_or(DEV_USER);
    let Ok(user) = UserId::parse("user", name) else {
        return (StatusCode::BAD_REQUEST, "user is not a user id").into_response();
    };
    let (token, notice) = match (&config.dev_token, gate::refusal(&headers)) {
        (None, _) => (None, None),
        (Some(_), Some(why)) => (None, Some(why)),
        (Some(mint), None) => (mint(&user), None),
    };
    let body = Json(PageConfig {
        graphql_path: &config.graphql_path,
        user: user.as_str(),
        token,
        notice,
    });
    ([(CACHE_CONTROL, "no-store")], body).into_response()
}

#[cfg(test)]
#[cfg(not(playground_off))]
mod tests;
