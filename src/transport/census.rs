//! How many sockets and streams each viewer has open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::UserId;

/// Counts the sockets and streams of each viewer.
#[derive(Debug, Default)]
pub(super) struct Census {
    sockets: Mutex<HashMap<UserId, usize>>,
}

/// One of them, counted until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    census: Arc<Census>,
    user: UserId,
}

impl Census {
    /// Counts one more of a viewer; `None` when it has `max` already. 0 is no limit.
    pub(super) fn enter(self: &Arc<Self>, user: &UserId, max: usize) -> Option<Counted> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sockets.entry(user.clone()).or_default();
        if max > 0 && *count >= max {
            return None;
        }
        *count += 1;
        Some(Counted {
            census: self.clone(),
            user: user.clone(),
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut sockets = self
            .census
            .sockets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sockets.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                sockets.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_closes_makes_room() {
        let census = Arc::new(Census::default());
        let ada: UserId = UserId::parse("id", "ada").unwrap();
        let first = census.enter(&ada, 1);
        assert!(first.is_some());
        assert!(census.enter(&ada, 1).is_none());
        assert!(
            census
                .enter(&UserId::parse("id", "eve").unwrap(), 1)
                .is_some()
        );
        drop(first);
        assert!(census.enter(&ada, 1).is_some());
        assert!(census.sockets.lock().unwrap().is_empty());
    }
}
