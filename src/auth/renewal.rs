//! A fresh token's way to the socket that it is for.

use std::sync::{Arc, Mutex, PoisonError};

use super::Viewer;

/// Where a mutation leaves the viewer of a fresh token, and whoever serves the socket finds it. Clones are one.
#[derive(Clone, Default, Debug)]
pub struct Renewal(Arc<Mutex<Option<Arc<Viewer>>>>);

impl Renewal {
    /// Leaves it; of two the later counts.
    pub fn leave(&self, viewer: Arc<Viewer>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(viewer);
    }

    /// What was left, once.
    pub fn take(&self) -> Option<Arc<Viewer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
