//! All that what comes may depend on, for the explorer to know a state again; and what must be so at the end.

use std::hash::Hash;
use std::sync::atomic::Ordering;

use super::steps::{Running, Spawned, Standing};
use super::{Stage, Step};
use crate::interleave::explored::digest;

impl Stage {
    /// When no one can do anything any more.
    pub(super) fn check_end(&self) {
        let head = self.head();
        assert_eq!(self.tail.head(), head);
        assert!(
            self.catch_ups.borrow().is_empty(),
            "a catch-up waits for ever"
        );
        for client in &self.clients {
            client.check_end(self);
        }
    }

    /// As [`Standing`] says; whether it was woken before it waits.
    fn standing(&self, n: Option<usize>, at: Standing) -> impl Hash + use<> {
        let client = n.map(|n| self.streams.borrow()[n].client);
        let drains = client.map(|client| self.clients[client].drains());
        let is_past = at.drained.is_some_and(|drained| Some(drained) != drains);
        (at.passed, at.offers, is_past)
    }

    /// All that what comes may depend on.
    pub(super) fn state(&self) -> u64 {
        let catch_ups: Vec<_> = {
            let catch_ups = self.catch_ups.borrow();
            let state = |spawned: &Spawned| {
                let is_running = spawned.task.is_none();
                let is_woken = spawned.woken.is_set();
                let n = self.stream_of(spawned.sub);
                let at = digest(&self.standing(n, spawned.at));
                (n, is_running, is_woken, at)
            };
            let mut states: Vec<_> = catch_ups.iter().map(state).collect();
            states.sort_unstable_by_key(|(n, ..)| *n);
            states
        };
        let running = self.running.borrow();
        let running = running.iter().map(|Running { step, at }| {
            let n = match step {
                Step::CatchUp(n) => Some(*n),
                _ => None,
            };
            (step, self.standing(n, *at))
        });
        let running: Vec<_> = running.collect();
        let worker = self.worker.borrow();
        let worker = worker.as_ref().map(|worker| digest(&worker.stand()));
        let clients = self.clients.iter().map(|client| client.state(self));
        let clients: Vec<_> = clients.collect();
        let failing = self.store.failures.load(Ordering::Relaxed);
        let log = (self.written.get(), failing, self.tail.head());
        let left = (self.failures.get(), self.overtakes.get());
        let waking = (self.is_awake.get(), self.is_waiting.get());
        let inbox = self.inbox.stand();
        digest(&(
            catch_ups, running, worker, clients, log, left, waking, inbox,
        ))
    }
}
