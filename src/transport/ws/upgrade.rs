//! The HTTP request that opens a socket: origin, subprotocol, handshake.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::upgrade::Parts;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tungstenite::Error;
use tungstenite::error::ProtocolError;
use tungstenite::handshake::server::create_response_with_body;

use super::census::Census;
use super::socket::{Socket, now};
use super::wire::{Wire, text_header};
use super::{Api, AtOnce, Close, INIT_BYTES_MAX, SUBPROTOCOL, Waits};
use crate::hub::{Header, Outbox, Sink};
use crate::transport::drain::Drain;
use crate::transport::http::{Origins, bearer, origin_allowed};
use crate::transport::listener::{Conn, SharedConn};

/// How sockets are served.
#[derive(Clone)]
pub struct Settings {
    /// How long is waited for what.
    pub waits: Waits,
    /// How much a connection may have going at once.
    pub at_once: AtOnce,
    /// Sockets of one viewer; 0 is no limit.
    pub connections_per_user: usize,
    /// Which other sites' pages may open a socket: browsers let them all, and reach inner networks.
    pub origins: Arc<Origins>,
}

/// Where sockets are opened. One for the whole server.
pub struct Endpoint<A: Api> {
    pub(super) api: Arc<A>,
    pub(super) settings: Settings,
    pub(super) census: Arc<Census>,
    pub(super) drain: Drain,
    /// The settings', shared by the sockets.
    pub(super) waits: Arc<Waits>,
    /// When the server's clock for pings began.
    pub(super) started: Instant,
}

impl<A: Api> Endpoint<A> {
    /// Sockets belong to `drain`: once it has begun, upgrades are refused and sockets leave one after the other.
    pub fn new(api: Arc<A>, settings: Settings, drain: Drain) -> Arc<Self> {
        Arc::new(Self {
            api,
            waits: Arc::new(settings.waits),
            settings,
            census: Arc::default(),
            drain,
            started: now(),
        })
    }

    /// Answers an upgrade request: 101, or 400 (no WebSocket handshake), 403 (origin), 426 (version), 503 (stopping).
    /// A subprotocol that is not spoken here is told by close code 4406, which clients see, unlike an HTTP status.
    pub fn upgrade(self: &Arc<Self>, mut request: Request) -> Response {
        if !origin_allowed(request.headers(), &self.settings.origins) {
            return (
                StatusCode::FORBIDDEN,
                "this origin may not open a WebSocket",
            )
                .into_response();
        }
        if self.drain.has_begun() {
            return (StatusCode::SERVICE_UNAVAILABLE, "the server is stopping").into_response();
        }
        let mut response = match create_response_with_body(&request, Body::empty) {
            Ok(response) => response,
            Err(error) => return refused(&error),
        };
        let chosen = choose(request.headers());
        if let Some(name) = chosen.name() {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
        }
        let token = header_token(request.headers());
        let upgrade = hyper::upgrade::on(&mut request);
        // With them goes the letter case of the client's header names: gql (Python) knows the subprotocol only by
        // `Sec-WebSocket-Protocol` to the letter, and speaks the legacy one otherwise.
        *response.extensions_mut() = std::mem::take(request.extensions_mut());
        let (endpoint, drain) = (self.clone(), self.drain.clone());
        self.drain.spawn(async move {
            // The client may go away in the middle of the handshake.
            let Ok(upgraded) = upgrade.await else { return };
            // A task of its own: it would keep the room that this one needed.
            match upgraded.downcast::<TokioIo<Conn>>() {
                Ok(parts) => {
                    let (io, early, outbox) = over_tcp(parts);
                    let wire = Wire::new(io, early, INIT_BYTES_MAX, outbox);
                    serve(&drain, endpoint, token, &chosen, wire);
                }
                Err(upgraded) => {
                    let outbox = Arc::new(Outbox::new(Outbox::BUDGET_BYTES));
                    let io = TokioIo::new(upgraded);
                    let wire = Wire::new(io, Bytes::new(), INIT_BYTES_MAX, outbox);
                    serve(&drain, endpoint, token, &chosen, wire);
                }
            }
        });
        response
    }
}

fn serve<A: Api, S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    drain: &Drain,
    endpoint: Arc<Endpoint<A>>,
    token: Option<String>,
    chosen: &Subprotocol,
    mut wire: Wire<S>,
) {
    match chosen {
        Subprotocol::Spoken => {
            let mut socket = Socket::new(endpoint, token, wire.outbox().clone());
            drain.spawn(async move { socket.serve(&mut wire).await });
        }
        Subprotocol::Foreign(_) => {
            drain.spawn(async move { wire.close(Close::SUBPROTOCOL, false).await });
        }
    }
}

/// Without hyper's own buffer, which would live as long as the socket.
fn over_tcp(parts: Parts<TokioIo<Conn>>) -> (SharedConn, Bytes, Arc<Outbox>) {
    let conn = Arc::new(bounded(parts.io.into_inner()));
    let outbox = Outbox::written_through(Outbox::BUDGET_BYTES, conn.clone());
    (SharedConn(conn), parts.read_buf, Arc::new(outbox))
}

impl Sink for Conn {
    fn header(&self, bytes: usize) -> Header {
        text_header(bytes)
    }

    /// Past tokio: what it knows of the socket is a cache line further away, and its task finds out by itself when the socket
    /// takes no more.
    fn try_write(&self, bytes: &[u8]) -> std::io::Result<usize> {
        SockRef::from(self.tcp()).send(bytes)
    }
}

/// Bytes that the kernel takes for a client which does not read. Left alone it takes up to 4 MB, and says for as long that
/// all is well; this much still lets 2.5 MB a second through at 100 ms of round trip.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

fn bounded(conn: Conn) -> Conn {
    if let Err(error) = SockRef::from(conn.tcp()).set_send_buffer_size(SEND_BUFFER_BYTES) {
        tracing::debug!(%error, "a send buffer stays as large as it was");
    }
    conn
}

fn refused(error: &Error) -> Response {
    match error {
        Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => (
            StatusCode::UPGRADE_REQUIRED,
            [(SEC_WEBSOCKET_VERSION, "13")],
            "WebSocket version 13 is spoken here",
        )
            .into_response(),
        _ => (StatusCode::BAD_REQUEST, "not a WebSocket handshake").into_response(),
    }
}

#[derive(Debug, PartialEq)]
enum Subprotocol {
    /// The client offered ours.
    Spoken,
    /// The client offered others (the first of them), or none. Browsers drop a socket whose server chose none of what
    /// they offered, and never show its close code: so one is chosen, and refused.
    Foreign(Option<HeaderValue>),
}

impl Subprotocol {
    fn name(&self) -> Option<HeaderValue> {
        match self {
            Self::Spoken => Some(HeaderValue::from_static(SUBPROTOCOL)),
            Self::Foreign(first) => first.clone(),
        }
    }
}

/// Ours, wherever it stands among the offers and over however many header lines they are spread.
fn choose(headers: &HeaderMap) -> Subprotocol {
    let offers = || {
        headers
            .get_all(SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|offer| !offer.is_empty())
    };
    if offers().any(|offer| offer == SUBPROTOCOL.as_bytes()) {
        return Subprotocol::Spoken;
    }
    Subprotocol::Foreign(
        offers()
            .next()
            .and_then(|offer| HeaderValue::from_bytes(offer).ok()),
    )
}

/// What says something else is none: it may be meant for a proxy on the way, and the payload may hold the token.
fn header_token(headers: &HeaderMap) -> Option<String> {
    bearer(headers).ok().flatten().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(line));
        }
        headers
    }

    #[test]
    fn ours_is_chosen_wherever_it_stands() {
        for lines in [
            &["graphql-transport-ws"][..],
            &["graphql-ws, graphql-transport-ws"],
            &["graphql-transport-ws,graphql-ws"],
            &["graphql-ws", "graphql-transport-ws"],
        ] {
            assert_eq!(choose(&headers(lines)), Subprotocol::Spoken, "{lines:?}");
        }
    }

    #[test]
    fn what_is_not_ours_is_foreign() {
        let first = |lines| match choose(&headers(lines)) {
            Subprotocol::Foreign(first) => first,
            Subprotocol::Spoken => panic!("{lines:?}"),
        };
        assert_eq!(first(&["graphql-ws"]).unwrap(), "graphql-ws");
        assert_eq!(first(&[" , soap ,graphql-ws"]).unwrap(), "soap");
        assert_eq!(
            first(&["Graphql-Transport-Ws"]).unwrap(),
            "Graphql-Transport-Ws"
        );
        assert_eq!(first(&[]), None);
    }
}
