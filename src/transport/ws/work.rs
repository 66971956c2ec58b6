//! What one socket has running: checks of tokens, queries, mutations, plans.
//!
//! Mutations reach the writer in the order in which they came: each is polled once before the next message is looked at,
//! and one with several root fields, whose commands follow one another, holds back those after it. Plans are polled once
//! likewise: a subscription begins at the end of the log as it is then, before whatever the client sends next.
//!
//! Queries have no order. A few run at once, and none begins while much waits to be written: answers are large, and a client that
//! asks for many and reads none would have them all wait.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use futures_util::future::{AbortHandle, BoxFuture, abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use super::conversation::{Start, Ticket};
use super::{Api, frame};
use crate::auth::{Renewal, Viewer};
use crate::document::Prepared;
use crate::error::Error;

/// Something has come to its end.
pub(in crate::transport) enum Done<A: Api> {
    /// The token was checked.
    Authenticated(Result<Arc<Viewer>, Error>),
    /// A query or mutation was executed (its response), or could not be (errors). The latter may have brought a fresh token.
    Answered(Start, Result<String, String>, Option<Arc<Viewer>>),
    /// A subscription was planned (or errors).
    Planned(Start, Result<A::Plan, String>),
    /// It was stopped.
    Stopped,
}

/// A deadline for each operation, as for a request over HTTP.
const OPERATION: Duration = Duration::from_secs(10);

/// Queries that run at once for one socket: as many as the store has connections to read by.
const QUERIES_AT_ONCE: usize = 4;

type Running<A> = BoxFuture<'static, Done<A>>;

/// An operation that waits for its turn.
struct Waiting {
    start: Start,
    prepared: Prepared,
    viewer: Arc<Viewer>,
}

/// The futures of one socket.
pub(in crate::transport) struct Work<A: Api> {
    api: Arc<A>,
    /// On the heap, and only while there is something: most sockets only listen.
    going: Option<Box<Going<A>>>,
}

struct Going<A: Api> {
    running: FuturesUnordered<Running<A>>,
    stops: HashMap<Ticket, AbortHandle>,
    mutations: HashSet<Ticket>,
    barrier: Option<Ticket>,
    behind: VecDeque<Waiting>,
    /// Queries that run.
    asking: HashSet<Ticket>,
    /// Queries that are to run.
    asked: VecDeque<Waiting>,
}

impl<A: Api> Default for Going<A> {
    fn default() -> Self {
        Self {
            running: FuturesUnordered::new(),
            stops: HashMap::new(),
            mutations: HashSet::new(),
            barrier: None,
            behind: VecDeque::new(),
            asking: HashSet::new(),
            asked: VecDeque::new(),
        }
    }
}

impl<A: Api> Work<A> {
    /// None yet.
    pub(in crate::transport) fn new(api: Arc<A>) -> Self {
        Self { api, going: None }
    }

    /// The next thing that comes to its end; waits for ever when nothing runs.
    pub(in crate::transport) async fn next(&mut self) -> Done<A> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The same, for who waits for more than this.
    pub(in crate::transport) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Done<A>> {
        match &mut self.going {
            Some(going) if !going.running.is_empty() => {
                let done = ready!(going.running.poll_next_unpin(cx)).unwrap_or(Done::Stopped);
                self.finished(&done);
                Poll::Ready(done)
            }
            Some(going) if !going.asked.is_empty() => Poll::Pending,
            going => {
                // Whatever waited behind something would have begun at its end.
                *going = None;
                Poll::Pending
            }
        }
    }

    fn going(&mut self) -> &mut Going<A> {
        self.going.get_or_insert_default()
    }

    /// Whether mutations are under way.
    pub(in crate::transport) fn mutates(&self) -> bool {
        let going = self.going.as_ref();
        going.is_some_and(|going| !going.mutations.is_empty())
    }

    /// Checks a token.
    pub(in crate::transport) fn authenticate(&mut self, token: String) {
        let api = self.api.clone();
        let check = async move { Done::Authenticated(api.authenticate(&token).await) };
        self.going().running.push(check.boxed());
    }

    /// Executes an operation, or plans it where it is a subscription.
    pub(in crate::transport) fn begin(
        &mut self,
        start: Start,
        prepared: Prepared,
        viewer: Arc<Viewer>,
    ) {
        match prepared.kind {
            OperationType::Query => self.query(start, prepared, viewer),
            OperationType::Mutation => self.mutate(start, prepared, viewer),
            OperationType::Subscription => self.plan(start, prepared, viewer),
        }
    }

    /// Executes a query, beside whatever else runs, once [`Work::ask`] lets it begin.
    fn query(&mut self, start: Start, prepared: Prepared, viewer: Arc<Viewer>) {
        self.going().asked.push_back(Waiting {
            start,
            prepared,
            viewer,
        });
    }

    /// Begins queries that wait, while there is room for answers.
    pub(in crate::transport) fn ask(&mut self, has_room: impl Fn() -> bool) {
        let next = |going: &mut Box<Going<A>>| match going.asking.len() < QUERIES_AT_ONCE {
            true if !going.asked.is_empty() && has_room() => going.asked.pop_front(),
            _ => None,
        };
        while let Some(query) = self.going.as_mut().and_then(next) {
            self.begin_query(query);
        }
    }

    fn begin_query(&mut self, query: Waiting) {
        let Waiting {
            start,
            prepared,
            viewer,
        } = query;
        let (api, ticket) = (self.api.clone(), start.ticket);
        let query = async move {
            let response = guarded(api.execute(prepared, viewer, None)).await;
            Done::Answered(start, response, None)
        };
        let query = self.stoppable(ticket, query);
        self.going().asking.insert(ticket);
        self.going().running.push(query);
    }

    /// Plans a subscription, from where the log ends now.
    fn plan(&mut self, start: Start, prepared: Prepared, viewer: Arc<Viewer>) {
        let (api, ticket) = (self.api.clone(), start.ticket);
        let plan = async move {
            let plan = guarded(api.plan(prepared, viewer)).await;
            Done::Planned(start, plan)
        };
        let plan = self.stoppable(ticket, plan);
        self.going().running.push(polled_once(plan));
    }

    /// Executes a mutation, after those that came before.
    fn mutate(&mut self, start: Start, prepared: Prepared, viewer: Arc<Viewer>) {
        self.going().mutations.insert(start.ticket);
        self.going().behind.push_back(Waiting {
            start,
            prepared,
            viewer,
        });
        self.advance();
    }

    /// The client wants no more of this. A mutation that has begun is finished all the same: half of it may be done.
    pub(in crate::transport) fn stop(&mut self, ticket: Ticket) {
        if let Some(stop) = self.going().stops.remove(&ticket) {
            stop.abort();
        }
        self.going().asking.remove(&ticket);
        self.going()
            .asked
            .retain(|query| query.start.ticket != ticket);
        let behind = self.going().behind.len();
        self.going()
            .behind
            .retain(|mutation| mutation.start.ticket != ticket);
        if self.going().behind.len() < behind {
            self.going().mutations.remove(&ticket);
        }
    }

    fn finished(&mut self, done: &Done<A>) {
        let (Done::Answered(start, ..) | Done::Planned(start, _)) = done else {
            return;
        };
        let ticket = start.ticket;
        self.going().stops.remove(&ticket);
        self.going().mutations.remove(&ticket);
        self.going().asking.remove(&ticket);
        if self.going().barrier == Some(ticket) {
            self.going().barrier = None;
            self.advance();
        }
    }

    fn stoppable(
        &mut self,
        ticket: Ticket,
        work: impl Future<Output = Done<A>> + Send + 'static,
    ) -> Running<A> {
        let (work, stop) = abortable(work);
        self.going().stops.insert(ticket, stop);
        work.map(|done| done.unwrap_or(Done::Stopped)).boxed()
    }

    fn advance(&mut self) {
        while self.going().barrier.is_none()
            && let Some(mutation) = self.going().behind.pop_front()
        {
            self.execute(mutation);
        }
    }

    fn execute(&mut self, mutation: Waiting) {
        let Waiting {
            start,
            prepared,
            viewer,
        } = mutation;
        if prepared.root_fields > 1 {
            self.going().barrier = Some(start.ticket);
        }
        let api = self.api.clone();
        let mutation = async move {
            let renewal = Renewal::default();
            let response = guarded(api.execute(prepared, viewer, Some(renewal.clone()))).await;
            Done::Answered(start, response, renewal.take())
        };
        self.going().running.push(polled_once(mutation.boxed()));
    }
}

/// Polls work for the first time here and now: what it does first is done in the order in which messages came.
fn polled_once<A: Api>(work: Running<A>) -> Running<A> {
    // Tokio's budget must not make the first poll wait: another's would come first.
    let mut work = tokio::task::unconstrained(work);
    match (&mut work).now_or_never() {
        Some(done) => std::future::ready(done).boxed(),
        // What is pushed is polled again, and leaves a waker that wakes.
        None => work.boxed(),
    }
}

/// Runs an operation under a deadline. A panic of one is not the end of the others on its socket.
async fn guarded<T>(work: impl Future<Output = Result<T, String>> + Send) -> Result<T, String> {
    let work = AssertUnwindSafe(work).catch_unwind();
    match tokio::time::timeout(OPERATION, work).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => {
            tracing::error!("an operation panicked");
            Err(frame::errors(&Error::Internal))
        }
        Err(_) => Err(frame::errors(&Error::TimedOut)),
    }
}
