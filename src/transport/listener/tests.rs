use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;

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
        let parts = upgraded.downcast::<TokioIo<SharedConn>>().unwrap();
        let _ = hand_over.send((parts.io.into_inner(), parts.read_buf));
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
