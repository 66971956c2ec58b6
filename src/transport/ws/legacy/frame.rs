//! What the server says: the text of each message.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::super::Close;
use super::super::frame::quoted;
use crate::document::server_error;
use crate::error::{Code, Error};
use crate::hub::Envelope;
use crate::model::Cursor;

/// How the legacy subprotocol dresses what the hub sends.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct SubscriptionsTransportWs;

impl Envelope for SubscriptionsTransportWs {
    fn next_prefix(&self, id: &str) -> Bytes {
        format!(r#"{{"type":"data","id":{},"payload":"#, quoted(id)).into()
    }

    /// As `data`, which every client hands on with all errors and their codes. Of an `error` clients show the first, or its
    /// message alone, and some take no array there.
    fn error(&self, id: &str, errors: &str) -> Bytes {
        data(id, &format!(r#"{{"errors":{errors}}}"#))
    }

    fn end(&self, id: &str) -> Option<Bytes> {
        Some(complete(id))
    }

    /// `ka` has no payload.
    fn ping(&self, _: &[(Arc<str>, Cursor)]) -> Option<Bytes> {
        None
    }
}

/// `ka`.
pub(super) fn keep_alive() -> Bytes {
    Bytes::from_static(br#"{"type":"ka"}"#)
}

/// `data`.
pub(super) fn data(id: &str, response: &str) -> Bytes {
    format!(
        r#"{{"type":"data","id":{},"payload":{response}}}"#,
        quoted(id)
    )
    .into()
}

/// `complete`.
pub(super) fn complete(id: &str) -> Bytes {
    format!(r#"{{"type":"complete","id":{}}}"#, quoted(id)).into()
}

/// An operation that does not run, for these errors (a JSON array).
pub(super) fn refusal(id: &str, errors: &str) -> Vec<Bytes> {
    vec![SubscriptionsTransportWs.error(id, errors), complete(id)]
}

/// `connection_error`, for what the socket is about to be closed with.
pub(super) fn connection_error(close: Close) -> Bytes {
    let code = match close.code {
        1012 | 1013 => Code::Unavailable,
        4401 | 4403 => Code::Unauthenticated,
        _ => Code::BadUserInput,
    };
    let error = json!({
        "message": close.reason,
        "extensions": { "code": code.as_str(), "retryable": code.retryable() },
    });
    format!(r#"{{"type":"connection_error","payload":{error}}}"#).into()
}

/// `error`, for a message that is none of the protocol's.
pub(super) fn unknown(id: Option<&str>) -> Bytes {
    let error = server_error(&Error::BadInput {
        field: "type",
        why: "is none of a message of graphql-ws".to_owned(),
    });
    let mut message = json!({ "type": "error", "payload": error });
    if let Some(id) = id {
        message["id"] = id.into();
    }
    message.to_string().into()
}
