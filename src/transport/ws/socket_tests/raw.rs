//! A client that speaks the wire itself.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::World;
use crate::transport::ws::SUBPROTOCOL;
use crate::transport::ws::reader::frames::*;

/// A server that does not ping: the first one comes at random, also between two frames that are looked at here.
pub(super) fn quiet_world() -> World {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    World::with(|settings| settings.waits.ping = YEAR)
}

/// A client without a library.
pub(super) struct Raw {
    pub(super) stream: TcpStream,
    heard: Vec<u8>,
}

impl Raw {
    /// An open socket on which nothing has been said.
    pub(super) async fn open(world: &World) -> Self {
        let mut stream = TcpStream::connect(world.listen().await).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let handshake = format!(
            "GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        );
        stream.write_all(handshake.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        let heard = Vec::new();
        Self { stream, heard }
    }

    /// An open socket whose client is known.
    pub(super) async fn known() -> Self {
        let mut client = Self::open(&quiet_world()).await;
        let init = r#"{"type":"connection_init","payload":{"token":"ada"}}"#;
        client.send(&frame(FINAL | TEXT, init)).await;
        assert!(client.text().await.contains("connection_ack"));
        client
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The server's next frame: its first byte and its payload. Nothing once the server has ended the connection.
    pub(super) async fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((header_bytes, payload_bytes)) = self.frame_heard()
                && self.heard.len() >= header_bytes + payload_bytes
            {
                let first = self.heard[0];
                let payload = self.heard[header_bytes..header_bytes + payload_bytes].to_vec();
                self.heard.drain(..header_bytes + payload_bytes);
                return Some((first, payload));
            }
            if self.stream.read_buf(&mut self.heard).await.unwrap() == 0 {
                assert!(self.heard.is_empty(), "the last frame is not whole");
                return None;
            }
        }
    }

    fn frame_heard(&self) -> Option<(usize, usize)> {
        match self.heard[..] {
            [_, 126, high, low, ..] => Some((4, u16::from_be_bytes([high, low]).into())),
            [_, short @ 0..126, ..] => Some((2, short.into())),
            _ => None,
        }
    }

    pub(super) async fn text(&mut self) -> String {
        let (first, payload) = self.hear().await.unwrap();
        assert_eq!(first, FINAL | TEXT);
        String::from_utf8(payload).unwrap()
    }

    /// The payload of the close frame that comes next and is the last thing to come.
    pub(super) async fn end(&mut self) -> Vec<u8> {
        let (first, payload) = self.hear().await.unwrap();
        assert_eq!(first, FINAL | CLOSE);
        assert_eq!(self.hear().await, None);
        payload
    }

    pub(super) async fn end_code(&mut self) -> u16 {
        let payload = self.end().await;
        u16::from_be_bytes([payload[0], payload[1]])
    }
}
