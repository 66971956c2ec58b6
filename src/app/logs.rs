//! How logs look. They go to standard error; message bodies and tokens are never in them.

use std::io::{IsTerminal, stderr};
use std::panic;
use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

use crate::config::LogFormat;

/// Writes logs from now on, as text or one JSON object a line. `filter` was checked with the settings.
pub fn init(format: LogFormat, filter: &str) {
    let filters = EnvFilter::new(filter).and_then(filter_fn(may_be_shown));
    let lines = fmt::layer().with_writer(stderr);
    let lines = if is_text(format) {
        let coloured = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        lines.with_ansi(coloured).boxed()
    } else {
        let json = lines.json().flatten_event(true);
        json.with_current_span(false).with_span_list(false).boxed()
    };
    // An error means that logs are being written already, which is all that is wanted.
    let _ = registry().with(filters).with(lines).try_init();
    panic::set_hook(Box::new(log_panic));
}

/// Libraries do not know what is a secret here: below `info` tungstenite quotes whole messages, tokens among them.
fn may_be_shown(line: &Metadata<'_>) -> bool {
    line.target().starts_with("tidings") || *line.level() <= Level::INFO
}

/// Whether a person is reading.
pub(super) fn is_text(format: LogFormat) -> bool {
    match format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => stderr().is_terminal(),
    }
}

/// A line a request, for who looks for something: at `debug`. The query is left out, since GET carries documents and
/// variables there.
pub(super) async fn request(request: Request, next: Next) -> Response {
    if !tracing::enabled!(Level::DEBUG) {
        return next.run(request).await;
    }
    let begun = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let (status, micros) = (response.status().as_u16(), begun.elapsed().as_micros());
    tracing::debug!(%method, path, status, micros, "answered");
    response
}

/// Where, but not what: a panic's message may quote what it tripped over, which may be a message's body.
fn log_panic(info: &panic::PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string);
    tracing::error!(location, "panicked");
}
