//! Accepts connections and speaks HTTP/1.1 on them until they upgrade, become a stream or end.
//!
//! Not `axum::serve`: that leaves Nagle's algorithm on, has no header timeout and no limit for one address.

mod conn;
mod patience;
mod places;
mod takeover;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::http::header::CONNECTION;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

pub use conn::{Conn, SharedConn};
pub use patience::Patient;
pub use takeover::Takeover;

pub(in crate::transport) use places::household;

use places::Places;
use takeover::{Desk, Taken};

use super::drain::Drain;

/// A client that has not sent a whole request head by then is not one. Idle connections end by it too.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// For those who take a place that is spare: these are few.
const SPARE_HEADER_TIMEOUT: Duration = Duration::from_secs(2);
/// A token of 8 KiB, cookies and all else that browsers send.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// The kernel's own limit is some 15 minutes. A ping's interval and the time for an answer.
const SILENCE: Duration = Duration::from_secs(35);
/// Long enough for some connection to end and leave its descriptor, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What one connection too many is told. Written without waiting, so best effort.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A bound address.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    places: Places,
    silence: Duration,
    /// What is answered to those whose address has as many connections as it may.
    spare: Router,
}

impl Listener {
    /// Binds. `per_ip` is how many connections one address may hold; `None` for any number.
    ///
    /// # Errors
    /// The address is taken, not this machine's, or not allowed.
    pub async fn bind(addr: SocketAddr, per_ip: Option<NonZeroU32>) -> io::Result<Self> {
        Ok(Self {
            tcp: TcpListener::bind(addr).await?,
            places: Places::new(per_ip),
            silence: SILENCE,
            spare: full(Router::new()),
        })
    }

    /// Answers these also to those whose address has as many connections as it may: whoever asks how the server is must not hear how
    /// that address is.
    pub fn always(self, routes: Router) -> Self {
        Self {
            spare: full(routes),
            ..self
        }
    }

    /// Gives a peer up that acknowledges nothing of what it is sent for so long.
    pub fn give_up_after(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// What it is bound to; tells the port where 0 was asked for.
    ///
    /// # Errors
    /// The operating system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Accepts and serves until `stop`; then accepts no more, and returns once the last connection that is not a
    /// WebSocket or stream has ended. `cut` ends those at once. When `drain` begins, connections finish the request they are at.
    pub async fn serve(
        self,
        router: Router,
        drain: Drain,
        stop: CancellationToken,
        cut: CancellationToken,
    ) {
        let open = TaskTracker::new();
        let accepting = self.accept(router, drain, &open, &stop, &cut);
        stop.run_until_cancelled(accepting).await;
        drop(self);
        open.close();
        open.wait().await;
    }

    async fn accept(
        &self,
        router: Router,
        drain: Drain,
        open: &TaskTracker,
        stop: &CancellationToken,
        cut: &CancellationToken,
    ) {
        let mut failing = false;
        loop {
            match self.tcp.accept().await {
                Ok((tcp, peer)) => {
                    failing = false;
                    if let Some(conn) = self.admit(tcp, peer) {
                        let router = if conn.is_spare() {
                            &self.spare
                        } else {
                            &router
                        };
                        let http = speak(conn, peer, router.clone(), drain.clone(), stop.clone());
                        let cut = cut.clone();
                        open.spawn(async move { cut.run_until_cancelled(http).await });
                    }
                }
                Err(error) if is_of_one_client(&error) => {}
                Err(error) => {
                    // Out of descriptors: the next accept would fail at once, and for as long as that lasts.
                    if !failing {
                        tracing::error!(%error, "no connection can be accepted");
                    }
                    failing = true;
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, tcp: TcpStream, peer: SocketAddr) -> Option<Conn> {
        let Some(place) = self.places.take(peer.ip()) else {
            tracing::debug!(%peer, "one connection too many from this address");
            let _ = tcp.try_write(TOO_MANY);
            return None;
        };
        // Frames are written whole: waiting to fill a segment only delays them, by 40 ms.
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, %peer, "the connection was gone before it was served");
            return None;
        }
        if let Err(error) = give_up_after(&tcp, self.silence) {
            tracing::debug!(%error, %peer, "a peer that vanishes is noticed late");
        }
        Some(Conn::new(tcp, place))
    }
}

/// These routes, and for all else that the address is full.
fn full(routes: Router) -> Router {
    let full = (StatusCode::TOO_MANY_REQUESTS, [(CONNECTION, "close")]);
    routes.fallback(move || std::future::ready(full))
}

async fn speak(
    conn: Conn,
    peer: SocketAddr,
    router: Router,
    drain: Drain,
    stop: CancellationToken,
) {
    let conn = SharedConn(Arc::new(conn));
    if let Some(taken) = speak_http(conn.clone(), peer, router, &drain, stop).await {
        drain.spawn(taken.by(conn));
    }
}

/// Speaks HTTP until the connection ends, upgrades or is taken over.
async fn speak_http(
    conn: SharedConn,
    peer: SocketAddr,
    router: Router,
    drain: &Drain,
    stop: CancellationToken,
) -> Option<Taken> {
    let (desk, taken) = Desk::new();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let (answer, desk) = (router.clone().oneshot(request), desk.clone());
        async move { Ok::<_, Infallible>(desk.pass(answer.await?).await) }
    });
    // One that comes while the server is stopping is answered once: it may be asking whether the server is ready.
    let late = drain.has_begun();
    let (once, header_timeout) = match conn.0.is_spare() {
        true => (true, SPARE_HEADER_TIMEOUT),
        false => (late, HEADER_TIMEOUT),
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(HEADER_BYTES_MAX)
        // For the answer to an upgrade: see there.
        .preserve_header_case(true)
        .keep_alive(!once)
        .serve_connection(TokioIo::new(Patient::new(conn)), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut taken = pin!(async {
        match taken.await {
            Ok(taken) => taken,
            Err(_) => std::future::pending().await,
        }
    });
    let mut told = pin!(async {
        if late {
            stop.cancelled().await;
        } else {
            drain.begun().await;
        }
    });
    let mut last = false;
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            taken = taken.as_mut() => return Some(taken),
            () = told.as_mut(), if !last => {
                last = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "the connection ended early");
    }
    None
}

/// A peer that vanishes says nothing, and a stream hears nothing from its client anyway: what is left unacknowledged tells. RFC 5482.
#[cfg(target_os = "linux")]
fn give_up_after(tcp: &TcpStream, silence: Duration) -> io::Result<()> {
    let silence_ms = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
    Ok(rustix::net::sockopt::set_tcp_user_timeout(tcp, silence_ms)?)
}

/// Where the kernel cannot be told to, it asks a peer that is quiet now and then.
#[cfg(not(target_os = "linux"))]
fn give_up_after(tcp: &TcpStream, silence: Duration) -> io::Result<()> {
    let keepalive = socket2::TcpKeepalive::new().with_time(silence);
    socket2::SockRef::from(tcp).set_tcp_keepalive(&keepalive)
}

/// The client went away between connecting and being accepted; the listener is well.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
