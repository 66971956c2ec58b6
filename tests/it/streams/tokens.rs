//! Tokens that run out or are withdrawn, over every transport that is not the modern WebSocket.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::raw::{Answer, End, Request};
use super::single::{Shared, live};
use super::{EVENTS, SENT, Scene, multipart};
use crate::support::{DEADLINE, now_secs, run};

/// A subscription over each.
struct All {
    distinct: Answer,
    single: Answer,
    parts: Answer,
    legacy: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl All {
    async fn open(scene: &Scene, token: &str) -> Self {
        let variables = json!({ "roomId": scene.room });
        let asked = |accept: &str| Request::post(SENT, &variables).accept(accept).token(token);
        let shared = Shared::of(scene, token);
        let mut single = shared.open();
        shared.follow("s");
        live(&mut single);
        let mut legacy = legacy(scene, token).await;
        let payload = json!({ "query": SENT, "variables": variables });
        let start = json!({ "id": "s", "type": "start", "payload": payload });
        legacy.send(Message::text(start.to_string())).await.unwrap();
        Self {
            distinct: scene.live(&asked(EVENTS)),
            single,
            parts: multipart::live(scene, &asked(multipart::ACCEPT)),
            legacy,
        }
    }

    /// Waits until each has ended in its own way, none of which is the end of its subscription.
    async fn end(&mut self) {
        assert_eq!(self.distinct.rest(), (vec![], End::Cut));
        assert_eq!(self.single.rest(), (vec![], End::Cut));
        while let Ok(part) = self.parts.chunk() {
            assert!(part.ends_with("{}\r\n--graphql"), "{part}");
        }
        assert_eq!(hear_close(&mut self.legacy).await, 4403);
    }
}

async fn legacy(scene: &Scene, token: &str) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
    let mut request = scene.server.ws_url().into_client_request().unwrap();
    let offer = "graphql-ws".parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", offer);
    let mut socket = connect_async(request).await.unwrap().0;
    let init = json!({ "type": "connection_init", "payload": { "Authorization": token } });
    socket.send(Message::text(init.to_string())).await.unwrap();
    let ack = socket.next().await.unwrap().unwrap();
    let ack: Value = serde_json::from_str(ack.to_text().unwrap()).unwrap();
    assert_eq!(ack["type"], "connection_ack");
    socket
}

/// The code that a legacy socket is closed with; nothing but keep-alives comes before.
async fn hear_close(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>) -> u16 {
    loop {
        let message = timeout(DEADLINE, socket.next()).await;
        match message.expect("it closes in time").unwrap().unwrap() {
            Message::Close(Some(frame)) => return frame.code.into(),
            Message::Text(text) => assert_eq!(text, r#"{"type":"ka"}"#),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_token_that_is_withdrawn_ends_whatever_it_opened_within_a_second() {
    let mut scene = Scene::new();
    let mut all = All::open(&scene, &scene.token).await;
    let mut bob = All::open(&scene, &scene.server.token("bob")).await;
    let ran = run(&mut scene.server.command(&["revoke", "--user", "ada"]));
    assert!(ran.status.success(), "{}", ran.stderr);
    all.end().await;
    // In a room that all may see. The quickest of a few, so that a busy machine is not mistaken for a slow server.
    let lobby = "00000000-0000-7000-8000-000000000001".to_owned();
    let room = std::mem::replace(&mut scene.room, lobby);
    let mut quickest = Duration::MAX;
    for nth in 0..5 {
        let user = format!("quick{nth}");
        let mut all = All::open(&scene, &scene.server.token(&user)).await;
        run(&mut scene.server.command(&["revoke", "--user", &user]));
        let begun = Instant::now();
        all.end().await;
        quickest = quickest.min(begun.elapsed());
    }
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
    scene.room = room;
    // Nobody else is out, and whoever is comes back in vain.
    let later = json!({ "sub": "ada", "iat": now_secs() + 2, "exp": now_secs() + 3600 });
    let later = scene.server.token_of(later);
    let input = json!({ "input": { "roomId": scene.room, "body": "after" } });
    let sent = Request::post(super::SEND, &input).token(&later);
    assert!(sent.json(&scene.server)["errors"].is_null());
    assert_eq!(super::body(&bob.distinct.next()), "after");
    assert!(bob.single.event().unwrap().contains("after"));
    assert!(bob.parts.chunk().unwrap().contains("after"));
    assert_eq!(scene.follow().send(&scene.server).status(), 401);
    let reserved = Request::new("PUT", "/graphql").token(&scene.token);
    assert_eq!(reserved.send(&scene.server).status(), 401);
}

#[tokio::test]
async fn a_token_that_runs_out_ends_whatever_it_opened() {
    let scene = Scene::new();
    // Good for twelve seconds more, the leeway counted.
    let claims = json!({ "sub": "ada", "exp": now_secs() - 18 });
    let token = scene.server.token_of(claims);
    All::open(&scene, &token).await.end().await;
}
