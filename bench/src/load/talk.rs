//! What a client says to each kind of server, and what it hears: pure bytes, no socket.

use anyhow::{bail, ensure};
use memchr::memmem;
use serde_json::{Value as Json, json};

use super::frames::{CLOSE, Frame, Frames, PING, PONG, TEXT, push_client_frame};
use super::mark::Mark;
use super::mqtt;
use super::role::{Follows, Role};
use super::stamp::Stamp;
use crate::server::token;

/// The language of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// graphql-transport-ws: `sendMessage` and `messageSent`.
    Graphql {
        /// Whether the mutations of one socket are executed in the order in which they came.
        ordered: bool,
    },
    /// WebSocket text: what a publisher says is told to all others.
    Text,
    /// MQTT 3.1.1 over TCP, QoS 0.
    Mqtt,
}

/// What a frame means to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Message(Stamp),
    /// The greeting was answered: now subscribe.
    Welcome,
    /// A publisher's message was accepted.
    Accepted,
    /// It wants to hear this back.
    Wants(Reply),
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Pong,
    ProtocolPong,
}

const SEND: &str = "mutation Send($input: SendMessageInput!) { sendMessage(input: $input) { message { id } duplicate } }";

impl Talk {
    /// Of a cursor of Tidings.
    pub const CURSOR_BYTES: usize = 20;

    pub const fn frames(self) -> Frames {
        match self {
            Self::Graphql { .. } | Self::Text => Frames::of_websocket(),
            Self::Mqtt => Frames::of_mqtt(),
        }
    }

    /// Whether each message that a publisher sends is answered.
    pub const fn answers(self) -> bool {
        matches!(self, Self::Graphql { .. })
    }

    /// Whether a burst of messages may come out in another order than it went in. Each still comes once.
    pub const fn reorders(self) -> bool {
        matches!(self, Self::Graphql { ordered: false })
    }

    /// Whether a greeting is answered before anything may be asked for.
    pub const fn welcomes(self) -> bool {
        !matches!(self, Self::Text)
    }

    /// The HTTP request that opens the socket, where one does.
    pub fn upgrade(self, address: &str, role: &Role) -> Option<String> {
        let protocol = "Sec-WebSocket-Protocol: graphql-transport-ws\r\n";
        let (path, protocol) = match (self, &role.follows) {
            (Self::Graphql { .. }, _) => ("/graphql", protocol),
            (Self::Text, Some(_)) => ("/", ""),
            (Self::Text, None) => ("/publish", ""),
            (Self::Mqtt, _) => return None,
        };
        // The key is the example of RFC 6455, 1.3; whether the server answers to it is not what is measured.
        Some(format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{protocol}\r\n"
        ))
    }

    /// What is said first on an open socket, where something must be.
    pub fn greet(self, out: &mut Vec<u8>, role: &Role) -> anyhow::Result<()> {
        match self {
            Self::Graphql { .. } => {
                let payload = json!({ "token": token(&role.user)? });
                let init = json!({ "type": "connection_init", "payload": payload });
                push_client_frame(out, TEXT, init.to_string().as_bytes());
            }
            Self::Text => {}
            Self::Mqtt => mqtt::connect(out, &role.user),
        }
        Ok(())
    }

    /// What a subscriber says when it is welcome.
    pub fn subscribe(self, out: &mut Vec<u8>, follows: &Follows) {
        match self {
            Self::Graphql { .. } => {
                let payload = json!({ "query": follows.document, "variables": follows.variables });
                let subscribe = json!({ "id": "1", "type": "subscribe", "payload": payload });
                push_client_frame(out, TEXT, subscribe.to_string().as_bytes());
            }
            Self::Text => {}
            Self::Mqtt => mqtt::subscribe(out, &follows.topic),
        }
    }

    /// A message, by a publisher.
    pub fn publish(self, out: &mut Vec<u8>, room_id: &str, body: &str, operation: usize) {
        match self {
            Self::Graphql { .. } => {
                let id = uuid::Uuid::now_v7().to_string();
                let input = json!({ "id": id, "roomId": room_id, "body": body });
                execute(out, operation, SEND, &json!({ "input": input }));
            }
            Self::Text => push_client_frame(out, TEXT, body.as_bytes()),
            Self::Mqtt => mqtt::publish(out, room_id, body),
        }
    }

    pub fn reply(self, out: &mut Vec<u8>, reply: Reply) {
        match reply {
            Reply::Pong => push_client_frame(out, PONG, b""),
            Reply::ProtocolPong => push_client_frame(out, TEXT, br#"{"type":"pong"}"#),
        }
    }

    /// What a frame means. `mark` is that of the stamp.
    ///
    /// # Errors
    /// What no run without a fault hears: a refusal, the end of a subscription, a close.
    pub fn hear(self, frame: Frame<'_>, mark: &mut Mark) -> anyhow::Result<Heard> {
        if let Some(stamp) = mark.find(frame.payload).and_then(Stamp::parse) {
            return Ok(Heard::Message(stamp));
        }
        if self == Self::Mqtt {
            return mqtt::hear(frame);
        }
        match frame.kind {
            TEXT => {}
            PING => return Ok(Heard::Wants(Reply::Pong)),
            PONG => return Ok(Heard::Nothing),
            CLOSE => bail!("closed: {}", String::from_utf8_lossy(frame.payload)),
            kind => bail!("a frame of kind {kind}"),
        }
        ensure!(self != Self::Text, "a text without a stamp");
        hear_protocol(frame.payload)
    }
}

/// A query or mutation, by a publisher.
pub fn execute(out: &mut Vec<u8>, operation: usize, document: &str, variables: &Json) {
    let payload = json!({ "query": document, "variables": variables });
    let id = format!("p{operation}");
    let execute = json!({ "id": id, "type": "subscribe", "payload": payload });
    push_client_frame(out, TEXT, execute.to_string().as_bytes());
}

fn hear_protocol(text: &[u8]) -> anyhow::Result<Heard> {
    let has = |part: &str| memmem::find(text, part.as_bytes()).is_some();
    if has(r#""type":"ping""#) {
        Ok(Heard::Wants(Reply::ProtocolPong))
    } else if has(r#""id":"p"#) && has(r#""type":"next""#) && !has(r#""errors""#) {
        Ok(Heard::Accepted)
    } else if has(r#""id":"p"#) && has(r#""type":"complete""#) {
        Ok(Heard::Nothing)
    } else if has(r#""type":"connection_ack""#) {
        Ok(Heard::Welcome)
    } else {
        bail!("{}", String::from_utf8_lossy(text))
    }
}
