//! Profiles that are known to be written, so that signing in again costs nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::model::{User, UserId};

/// Who signed in as whom; who has not come for longest is forgotten first.
pub(super) struct SignedIn {
    /// Grows as users come: a table for all of them made at once is 2 MiB, of which nearly every one of the first 500 is the
    /// first to touch another page.
    known: Mutex<LruCache<UserId, Arc<User>>>,
    users_max: usize,
}

impl SignedIn {
    /// Several times as many as one server has connected. Who is forgotten costs one write that changes nothing.
    pub(super) const USERS_MAX: usize = 65_536;

    pub(super) fn bounded(users_max: usize) -> Self {
        Self {
            known: Mutex::new(LruCache::unbounded()),
            users_max,
        }
    }

    /// Whether this very profile was written.
    pub(super) fn knows(&self, user: &Arc<User>) -> bool {
        let mut known = self.lock();
        known.get(&user.id).is_some_and(|known| known == user)
    }

    /// Remembers a profile that was written.
    pub(super) fn note(&self, user: &Arc<User>) {
        let mut known = self.lock();
        known.put(user.id.clone(), user.clone());
        if known.len() > self.users_max {
            known.pop_lru();
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<UserId, Arc<User>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> Arc<User> {
        Arc::new(User::unseen(UserId::stored(id)))
    }

    #[test]
    fn who_has_not_come_for_longest_is_forgotten_when_there_are_too_many() {
        let signed_in = SignedIn::bounded(2);
        let known = || ["ada", "eve", "joe"].map(|id| signed_in.knows(&user(id)));
        signed_in.note(&user("ada"));
        signed_in.note(&user("eve"));
        assert_eq!(known(), [true, true, false]);
        assert!(signed_in.knows(&user("ada")));
        signed_in.note(&user("joe"));
        assert_eq!(known(), [true, false, true]);
    }

    #[test]
    fn another_profile_of_the_same_user_is_not_known_until_it_was_written() {
        let signed_in = SignedIn::bounded(1);
        signed_in.note(&user("ada"));
        let renamed = Arc::new(User {
            name: "Ada".into(),
            ..(*user("ada")).clone()
        });
        assert!(!signed_in.knows(&renamed));
        signed_in.note(&renamed);
        assert!(signed_in.knows(&renamed));
        assert!(!signed_in.knows(&user("ada")));
    }
}
