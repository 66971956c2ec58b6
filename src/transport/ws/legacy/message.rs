//! What a client may say: text to message, or the close that it earns.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::super::Close;
pub(super) use super::super::message::Init;
use super::super::message::{id, init, request};

/// A message from a client.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    /// `connection_init`.
    Init(Init),
    /// `connection_error`, in the place of `connection_init`.
    ConnectionError,
    /// `connection_terminate`.
    Terminate,
    /// `start`.
    Start {
        /// Its id.
        id: String,
        /// As of graphql-transport-ws's `subscribe`, or what is wrong with it.
        payload: Result<Option<Map<String, Json>>, &'static str>,
    },
    /// `stop`.
    Stop {
        /// Its id.
        id: String,
    },
    /// Something else.
    Unknown {
        /// Its id, if it has one.
        id: Option<String>,
    },
}

#[derive(Deserialize)]
struct Text<'a> {
    r#type: String,
    id: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// Reads a text message.
///
/// # Errors
/// 4400 with a fixed phrase.
pub(super) fn parse(text: &str) -> Result<Message, Close> {
    let text: Text<'_> =
        serde_json::from_str(text).map_err(|_| Close::invalid("Invalid message"))?;
    let payload = text.payload.filter(|payload| payload.get() != "null");
    match text.r#type.as_str() {
        "connection_init" => init(payload).map(Message::Init),
        "connection_error" => Ok(Message::ConnectionError),
        "connection_terminate" => Ok(Message::Terminate),
        "start" => Ok(Message::Start {
            id: id(text.id)?,
            payload: request(payload).map_err(|close| close.reason),
        }),
        "stop" => Ok(Message::Stop { id: id(text.id)? }),
        _ => Ok(Message::Unknown {
            id: id(text.id).ok(),
        }),
    }
}
