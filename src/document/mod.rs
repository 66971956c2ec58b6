//! What was asked: a document parsed once (bounded cache), its operation picked, and the limits checked before anything
//! is executed. Knows nothing of what the fields mean, but for the schema's shape.

use std::sync::Arc;

use async_graphql::Variables;
use async_graphql::parser::types::{ExecutableDocument, OperationType};

/// An operation that may be executed: parsed, picked and within the limits.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The whole document, shared with everyone who sent the same text.
    pub document: Arc<ExecutableDocument>,
    /// The name given by the client, if any; it names an operation of the document.
    pub operation_name: Option<String>,
    /// As sent.
    pub variables: Variables,
    /// Of the picked operation.
    pub kind: OperationType,
    /// Root fields of the picked operation after fragments are spread out and `@skip`/`@include` are applied.
    pub root_fields: usize,
}
