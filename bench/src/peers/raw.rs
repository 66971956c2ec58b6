//! axum's WebSocket and a tokio broadcast of text: what most would write by hand, without GraphQL, order of rooms,
//! permissions, a log or a way to resume.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::broadcast::{self, Sender};

use super::BROADCAST_EVENTS;

type Texts = Sender<Utf8Bytes>;

pub(super) fn app() -> Router {
    Router::new()
        .route("/", any(subscribe))
        .route("/publish", any(publish))
        .with_state(broadcast::channel(BROADCAST_EVENTS).0)
}

async fn subscribe(upgrade: WebSocketUpgrade, State(texts): State<Texts>) -> Response {
    upgrade.on_upgrade(move |socket| follow(socket, texts))
}

/// Reading in a task of its own: a `select!` of both tries to read at each event, which makes a delivery cost two to three
/// times as much. Not reading at all, so that neither pings nor closes are answered, would save nothing.
async fn follow(socket: WebSocket, texts: Texts) {
    let (mut sink, mut stream) = socket.split();
    let mut texts = texts.subscribe();
    let reading = tokio::spawn(async move { while let Some(Ok(_)) = stream.next().await {} });
    while let Ok(text) = texts.recv().await {
        if sink.send(Message::Text(text)).await.is_err() {
            break;
        }
    }
    reading.abort();
}

async fn publish(upgrade: WebSocketUpgrade, State(texts): State<Texts>) -> Response {
    upgrade.on_upgrade(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if let Message::Text(text) = message {
                // Nobody may be listening.
                let _ = texts.send(text);
            }
        }
    })
}
