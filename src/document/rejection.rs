//! A request that is refused as a whole: GraphQL errors without data.

use async_graphql::{ErrorExtensionValues, Pos, ServerError, Value};

use crate::error::{Code, Error};

/// Why a request is refused before, or instead of, being executed.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// At least one, each with `extensions { code, retryable }`.
    pub errors: Vec<ServerError>,
    /// What HTTP says it with, where the media type lets it.
    pub status: u16,
    /// When the same request would pass, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl Rejection {
    /// One error with a code and a text that is safe to show.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self::at(code, message, None)
    }

    /// As [`Rejection::new`], and where in the document.
    pub fn at(code: Code, message: impl Into<String>, pos: Option<Pos>) -> Self {
        Self {
            errors: vec![coded(ServerError::new(message, pos), code)],
            status: status(code),
            retry_after_ms: None,
        }
    }

    /// The document does not fit the schema or its limits.
    pub(crate) fn invalid(message: impl Into<String>, pos: Option<Pos>) -> Self {
        Self::at(Code::GraphqlValidationFailed, message, pos)
    }
}

impl From<&Error> for Rejection {
    fn from(error: &Error) -> Self {
        Self {
            errors: vec![server_error(error)],
            status: status(error.code()),
            retry_after_ms: match error {
                Error::RateLimited { retry_after_ms } => Some(*retry_after_ms),
                _ => None,
            },
        }
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

/// The error as a client sees it: code, whether to retry, and what helps to do better.
pub fn server_error(error: &Error) -> ServerError {
    let mut shown = coded(ServerError::new(error.to_string(), None), error.code());
    let extensions = shown.extensions.get_or_insert_default();
    if let Some(field) = error.field() {
        extensions.set("field", field);
    }
    if let Some(limit) = error.limit() {
        extensions.set("limit", limit);
    }
    if let Error::RateLimited { retry_after_ms } = error {
        extensions.set("retryAfterMs", *retry_after_ms);
    }
    if let Error::TooManyAtOnce { limit, .. } | Error::TooManyConnections { limit } = error {
        extensions.set("limit", *limit);
    }
    shown
}

/// Gives an error its code and whether the same request may succeed later.
pub(crate) fn coded(mut error: ServerError, code: Code) -> ServerError {
    let extensions: &mut ErrorExtensionValues = error.extensions.get_or_insert_default();
    extensions.set("code", code.as_str());
    extensions.set("retryable", Value::Boolean(code.retryable()));
    error
}

/// GraphQL over HTTP: a request error is a 4xx or 5xx for `application/graphql-response+json`.
const fn status(code: Code) -> u16 {
    match code {
        Code::Unauthenticated => 401,
        Code::Forbidden => 403,
        Code::TooLarge => 413,
        Code::RateLimited => 429,
        Code::InternalServerError => 500,
        Code::Unavailable => 503,
        // Apollo's clients expect the miss as an ordinary answer, and its server gives it so.
        Code::PersistedQueryNotFound => 200,
        Code::NotFound
        | Code::BadUserInput
        | Code::Conflict
        | Code::ResyncRequired
        | Code::GraphqlParseFailed
        | Code::GraphqlValidationFailed => 400,
    }
}
