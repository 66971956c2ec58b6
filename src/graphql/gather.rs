//! Reads that siblings ask for one by one and that are done together.
//!
//! Not `async_graphql::dataloader`: that waits on a timer and reads in a task of its own, so how many reads there are
//! depends on the clock and on other threads. Here the first to ask lets the rest of its own request come up, in the
//! same task, and reads for all. Nothing is kept: the next to ask reads again.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::mem::{replace, take};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures_util::future::poll_fn;
use tokio::sync::oneshot;

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

    /// Siblings are polled in turn: once a whole turn has brought no one new, all are there.
    async fn until_all_have_asked(&self) {
        loop {
            let asked = self.waiting().len();
            one_turn().await;
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

/// Lets everything else in this task be polled once.
async fn one_turn() {
    let mut yielded = false;
    poll_fn(|cx| {
        if replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use futures_util::future::join_all;
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

    #[tokio::test]
    async fn cousins_are_read_together() {
        let (gather, reads) = (Gather::default(), AtomicUsize::new(0));
        let families = (0..40).map(|n| {
            let gather = &gather;
            let reads = &reads;
            async move {
                let children = (0..5).map(|m| gather.load(5 * n + m, |keys| doubled(reads, keys)));
                let children: FuturesUnordered<_> = children.collect();
                children.collect::<Vec<_>>().await
            }
        });
        join_all(families).await;
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
        for polls in 1..=2 {
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
