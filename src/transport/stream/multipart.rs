//! Apollo's multipart subscriptions
//! (<https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol>), part for part.
//!
//! The boundary is written behind each part, not before the next: clients read a part when they see its end, and would show every
//! event one late.

use std::sync::Arc;

use bytes::Bytes;

use crate::hub::{Envelope, Framing};
use crate::model::Cursor;

/// Clients compare it letter by letter.
pub(super) const CONTENT_TYPE: &str = r#"multipart/mixed;boundary="graphql";subscriptionSpec=1.0"#;
/// The first part may begin.
pub(super) const OPENING: &str = "--graphql";
/// Behind a boundary, no part follows it.
pub(super) const CLOSING: &str = "--\r\n";

const PART: &str = "\r\nContent-Type: application/json\r\n\r\n";
const PAYLOAD: &str = "\r\nContent-Type: application/json\r\n\r\n{\"payload\":";
const BOUNDARY: &str = "\r\n--graphql";

/// The texts of parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts;

impl Envelope for Parts {
    fn next_prefix(&self, _: &str) -> Bytes {
        Bytes::from_static(PAYLOAD.as_bytes())
    }

    /// In the payload, where clients look for the errors of GraphQL; beside it they would be the network's.
    fn error(&self, _: &str, errors: &str) -> Bytes {
        next(&format!(r#"{{"errors":{errors}}}"#)).into()
    }

    /// A heartbeat. Whoever names the specification knows it for one.
    fn ping(&self, _: &[(Arc<str>, Cursor)]) -> Option<Bytes> {
        Some(format!("{PART}{{}}{BOUNDARY}").into())
    }
}

/// A result as a part.
pub(super) fn next(result: &str) -> String {
    format!("{PAYLOAD}{result}}}{BOUNDARY}")
}

/// Boundaries behind payloads, whose last byte closes the part's object; other messages are parts already.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartFrames;

impl Framing for PartFrames {
    fn framed_bytes(&self, own: &[u8], shared: &[u8]) -> usize {
        let boundary = if shared.is_empty() { 0 } else { BOUNDARY.len() };
        own.len() + shared.len() + boundary
    }

    fn frame(&self, own: &[u8], shared: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(own);
        if !shared.is_empty() {
            out.extend_from_slice(shared);
            out.extend_from_slice(BOUNDARY.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_a_part_with_its_boundary_behind_it() {
        let shared = br#"{"data":{"a":1},"extensions":{"cursor":"00000000110000000001"}}}"#;
        let (own, mut out) = (Parts.next_prefix(""), Vec::new());
        PartFrames.frame(&own, shared, &mut out);
        assert_eq!(out.len(), PartFrames.framed_bytes(&own, shared));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\r\nContent-Type: application/json\r\n\r\n{\"payload\":{\"data\":{\"a\":1},\
             \"extensions\":{\"cursor\":\"00000000110000000001\"}}}\r\n--graphql"
        );
    }

    #[test]
    fn errors_and_heartbeats_are_whole_parts() {
        let error = Parts.error("", "[]");
        assert_eq!(
            error,
            "\r\nContent-Type: application/json\r\n\r\n{\"payload\":{\"errors\":[]}}\r\n--graphql"
        );
        let mut out = Vec::new();
        PartFrames.frame(&Parts.ping(&[]).unwrap(), b"", &mut out);
        assert_eq!(
            out,
            b"\r\nContent-Type: application/json\r\n\r\n{}\r\n--graphql"
        );
    }
}
