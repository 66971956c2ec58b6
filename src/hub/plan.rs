//! Planning: the first of two executions of a subscription's resolver, which coerces its arguments, authorises, and says
//! what is to be followed.

use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::Data;
use async_graphql::parser::types::OperationType;
use futures_util::StreamExt;

use super::canonical::canonical;
use super::operation::{Operation, Parts};
use super::operations::OperationKey;
use super::payload::refusal_json;
use super::{Core, Plan, Wish};
use crate::auth::Viewer;
use crate::document::Prepared;

/// Where the resolver of a planned subscription writes its intent. Found in the request's data.
#[derive(Clone, Default)]
pub struct IntentSlot(Arc<Mutex<Option<Wish>>>);

impl IntentSlot {
    /// Says what is to be followed.
    pub fn write(&self, wish: impl Into<Wish>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(wish.into());
    }

    fn take(&self) -> Option<Wish> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// See [`super::Hub::plan`].
pub(super) async fn plan(
    core: &Arc<Core>,
    prepared: Prepared,
    viewer: Arc<Viewer>,
) -> Result<Plan, String> {
    // Before anything is awaited: what is sent after the subscription was asked for belongs to it.
    let head = core.tail.end(&*core.store).seq;
    if prepared.kind != OperationType::Subscription {
        return Err(refusal_json("the operation is not a subscription"));
    }
    let wish = ask(core, prepared.clone(), &viewer).await?;
    let canonical =
        canonical(&core.shape, &prepared).map_err(|refusal| refusal_json(&refusal.to_string()))?;
    let viewer = canonical.per_viewer.then_some(viewer);
    let owner = viewer.as_ref().map(|viewer| viewer.user.id.clone());
    let key = OperationKey::new(&canonical.text, owner);
    let operation = core.operations.get(key, |id| {
        Operation::new(Parts {
            id,
            messages_only: matches!(&wish, Wish::Log(intent) if intent.messages_only),
            selections: canonical.selections,
            viewer,
            prepared: canonical.prepared,
            execute: core.execute.clone(),
            payloads: core.payloads.clone(),
        })
    });
    operation.open()?;
    Ok(Plan {
        operation,
        wish,
        head,
    })
}

/// Executes the operation for its intent.
async fn ask(core: &Core, prepared: Prepared, viewer: &Arc<Viewer>) -> Result<Wish, String> {
    let slot = IntentSlot::default();
    let mut data = Data::default();
    data.insert(slot.clone());
    data.insert(viewer.clone());
    let mut responses = (core.execute)(prepared, data);
    while let Some(response) = responses.next().await {
        if !response.errors.is_empty() {
            let errors = serde_json::to_string(&response.errors);
            return Err(errors.unwrap_or_else(|_| "[]".into()));
        }
    }
    let nothing = || refusal_json("the subscription's root field cannot be followed");
    slot.take().ok_or_else(nothing)
}
