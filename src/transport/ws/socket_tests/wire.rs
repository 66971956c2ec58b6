//! What the wire decides: sizes, encodings, handshakes, and that the peer gets to see why.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Error, Message};

use futures_util::{SinkExt, StreamExt};

use super::client::{World, chosen};
use crate::transport::ws::{INIT_BYTES_MAX, MESSAGE_BYTES_MAX, SUBPROTOCOL};

const OFFER: &[(&str, &str)] = &[("sec-websocket-protocol", SUBPROTOCOL)];

fn padded(message: &str, bytes: usize) -> String {
    format!("{message}{}", " ".repeat(bytes - message.len()))
}

const PING: &str = r#"{"type":"ping"}"#;

#[tokio::test]
async fn a_query_is_answered_over_a_real_socket() {
    let world = World::new();
    let mut client = world.tcp().await;
    client.init("Bearer ada").await;
    client.subscribe("1", "{ now }", json!(null)).await;
    assert_eq!(
        client.hear().await,
        json!({ "id": "1", "type": "next", "payload": { "data": { "now": "ada" } } })
    );
    assert_eq!(
        client.hear().await,
        json!({ "id": "1", "type": "complete" })
    );
}

#[tokio::test]
async fn who_is_done_leaves_and_who_has_trouble_is_cut_off() {
    let world = World::new();
    for (code, leaves) in [
        (Some(1000), true),
        (Some(1001), true),
        (None, true),
        (Some(1002), false),
        (Some(1011), false),
        (Some(4999), false),
    ] {
        let mut client = world.tcp().await;
        client.init("ada").await;
        let frame = code.map(|code: u16| CloseFrame {
            code: code.into(),
            reason: "".into(),
        });
        client.0.close(frame).await.unwrap();
        while let Some(Ok(_)) = client.0.next().await {}
        let left = world.stage.line().left.load(Ordering::Relaxed);
        assert_eq!(left, leaves, "{code:?}");
    }
    let mut client = world.tcp().await;
    client.init("ada").await;
    let line = world.stage.line();
    drop(client);
    line.ended().await;
    assert!(!line.left.load(Ordering::Relaxed));
}

#[tokio::test]
async fn bad_json_closes_4400() {
    let mut client = World::new().tcp().await;
    client.text("{").await;
    assert_eq!(client.closed().await, (4400, "Invalid message".to_owned()));
}

#[tokio::test]
async fn a_binary_message_closes_4400() {
    let mut client = World::new().tcp().await;
    client.0.send(Message::binary(PING)).await.unwrap();
    assert_eq!(client.close_code().await, 4400);
}

#[tokio::test]
async fn text_that_is_not_utf8_closes_1007() {
    let mut client = World::new().tcp().await;
    client.init("ada").await;
    let text = Frame::message(&b"{\"type\":\"\xff\"}"[..], OpCode::Data(Data::Text), true);
    client.0.send(Message::Frame(text)).await.unwrap();
    assert_eq!(client.close_code().await, 1007);
}

#[tokio::test]
async fn a_message_of_16_kib_passes_before_init_and_a_byte_more_closes_1009() {
    let mut client = World::new().tcp().await;
    client.text(&padded(PING, INIT_BYTES_MAX)).await;
    assert_eq!(client.hear().await["type"], "pong");
    client.text(&padded(PING, INIT_BYTES_MAX + 1)).await;
    assert_eq!(
        client.closed().await,
        (
            1009,
            "Message over 16 KiB before connection_init".to_owned()
        )
    );
}

#[tokio::test]
async fn a_message_of_64_kib_passes_after_init_and_a_byte_more_closes_1009() {
    let mut client = World::new().tcp().await;
    client.init("ada").await;
    client.text(&padded(PING, MESSAGE_BYTES_MAX)).await;
    assert_eq!(client.hear().await["type"], "pong");
    client.text(&padded(PING, MESSAGE_BYTES_MAX + 1)).await;
    assert_eq!(
        client.closed().await,
        (1009, "Message over 64 KiB".to_owned())
    );
}

/// A socket over TCP without a library around it, and the answer to its handshake still to be read.
async fn raw(address: std::net::SocketAddr, offers: [&str; 2]) -> TcpStream {
    let [first, second] = offers;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let handshake = format!(
        "GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {first}\r\nSec-WebSocket-Protocol: {second}\r\n\r\n"
    );
    stream.write_all(handshake.as_bytes()).await.unwrap();
    stream
}

fn masked(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut frame = Frame::message(text.to_owned(), OpCode::Data(Data::Text), true);
    frame.header_mut().mask = Some([1, 2, 3, 4]);
    frame.format(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn whoever_sends_far_too_much_sees_why_and_may_send_it_to_the_end() {
    const WHY: &[u8] = b"\x03\xf1Message over 16 KiB before connection_init";
    let address = World::new().listen().await;
    let mut stream = raw(address, [SUBPROTOCOL; 2]).await;
    let message = masked(&"x".repeat(1_000_000));
    let (first, rest) = message.split_at(100_000);
    stream.write_all(first).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(WHY) {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
    }
    // Were the socket closed with bytes unread, it would be reset, and many a client looks no further than that.
    stream.write_all(rest).await.unwrap();
    stream.shutdown().await.unwrap();
    stream.read_to_end(&mut answer).await.unwrap();
}

#[tokio::test]
async fn a_message_in_many_frames_counts_as_a_whole() {
    let mut client = World::new().tcp().await;
    client.init("ada").await;
    let kib = "x".repeat(1024);
    let mut opcode = OpCode::Data(Data::Text);
    for _ in 0..=64 {
        let part = Frame::message(kib.clone(), opcode, false);
        if client.0.send(Message::Frame(part)).await.is_err() {
            break;
        }
        opcode = OpCode::Data(Data::Continue);
    }
    assert_eq!(client.close_code().await, 1009);
}

#[tokio::test]
async fn a_frame_that_breaks_the_rules_closes_1002() {
    let mut client = World::new().tcp().await;
    let lone = Frame::message("x", OpCode::Data(Data::Continue), true);
    client.0.send(Message::Frame(lone)).await.unwrap();
    assert_eq!(client.close_code().await, 1002);
}

#[tokio::test]
async fn a_ping_of_the_wire_is_answered_by_a_pong_of_the_wire() {
    use futures_util::StreamExt;
    let mut client = World::new().tcp().await;
    client.0.send(Message::Ping("x".into())).await.unwrap();
    let pong = client.0.next().await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong("x".into()));
}

#[tokio::test]
async fn a_client_that_closes_is_answered_and_let_go() {
    use futures_util::StreamExt;
    let world = World::new();
    let mut client = world.tcp().await;
    client.init("ada").await;
    client.0.close(None).await.unwrap();
    while let Some(message) = client.0.next().await {
        message.unwrap();
    }
    world.drain.begin();
    assert_eq!(world.drain.finished().await, 0);
}

#[tokio::test]
async fn ours_is_chosen_in_whatever_order_it_is_offered() {
    for offers in [
        "graphql-ws, graphql-transport-ws",
        "graphql-transport-ws, graphql-ws",
    ] {
        let offer = [("sec-websocket-protocol", offers)];
        let (mut client, response) = World::new().dial(&offer).await.unwrap();
        assert_eq!(chosen(&response), Some(SUBPROTOCOL));
        client.init("ada").await;
    }
}

#[tokio::test]
async fn a_subprotocol_that_is_not_spoken_here_closes_4406() {
    let offer = [("sec-websocket-protocol", "soap, mqtt")];
    let (mut client, response) = World::new().dial(&offer).await.unwrap();
    assert_eq!(chosen(&response), Some("soap"));
    assert_eq!(client.close_code().await, 4406);
}

#[tokio::test]
async fn a_foreign_origin_is_refused() {
    let headers = [
        ("sec-websocket-protocol", SUBPROTOCOL),
        ("origin", "https://evil.example"),
    ];
    match World::new().dial(&headers).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{:?}", other.map(|(_, response)| response)),
    }
}

#[tokio::test]
async fn the_tokens_place_may_be_the_upgrade_request() {
    let headers = [
        ("sec-websocket-protocol", SUBPROTOCOL),
        ("authorization", "bearer ada"),
    ];
    let (mut client, _) = World::new().dial(&headers).await.unwrap();
    client.say(json!({ "type": "connection_init" })).await;
    assert_eq!(client.hear().await["type"], "connection_ack");
}

#[tokio::test]
async fn upgrades_are_refused_while_the_server_stops() {
    let world = World::new();
    world.drain.begin();
    match world.dial(&[("sec-websocket-protocol", SUBPROTOCOL)]).await {
        Err(Error::Http(response)) => {
            assert_eq!(response.status(), 503);
            assert!(response.headers().contains_key("retry-after"));
        }
        other => panic!("{:?}", other.map(|(_, response)| response)),
    }
}

#[tokio::test]
async fn what_is_no_handshake_is_told_so() {
    let address = World::new().listen().await;
    for (version, status) in [("", "426"), ("Sec-WebSocket-Version: 13\r\n", "400")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n{version}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer[9..], status.as_bytes());
    }
}

#[tokio::test]
async fn ours_is_chosen_on_either_of_two_lines_and_what_was_sent_along_is_read() {
    for (first, second) in [("graphql-ws", SUBPROTOCOL), (SUBPROTOCOL, "graphql-ws")] {
        let address = World::new().listen().await;
        let mut stream = raw(address, [first, second]).await;
        stream.write_all(&masked(PING)).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(br#"{"type":"pong"}"#) {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
        }
        let head = String::from_utf8_lossy(&answer[..answer.len() - 20]).to_lowercase();
        assert!(head.contains("sec-websocket-protocol: graphql-transport-ws\r\n"));
        assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"));
    }
}

#[tokio::test]
async fn over_the_rate_upgrades_are_put_off_and_who_is_in_notices_nothing() {
    let world = World::with(|settings| settings.sockets_per_second = NonZeroU32::new(1));
    let (mut inside, _) = world.dial(OFFER).await.unwrap();
    inside.init("ada").await;
    let mut put_off = 0;
    // Two seconds' worth come in at once; so many do not take as many seconds.
    for _ in 0..100 {
        match world.dial(OFFER).await {
            Ok(_) => {}
            Err(Error::Http(response)) => {
                assert_eq!(response.status(), 503);
                let secs: u64 = response.headers()["retry-after"]
                    .to_str()
                    .unwrap()
                    .parse()
                    .unwrap();
                assert!((1..=10).contains(&secs), "{secs}");
                put_off += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(put_off > 0);
    inside.say(json!({ "type": "ping" })).await;
    assert_eq!(inside.hear().await["type"], "pong");
    inside.subscribe("1", "{ a }", json!(null)).await;
    assert_eq!(inside.hear().await["type"], "next");
}
