//! Runs a prepared operation: who may, how often, and what its answer looks like when something fails.
//!
//! Subscriptions are the hub's. This is for queries and mutations, whichever transport they come by.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Data, ObjectType, Request, Response, Schema, SubscriptionType, Value};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};

mod allowance;
mod complete;
mod errors;
mod waits;

#[cfg(test)]
mod tests;

pub use allowance::{Allowance, Allowances};

use waits::waits;

use super::answer::AnswerSize;
use crate::auth::{Renewal, Viewer};
use crate::document::{Prepared, Rejection, Shape, hidden};
use crate::error::{Code, Error};

/// Makes what resolvers find in a request's context.
type Equip = dyn Fn(Option<&Arc<Viewer>>) -> Data + Send + Sync;

/// Runs queries and mutations. Cheap to clone.
#[derive(Clone)]
pub struct Executor(Arc<Inner>);

struct Inner {
    schema: Box<dyn Engine>,
    shape: Arc<Shape>,
    allowances: Allowances,
    equip: Box<Equip>,
}

impl Executor {
    /// For one schema, whose `shape` was read from its SDL. `equip` makes what resolvers find in a request's context:
    /// the viewer, loaders. It is not called for what is refused.
    pub fn new<Query, Mutation, Subscription>(
        schema: Schema<Query, Mutation, Subscription>,
        shape: Arc<Shape>,
        allowances: impl Into<Allowances>,
        equip: impl Fn(Option<&Arc<Viewer>>) -> Data + Send + Sync + 'static,
    ) -> Self
    where
        Query: ObjectType + 'static,
        Mutation: ObjectType + 'static,
        Subscription: SubscriptionType + 'static,
    {
        Self(Arc::new(Inner {
            schema: Box::new(schema),
            shape,
            allowances: allowances.into(),
            equip: Box::new(equip),
        }))
    }

    /// Runs an operation to its end. Nothing is awaited before the first resolver awaits something: polling the futures of
    /// several mutations once each, in an order, starts them in that order.
    ///
    /// # Errors
    /// The request as a whole is refused and nothing of it was done: `UNAUTHENTICATED` (no viewer, and more is asked for
    /// than introspection), `RATE_LIMITED`, `GRAPHQL_VALIDATION_FAILED`, or a subscription. Or there is no answer, and what a
    /// mutation did is done: the answer would have been `TOO_LARGE`, or a resolver panicked, `INTERNAL_SERVER_ERROR`. Any other failure is among the response's errors, beside its data.
    pub fn execute(
        &self,
        prepared: Prepared,
        viewer: Option<Arc<Viewer>>,
    ) -> impl Future<Output = Result<Response, Rejection>> + Send + 'static {
        self.execute_on(prepared, viewer, None)
    }

    /// As [`Executor::execute`], for an operation that came by a socket: `reauthenticate` leaves a fresh token there.
    ///
    /// # Errors
    /// As [`Executor::execute`].
    pub fn execute_on(
        &self,
        prepared: Prepared,
        viewer: Option<Arc<Viewer>>,
        socket: Option<Renewal>,
    ) -> impl Future<Output = Result<Response, Rejection>> + Send + 'static {
        let inner = self.0.clone();
        async move {
            inner.admit(&prepared, viewer.as_deref())?;
            let mut data = (inner.equip)(viewer.as_ref());
            if let Some(socket) = socket {
                data.insert(socket);
            }
            let size = AnswerSize::of(&mut data);
            let request = request(&prepared, data);
            let run = size.bounding(inner.schema.run(request));
            // A panic leaves nothing behind that others share: resolvers only read and send.
            match AssertUnwindSafe(run).catch_unwind().await {
                Ok(Ok(response)) => inner.finish(&prepared, response, false),
                Ok(Err(too_large)) => Err(too_large.into()),
                Err(_) => {
                    tracing::error!(operation = ?prepared.operation_name, "a resolver panicked");
                    Err(Error::Internal.into())
                }
            }
        }
    }
}

impl Executor {
    /// Runs a subscription's resolver with nothing in its context but `data`, and yields responses fit for clients. This is
    /// how the hub plans subscriptions and renders their payloads.
    pub fn stream(&self, prepared: Prepared, data: Data) -> BoxStream<'static, Response> {
        let inner = self.0.clone();
        let request = request(&prepared, data);
        let responses = waits(inner.schema.stream(request));
        let finished = responses.map(move |(response, waited)| {
            let finished = inner.finish(&prepared, response, waited);
            finished.unwrap_or_else(|refused| Response::from_errors(refused.errors))
        });
        finished.boxed()
    }
}

fn request(prepared: &Prepared, data: Data) -> Request {
    let mut request = Request::new("").variables(prepared.variables.clone());
    request.operation_name.clone_from(&prepared.operation_name);
    request.data = data;
    request.set_parsed_query(prepared.document.as_ref().clone());
    request
}

impl Inner {
    /// Whether the operation may run at all.
    fn admit(&self, prepared: &Prepared, viewer: Option<&Viewer>) -> Result<(), Rejection> {
        if prepared.kind == OperationType::Subscription {
            let message = "a subscription is answered by a stream: ask with \
                'Accept: text/event-stream' (or multipart/mixed;subscriptionSpec=1.0), \
                or over WebSocket (graphql-transport-ws)";
            return Err(Rejection::new(Code::BadUserInput, message));
        }
        if prepared.introspection {
            return Ok(());
        }
        let viewer = viewer.ok_or(Error::NoToken)?;
        if prepared.kind == OperationType::Mutation {
            let signals = allowance::signals(prepared);
            let user = &viewer.user.id;
            self.allowances.signals.take(user, signals)?;
            let others = prepared.root_fields.saturating_sub(signals);
            self.allowances.mutations.take(user, others)?;
        }
        Ok(())
    }

    /// The answer as the specification wants it. A field that had to wait came last in its object: where `waited`, fields
    /// are put in the order in which they were asked for.
    fn finish(
        &self,
        prepared: &Prepared,
        mut response: Response,
        waited: bool,
    ) -> Result<Response, Rejection> {
        if !response.errors.is_empty() && errors::before_execution(&response) {
            return Err(errors::refusal(response.errors));
        }
        for error in &mut response.errors {
            errors::clean(error);
        }
        if waited || !response.errors.is_empty() {
            let data = std::mem::take(&mut response.data);
            let whole = complete::complete(&self.shape, prepared, data, &response.errors);
            response.data = whole.unwrap_or(Value::Null);
        } else if response.data == Value::Null {
            // The library makes null of an object with all its fields skipped; the root is never null without an error.
            response.data = Value::Object(Default::default());
        }
        if prepared.hides {
            hidden::remove(prepared, &self.shape, &mut response.data);
        }
        Ok(response)
    }
}

/// A schema, whatever its roots.
trait Engine: Send + Sync {
    fn run(&self, request: Request) -> BoxFuture<'_, Response>;
    fn stream(&self, request: Request) -> BoxStream<'static, Response>;
}

impl<Query, Mutation, Subscription> Engine for Schema<Query, Mutation, Subscription>
where
    Query: ObjectType + 'static,
    Mutation: ObjectType + 'static,
    Subscription: SubscriptionType + 'static,
{
    fn run(&self, request: Request) -> BoxFuture<'_, Response> {
        self.execute(request).boxed()
    }

    fn stream(&self, request: Request) -> BoxStream<'static, Response> {
        self.execute_stream(request)
    }
}
