//! What sockets need of the rest of the server, by the parts that the server is made of.

use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::{Map, Value as Json};

use super::{Api, Subscriptions};
use crate::auth::{Renewal, Viewer};
use crate::document::{Documents, Params, Prepared, Rejection};
use crate::error::Error;
use crate::graphql::executor::Executor;
use crate::hub::{Connection, Envelope, Hub, Notice, Outbox, Plan};
use crate::model::Cursor;
use crate::transport::http::Admit;

/// The server's own parts.
pub struct Live {
    /// Makes operations ready.
    pub documents: Arc<Documents>,
    /// Runs queries and mutations.
    pub executor: Executor,
    /// Lets viewers in.
    pub admit: Arc<dyn Admit>,
    /// Runs subscriptions.
    pub hub: Hub,
}

impl Api for Live {
    type Plan = Plan;
    type Connection = Connection;

    async fn authenticate(&self, token: &str) -> Result<Arc<Viewer>, Error> {
        self.hub.has_room().await;
        self.admit.admit(token).await
    }

    fn prepare(&self, request: Map<String, Json>) -> Result<Prepared, String> {
        Params::from_json(Json::Object(request))
            .and_then(|params| self.documents.prepare_params(params))
            .map_err(errors)
    }

    async fn execute(
        &self,
        prepared: Prepared,
        viewer: Arc<Viewer>,
        renewal: Option<Renewal>,
    ) -> Result<String, String> {
        let execution = self.executor.execute_on(prepared, Some(viewer), renewal);
        let response = execution.await.map_err(errors)?;
        // A response of the executor's holds nothing that JSON cannot.
        serde_json::to_string(&response).map_err(|_| errors(Error::Internal.into()))
    }

    async fn plan(&self, prepared: Prepared, viewer: Arc<Viewer>) -> Result<Plan, String> {
        self.hub.plan(prepared, viewer).await
    }

    fn connect(
        &self,
        viewer: Arc<Viewer>,
        outbox: Arc<Outbox>,
        envelope: Arc<dyn Envelope>,
    ) -> Connection {
        self.hub.connect(viewer, outbox, envelope)
    }

    fn head(&self) -> Cursor {
        self.hub.head()
    }
}

impl Subscriptions for Connection {
    type Plan = Plan;

    fn subscribe(&self, id: Arc<str>, plan: Plan, resume: Option<Cursor>) {
        self.subscribe(id, plan, resume);
    }

    fn unsubscribe(&self, id: &str) {
        self.unsubscribe(id);
    }

    fn renew(&self, viewer: &Viewer) {
        self.renew(viewer);
    }

    fn leave_cleanly(&self) {
        self.leave_cleanly();
    }

    fn ping(&self) {
        self.ping();
    }

    fn poll_notice(&self, cx: &mut Context<'_>) -> Poll<Notice> {
        self.poll_notice(cx)
    }
}

pub(in crate::transport) fn errors(rejection: Rejection) -> String {
    // An error of ours holds nothing that JSON cannot.
    serde_json::to_string(&rejection.errors).unwrap_or_else(|_| "[]".to_owned())
}
