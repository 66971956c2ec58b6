//! What was asked: a document parsed once (bounded cache), its operation picked, its variables checked, and the limits
//! counted before anything is executed. Knows nothing of what the fields mean, but for the schema's shape.
//!
//! The schema's validator runs when the operation is executed. Everything here is cheap, whatever comes in, and comes
//! first: the validator and the executor take time that is exponential in the size of some documents.

use std::sync::Arc;

use async_graphql::Variables;
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType,
};
use sha2::{Digest, Sha256 as Hasher};

mod cache;
mod guard;
pub(crate) mod hidden;
mod limits;
mod nodes;
mod params;
mod parse;
mod rejection;
mod root;
mod shape;
mod tokens;
mod uses;
mod variables;

#[cfg(test)]
mod tests;

pub use limits::Limits;
pub use params::{Params, Sha256};
pub use rejection::{Rejection, server_error};
pub use shape::Shape;

pub(crate) use cache::Cache;
pub(crate) use rejection::coded;
pub(crate) use root::included;
pub(crate) use shape::Kind;

use crate::error::Code;
use root::{Roots, pick};

/// What a parsed document weighs, beside its text, for each token: the tree has a few allocations for each.
const TOKEN_BYTES: usize = 150;

/// An operation that may be executed: parsed, picked and within the limits.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The whole document, shared with everyone who sent the same text. A subscription's root is written out: one field,
    /// no fragments.
    pub document: Arc<ExecutableDocument>,
    /// The name given by the client, if any; it names an operation of the document.
    pub operation_name: Option<String>,
    /// Those that the operation declares, each with a value of its type: what was sent, else its default, else null.
    pub variables: Variables,
    /// Of the picked operation.
    pub kind: OperationType,
    /// Root fields of the picked operation after fragments are spread out and `@skip`/`@include` are applied; fields with
    /// one response key are one.
    pub root_fields: usize,
    /// It selects nothing but `__typename`, `__schema` and `__type`, which anyone may read.
    pub introspection: bool,
    /// The document asks for more than the client did, to be taken out of the answer: see [`hidden`].
    pub(crate) hides: bool,
}

/// A document within the limits that do not depend on variables.
#[derive(Clone)]
struct Parsed {
    document: Arc<ExecutableDocument>,
    /// See [`Prepared::hides`].
    hides: bool,
}

impl Prepared {
    /// The picked operation.
    pub fn operation(&self) -> Option<&OperationDefinition> {
        pick(&self.document.operations, self.operation_name.as_deref())
            .map(|operation| &operation.node)
    }
}

/// Makes operations ready, and remembers the documents they came in.
pub struct Documents {
    limits: Limits,
    shape: Arc<Shape>,
    parsed: Cache<Arc<str>, Parsed>,
    persisted: Cache<Sha256, Arc<str>>,
}

impl Documents {
    /// For one schema.
    pub fn new(limits: Limits, shape: Arc<Shape>) -> Self {
        Self {
            parsed: Cache::new(limits.cached, limits.cached_bytes),
            persisted: Cache::new(limits.cached, limits.persisted_bytes),
            limits,
            shape,
        }
    }

    /// Makes a request's operation ready, its document given by text, by hash, or by both (automatic persisted queries).
    ///
    /// # Errors
    /// As [`Documents::prepare`]; also `PERSISTED_QUERY_NOT_FOUND` for a hash that is not known here, and
    /// `BAD_USER_INPUT` for one that is not the text's.
    pub fn prepare_params(&self, params: Params) -> Result<Prepared, Rejection> {
        let Params {
            query,
            operation_name,
            variables,
            persisted,
            operation_id: _,
        } = params;
        let prepare = |text: &str| self.prepare(text, operation_name.as_deref(), variables);
        match (query, persisted) {
            (Some(query), None) => prepare(&query),
            (Some(query), Some(hash)) => {
                if *Hasher::digest(&query) != hash {
                    let message = "extensions.persistedQuery.sha256Hash is not the query's";
                    return Err(Rejection::new(Code::BadUserInput, message));
                }
                let prepared = prepare(&query)?;
                let weight = query.len();
                self.persisted.put(hash, query.into(), weight);
                Ok(prepared)
            }
            (None, Some(hash)) => match self.persisted.get(&hash) {
                Some(query) => prepare(&query),
                // Apollo's link looks for this text.
                None => Err(Rejection::new(
                    Code::PersistedQueryNotFound,
                    "PersistedQueryNotFound",
                )),
            },
            (None, None) => Err(Rejection::new(Code::BadUserInput, "query is missing")),
        }
    }

    /// Parses (or remembers) a document, picks its operation, checks the variables and counts what it asks for.
    ///
    /// # Errors
    /// `GRAPHQL_PARSE_FAILED` with one line that says where; `GRAPHQL_VALIDATION_FAILED` for a limit, a missing operation
    /// or a subscription without exactly one root field; `BAD_USER_INPUT` for a variable.
    pub fn prepare(
        &self,
        text: &str,
        operation_name: Option<&str>,
        variables: Variables,
    ) -> Result<Prepared, Rejection> {
        let Parsed {
            mut document,
            hides,
        } = self.document(text)?;
        let operation = &pick_or_refuse(&document.operations, operation_name)?.node;
        let variables = variables::coerce(operation, variables, &self.shape)?;
        nodes::check(&document, operation, &variables, &self.shape, &self.limits)?;

        let kind = operation.ty;
        let root = self.shape.root(kind).unwrap_or_default();
        let roots = Roots::of(&document, operation, &variables, root);
        let (root_fields, introspection) = (roots.len(), roots.introspect());
        if kind == OperationType::Subscription {
            roots.check_subscription()?;
        }
        if kind != OperationType::Query
            && let Some(flat) = roots.flatten(&document, operation_name, kind)?
        {
            document = Arc::new(flat);
        }
        Ok(Prepared {
            document,
            operation_name: operation_name.map(str::to_owned),
            variables,
            kind,
            root_fields,
            introspection,
            hides,
        })
    }

    fn document(&self, text: &str) -> Result<Parsed, Rejection> {
        if let Some(parsed) = self.parsed.get(text) {
            return Ok(parsed);
        }
        let tokens = tokens::measure(text, &self.limits)?;
        let mut document = parse::parse(text)?;
        guard::check(&document, &self.limits)?;
        let hides = hidden::add(&mut document, &self.shape);
        let document = Arc::new(document);
        let parsed = Parsed { document, hides };
        let weight = text.len() + tokens * TOKEN_BYTES;
        self.parsed.put(text.into(), parsed.clone(), weight);
        Ok(parsed)
    }
}

fn pick_or_refuse<'a>(
    operations: &'a DocumentOperations,
    name: Option<&str>,
) -> Result<&'a async_graphql::Positioned<OperationDefinition>, Rejection> {
    pick(operations, name).ok_or_else(|| match name {
        Some(name) => {
            let name: String = name.chars().take(64).collect();
            let message = format!(
                "the document holds no operation named \"{}\"",
                name.escape_debug()
            );
            Rejection::invalid(message, None)
        }
        None => Rejection::invalid(
            "the document holds several operations: say which one in operationName",
            None,
        ),
    })
}
