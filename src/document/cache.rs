//! Something by key, bounded by count and by weight; what was not used longest goes first.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

/// A cache for many threads at once.
pub(crate) struct Cache<K: Hash + Eq, V> {
    inner: Mutex<Inner<K, V>>,
    count_max: usize,
    weight_max: usize,
}

struct Inner<K: Hash + Eq, V> {
    items: LruCache<K, (V, usize)>,
    weight: usize,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    pub(crate) fn new(count_max: usize, weight_max: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                items: LruCache::unbounded(),
                weight: 0,
            }),
            count_max,
            weight_max,
        }
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.lock().items.get(key).map(|(value, _)| value.clone())
    }

    /// Remembers something, unless it alone is over the bound.
    pub(crate) fn put(&self, key: K, value: V, weight: usize) {
        if weight > self.weight_max || self.count_max == 0 {
            return;
        }
        let mut inner = self.lock();
        inner.weight += weight;
        if let Some((_, (_, before))) = inner.items.push(key, (value, weight)) {
            inner.weight -= before;
        }
        while inner.items.len() > self.count_max || inner.weight > self.weight_max {
            match inner.items.pop_lru() {
                Some((_, (_, weight))) => inner.weight -= weight,
                None => break,
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().items.len()
    }

    // A panic while it was locked would have to come from `Hash` or `Eq`; what is cached is whole all the same.
    fn lock(&self) -> MutexGuard<'_, Inner<K, V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_longest_goes_when_there_are_too_many() {
        let cache = Cache::new(2, 100);
        cache.put("a", 1, 1);
        cache.put("b", 2, 1);
        assert_eq!(cache.get("a"), Some(1));
        cache.put("c", 3, 1);
        assert_eq!(
            (cache.get("a"), cache.get("b"), cache.get("c")),
            (Some(1), None, Some(3))
        );
    }

    #[test]
    fn the_weight_of_all_stays_within_its_bound() {
        let cache = Cache::new(100, 10);
        cache.put("a", 1, 6);
        cache.put("b", 2, 4);
        assert_eq!((cache.get("a"), cache.get("b")), (Some(1), Some(2)));
        cache.put("c", 3, 1);
        assert_eq!((cache.get("a"), cache.get("b")), (None, Some(2)));
        cache.put("b", 5, 10);
        assert_eq!((cache.get("b"), cache.get("c")), (Some(5), None));
        cache.put("d", 4, 11);
        assert_eq!((cache.get("b"), cache.get("d")), (Some(5), None));
        assert_eq!(cache.lock().weight, 10);
    }
}
