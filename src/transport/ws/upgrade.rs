//! The HTTP request that opens a socket: origin, subprotocol, handshake.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::header::{RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::upgrade::Parts;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tungstenite::Error;
use tungstenite::error::ProtocolError;
use tungstenite::handshake::server::create_response_with_body;

use super::clock::now;
use super::legacy::{self, Legacy};
use super::protocol::Protocol;
use super::socket::Socket;
use super::wire::{TextFrames, Wire};
use super::{Api, AtOnce, Close, INIT_BYTES_MAX, SUBPROTOCOL, Waits};
use crate::hub::Outbox;
use crate::transport::census::Census;
use crate::transport::drain::Drain;
use crate::transport::http::{Origins, bearer, origin_allowed};
use crate::transport::listener::{Patient, SharedConn};
use crate::transport::turnstile::{Later, Turnstile};

/// How sockets are served.
#[derive(Clone)]
pub struct Settings {
    /// How long is waited for what.
    pub waits: Waits,
    /// How much a connection may have going at once.
    pub at_once: AtOnce,
    /// Sockets of one viewer; 0 is no limit.
    pub connections_per_user: usize,
    /// Sockets and streams that open a second; `None` for any number.
    pub sockets_per_second: Option<NonZeroU32>,
    /// Whether addresses tell clients apart; behind a proxy they do not.
    pub addresses_apart: bool,
    /// Which other sites' pages may open a socket: browsers let them all, and reach inner networks.
    pub origins: Arc<Origins>,
}

/// Where sockets are opened. One for the whole server.
pub struct Endpoint<A: Api> {
    pub(in crate::transport) api: Arc<A>,
    pub(in crate::transport) settings: Settings,
    pub(in crate::transport) census: Arc<Census>,
    pub(in crate::transport) drain: Drain,
    pub(in crate::transport) turnstile: Arc<Turnstile>,
    /// The settings', shared by the sockets.
    pub(in crate::transport) waits: Arc<Waits>,
    /// Likewise, for the sockets of the legacy subprotocol.
    pub(super) legacy_waits: Arc<Waits>,
    /// When the server's clock for pings began.
    pub(in crate::transport) started: Instant,
}

impl<A: Api> Endpoint<A> {
    /// Sockets belong to `drain`: once it has begun, upgrades are refused and sockets leave one after the other.
    pub fn new(api: Arc<A>, settings: Settings, drain: Drain) -> Arc<Self> {
        Arc::new(Self {
            api,
            waits: Arc::new(settings.waits),
            legacy_waits: Arc::new(Legacy::waits(&settings.waits)),
            turnstile: Arc::new(Turnstile::new(
                settings.sockets_per_second,
                settings.addresses_apart,
            )),
            settings,
            census: Arc::default(),
            drain,
            started: now(),
        })
    }

    /// Answers an upgrade request: 101, or 400 (no WebSocket handshake), 403 (origin), 426 (version), 503 (stopping, or
    /// too many come at once).
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
            return not_now("the server is stopping", Later::random());
        }
        let mut response = match create_response_with_body(&request, Body::empty) {
            Ok(response) => response,
            Err(error) => return refused(&error),
        };
        if let Err(later) = self.turnstile.enter(from(request.extensions())) {
            return not_now("too many are connecting; come back later", later);
        }
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
            match upgraded.downcast::<TokioIo<Patient<SharedConn>>>() {
                Ok(parts) => {
                    let (io, early, outbox) = over_tcp(parts);
                    let wire = Wire::new(io, early, INIT_BYTES_MAX, outbox);
                    serve(&drain, endpoint, token, &chosen, wire);
                }
                Err(upgraded) => {
                    let outbox = Arc::new(Outbox::framed(Outbox::BUDGET_BYTES, &TextFrames));
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
    let (at_once, outbox) = (endpoint.settings.at_once, wire.outbox().clone());
    match chosen {
        Subprotocol::Modern => {
            let (protocol, waits) = (Protocol::new(at_once, token), endpoint.waits.clone());
            let socket = Socket::new(endpoint, protocol, waits, outbox);
            drain.spawn(socket.serve(wire));
        }
        Subprotocol::Legacy { .. } => {
            let (protocol, waits) = (Legacy::new(at_once, token), endpoint.legacy_waits.clone());
            let socket = Socket::new(endpoint, protocol, waits, outbox);
            drain.spawn(socket.serve(wire));
        }
        Subprotocol::Foreign(_) => {
            drain.spawn(async move { wire.close(Close::SUBPROTOCOL, false).await });
        }
    }
}

/// Without hyper's own buffer, which would live as long as the socket.
fn over_tcp(parts: Parts<TokioIo<Patient<SharedConn>>>) -> (SharedConn, Bytes, Arc<Outbox>) {
    let io = parts.io.into_inner().into_inner();
    io.0.bound_send_buffer();
    let outbox = Outbox::written_through(Outbox::BUDGET_BYTES, &TextFrames, io.0.clone());
    (io, parts.read_buf, Arc::new(outbox))
}

fn not_now(why: &'static str, later: Later) -> Response {
    let headers = [(RETRY_AFTER, HeaderValue::from(later.secs))];
    (StatusCode::SERVICE_UNAVAILABLE, headers, why).into_response()
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
    /// graphql-transport-ws.
    Modern,
    /// graphql-ws; `named` where the client has offered it rather than nothing at all.
    Legacy { named: bool },
    /// The client offered others (the first of them). Browsers drop a socket whose server chose none of what they offered,
    /// and never show its close code: so one is chosen, and refused.
    Foreign(Option<HeaderValue>),
}

impl Subprotocol {
    fn name(&self) -> Option<HeaderValue> {
        match self {
            Self::Modern => Some(HeaderValue::from_static(SUBPROTOCOL)),
            Self::Legacy { named } => named.then(|| HeaderValue::from_static(legacy::SUBPROTOCOL)),
            Self::Foreign(first) => first.clone(),
        }
    }
}

/// The modern one, then the legacy one, wherever they stand among the offers and over however many header lines these are
/// spread. ferry offers nothing and speaks the legacy one.
fn choose(headers: &HeaderMap) -> Subprotocol {
    let offers = || {
        headers
            .get_all(SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|offer| !offer.is_empty())
    };
    let offered = |name: &str| offers().any(|offer| offer == name.as_bytes());
    if offered(SUBPROTOCOL) {
        return Subprotocol::Modern;
    }
    if offered(legacy::SUBPROTOCOL) {
        return Subprotocol::Legacy { named: true };
    }
    match offers().next() {
        None => Subprotocol::Legacy { named: false },
        Some(first) => Subprotocol::Foreign(HeaderValue::from_bytes(first).ok()),
    }
}

/// Where a request comes from, as the listener has noted it.
pub(in crate::transport) fn from(extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|ConnectInfo(peer)| peer.ip())
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
    fn the_modern_one_is_chosen_wherever_it_stands() {
        for lines in [
            &["graphql-transport-ws"][..],
            &["graphql-ws, graphql-transport-ws"],
            &["graphql-transport-ws,graphql-ws"],
            &["graphql-ws", "graphql-transport-ws"],
            &["soap, graphql-ws", "graphql-transport-ws"],
        ] {
            assert_eq!(choose(&headers(lines)), Subprotocol::Modern, "{lines:?}");
        }
    }

    #[test]
    fn the_legacy_one_is_chosen_where_it_is_offered_without_the_modern_one() {
        for lines in [
            &["graphql-ws"][..],
            &["soap , graphql-ws"],
            &["soap", "graphql-ws"],
        ] {
            let chosen = choose(&headers(lines));
            assert_eq!(chosen, Subprotocol::Legacy { named: true }, "{lines:?}");
            assert_eq!(chosen.name().unwrap(), "graphql-ws");
        }
    }

    #[test]
    fn the_legacy_one_is_spoken_and_not_named_where_nothing_is_offered() {
        for lines in [&[][..], &[""], &[" , "]] {
            let chosen = choose(&headers(lines));
            assert_eq!(chosen, Subprotocol::Legacy { named: false }, "{lines:?}");
            assert_eq!(chosen.name(), None);
        }
    }

    #[test]
    fn what_is_not_ours_is_foreign() {
        for (offer, first) in [
            ("soap", "soap"),
            (" , soap ,graphql", "soap"),
            ("Graphql-Transport-Ws", "Graphql-Transport-Ws"),
            ("GRAPHQL-WS", "GRAPHQL-WS"),
        ] {
            let first = HeaderValue::from_static(first);
            let chosen = choose(&headers(&[offer]));
            assert_eq!(chosen, Subprotocol::Foreign(Some(first)));
        }
    }
}
