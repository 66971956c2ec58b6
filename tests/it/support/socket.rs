//! A graphql-transport-ws client that says and hears what a test tells it to.

use std::pin::pin;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::TestServer;
use super::output::DEADLINE;

/// A WebSocket that offered graphql-transport-ws.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens one.
    ///
    /// # Errors
    /// The server's answer, where it was not 101.
    pub(crate) async fn open(server: &TestServer) -> Result<Self, Error> {
        let mut request = server.ws_url().into_client_request()?;
        let protocol = "graphql-transport-ws".parse()?;
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocol);
        Ok(Self(connect_async(request).await?.0))
    }

    /// Opens one and signs in; what the server acknowledged it with goes by.
    pub(crate) async fn signed_in(server: &TestServer, token: &str) -> Self {
        let mut socket = Self::open(server).await.unwrap();
        let authorization = format!("Bearer {token}");
        let payload = json!({ "Authorization": authorization });
        socket
            .say(&json!({ "type": "connection_init", "payload": payload }))
            .await;
        assert_eq!(socket.hear().await.unwrap()["type"], "connection_ack");
        socket
    }

    /// Closes it, and waits until the server has too.
    pub(crate) async fn close(mut self, code: u16) {
        let frame = CloseFrame {
            code: code.into(),
            reason: "".into(),
        };
        self.0.close(Some(frame)).await.unwrap();
        let ended = async { while let Some(Ok(_)) = self.0.next().await {} };
        let ended = timeout(DEADLINE, ended).await;
        ended.expect("the server ends the connection in time");
    }

    /// What a query or mutation is answered; other messages that come before go by.
    pub(crate) async fn ask(&mut self, query: &str, variables: Value) -> Value {
        self.say(&message("ask", query, variables)).await;
        let answer = self.hear_where(|it| it["id"] == "ask").await.unwrap();
        assert_eq!(answer["type"], "next", "{answer}");
        let done = self.hear_where(|it| it["id"] == "ask").await.unwrap();
        assert_eq!(done["type"], "complete", "{done}");
        answer["payload"].clone()
    }

    /// Says a message.
    pub(crate) async fn say(&mut self, message: &Value) {
        self.text(&message.to_string()).await;
    }

    /// Says what may be no message.
    pub(crate) async fn text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next message, pings apart; or the close code (1006 where there was none).
    pub(crate) async fn hear(&mut self) -> Result<Value, u16> {
        self.hear_where(|message| message["type"] != "ping").await
    }

    /// Waits until the server says that a subscription has gone live.
    pub(crate) async fn live(&mut self) {
        self.hear_ping().await;
    }

    /// The next ping, whatever comes before it.
    pub(crate) async fn hear_ping(&mut self) -> Value {
        let ping = self.hear_where(|message| message["type"] == "ping");
        ping.await.unwrap()
    }

    /// The next ping, which is left without an answer.
    pub(crate) async fn hear_ping_unanswered(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.0.next().await.unwrap().unwrap() {
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["type"] == "ping" {
                    return message;
                }
            }
        }
    }

    /// Answers pings until something else is done; whatever else comes meanwhile goes by.
    pub(crate) async fn stay_while<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                heard = self.hear_any() => drop(heard.expect("the server keeps it")),
            }
        }
    }

    async fn hear_where(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value, u16> {
        let hear = async {
            loop {
                let message = self.hear_any().await?;
                if wanted(&message) {
                    return Ok(message);
                }
            }
        };
        let heard = timeout(DEADLINE, hear).await;
        heard.expect("the server says something in time")
    }

    /// The next message. Pings are answered.
    async fn hear_any(&mut self) -> Result<Value, u16> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if message["type"] == "ping" {
                        self.say(&json!({ "type": "pong" })).await;
                    }
                    return Ok(message);
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    // The answer to it is not sent by itself.
                    let _ = self.0.flush().await;
                    return Err(frame.code.into());
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Err(1006),
                Some(Ok(_)) => {}
            }
        }
    }
}

/// A `subscribe` message.
pub(crate) fn message(id: &str, query: &str, variables: Value) -> Value {
    json!({ "id": id, "type": "subscribe", "payload": { "query": query, "variables": variables } })
}
