//! What the server says: the text of each message. PROTOCOL.md, Message types.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;

use crate::document::server_error;
use crate::error::{Code, Error};
use crate::hub::Envelope;
use crate::model::Cursor;

/// How graphql-transport-ws dresses what the hub sends.
#[derive(Clone, Copy, Debug)]
pub struct TransportWs;

impl Envelope for TransportWs {
    fn next_prefix(&self, id: &str) -> Bytes {
        format!(r#"{{"id":{},"type":"next","payload":"#, quoted(id)).into()
    }

    fn error(&self, id: &str, errors: &str) -> Bytes {
        format!(
            r#"{{"id":{},"type":"error","payload":{errors}}}"#,
            quoted(id)
        )
        .into()
    }

    fn ping(&self, positions: &[(Arc<str>, Cursor)]) -> Option<Bytes> {
        let mut text = format!("{PING_START}{{\"resume\":{{");
        for (n, (id, cursor)) in positions.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            // Writing to a String does not fail.
            let _ = write!(text, "{comma}{}:\"{cursor}\"", quoted(id));
        }
        text.push_str("}}}");
        Some(text.into())
    }
}

/// How each ping of the server begins, by which the socket knows one when it is written.
pub(super) const PING_START: &str = r#"{"type":"ping","payload":"#;

/// `connection_ack` with the end of the log: who subscribes `after` it misses nothing.
pub(super) fn ack(head: Cursor) -> Bytes {
    format!(r#"{{"type":"connection_ack","payload":{{"head":"{head}"}}}}"#).into()
}

/// `pong` with the ping's payload.
pub(super) fn pong(payload: Option<&str>) -> Bytes {
    match payload {
        Some(payload) => format!(r#"{{"type":"pong","payload":{payload}}}"#).into(),
        None => Bytes::from_static(br#"{"type":"pong"}"#),
    }
}

/// The one `next` of a query or mutation.
pub(super) fn next(id: &str, response: &str) -> Bytes {
    format!(
        r#"{{"id":{},"type":"next","payload":{response}}}"#,
        quoted(id)
    )
    .into()
}

/// `complete`.
pub(super) fn complete(id: &str) -> Bytes {
    format!(r#"{{"id":{},"type":"complete"}}"#, quoted(id)).into()
}

/// A JSON array with one GraphQL error.
pub(in crate::transport) fn errors(error: &Error) -> String {
    // An error of ours holds nothing that JSON cannot.
    serde_json::to_string(&[server_error(error)]).unwrap_or_else(|_| "[]".to_owned())
}

/// Whether these errors, a JSON array, all say that the same request may succeed later.
pub(in crate::transport) fn all_unavailable(errors: &str) -> bool {
    let errors: Vec<Json> = serde_json::from_str(errors).unwrap_or_default();
    let unavailable = |error: &Json| error["extensions"]["code"] == Code::Unavailable.as_str();
    !errors.is_empty() && errors.iter().all(unavailable)
}

/// As JSON.
pub(in crate::transport) fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn json(text: &Bytes) -> Json {
        serde_json::from_slice(text).unwrap()
    }

    #[test]
    fn a_payload_closes_the_frame_that_its_prefix_opened() {
        let id = "a\"\\\u{0}\u{1f496}";
        let mut text = TransportWs.next_prefix(id).to_vec();
        text.extend_from_slice(br#"{"data":{"a":1}}}"#);
        assert_eq!(
            json(&text.into()),
            json!({ "id": id, "type": "next", "payload": { "data": { "a": 1 } } })
        );
    }

    #[test]
    fn a_ping_says_where_each_subscription_is() {
        let cursor: Cursor = "00000000010000000007".parse().unwrap();
        let ping = TransportWs
            .ping(&[("a\"".into(), cursor), ("b".into(), cursor)])
            .unwrap();
        let resume = json!({ "a\"": cursor.to_string(), "b": cursor.to_string() });
        assert_eq!(
            json(&ping),
            json!({ "type": "ping", "payload": { "resume": resume } })
        );
        assert_eq!(
            json(&TransportWs.ping(&[]).unwrap()),
            json!({ "type": "ping", "payload": { "resume": {} } })
        );
    }

    #[test]
    fn errors_pass_where_all_are_unavailable() {
        let busy = errors(&Error::Busy);
        assert!(all_unavailable(&busy));
        let internal = errors(&Error::Internal);
        let mixed = format!("{},{}", &busy[..busy.len() - 1], &internal[1..]);
        for errors in [&internal, &mixed, "[]", r#"[{"message":"no"}]"#, ""] {
            assert!(!all_unavailable(errors), "{errors}");
        }
    }

    #[test]
    fn errors_are_an_array_with_codes() {
        let errors = errors(&Error::BadCursor { field: "resume" });
        let errors: Json = serde_json::from_str(&errors).unwrap();
        assert_eq!(errors[0]["extensions"]["code"], "BAD_USER_INPUT");
        assert_eq!(errors[0]["extensions"]["field"], "resume");
        assert_eq!(
            json(&TransportWs.error("1", &json!([]).to_string())),
            json!({ "id": "1", "type": "error", "payload": [] })
        );
    }
}
