//! The way out for errors: each becomes a GraphQL error with the code and the hints that clients branch on.

use async_graphql::{ErrorExtensionValues, Value};

use super::event::ResyncReason;
use crate::error::Error;
use crate::store::StoreError;

/// What resolvers give. `?` takes an [`Error`] or a [`StoreError`].
pub(super) type Result<T, E = Told> = std::result::Result<T, E>;

/// An error on its way to a client. It has no `Display`, so that the library's own conversion, which would drop the
/// code, does not apply.
#[derive(Clone, Debug)]
pub struct Told(Error);

impl Told {
    #[cfg(test)]
    pub(super) fn into_error(self) -> Error {
        self.0
    }
}

impl From<Error> for Told {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<StoreError> for Told {
    fn from(error: StoreError) -> Self {
        // The last place that sees the cause: the client is told that the store did not answer and no more.
        tracing::error!(error = ?error, "a read failed");
        Self(error.into())
    }
}

impl From<Told> for async_graphql::Error {
    fn from(told: Told) -> Self {
        let mut error = Self::new(told.0.to_string());
        error.extensions = Some(extensions(&told.0));
        error
    }
}

/// An error as clients get it, without a path.
pub fn told(error: Error) -> async_graphql::Error {
    Told(error).into()
}

/// The `extensions` of an error: `code` and `retryable` always, the rest where it helps.
pub fn extensions(error: &Error) -> ErrorExtensionValues {
    let mut values = ErrorExtensionValues::default();
    let code = error.code();
    values.set("code", code.as_str());
    values.set("retryable", code.retryable());
    if let Some(field) = error.field() {
        values.set("field", field);
    }
    if let Some(limit) = error.limit() {
        values.set("limit", Value::from(limit));
    }
    match error {
        Error::RateLimited { retry_after_ms } => {
            values.set("retryAfterMs", Value::from(*retry_after_ms));
        }
        Error::ResyncRequired { reason, cursor } => {
            values.set("reason", ResyncReason::from(*reason).to_string());
            values.set("cursor", cursor.as_str());
        }
        _ => {}
    }
    values
}
