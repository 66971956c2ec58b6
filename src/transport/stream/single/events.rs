//! What a stream of several operations looks like: PROTOCOL.md of graphql-sse, "Single connection mode".
//!
//! No event has an id: one cursor cannot say how far several operations have come, and a client that came back with the newest
//! would lose what the slower ones had still to tell. Each result carries its own in `payload.extensions.cursor`.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;

use crate::hub::{Envelope, Framing};
use crate::model::Cursor;
use crate::transport::stream::events::OPENING;
use crate::transport::ws::quoted;

/// The texts of events.
#[derive(Clone, Copy, Debug)]
pub(super) struct SingleEvents {
    /// Whether the client asks for `ping` events with the place of each subscription. The library's own client takes an event
    /// that it does not know for the end of everything.
    pub(super) pings: bool,
}

impl Envelope for SingleEvents {
    fn next_prefix(&self, id: &str) -> Bytes {
        format!("{NEXT}{},\"payload\":", quoted(id)).into()
    }

    /// Errors are results here.
    fn error(&self, id: &str, errors: &str) -> Bytes {
        refused(id, errors)
    }

    fn end(&self, id: &str) -> Option<Bytes> {
        Some(complete(id))
    }

    fn ping(&self, positions: &[(Arc<str>, Cursor)]) -> Option<Bytes> {
        if !self.pings {
            return Some(Bytes::from_static(OPENING.as_bytes()));
        }
        let mut text = "event: ping\ndata: {\"resume\":{".to_owned();
        for (nth, (id, cursor)) in positions.iter().enumerate() {
            let comma = if nth == 0 { "" } else { "," };
            // Writing to a String does not fail.
            let _ = write!(text, "{comma}{}:\"{cursor}\"", quoted(id));
        }
        text.push_str("}}\n\n");
        Some(text.into())
    }
}

const NEXT: &str = "event: next\ndata: {\"id\":";

/// A result of an operation.
pub(super) fn next(id: &str, result: &str) -> Bytes {
    format!("{NEXT}{},\"payload\":{result}}}\n\n", quoted(id)).into()
}

/// A result that is errors, a JSON array.
pub(super) fn refused(id: &str, errors: &str) -> Bytes {
    next(id, &format!(r#"{{"errors":{errors}}}"#))
}

/// The end of an operation.
pub(super) fn complete(id: &str) -> Bytes {
    format!("event: complete\ndata: {{\"id\":{}}}\n\n", quoted(id)).into()
}

/// Events around payloads, whose last byte closes the event's object; other messages are events already.
#[derive(Clone, Copy, Debug)]
pub(in crate::transport::stream) struct SingleFrames;

const END: &[u8] = b"\n\n";

impl Framing for SingleFrames {
    fn framed_bytes(&self, own: &[u8], shared: &[u8]) -> usize {
        let end = if shared.is_empty() { 0 } else { END.len() };
        own.len() + shared.len() + end
    }

    fn frame(&self, own: &[u8], shared: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(own);
        if !shared.is_empty() {
            out.extend_from_slice(shared);
            out.extend_from_slice(END);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITH_PINGS: SingleEvents = SingleEvents { pings: true };
    const CURSOR: &str = "00000000110000000001";

    #[test]
    fn a_shared_payload_closes_the_event_that_its_prefix_opened() {
        let payload = r#"{"data":{"a":"x\ny"},"extensions":{"cursor":"00000000110000000001"}}}"#;
        let (own, mut out) = (WITH_PINGS.next_prefix("a\""), Vec::new());
        SingleFrames.frame(&own, payload.as_bytes(), &mut out);
        assert_eq!(
            out.len(),
            SingleFrames.framed_bytes(&own, payload.as_bytes())
        );
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "event: next\ndata: {\"id\":\"a\\\"\",\"payload\":{\"data\":{\"a\":\"x\\ny\"},\
             \"extensions\":{\"cursor\":\"00000000110000000001\"}}}\n\n"
        );
    }

    #[test]
    fn an_id_with_a_line_break_stays_on_its_line() {
        for text in [
            next("a\nb\r", "{}"),
            complete("a\nb\r"),
            WITH_PINGS.next_prefix("a\nb\r"),
        ] {
            let text = String::from_utf8(text.to_vec()).unwrap();
            assert!(text.contains(r#""a\nb\r""#), "{text}");
            assert_eq!(text.trim_end().lines().count(), 2, "{text}");
        }
    }

    #[test]
    fn an_error_is_a_result_and_then_the_end() {
        assert_eq!(
            WITH_PINGS.error("a", "[]"),
            "event: next\ndata: {\"id\":\"a\",\"payload\":{\"errors\":[]}}\n\n"
        );
        assert_eq!(
            WITH_PINGS.end("a").unwrap(),
            "event: complete\ndata: {\"id\":\"a\"}\n\n"
        );
    }

    #[test]
    fn places_are_told_to_who_asks_for_them_and_to_nobody_else() {
        let cursor: Cursor = CURSOR.parse().unwrap();
        let places = [("a".into(), cursor), ("b\"".into(), cursor)];
        assert_eq!(
            WITH_PINGS.ping(&places).unwrap(),
            format!(
                "event: ping\ndata: {{\"resume\":{{\"a\":\"{CURSOR}\",\"b\\\"\":\"{CURSOR}\"}}}}\n\n"
            )
        );
        assert_eq!(
            WITH_PINGS.ping(&[]).unwrap(),
            "event: ping\ndata: {\"resume\":{}}\n\n"
        );
        let without = SingleEvents { pings: false };
        assert_eq!(without.ping(&places).unwrap(), ":\n\n");
    }
}
