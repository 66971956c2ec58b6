//! Server-sent events: PROTOCOL.md of graphql-sse, "Distinct connections mode".
//!
//! An event has one line of data, and its id is the cursor, so that whoever comes back with `Last-Event-ID` goes on from
//! there. The id stands behind the data: the payload that all subscribers share ends with it.

use std::sync::Arc;

use bytes::Bytes;

use crate::hub::{Envelope, Framing, cursor_of};
use crate::model::Cursor;

/// What is written first: some browsers say that a stream is open only when there is something in it.
pub(super) const OPENING: &str = ":\n\n";
/// The end of all results. With an empty line of data: without one `EventSource` does not tell of it, with a blank in it
/// urql takes it for a result.
pub(super) const COMPLETE: &str = "event: complete\ndata:\n\n";
const NEXT: &str = "event: next\ndata: ";

/// The texts of events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Events;

impl Envelope for Events {
    fn next_prefix(&self, _: &str) -> Bytes {
        Bytes::from_static(NEXT.as_bytes())
    }

    /// Errors are results here; `complete` follows when the stream ends.
    fn error(&self, _: &str, errors: &str) -> Bytes {
        next(&format!(r#"{{"errors":{errors}}}"#)).into()
    }

    /// An event of nothing but an id is not told to anyone, but from then on it is the last.
    fn ping(&self, positions: &[(Arc<str>, Cursor)]) -> Option<Bytes> {
        Some(match positions {
            [(_, cursor)] => format!(":\nid: {cursor}\n\n").into(),
            _ => Bytes::from_static(OPENING.as_bytes()),
        })
    }
}

/// A result as an event.
pub(super) fn next(result: &str) -> String {
    format!("{NEXT}{result}\n\n")
}

/// Events around payloads; other messages are events already.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventFrames;

const ID: &[u8] = b"\nid: ";
const END: &[u8] = b"\n\n";

impl Framing for EventFrames {
    fn framed_bytes(&self, own: &[u8], shared: &[u8]) -> usize {
        let Some((_, payload)) = shared.split_last() else {
            return own.len();
        };
        let id = cursor_of(shared).map_or(0, |cursor| ID.len() + cursor.len());
        own.len() + payload.len() + id + END.len()
    }

    fn frame(&self, own: &[u8], shared: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(own);
        // The last byte would close a WebSocket's message.
        let Some((_, payload)) = shared.split_last() else {
            return;
        };
        out.extend_from_slice(payload);
        if let Some(cursor) = cursor_of(shared) {
            out.extend_from_slice(ID);
            out.extend_from_slice(cursor);
        }
        out.extend_from_slice(END);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(shared: &str) -> String {
        let (own, mut out) = (Events.next_prefix(""), Vec::new());
        EventFrames.frame(&own, shared.as_bytes(), &mut out);
        assert_eq!(out.len(), EventFrames.framed_bytes(&own, shared.as_bytes()));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_payload_is_one_line_of_data_and_its_cursor_is_the_id() {
        let payload = r#"{"data":{"a":"x\ny"},"extensions":{"cursor":"00000000110000000001"}}}"#;
        assert_eq!(
            framed(payload),
            "event: next\ndata: {\"data\":{\"a\":\"x\\ny\"},\"extensions\":\
             {\"cursor\":\"00000000110000000001\"}}\nid: 00000000110000000001\n\n"
        );
    }

    #[test]
    fn a_payload_without_a_cursor_has_no_id() {
        assert_eq!(
            framed(r#"{"data":{"a":1}}}"#),
            "event: next\ndata: {\"data\":{\"a\":1}}\n\n"
        );
    }

    #[test]
    fn a_ping_tells_the_place_of_the_one_subscription_and_is_a_comment_otherwise() {
        let cursor: Cursor = "00000000110000000001".parse().unwrap();
        let ping = Events.ping(&[("".into(), cursor)]).unwrap();
        assert_eq!(ping, ":\nid: 00000000110000000001\n\n");
        assert_eq!(Events.ping(&[]).unwrap(), ":\n\n");
    }
}
