//! A room's members as they come from the store, made ready to be taken up.

use std::collections::HashMap;

use crate::model::{Role, UserId};

/// A room's members, by id and in a row.
#[derive(Default)]
pub(super) struct Attendance {
    pub(super) roles: HashMap<UserId, Role>,
    pub(super) ids: Vec<UserId>,
}

impl Attendance {
    /// Members sorted in before others may run: a millisecond at most.
    const SLICE: usize = 2_048;

    /// Sorts members in, and lets other tasks run meanwhile.
    pub(super) async fn gather(members: Vec<(UserId, Role)>) -> Self {
        // With room for some who join, so that the map need not grow while it is in use.
        let mut all = Self {
            roles: HashMap::with_capacity(members.len() + members.len() / 8),
            ids: Vec::with_capacity(members.len()),
        };
        for some in members.chunks(Self::SLICE) {
            all.ids.extend(some.iter().map(|(user, _)| user.clone()));
            all.roles.extend(some.iter().cloned());
            tokio::task::yield_now().await;
        }
        all
    }
}
