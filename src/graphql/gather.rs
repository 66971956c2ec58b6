//! Reads that siblings ask for one by one and that are done together.
//!
//! Not `async_graphql::dataloader`: that waits on a timer and reads in a task of its own, so how many reads there are
//! depends on the clock and on other threads. Here the first to ask lets the rest of its own request come up, in the
//! same task, and reads for all. Nothing is kept: the next to ask reads again.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::mem::take;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::error::Error;
use crate::store::StoreError;

type Answer<V> = oneshot::Sender<Result<Option<V>, Error>>;

/// One kind of read, gathered.
pub(super) struct Gather<K, V> {
    waiting: Mutex<Vec<(K, Answer<V>)>>,
}

impl<K, V> Default for Gather<K, V> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
        }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Gather<K, V> {
    /// The value for a key, read together with those of everyone who asks meanwhile. `read` gets each key once.
    pub(super) async fn load<R>(
        &self,
        key: K,
        read: impl Fn(Vec<K>) -> R,
    ) -> Result<Option<V>, Error>
    where
        R: Future<Output = Result<HashMap<K, V>, StoreError>>,
    {
        loop {
            let (answer, mut answered) = oneshot::channel();
            if self.ask(key.clone(), answer) {
                self.lead(&read).await;
                // Led to its end, so the answer is there.
                return answered.try_recv().unwrap_or(Err(Error::Internal));
            }
            // The leader was dropped with its part of the request: someone else leads.
            if let Ok(answer) = answered.await {
                return answer;
            }
        }
    }

    /// Whether the caller is the first and so leads.
    fn ask(&self, key: K, answer: Answer<V>) -> bool {
        let mut waiting = self.waiting();
        waiting.push((key, answer));
        waiting.len() == 1
    }

    async fn lead<R>(&self, read: &impl Fn(Vec<K>) -> R)
    where
        R: Future<Output = Result<HashMap<K, V>, StoreError>>,
    {
        let abandoned = Abandoned(self);
        self.until_all_have_asked().await;
        let waiting = take(&mut *self.waiting());
        drop(abandoned);
        let mut seen = HashSet::new();
        let keys = waiting.iter().map(|(key, _)| key);
        let keys = keys.filter(|key| seen.insert(*key)).cloned().collect();
        let found = read(keys).await.map_err(|error| {
            tracing::error!(error = ?error, "a read failed");
            Error::Store(error)
        });
        for (key, answer) in waiting {
            let value = match &found {
                Ok(found) => Ok(found.get(&key).cloned()),
                Err(error) => Err(error.clone()),
            };
            // Whoever asked may be gone.
            let _ = answer.send(value);
        }
    }

    /// Once a whole turn of the task has brought no one new, all are there. Tokio wakes who yields only after the task
    /// has come to rest; who woke itself would be polled again by the innermost of the joins that it is in, before the
    /// outer ones have come to its cousins.
    async fn until_all_have_asked(&self) {
        loop {
            let asked = self.waiting().len();
            yield_now().await;
            if self.waiting().len() == asked {
                return;
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(K, Answer<V>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends everyone away if the leader is dropped before it has read, so that no one waits for it.
struct Abandoned<'a, K: Clone + Eq + Hash, V: Clone>(&'a Gather<K, V>);

impl<K: Clone + Eq + Hash, V: Clone> Drop for Abandoned<'_, K, V> {
    fn drop(&mut self) {
        take(&mut *self.0.waiting());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use futures_util::future::{BoxFuture, join_all};
    use futures_util::stream::{FuturesUnordered, StreamExt};

    use super::*;

    async fn doubled(reads: &AtomicUsize, keys: Vec<u32>) -> Result<HashMap<u32, u32>, StoreError> {
        reads.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        Ok(keys.into_iter().map(|key| (key, 2 * key)).collect())
    }

    #[tokio::test]
    async fn siblings_are_read_together_and_each_key_once() {
        let (gather, reads) = (Gather::default(), AtomicUsize::new(0));
        let all =
            join_all((0..200).map(|n| gather.load(n % 50, |keys| doubled(&reads, keys)))).await;
        for (n, value) in (0..200).zip(all) {
            assert_eq!(value.unwrap(), Some(2 * (n % 50)));
        }
        assert_eq!(reads.into_inner(), 1);
    }

    /// A tree as the executor makes it: lists of objects with several fields each, the keys at its leaves.
    fn tree<'a>(
        gather: &'a Gather<u32, u32>,
        reads: &'a AtomicUsize,
        depth: u32,
        key: u32,
    ) -> BoxFuture<'a, ()> {
        async move {
            if depth == 0 {
                gather.load(key, |keys| doubled(reads, keys)).await.unwrap();
                return;
            }
            let children = (0..3).map(|n| tree(gather, reads, depth - 1, 3 * key + n));
            let mut children: FuturesUnordered<_> = children.collect();
            while children.next().await.is_some() {}
        }
        .boxed()
    }

    #[tokio::test]
    async fn cousins_are_read_together_however_far_apart() {
        let (gather, reads) = (Gather::default(), AtomicUsize::new(0));
        tree(&gather, &reads, 6, 0).await;
        assert_eq!(reads.into_inner(), 1);
    }

    #[tokio::test]
    async fn nothing_is_kept() {
        let (gather, reads) = (Gather::default(), AtomicUsize::new(0));
        for _ in 0..2 {
            gather.load(1, |keys| doubled(&reads, keys)).await.unwrap();
        }
        assert_eq!(reads.into_inner(), 2);
    }

    #[tokio::test]
    async fn another_leads_when_the_leader_is_dropped() {
        for polls in 1..=3 {
            let (gather, reads) = (Gather::default(), AtomicUsize::new(0));
            let mut leader = Box::pin(gather.load(1, |keys| doubled(&reads, keys)));
            let mut follower = Box::pin(gather.load(2, |keys| doubled(&reads, keys)));
            for _ in 0..polls {
                assert!((&mut leader).now_or_never().is_none());
                assert!((&mut follower).now_or_never().is_none());
            }
            drop(leader);
            assert_eq!(follower.await.unwrap(), Some(4));
        }
    }
}
