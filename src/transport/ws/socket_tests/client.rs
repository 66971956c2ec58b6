//! A client, and the server that it speaks to.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::SEC_WEBSOCKET_PROTOCOL;
use axum::routing::any;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_util::sync::CancellationToken;
use tungstenite::Message;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Response;
use tungstenite::protocol::{Role, WebSocketConfig};

use super::stage::Stage;
use crate::hub::Outbox;
use crate::transport::drain::Drain;
use crate::transport::http::Origins;
use crate::transport::listener::Listener;
use crate::transport::ws::legacy::Legacy;
use crate::transport::ws::protocol::Protocol;
use crate::transport::ws::socket::Socket;
use crate::transport::ws::speech::Speech;
use crate::transport::ws::wire::{TextFrames, Wire};
use crate::transport::ws::{Endpoint, INIT_BYTES_MAX, SUBPROTOCOL, Settings, Waits};

/// A pipe that holds all that a test says at once.
pub(super) const PIPE_BYTES: usize = 1 << 20;

pub(super) struct World {
    pub(super) stage: Arc<Stage>,
    pub(super) endpoint: Arc<Endpoint<Stage>>,
    pub(super) drain: Drain,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Stage::settings(Origins::Listed(Vec::new()));
        change(&mut settings);
        let stage = Arc::new(Stage::default());
        let drain = Drain::new(Duration::from_secs(10));
        Self {
            endpoint: Endpoint::new(stage.clone(), settings, drain.clone()),
            stage,
            drain,
        }
    }

    /// With one socket, over a pipe that holds enough, whose client is ada.
    pub(super) async fn with_ada() -> (Self, Client<DuplexStream>) {
        let world = Self::new();
        let mut client = world.pipe(PIPE_BYTES).await;
        client.init("ada").await;
        (world, client)
    }

    /// A socket over a pipe that holds so many bytes.
    pub(super) async fn pipe(&self, bytes: usize) -> Client<DuplexStream> {
        let protocol = Protocol::new(self.endpoint.settings.at_once, None);
        self.pipe_with(bytes, protocol, &self.endpoint.waits).await
    }

    /// One that speaks the legacy subprotocol.
    pub(super) async fn legacy_pipe(&self, bytes: usize) -> Client<DuplexStream> {
        let protocol = Legacy::new(self.endpoint.settings.at_once, None);
        let waits = &self.endpoint.legacy_waits;
        self.pipe_with(bytes, protocol, waits).await
    }

    async fn pipe_with(
        &self,
        bytes: usize,
        protocol: impl Speech,
        waits: &Arc<Waits>,
    ) -> Client<DuplexStream> {
        let (near, far) = tokio::io::duplex(bytes);
        let outbox = Arc::new(Outbox::framed(Outbox::BUDGET_BYTES, &TextFrames));
        let endpoint = self.endpoint.clone();
        let socket = Socket::new(endpoint, protocol, waits.clone(), outbox.clone());
        let wire = Wire::new(far, Bytes::new(), INIT_BYTES_MAX, outbox);
        self.drain.spawn(socket.serve(wire));
        // A client that takes no more off the pipe than it is about to look at.
        let config = WebSocketConfig::default().read_buffer_size(1024);
        Client(WebSocketStream::from_raw_socket(near, Role::Client, Some(config)).await)
    }

    /// Serves on a port of its own; the address.
    pub(super) async fn listen(&self) -> std::net::SocketAddr {
        let endpoint = self.endpoint.clone();
        let upgrade = any(move |request: Request| {
            let endpoint = endpoint.clone();
            async move { endpoint.upgrade(request) }
        });
        let any_port = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(any_port, None).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/graphql", upgrade);
        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(listener.serve(app, self.drain.clone(), stop, cut));
        address
    }

    /// A socket over TCP.
    pub(super) async fn tcp(&self) -> Client<TcpStream> {
        self.dial(&[("sec-websocket-protocol", SUBPROTOCOL)])
            .await
            .unwrap()
            .0
    }

    pub(super) async fn dial(
        &self,
        headers: &[(&'static str, &str)],
    ) -> Result<(Client<TcpStream>, Response), tungstenite::Error> {
        let address = self.listen().await;
        let mut request = format!("ws://{address}/graphql")
            .into_client_request()
            .unwrap();
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append(*name, value);
        }
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, response) = tokio_tungstenite::client_async(request, stream).await?;
        Ok((Client(socket), response))
    }
}

pub(super) struct Client<S>(pub(super) WebSocketStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) async fn say(&mut self, message: Json) {
        self.text(&message.to_string()).await;
    }

    pub(super) async fn text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(super) async fn init(&mut self, token: &str) {
        let payload = json!({ "authorization": token });
        self.say(json!({ "type": "connection_init", "payload": payload }))
            .await;
        assert_eq!(self.hear().await["type"], "connection_ack");
    }

    pub(super) async fn subscribe(&mut self, id: &str, query: &str, variables: Json) {
        let payload = json!({ "query": query, "variables": variables });
        self.say(json!({ "id": id, "type": "subscribe", "payload": payload }))
            .await;
    }

    /// Of an operation without variables.
    pub(super) async fn ask(&mut self, id: &str, query: &str) {
        self.subscribe(id, query, Json::Null).await;
    }

    /// Of one that waits at a gate.
    pub(super) async fn ask_at(&mut self, id: &str, query: &str, gate: &str) {
        self.subscribe(id, query, json!({ "gate": gate })).await;
    }

    pub(super) async fn complete(&mut self, id: &str) {
        self.say(json!({ "id": id, "type": "complete" })).await;
    }

    /// The next text message.
    pub(super) async fn hear_any(&mut self) -> Json {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next text message that is no ping.
    pub(super) async fn hear(&mut self) -> Json {
        loop {
            let message = self.hear_any().await;
            if message["type"] != "ping" {
                return message;
            }
        }
    }

    /// The code and reason that the server closes with, whatever it says before.
    pub(super) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Close(Some(close)))) => {
                    // The server ends the connection, not just the conversation.
                    while let Some(Ok(_)) = self.0.next().await {}
                    return (close.code.into(), close.reason.to_string());
                }
                Some(Ok(_)) => {}
                other => panic!("no close frame: {other:?}"),
            }
        }
    }

    pub(super) async fn close_code(&mut self) -> u16 {
        self.closed().await.0
    }
}

pub(super) fn chosen(response: &Response) -> Option<&str> {
    let header = response.headers().get(SEC_WEBSOCKET_PROTOCOL)?;
    header.to_str().ok()
}
