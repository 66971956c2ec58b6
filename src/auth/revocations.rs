//! Tokens that were withdrawn before they ran out: of a user, all that were issued up to some second.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use tokio::sync::watch;

use crate::model::{Timestamp, UserId};

/// Whose tokens are refused, by the second up to which they were issued (since 1970). Kept elsewhere; this is what is known
/// of it here.
#[derive(Debug)]
pub struct Revocations {
    up_to: RwLock<HashMap<UserId, i64>>,
    changed: watch::Sender<()>,
}

impl Default for Revocations {
    fn default() -> Self {
        Self {
            up_to: RwLock::default(),
            changed: watch::Sender::new(()),
        }
    }
}

impl Revocations {
    /// Takes these in place of what was known, and tells whoever watches.
    pub fn replace(&self, up_to: HashMap<UserId, i64>) {
        // Before the word goes out: who hears it finds the new ones.
        *self.up_to.write().unwrap_or_else(PoisonError::into_inner) = up_to;
        self.changed.send_replace(());
    }

    /// Whether a user's token was withdrawn. `iat` counts seconds: of the second of the revocation all are withdrawn. A token
    /// that does not say when it was issued may be older than any revocation.
    pub fn cover(&self, user: &UserId, issued_at: Option<Timestamp>) -> bool {
        let up_to = self.up_to.read().unwrap_or_else(PoisonError::into_inner);
        let Some(up_to) = up_to.get(user) else {
            return false;
        };
        issued_at.is_none_or(|at| at.0.div_euclid(1000) <= *up_to)
    }

    /// Notices each change from now on.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_the_same_second_and_before_are_withdrawn_and_later_ones_are_not() {
        let revocations = Revocations::default();
        let ada = UserId::parse("id", "ada").unwrap();
        let covers = |millis| revocations.cover(&ada, Some(Timestamp(millis)));
        assert!(!covers(0) && !revocations.cover(&ada, None));
        revocations.replace(HashMap::from([(ada.clone(), 1_800_000_000)]));
        assert!(covers(0) && covers(1_800_000_000_000) && covers(1_800_000_000_999));
        assert!(!covers(1_800_000_001_000));
        assert!(revocations.cover(&ada, None));
        let ben = UserId::parse("id", "ben").unwrap();
        assert!(!revocations.cover(&ben, None));
        revocations.replace(HashMap::new());
        assert!(!covers(0));
    }
}
