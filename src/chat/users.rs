//! Whose profile counts: the newest token's.

use std::sync::Arc;

use crate::log::Batch;
use crate::model::{User, UserId};

/// The viewer by its newest token: the one it came with, or a newer one that was seen before.
pub(super) fn newest(shown: &Arc<User>, batch: &Batch) -> Arc<User> {
    match batch.user(&shown.id) {
        Some(known) if known.profile_at > shown.profile_at => known.clone(),
        _ => shown.clone(),
    }
}

/// Writes the viewer's profile where it is news.
pub(super) fn note(newest: Arc<User>, batch: &mut Batch) {
    if batch.user(&newest.id) != Some(&newest) {
        batch.put_user(newest);
    }
}

/// A user who is to be added to a room, signed in or not.
pub(super) fn known_or_unseen(id: &UserId, batch: &Batch) -> Arc<User> {
    batch
        .user(id)
        .cloned()
        .unwrap_or_else(|| Arc::new(User::unseen(id.clone())))
}
