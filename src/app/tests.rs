use axum::http::HeaderValue;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_tungstenite::WebSocketStream;
use tungstenite::Message;
use tungstenite::client::IntoClientRequest;

use super::*;
use crate::config::Invocation;
use crate::model::UserId;

fn settings(folder: &tempfile::TempDir, more: &[&str]) -> Settings {
    let database = folder.path().join("chat.db");
    let database = format!("--database-url=sqlite://{}", database.display());
    let args = ["tidings", "--bind=127.0.0.1:0", &database];
    let texts = Invocation::parse(args.iter().chain(more)).unwrap().texts;
    Settings::read(&texts).unwrap()
}

#[tokio::test]
async fn nothing_outlives_a_server_that_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    for _ in 0..2 {
        let server = Server::start(&settings(&folder, &["--drain-secs=1"]))
            .await
            .unwrap();
        assert!(metrics.num_alive_tasks() > before);
        let url = format!("http://{}/readyz", server.addr());
        {
            let client = reqwest::Client::builder().pool_max_idle_per_host(0);
            let answer = client.build().unwrap().get(&url).send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), "ready\n");
        }
        let addr = server.addr();
        server.stop().await;
        assert!(tokio::net::TcpStream::connect(addr).await.is_err());
    }
    // The client's own connection task is told of the end by the closed socket.
    while metrics.num_alive_tasks() > before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_that_stops_says_so_until_its_last_socket_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&settings(&folder, &[])).await.unwrap();
    let (url, drain) = (
        format!("http://{}/readyz", server.addr()),
        server.parts.drain.clone(),
    );
    let (hang_up, hung_up) = tokio::sync::oneshot::channel::<()>();
    drain.spawn(async move {
        let _ = hung_up.await;
    });
    let stopping = tokio::spawn(server.stop());
    drain.begun().await;
    let answer = reqwest::get(&url).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.text().await.unwrap(), "stopping\n");
    hang_up.send(()).unwrap();
    stopping.await.unwrap();
    assert!(reqwest::get(&url).await.is_err());
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&settings(&folder, &[])).await.unwrap();
    let client = reqwest::Client::new();
    let url = format!("http://{}/healthz", server.addr());
    client.get(&url).send().await.unwrap().text().await.unwrap();
    let idle = tokio::net::TcpStream::connect(server.addr()).await.unwrap();
    let stopped = tokio::time::timeout(Duration::from_secs(5), server.stop());
    stopped.await.expect("the connections are idle");
    drop(idle);
}

#[tokio::test]
async fn who_signs_in_while_subscriptions_wait_to_begin_waits_too_and_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&settings(&folder, &[])).await.unwrap();
    let token = server.parts.authenticator.minter().unwrap();
    let token = token.mint(&UserId::stored("ada"), None, PLAYGROUND_TOKEN_TTL);
    let full = server.api.hub.fill();
    let asked = std::time::Instant::now();
    let mut socket = sign_in(server.addr(), &token.unwrap()).await;
    assert!(
        matches!(socket.next().await, Some(Ok(Message::Text(ack))) if ack.contains("connection_ack"))
    );
    assert!(asked.elapsed() >= Duration::from_secs(1));
    drop((full, socket));
    server.stop().await;
}

async fn sign_in(addr: SocketAddr, token: &str) -> WebSocketStream<TcpStream> {
    let mut request = format!("ws://{addr}/graphql")
        .into_client_request()
        .unwrap();
    let protocol = HeaderValue::from_static("graphql-transport-ws");
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    let stream = TcpStream::connect(addr).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .unwrap();
    let init = json!({ "type": "connection_init", "payload": { "authorization": token } });
    socket.send(Message::text(init.to_string())).await.unwrap();
    socket
}
