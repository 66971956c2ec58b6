//! The bytes of a payload and of an error, as every transport sends them.

use async_graphql::{Response, ServerError, Value};
use bytes::Bytes;

use crate::document::{coded, server_error};
use crate::error::{Code, Error};
use crate::model::{Cursor, Resync};

/// `{"data":…,"extensions":{"cursor":"…"}}` and the closing brace of the frame. Without a cursor: `{"data":…}`.
pub(super) fn payload(response: &Response, cursor: Option<Cursor>) -> Bytes {
    let mut out = Vec::with_capacity(512);
    out.push(b'{');
    if !response.errors.is_empty() {
        out.extend_from_slice(b"\"errors\":");
        out.extend_from_slice(errors_json(&response.errors).as_bytes());
        out.push(b',');
    }
    out.extend_from_slice(b"\"data\":");
    let start = out.len();
    if serde_json::to_writer(&mut out, &response.data).is_err() {
        // A value that is no JSON cannot come from the schema's scalars.
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
    if let Some(cursor) = cursor {
        out.extend_from_slice(b",\"extensions\":{\"cursor\":\"");
        out.extend_from_slice(&cursor.to_ascii());
        out.extend_from_slice(b"\"}");
    }
    out.extend_from_slice(b"}}");
    // It may be kept for long, for a slow reader and for those who come back; budgets count what is in it.
    if out.capacity() - out.len() > out.len() / 4 {
        out.shrink_to_fit();
    }
    out.into()
}

/// The cursor that a payload carries, if any, as it stands there.
pub fn cursor_of(payload: &[u8]) -> Option<&[u8]> {
    const BEFORE: &[u8] = br#","extensions":{"cursor":""#;
    const BEHIND: &[u8] = br#""}}}"#;
    // No text of a user's ends a payload: whatever it is in is closed by more braces than these.
    let rest = payload.strip_suffix(BEHIND)?;
    let (before, cursor) = rest.split_at_checked(rest.len().checked_sub(Cursor::LEN)?)?;
    before.ends_with(BEFORE).then_some(cursor)
}

/// The payload of an event that could not be rendered: an error rather than silence.
pub(super) fn broken(cursor: Option<Cursor>) -> Bytes {
    let errors = vec![server_error(&Error::Internal)];
    payload(&Response::from_errors(errors), cursor)
}

/// Whether the store did not answer while a payload was made: it is made again rather than sent.
pub(super) fn is_unavailable(response: &Response) -> bool {
    let unavailable = Value::from(Code::Unavailable.as_str());
    response.errors.iter().any(|error| {
        let extensions = error.extensions.as_ref();
        extensions.and_then(|values| values.get("code")) == Some(&unavailable)
    })
}

/// GraphQL errors as a JSON array. Places are left out: with a shared operation they would point into another
/// subscriber's text.
pub(super) fn errors_json(errors: &[ServerError]) -> String {
    let errors: Vec<ServerError> = errors
        .iter()
        .map(|error| ServerError {
            locations: Vec::new(),
            ..error.clone()
        })
        .collect();
    serde_json::to_string(&errors).unwrap_or_else(|_| "[]".into())
}

/// One error of ours as a JSON array of GraphQL errors.
pub(super) fn error_json(error: &Error) -> String {
    let mut shown = server_error(error);
    if let Error::ResyncRequired { reason, cursor } = error {
        let extensions = shown.extensions.get_or_insert_default();
        extensions.set("reason", reason_text(*reason));
        extensions.set("cursor", cursor.as_str());
    }
    errors_json(&[shown])
}

/// An error that is not one of [`Error`]'s.
pub(super) fn refusal_json(text: &str) -> String {
    let error = ServerError::new(text, None);
    errors_json(&[coded(error, Code::GraphqlValidationFailed)])
}

fn reason_text(reason: Resync) -> &'static str {
    match reason {
        Resync::EpochChanged => "EPOCH_CHANGED",
        Resync::CursorExpired => "CURSOR_EXPIRED",
        Resync::CursorAhead => "CURSOR_AHEAD",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;
    use crate::model::{Epoch, Seq};

    const CURSOR: Cursor = Cursor {
        seq: Seq(33),
        epoch: Epoch::stored(1),
    };

    #[test]
    fn a_payload_closes_its_frame() {
        let data: Value = serde_json::from_str(r#"{"events":{"id":"x"}}"#).unwrap();
        let bytes = payload(&Response::new(data.clone()), Some(CURSOR));
        let expected =
            r#"{"data":{"events":{"id":"x"}},"extensions":{"cursor":"00000000110000000001"}}}"#;
        assert_eq!(bytes, expected.as_bytes());
        let bytes = payload(&Response::new(data), None);
        assert_eq!(bytes, &br#"{"data":{"events":{"id":"x"}}}}"#[..]);
    }

    #[test]
    fn a_payload_keeps_no_room_that_it_does_not_fill() {
        for bytes in [600, 1_100, 9_000, 17_000] {
            let text = Value::from("x".repeat(bytes));
            let kept = payload(&Response::new(text), Some(CURSOR));
            let len = kept.len();
            let capacity = kept.try_into_mut().unwrap().capacity();
            assert!(capacity <= len + len / 4, "{capacity} for {len}");
        }
    }

    #[test]
    fn a_payloads_cursor_is_found_and_nothing_else_is_taken_for_one() {
        let bytes = payload(&Response::new(Value::Null), Some(CURSOR));
        assert_eq!(cursor_of(&bytes), Some(&b"00000000110000000001"[..]));
        let said = br#","extensions":{"cursor":"00000000110000000001"}"#;
        for payload in [
            &b""[..],
            b"\"}}}",
            br#"{"data":{"a":1}}}"#,
            br#"{"data":{"data":{"x":1,"extensions":{"cursor":"00000000110000000001"}}}}}"#,
            said,
        ] {
            assert_eq!(cursor_of(payload), None);
        }
    }

    #[test]
    fn errors_come_without_places_in_anyones_document() {
        let pos = async_graphql::Pos { line: 3, column: 7 };
        let error = ServerError::new("no", Some(pos));
        let bytes = payload(&Response::from_errors(vec![error]), Some(CURSOR));
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(
            text.starts_with(r#"{"errors":[{"message":"no"}],"data":null,"#),
            "{text}"
        );
    }

    #[test]
    fn a_resync_carries_reason_and_cursor() {
        let text = error_json(&Error::ResyncRequired {
            reason: Resync::CursorAhead,
            cursor: CURSOR.to_string(),
        });
        let errors: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(errors[0]["extensions"]["code"], "RESYNC_REQUIRED");
        assert_eq!(errors[0]["extensions"]["reason"], "CURSOR_AHEAD");
        assert_eq!(errors[0]["extensions"]["cursor"], CURSOR.to_string());
        assert_eq!(errors[0]["extensions"]["retryable"], false);
    }
}
