//! What a client may say: text to message, or the close that it earns. PROTOCOL.md, Message types.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::Close;
use crate::model::Cursor;

/// An operation's id: 36 bytes in graphql-ws, a small number elsewhere. It is kept and sent with every message.
pub(in crate::transport) const ID_BYTES_MAX: usize = 128;
/// What a pong gives back; a larger payload is left out, which the protocol allows.
const PING_PAYLOAD_BYTES_MAX: usize = 4 * 1024;

/// A message from a client.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    /// `connection_init`.
    Init(Init),
    /// `ping`, and the payload to give back.
    Ping(Option<String>),
    /// `pong`.
    Pong,
    /// `subscribe`.
    Subscribe {
        /// Its id.
        id: String,
        /// `query`, `operationName`, `variables`, `extensions`, each of the right type; `None` when the JSON is well
        /// formed but says something that no value here can hold (half a surrogate pair, 1e999).
        payload: Option<Map<String, Json>>,
    },
    /// `complete`.
    Complete {
        /// Its id.
        id: String,
    },
}

/// What `connection_init` brings.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Init {
    /// Without `Bearer `.
    pub(super) token: Option<String>,
    /// Where each subscription goes on; `None` for a string that is no cursor.
    pub(super) resume: HashMap<String, Option<Cursor>>,
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
        "ping" => Ok(Message::Ping(echo(payload)?)),
        "pong" => echo(payload).map(|_| Message::Pong),
        "subscribe" => Ok(Message::Subscribe {
            id: id(text.id)?,
            payload: request(payload)?,
        }),
        "complete" => Ok(Message::Complete { id: id(text.id)? }),
        _ => Err(Close::invalid("Invalid message: unknown type")),
    }
}

/// The id of an operation.
pub(super) fn id(id: Option<String>) -> Result<String, Close> {
    id.filter(|id| (1..=ID_BYTES_MAX).contains(&id.len()))
        .ok_or(Close::invalid(
            "Invalid message: id must be a string of 1 to 128 bytes",
        ))
}

fn is_object(payload: &RawValue) -> bool {
    payload.get().starts_with('{')
}

fn echo(payload: Option<&RawValue>) -> Result<Option<String>, Close> {
    if payload.is_some_and(|payload| !is_object(payload)) {
        return Err(Close::invalid("Invalid message: payload must be an object"));
    }
    Ok(payload
        .map(RawValue::get)
        .filter(|payload| payload.len() <= PING_PAYLOAD_BYTES_MAX)
        .map(str::to_owned))
}

/// The payload of an operation. `query` may be missing where `extensions` name a persisted one.
pub(super) fn request(payload: Option<&RawValue>) -> Result<Option<Map<String, Json>>, Close> {
    let payload = payload
        .filter(|payload| is_object(payload))
        .ok_or(Close::invalid(
            "Invalid message: an operation needs a payload object",
        ))?;
    let Ok(request) = serde_json::from_str::<Map<String, Json>>(payload.get()) else {
        return Ok(None);
    };
    let given = |name: &str| request.get(name).filter(|value| !value.is_null());
    let persisted = given("extensions").is_some_and(|all| all.get("persistedQuery").is_some());
    if !given("query").map_or(persisted, Json::is_string) {
        return Err(Close::invalid("Invalid message: query must be a string"));
    }
    if given("operationName").is_some_and(|name| !name.is_string()) {
        return Err(Close::invalid(
            "Invalid message: operationName must be a string",
        ));
    }
    if given("variables").is_some_and(|variables| !variables.is_object()) {
        return Err(Close::invalid(
            "Invalid message: variables must be an object",
        ));
    }
    if given("extensions").is_some_and(|extensions| !extensions.is_object()) {
        return Err(Close::invalid(
            "Invalid message: extensions must be an object",
        ));
    }
    Ok(Some(request))
}

/// The payload of `connection_init`.
pub(super) fn init(payload: Option<&RawValue>) -> Result<Init, Close> {
    let Some(payload) = payload else {
        return Ok(Init::default());
    };
    let payload: Map<String, Json> = serde_json::from_str(payload.get())
        .map_err(|_| Close::invalid("Invalid message: payload must be an object"))?;
    Ok(Init {
        token: token(&payload)?,
        resume: resume(&payload)?,
    })
}

/// GraphiQL copies its headers into the payload, so the name comes in any letter case. An empty one is none.
fn token(payload: &Map<String, Json>) -> Result<Option<String>, Close> {
    for wanted in ["authorization", "token"] {
        let given = payload
            .iter()
            .filter(|(name, value)| name.eq_ignore_ascii_case(wanted) && !value.is_null());
        for (_, value) in given {
            let text = value.as_str().ok_or(Close::invalid(
                "Invalid message: the token must be a string",
            ))?;
            if let Some(token) = bearer(text) {
                return Ok(Some(token.to_owned()));
            }
        }
    }
    Ok(None)
}

/// The token in `Bearer <token>` (any letter case) or in the bare text. `None` when there is none.
fn bearer(text: &str) -> Option<&str> {
    let text = text.trim();
    let token = match text.split_at_checked(6) {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("bearer")
                && (rest.is_empty() || rest.starts_with([' ', '\t'])) =>
        {
            rest.trim_start()
        }
        _ => text,
    };
    (!token.is_empty()).then_some(token)
}

fn resume(payload: &Map<String, Json>) -> Result<HashMap<String, Option<Cursor>>, Close> {
    let Some(resume) = payload.get("resume").filter(|resume| !resume.is_null()) else {
        return Ok(HashMap::new());
    };
    let resume = resume
        .as_object()
        .ok_or(Close::invalid("Invalid message: resume must be an object"))?;
    let named = resume.iter().filter(|(_, cursor)| !cursor.is_null());
    Ok(named
        .map(|(id, cursor)| {
            (
                id.clone(),
                cursor.as_str().and_then(|text| text.parse().ok()),
            )
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn init_of(payload: &str) -> Init {
        match parse(&format!(
            r#"{{"type":"connection_init","payload":{payload}}}"#
        )) {
            Ok(Message::Init(init)) => init,
            other => panic!("{other:?}"),
        }
    }

    fn token_of(payload: &str) -> Option<String> {
        init_of(payload).token
    }

    #[test]
    fn a_token_comes_in_any_letter_case_with_or_without_bearer() {
        for payload in [
            r#"{"Authorization":"Bearer t"}"#,
            r#"{"authorization":"bearer t"}"#,
            r#"{"AUTHORIZATION":"BEARER  t "}"#,
            r#"{"authorization":"t"}"#,
            r#"{"token":"t"}"#,
            r#"{"token":"Bearer t"}"#,
            r#"{"token":"other","Authorization":"Bearer t"}"#,
            r#"{"Authorization":null,"token":"t"}"#,
            r#"{"Authorization":"Bearer ","token":"t"}"#,
        ] {
            assert_eq!(token_of(payload).as_deref(), Some("t"), "{payload}");
        }
        assert_eq!(
            token_of(r#"{"token":"bearert"}"#).as_deref(),
            Some("bearert")
        );
    }

    #[test]
    fn an_empty_token_is_none() {
        for payload in ["{}", "null", r#"{"token":""}"#, r#"{"token":"Bearer"}"#] {
            assert_eq!(token_of(payload), None, "{payload}");
        }
    }

    #[test]
    fn a_cursor_that_is_garbage_is_kept_as_such() {
        let good = "0000000001".to_owned() + "0000000007";
        let init = init_of(&format!(
            r#"{{"resume":{{"a":"{good}","b":"garbage","c":7,"d":null}}}}"#
        ));
        assert_eq!(init.resume["a"], Some(good.parse().unwrap()));
        assert_eq!((init.resume["b"], init.resume["c"]), (None, None));
        assert!(!init.resume.contains_key("d"));
    }

    #[test]
    fn half_a_surrogate_pair_spoils_the_operation_and_not_the_message() {
        let text =
            r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":{"a":"\ud800"}}}"#;
        let Ok(Message::Subscribe { payload, .. }) = parse(text) else {
            panic!()
        };
        assert_eq!(payload, None);
    }

    #[test]
    fn a_large_ping_payload_is_not_given_back() {
        let ping = |bytes: usize| {
            let payload = format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
            assert_eq!(payload.len(), bytes);
            parse(&format!(r#"{{"type":"ping","payload":{payload}}}"#)).unwrap()
        };
        assert!(matches!(
            ping(PING_PAYLOAD_BYTES_MAX),
            Message::Ping(Some(_))
        ));
        assert_eq!(ping(PING_PAYLOAD_BYTES_MAX + 1), Message::Ping(None));
    }
}
