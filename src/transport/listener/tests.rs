use axum::extract::Request;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{any, get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::hub::Sink;

const PLAIN: &[u8] = b"GET / HTTP/1.1\r\nhost: t\r\n\r\n";
const UPGRADE: &[u8] =
    b"GET /up HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nearly";

/// A listener that greets at `/` and hands over what is upgraded at `/up`.
struct Served {
    addr: SocketAddr,
    drain: Drain,
    stop: CancellationToken,
    cut: CancellationToken,
    serving: JoinHandle<()>,
    upgraded: mpsc::UnboundedReceiver<(SharedConn, bytes::Bytes)>,
}

impl Served {
    async fn start(per_ip: u32) -> Self {
        let addr = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(addr, NonZeroU32::new(per_ip)).await.unwrap();
        let (hand_over, upgraded) = mpsc::unbounded_channel();
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/up", any(move |request| up(request, hand_over.clone())));
        let listener = listener.always(Router::new().route("/health", get(|| async { "well" })));
        let addr = listener.local_addr().unwrap();
        let drain = Drain::new(Duration::ZERO);
        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        let serving = listener.serve(router, drain.clone(), stop.clone(), cut.clone());
        Self {
            addr,
            drain,
            stop,
            cut,
            serving: tokio::spawn(serving),
            upgraded,
        }
    }

    /// A new connection that says this; what it is answered, up to the end of the connection or of the greeting.
    async fn say(&self, bytes: &[u8]) -> (TcpStream, String) {
        let mut tcp = TcpStream::connect(self.addr).await.unwrap();
        // It may have been closed already.
        let _ = tcp.write_all(bytes).await;
        let mut answer = Vec::new();
        let greeted = |answer: &[u8]| {
            let switched = answer.starts_with(b"HTTP/1.1 101") && answer.ends_with(b"\r\n\r\n");
            switched || answer.ends_with(b"hello")
        };
        while !greeted(&answer) {
            match tcp.read_buf(&mut answer).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        (tcp, String::from_utf8(answer).unwrap())
    }
}

async fn up(
    mut request: Request,
    hand_over: mpsc::UnboundedSender<(SharedConn, bytes::Bytes)>,
) -> impl IntoResponse {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let upgraded = upgrade.await.unwrap();
        let parts = upgraded.downcast::<TokioIo<Patient<SharedConn>>>().unwrap();
        let _ = hand_over.send((parts.io.into_inner().into_inner(), parts.read_buf));
    });
    (
        StatusCode::SWITCHING_PROTOCOLS,
        [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")],
    )
}

#[tokio::test]
async fn an_upgraded_connection_is_the_stream_itself_and_keeps_its_place() {
    let mut served = Served::start(1).await;
    let (mut client, answer) = served.say(UPGRADE).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    let (conn, early) = served.upgraded.recv().await.unwrap();
    assert_eq!(early, "early");
    assert!(conn.0.tcp().nodelay().unwrap());
    #[cfg(target_os = "linux")]
    assert_eq!(
        rustix::net::sockopt::tcp_user_timeout(conn.0.tcp()).unwrap(),
        35_000
    );
    conn.0.tcp().writable().await.unwrap();
    conn.0.tcp().try_write(b"straight").unwrap();
    let mut straight = [0; 8];
    client.read_exact(&mut straight).await.unwrap();
    assert_eq!(&straight, b"straight");

    let (_, answer) = served.say(PLAIN).await;
    assert!(!answer.contains("hello"), "{answer}");
    drop(conn);
    let (_kept, answer) = served.say(PLAIN).await;
    assert!(answer.ends_with("hello"), "{answer}");
}

/// A connection and its client, whose kernel takes little that the client does not read; the server's keeps so many bytes.
async fn narrow(unsent_bytes: usize) -> (Conn, SocketAddr, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = tokio::net::TcpSocket::new_v4().unwrap();
    client.set_recv_buffer_size(4 * 1024).unwrap();
    let connecting = client.connect(listener.local_addr().unwrap());
    let (accepted, client) = tokio::join!(listener.accept(), connecting);
    let ((tcp, peer), client) = (accepted.unwrap(), client.unwrap());
    socket2::SockRef::from(&tcp)
        .set_send_buffer_size(unsent_bytes)
        .unwrap();
    let conn = Conn::new(tcp, Places::new(None).take(peer.ip()).unwrap());
    (conn, peer, client)
}

/// A router that answers much at `/` and is taken over at `/stream`, and tells when that is asked for.
fn stream_behind_an_answer(bytes: usize, asked: mpsc::UnboundedSender<()>) -> Router {
    let large = "x".repeat(bytes);
    let stream = move || {
        let _ = asked.send(());
        let begin = |conn: SharedConn, _| async move {
            let mut conn = conn;
            let _ = conn.write_all(b"the stream").await;
        };
        let response = Takeover::response(axum::http::Response::new(()), begin);
        std::future::ready(response)
    };
    Router::new()
        .route("/", get(move || std::future::ready(large.clone())))
        .route("/stream", get(stream))
}

#[tokio::test]
async fn a_stream_begins_behind_all_that_was_answered_before() {
    const BYTES: usize = 60_000;
    // Its own kernel takes a part of the answer only.
    let (conn, peer, mut client) = narrow(4 * 1024).await;
    let (asked, mut was_asked) = mpsc::unbounded_channel();
    let router = stream_behind_an_answer(BYTES, asked);
    let drain = Drain::new(Duration::ZERO);
    tokio::spawn(speak(conn, peer, router, drain, CancellationToken::new()));
    let both = b"GET / HTTP/1.1\r\nhost: t\r\n\r\nGET /stream HTTP/1.1\r\nhost: t\r\n\r\n";
    client.write_all(both).await.unwrap();
    // While most of the answer waits, the stream is not asked for.
    let asked = tokio::time::timeout(Duration::from_millis(200), was_asked.recv());
    assert!(asked.await.is_err(), "hyper writes one answer at a time");
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    let body = said.find("xxx").unwrap();
    let answer = said[body..].trim_start_matches('x');
    assert_eq!(said[body..].len() - answer.len(), BYTES);
    assert_eq!(answer, "the stream");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_takes_little_for_a_client_that_does_not_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connecting = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
    let (accepted, client) = tokio::join!(listener.accept(), connecting);
    let ((tcp, peer), _client) = (accepted.unwrap(), client.unwrap());
    let conn = Conn::new(tcp, Places::new(None).take(peer.ip()).unwrap());
    conn.bound_send_buffer();
    let mut taken = 0;
    while let Ok(bytes) = conn.try_write(&[b'x'; 610]) {
        taken += bytes;
        assert!(taken < 300_000, "the client's window and what is unsent");
    }
    assert!(taken > 32 * 1024, "{taken}");
}

#[tokio::test]
async fn who_asks_how_the_server_is_hears_it_whoever_else_is_at_that_address() {
    const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nhost: t\r\n\r\n";
    let served = Served::start(1).await;
    let (_client, answer) = served.say(PLAIN).await;
    assert!(answer.ends_with("hello"), "{answer}");
    // Over and over: each is closed once it was answered.
    for _ in 0..20 {
        let (_, answer) = served.say(HEALTH).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("well"),
            "{answer}"
        );
        let (_, answer) = served.say(PLAIN).await;
        assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_ends_the_connection() {
    let served = Served::start(0).await;
    let begun = tokio::time::Instant::now();
    let (_, answer) = served.say(b"GET / HTTP/1.1\r\nhost:").await;
    assert!(!answer.contains("hello"), "{answer}");
    assert!(begun.elapsed() >= HEADER_TIMEOUT);
}

#[tokio::test]
async fn a_connection_that_comes_while_the_server_stops_is_answered_once() {
    let served = Served::start(0).await;
    let (mut idle, answer) = served.say(PLAIN).await;
    assert!(answer.ends_with("hello"), "{answer}");
    served.drain.begin();
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap(), 0, "it is idle");
    let (mut late, answer) = served.say(PLAIN).await;
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(late.read(&mut [0; 8]).await.unwrap(), 0);
    let silent = TcpStream::connect(served.addr).await.unwrap();
    served.stop.cancel();
    served.serving.await.unwrap();
    drop(silent);
    assert!(TcpStream::connect(served.addr).await.is_err());
}

#[tokio::test]
async fn what_does_not_end_can_be_cut() {
    let served = Served::start(0).await;
    let mut slow = TcpStream::connect(served.addr).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    // Served after the slow one was accepted, so that one is under way.
    served.say(PLAIN).await;
    served.stop.cancel();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!served.serving.is_finished());
    served.cut.cancel();
    served.serving.await.unwrap();
    assert_eq!(slow.read(&mut [0; 8]).await.unwrap_or(0), 0);
}

const LARGE_BYTES: usize = 16 * 1024 * 1024;

/// A connection that asked for a large answer, whose two kernels hold little of it; and what ends with the server's side.
async fn asked_for_much() -> (TcpStream, JoinHandle<()>) {
    let (conn, peer, mut client) = narrow(64 * 1024).await;
    let large = bytes::Bytes::from(vec![b'x'; LARGE_BYTES]);
    let router = Router::new().route("/", get(move || std::future::ready(large.clone())));
    let drain = Drain::new(Duration::ZERO);
    let serving = speak(conn, peer, router, drain, CancellationToken::new());
    let serving = tokio::spawn(serving);
    client.write_all(PLAIN).await.unwrap();
    (client, serving)
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_which_nothing_is_taken_is_given_up_after_10_s() {
    // Before it is asked: a clock that stands still moves on while the kernel takes its time.
    let begun = tokio::time::Instant::now();
    let (mut client, serving) = asked_for_much().await;
    client.readable().await.unwrap();
    serving.await.unwrap();
    let waited = begun.elapsed();
    assert!(
        waited >= patience::STALL && waited < 2 * patience::STALL,
        "{waited:?}"
    );
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest).await;
    assert!(rest.len() < LARGE_BYTES, "{}", rest.len());
}
