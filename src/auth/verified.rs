//! Tokens whose signature was found good: what they say, so that whoever comes back with the same one costs no second check.
//!
//! Knows of signatures only. Whether a token holds at this time, is meant for this server and was not withdrawn is decided
//! each time anew, from what it says.

use std::sync::{Arc, Mutex, PoisonError};

use blake3::Hash;
use lru::LruCache;

use super::claims::Claims;

/// Tokens: as many devices as one server has connected, by far.
const ENTRIES_MAX: usize = 16_384;
/// Bytes of what they say, roughly. Most say some 600 bytes, and those of 8 KiB are no one's habit.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// The keys that a signature was checked with. Of other keys nothing is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Edition(Hash);

impl Edition {
    /// Of the keys that are published in these bytes.
    pub(super) fn of(published: &[u8]) -> Self {
        Self(blake3::hash(published))
    }
}

/// What good tokens say, by a hash of the whole token, signature included; the least recently shown goes first.
pub(super) struct Verified {
    known: Mutex<Known>,
    entries_max: usize,
    bytes_max: usize,
}

struct Known {
    edition: Option<Edition>,
    tokens: LruCache<Hash, Arc<Claims>>,
    bytes: usize,
}

impl Default for Verified {
    fn default() -> Self {
        Self::bounded(ENTRIES_MAX, BYTES_MAX)
    }
}

impl Verified {
    fn bounded(entries_max: usize, bytes_max: usize) -> Self {
        Self {
            known: Mutex::new(Known {
                edition: None,
                tokens: LruCache::unbounded(),
                bytes: 0,
            }),
            entries_max,
            bytes_max,
        }
    }

    /// What a token says, if one of these keys was found to have signed it.
    pub(super) fn get(&self, edition: Edition, token: &Hash) -> Option<Arc<Claims>> {
        self.with(edition, |known| known.tokens.get(token).cloned())
    }

    /// Remembers a good token.
    pub(super) fn put(&self, edition: Edition, token: Hash, claims: Claims) {
        self.with(edition, |known| {
            known.bytes += claims.weight();
            if let Some(before) = known.tokens.put(token, Arc::new(claims)) {
                known.bytes -= before.weight();
            }
            while known.tokens.len() > self.entries_max || known.bytes > self.bytes_max {
                let Some((_, oldest)) = known.tokens.pop_lru() else {
                    break;
                };
                known.bytes -= oldest.weight();
            }
        });
    }

    /// Forgets a token that does not hold any more.
    pub(super) fn forget(&self, token: &Hash) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gone) = known.tokens.pop(token) {
            known.bytes -= gone.weight();
        }
    }

    fn with<T>(&self, edition: Edition, act: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.edition != Some(edition) {
            // A key may have been taken back: nothing that it signed counts any more.
            known.tokens.clear();
            known.bytes = 0;
            known.edition = Some(edition);
        }
        act(&mut known)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.lock().unwrap().tokens.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(sub: &str) -> Claims {
        serde_json::from_value(json!({ "sub": sub })).unwrap()
    }

    fn token(n: usize) -> Hash {
        blake3::hash(n.to_string().as_bytes())
    }

    fn edition() -> Edition {
        Edition::of(b"a set")
    }

    fn known(verified: &Verified, tokens: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let is_known = |n: &usize| verified.get(edition(), &token(*n)).is_some();
        tokens.into_iter().filter(is_known).collect()
    }

    #[test]
    fn the_least_recently_shown_goes_when_there_are_too_many() {
        let verified = Verified::bounded(3, BYTES_MAX);
        for n in 0..3 {
            verified.put(edition(), token(n), claims("ada"));
        }
        assert_eq!(known(&verified, [2, 1, 0]), [2, 1, 0]);
        verified.put(edition(), token(3), claims("ada"));
        assert_eq!(known(&verified, 0..4), [0, 1, 3]);
    }

    #[test]
    fn what_they_say_in_all_is_bounded_too() {
        let one = claims(&"a".repeat(1_000)).weight();
        let verified = Verified::bounded(ENTRIES_MAX, 3 * one);
        let put = |n| verified.put(edition(), token(n), claims(&"a".repeat(1_000)));
        (0..3).for_each(put);
        assert_eq!(known(&verified, 0..3), [0, 1, 2]);
        // The same once more is no more.
        put(0);
        assert_eq!(known(&verified, 0..3), [0, 1, 2]);
        put(3);
        assert_eq!(known(&verified, 0..4), [1, 2, 3]);
        verified.put(edition(), token(4), claims(&"a".repeat(4 * one)));
        assert_eq!(verified.len(), 0, "one that is over the bound by itself");
        put(5);
        assert_eq!(known(&verified, 0..6), [5]);
    }

    #[test]
    fn a_list_weighs_what_it_takes_in_memory_and_not_what_it_took_on_the_wire() {
        let many: Claims =
            serde_json::from_value(json!({ "aud": [vec![1; 500], vec![2; 500]] })).unwrap();
        assert!(many.weight() > 1_000 * size_of::<serde_json::Value>());
    }

    #[test]
    fn other_keys_know_nothing_of_what_these_have_signed() {
        let verified = Verified::default();
        verified.put(edition(), token(1), claims("ada"));
        let rotated = Edition::of(b"another set");
        assert!(verified.get(rotated, &token(1)).is_none());
        let once_back = known(&verified, [1]);
        assert!(once_back.is_empty(), "nor do these, once they are back");
    }

    #[test]
    fn what_is_forgotten_is_not_counted_any_more() {
        let verified = Verified::bounded(ENTRIES_MAX, 2 * claims("ada").weight());
        for n in 0..9 {
            verified.put(edition(), token(n), claims("ada"));
            verified.forget(&token(n));
            verified.forget(&token(n));
        }
        verified.put(edition(), token(10), claims("ada"));
        verified.put(edition(), token(11), claims("ada"));
        assert_eq!(known(&verified, 0..12), [10, 11]);
    }
}
