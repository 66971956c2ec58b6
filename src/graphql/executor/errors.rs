//! Errors as clients see them: each with a code, and nothing of the server's insides.

use async_graphql::{Response, ServerError, Value};

use crate::document::{Rejection, coded};
use crate::error::Code;

/// Whether the errors are those of a request that was never executed: the validator's have no path, a field's always do.
pub(super) fn before_execution(response: &Response) -> bool {
    response.data == Value::Null && response.errors.iter().all(|error| error.path.is_empty())
}

/// The validator's errors. Their texts name GraphQL types only.
pub(super) fn refusal(errors: Vec<ServerError>) -> Rejection {
    let coded = |error: ServerError| match has_code(&error) {
        true => error,
        false => coded(error, Code::GraphqlValidationFailed),
    };
    Rejection {
        errors: errors.into_iter().map(coded).collect(),
        status: 400,
        retry_after_ms: None,
    }
}

/// Leaves an error that one of our resolvers made, says that of an argument as it is, and hides any other.
pub(super) fn clean(error: &mut ServerError) {
    if has_code(error) {
        return;
    }
    let code = if is_bad_argument(&error.message) {
        Code::BadUserInput
    } else {
        tracing::error!(path = ?error.path, error = error.message, "a field failed without a code");
        error.message = "internal error".to_owned();
        Code::InternalServerError
    };
    *error = coded(std::mem::replace(error, ServerError::new("", None)), code);
}

fn has_code(error: &ServerError) -> bool {
    let extensions = error.extensions.as_ref();
    extensions.is_some_and(|extensions| extensions.get("code").is_some())
}

/// An argument that its scalar refused: the GraphQL library gives it no mark but its text.
fn is_bad_argument(message: &str) -> bool {
    ["Failed to parse \"", "Expected input type \""]
        .iter()
        .any(|start| message.starts_with(start))
}
