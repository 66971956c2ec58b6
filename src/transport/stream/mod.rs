//! Subscriptions over HTTP: responses that do not end.
//!
//! A stream is one more sink for the hub's feed. It is counted with the sockets and obeys their limits, timers and drain; what differs
//! is how it looks on the wire. Which requests become streams is `http`'s to say.
//!
//! There is no close code: a stream whose end the client is told is over for good; one that is cut off without an end has
//! more to say, and the client comes back for it.

mod chunked;
mod events;
mod feed;
mod format;
mod multipart;
mod single;
mod wire;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, Version};
use bytes::Bytes;

pub use format::Format;

use super::census::{Census, Counted};
use super::drain::Drain;
use super::http::{Origins, origin_allowed};
use super::listener::{SharedConn, Takeover};
use super::turnstile::{Later, Turnstile};
use super::ws::{self, Endpoint, Live, Timers, Waits, all_unavailable, lifetime, now};
use crate::auth::Viewer;
use crate::document::{Prepared, Rejection};
use crate::error::Error;
use crate::hub::{Framing, Hub, Outbox, Plan};
use crate::model::{Cursor, UserId};
use chunked::Chunked;
use feed::Feed;
use single::{Opened, Reservations, SingleFrames};
use wire::Wire;

pub(super) use single::Refused;

/// Where streams are opened. One for the whole server.
pub struct Streams {
    hub: Hub,
    /// Streams of several operations.
    pub(super) single: Reservations<Live, SharedConn>,
    census: Arc<Census>,
    drain: Drain,
    turnstile: Arc<Turnstile>,
    waits: Arc<Waits>,
    /// When the server's clock for pings began.
    started: Instant,
    connections_per_user: usize,
    origins: Arc<Origins>,
}

/// A subscription that a request asks for.
pub(super) struct Wanted<'a> {
    pub(super) format: Format,
    pub(super) version: Version,
    pub(super) headers: &'a HeaderMap,
    pub(super) from: Option<IpAddr>,
    pub(super) prepared: Prepared,
    pub(super) viewer: Arc<Viewer>,
}

/// What a stream begins with, once its connection is there.
struct Opening {
    format: Format,
    in_chunks: bool,
    plan: Plan,
    resume: Option<Cursor>,
    viewer: Arc<Viewer>,
    counted: Counted,
}

impl Streams {
    /// Streams that are counted with the sockets of `endpoint` and end as they do.
    pub fn beside(endpoint: &Arc<Endpoint<Live>>, hub: Hub) -> Arc<Self> {
        Arc::new(Self {
            hub,
            single: Reservations::new(endpoint.clone()),
            census: endpoint.census.clone(),
            drain: endpoint.drain.clone(),
            turnstile: endpoint.turnstile.clone(),
            waits: endpoint.waits.clone(),
            started: endpoint.started,
            connections_per_user: endpoint.settings.connections_per_user,
            origins: endpoint.settings.origins.clone(),
        })
    }

    /// Whether the page that asks may: answers to others are kept from it by its browser, but their stream would run here.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        origin_allowed(headers, &self.origins)
    }

    /// Answers a subscription with a stream. What it is refused for, for good, is told as its only result.
    ///
    /// # Errors
    /// What passes: the client may come back with the same request, or with a fresh token.
    pub(super) async fn open(
        self: &Arc<Self>,
        wanted: Wanted<'_>,
    ) -> Result<Response<Body>, Rejection> {
        if self.drain.has_begun() {
            return Err(later(&Error::Stopping, Later::random()));
        }
        let (format, viewer) = (wanted.format, wanted.viewer);
        let resume = match last_event_id(wanted.headers) {
            Ok(resume) => resume,
            Err(error) => return Ok(refused(format, &ws::errors(&error))),
        };
        let most = self.connections_per_user;
        let counted = self.census.enter(&viewer.user.id, most);
        let counted = counted.ok_or(Error::TooManyConnections { limit: most })?;
        // Who is refused for something else has not come in.
        if let Err(refused) = self.turnstile.enter(wanted.from) {
            return Err(later(&Error::Busy, refused));
        }
        let plan = match self.hub.plan(wanted.prepared, viewer.clone()).await {
            Ok(plan) => plan,
            Err(errors) if all_unavailable(&errors) => return Err(Error::Busy.into()),
            Err(errors) => return Ok(refused(format, &errors)),
        };
        let opening = Opening {
            format,
            in_chunks: wanted.version >= Version::HTTP_11,
            plan,
            resume,
            viewer,
            counted,
        };
        let streams = self.clone();
        let head = stream_head(format, opening.in_chunks);
        let serve = move |conn, head| async move { streams.serve(opening, conn, head).await };
        Ok(Takeover::response(head, serve))
    }

    /// Answers with the stream that was reserved under a token. `user` is who asks, where the request says so.
    ///
    /// # Errors
    /// There is none, it is another user's, or it is open.
    pub(super) fn open_reserved(
        &self,
        token: &str,
        user: Option<&UserId>,
        version: Version,
        pings: bool,
    ) -> Result<Response<Body>, Refused> {
        let ticket = self.single.claim(token, user)?;
        let in_chunks = version >= Version::HTTP_11;
        let open = move |conn: SharedConn, head| async move {
            let framing: &'static dyn Framing = match in_chunks {
                true => &Chunked(SingleFrames),
                false => &SingleFrames,
            };
            let outbox = begin(&conn, head, Format::Events, framing);
            // Whoever waited for it may have gone.
            let _ = ticket.send(Opened {
                io: conn,
                outbox,
                pings,
            });
        };
        Ok(Takeover::response(
            stream_head(Format::Events, in_chunks),
            open,
        ))
    }

    async fn serve(self: Arc<Self>, opening: Opening, conn: SharedConn, head: Vec<u8>) {
        let Opening {
            format,
            in_chunks,
            plan,
            resume,
            viewer,
            counted,
        } = opening;
        let outbox = begin(&conn, head, format, format.framing(in_chunks));
        let connection = self
            .hub
            .connect(viewer.clone(), outbox.clone(), format.envelope());
        connection.subscribe("".into(), plan, resume);
        let feed = Feed {
            connection,
            timers: self.timers(&viewer),
            drain: self.drain.clone(),
            last_words: format.last_words(in_chunks),
            counted,
        };
        feed.serve(Wire::new(conn, outbox)).await;
    }

    /// A socket's, as of its acknowledgement.
    fn timers(&self, viewer: &Viewer) -> Timers {
        let now = now();
        let mut timers = Timers::new(self.waits.clone(), now);
        timers.initialised(now);
        timers.acknowledged(now, lifetime(viewer), rand::random(), self.started);
        timers
    }
}

/// What a connection that has become a stream writes from: its head first.
fn begin(
    conn: &SharedConn,
    mut head: Vec<u8>,
    format: Format,
    framing: &'static dyn Framing,
) -> Arc<Outbox> {
    conn.0.bound_send_buffer();
    let outbox = Outbox::written_through(Outbox::BUDGET_BYTES, framing, conn.0.clone());
    framing.frame(format.opening().as_bytes(), b"", &mut head);
    // Before anything can be written past it.
    outbox.push_raw(Bytes::from(head));
    Arc::new(outbox)
}

/// A stream of nothing but errors.
fn refused(format: Format, errors: &str) -> Response<Body> {
    let body = format.body(&format!(r#"{{"errors":{errors}}}"#));
    head(format).map(|()| Body::from(body))
}

/// What caches and proxies on the way must know: not to keep it, not to gather it, not to compress it.
pub(super) fn head(format: Format) -> Response<()> {
    let mut head = Response::new(());
    let fixed = [
        (CONTENT_TYPE, format.content_type()),
        (CACHE_CONTROL, "no-store, no-transform"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fixed {
        head.headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    head
}

/// The head of a response that does not end.
fn stream_head(format: Format, in_chunks: bool) -> Response<()> {
    let mut head = head(format);
    if in_chunks {
        let chunked = HeaderValue::from_static("chunked");
        head.headers_mut().insert(TRANSFER_ENCODING, chunked);
    }
    head
}

/// A refusal that passes, and when.
fn later(error: &Error, later: Later) -> Rejection {
    Rejection {
        retry_after_ms: Some(later.secs * 1_000),
        ..Rejection::from(error)
    }
}

/// Where an `EventSource` that comes back stands. An empty one is none: that is what it sends when it has had no id.
fn last_event_id(headers: &HeaderMap) -> Result<Option<Cursor>, Error> {
    let Some(id) = headers.get("last-event-id").filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    let cursor = id.to_str().ok().and_then(|id| id.parse().ok());
    let field = "Last-Event-ID";
    cursor.map(Some).ok_or(Error::BadCursor { field })
}
