//! The hub's parts - tail, worker, catch-ups, outboxes - on one thread, each moved on by one step at a time.

mod state;
mod steps;

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use self::steps::{Bell, Running, Spawned, Standing, Task};
pub(super) use self::steps::{Step, Woken};
use super::client::Client;
use super::explorer::Choose;
use super::owed::Stream;
use super::render;
use super::script::{Plot, Write};
use crate::bus::{Announcement, Bus};
use crate::hub::core::Core;
use crate::hub::line::{Inbox, Sub};
use crate::hub::operation::Operation;
use crate::hub::tests::store::MemoryStore;
use crate::hub::worker::Worker;
use crate::interleave::explored::{self, digest};
use crate::log::{Tail, TailLimits};
use crate::model::Seq;

pub(super) struct Stage {
    pub(super) plot: Rc<Plot>,
    choice: Rc<dyn Choose>,
    pub(super) core: Arc<Core>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) tail: Arc<Tail>,
    pub(super) inbox: Arc<Inbox>,
    /// `events`, and `messageSent`.
    pub(super) operations: [Arc<Operation>; 2],
    written: Cell<usize>,
    bus: Bell,
    /// Away while it runs, as each of those below.
    follow: Parked<Pin<Box<dyn Future<Output = ()> + Send>>>,
    worker: Parked<Worker>,
    growth: RefCell<watch::Receiver<Seq>>,
    is_awake: Cell<bool>,
    /// Tasks, each with the digest of its subscription.
    spawned: Arc<Mutex<Vec<(u64, Task)>>>,
    /// Whose task is spawned next.
    spawning: Arc<AtomicU64>,
    catch_ups: RefCell<Vec<Spawned>>,
    clients: Vec<Client>,
    pub(super) streams: RefCell<Vec<Stream>>,
    /// Whose catch-up is whose: digests of their subscriptions, in order of `streams`.
    pub(super) subs: RefCell<Vec<u64>>,
    failures: Cell<usize>,
    is_waiting: Cell<bool>,
    overtakes: Cell<usize>,
    /// Who runs, the last one overtaking those before, and where each stands.
    running: RefCell<Vec<Running>>,
}

type Parked<T> = RefCell<Option<T>>;

impl Stage {
    /// Runs a script until nothing is left to do, or until `choice` has seen enough.
    pub(super) fn run(plot: &Rc<Plot>, choice: Rc<dyn Choose>) {
        let _entered = plot.runtime.enter();
        let stage = Rc::new(Self::new(plot, choice));
        let hook = Rc::downgrade(&stage);
        explored::set(Some(Rc::new(move |name, state| {
            if let Some(stage) = hook.upgrade() {
                stage.reach(name, state);
            }
        })));
        stage.rest();
        stage.overtakes.set(plot.script.overtakes);
        while let Some(step) = stage.next() {
            stage.take(step);
        }
        explored::set(None);
    }

    fn new(plot: &Rc<Plot>, choice: Rc<dyn Choose>) -> Self {
        let script = &plot.script;
        let store = Arc::new(MemoryStore::default());
        *store.log.lock().unwrap() = plot.before.clone();
        store.page_items.store(script.page, Ordering::Relaxed);
        let limits = TailLimits {
            events: script.ring,
            ..TailLimits::default()
        };
        let bus = Bell(broadcast::Sender::new(1));
        let started = Tail::start(store.clone(), &bus, limits, CancellationToken::new());
        let (tail, follow) = plot.runtime.block_on(started).unwrap();
        let spawned: Arc<Mutex<Vec<(u64, Task)>>> = Arc::default();
        let spawning: Arc<AtomicU64> = Arc::default();
        let (tasks, whose) = (spawned.clone(), spawning.clone());
        let mut core = Core::new(render::setup(store.clone(), tail.clone()));
        core.pace = script.pace;
        core.spawn = Some(Box::new(move |task| {
            let sub = whose.load(Ordering::Relaxed);
            tasks.lock().unwrap().push((sub, task));
        }));
        let core = Arc::new(core);
        let growth = tail.watch();
        let inbox = Arc::new(Inbox::default());
        let worker = Worker::new(core.clone(), inbox.clone());
        let clients = script.clients.iter().enumerate();
        Self {
            plot: plot.clone(),
            choice,
            store,
            tail,
            inbox,
            operations: render::operations(&core),
            core,
            written: Cell::new(0),
            bus,
            follow: RefCell::new(Some(Box::pin(follow))),
            worker: RefCell::new(Some(worker)),
            growth: RefCell::new(growth),
            is_awake: Cell::new(true),
            spawned,
            catch_ups: RefCell::default(),
            spawning,
            clients: clients.map(|(n, (name, _))| Client::new(n, name)).collect(),
            streams: RefCell::default(),
            subs: RefCell::default(),
            failures: Cell::new(script.failures),
            is_waiting: Cell::new(false),
            overtakes: Cell::new(0),
            running: RefCell::default(),
        }
    }

    /// The end of the log.
    pub(super) fn head(&self) -> Seq {
        Seq(self.store.log.lock().unwrap().len() as u64)
    }

    /// Comes to where exploration begins, in one order.
    fn rest(&self) {
        if !self.clients.iter().any(|client| client.will_rest(self)) {
            return;
        }
        loop {
            self.look();
            let mut options = self.options().into_iter();
            let goes_on = |step: &Step| match step {
                Step::Write | Step::Fail => false,
                Step::Act(n) => !self.clients[*n].is_at_rest(self),
                _ => true,
            };
            match options.find(goes_on) {
                Some(step) => self.take(step),
                None => break,
            }
        }
        for client in &self.clients {
            client.rest(self);
        }
    }

    fn next(&self) -> Option<Step> {
        if let Some(step) = self.choice.again() {
            return Some(step);
        }
        self.look();
        let options = self.options();
        if options.is_empty() {
            self.check_end();
            return None;
        }
        self.choice.choose(&|| self.state(), options)
    }

    /// Whether the one who runs is overtaken here.
    fn overtake(&self) -> Option<Step> {
        if let Some(step) = self.choice.again() {
            return Some(step);
        }
        self.look();
        let mut options = vec![Step::GoOn];
        options.extend(self.options());
        self.choice.choose(&|| self.state(), options)
    }

    /// One who runs comes to a point where others may run before it goes on.
    fn reach(&self, name: &'static str, state: u64) {
        if name == "start" {
            self.spawning.store(state, Ordering::Relaxed);
            return;
        }
        if let Some(running) = self.running.borrow_mut().last_mut() {
            running.at.reach(name, state);
            if let Step::CatchUp(n) = running.step {
                let stream = &mut self.streams.borrow_mut()[n];
                running.at.drained = None;
                match name {
                    "wait" => running.at.drained = Some(self.clients[stream.client].drains()),
                    "page" => stream.paged = true,
                    "hand over" => stream.asked = self.tail.head(),
                    _ => {}
                }
            }
        }
        // While a payload is made its operation is locked.
        let is_free = name != "render";
        while is_free && self.overtakes.get() > 0 {
            match self.overtake() {
                None | Some(Step::GoOn) => return,
                Some(step) => {
                    self.overtakes.set(self.overtakes.get() - 1);
                    self.take(step);
                }
            }
        }
    }

    /// Who can do something.
    fn options(&self) -> Vec<Step> {
        self.adopt();
        let mut options = Vec::new();
        let mut can = |step, is_able: bool| {
            if is_able {
                options.push(step);
            }
        };
        let (head, tail) = (self.head(), self.tail.head());
        let has_worker = self.worker.borrow().is_some();
        can(Step::Turn, has_worker && self.is_awake());
        for spawned in self.catch_ups.borrow().iter() {
            if let Some(n) = self.stream_of(spawned.sub) {
                let is_ready = spawned.task.is_some() && spawned.woken.is_set();
                can(Step::CatchUp(n), is_ready);
            }
        }
        for (n, client) in self.clients.iter().enumerate() {
            can(Step::Flush(n), client.can_flush());
            can(Step::Take(n), client.can_take());
            can(Step::Act(n), client.can_act(self));
        }
        let is_ahead = head.0 >= tail.0 + self.plot.script.ahead;
        let can_hear = self.follow.borrow().is_some();
        can(Step::Announce, can_hear && head > tail);
        let is_more = self.written.get() < self.plot.writes.len();
        can(Step::Write, is_more && !is_ahead);
        let is_failing = self.store.failures.load(Ordering::Relaxed) > 0;
        can(Step::Fail, self.failures.get() > 0 && !is_failing);
        let is_idle = self.running.borrow().is_empty();
        can(Step::Wait, is_idle && self.is_waiting.get());
        options
    }

    fn take(&self, step: Step) {
        let at = Standing::default();
        self.running.borrow_mut().push(Running { step, at });
        match step {
            Step::GoOn => {}
            Step::Write => self.write(),
            Step::Announce => self.announce(),
            Step::Turn => self.turn(),
            Step::CatchUp(n) => self.catch_up(n),
            Step::Flush(n) => self.clients[n].flush(),
            Step::Take(n) => self.clients[n].take(self),
            Step::Act(n) => self.clients[n].act(self),
            Step::Fail => {
                self.failures.set(self.failures.get() - 1);
                self.store.failures.store(1, Ordering::Relaxed);
            }
            Step::Wait => {
                self.is_waiting.set(false);
                let waited = tokio::time::advance(Duration::from_secs(10));
                self.plot.runtime.block_on(waited);
            }
        }
        self.running.borrow_mut().pop();
    }

    fn write(&self) {
        let next = self.written.replace(self.written.get() + 1);
        match &self.plot.writes[next] {
            Write::Event(event) => self.store.log.lock().unwrap().push(event.clone()),
            Write::Prune(floor) => *self.store.floor.lock().unwrap() = *floor,
        }
    }

    /// Of those that were not announced only the last is: then the tail begins anew behind it.
    fn announce(&self) {
        let last = self.store.log.lock().unwrap().last().cloned();
        self.bus
            .announce(Announcement::Events(last.into_iter().collect()));
        let mut follow = self.follow.take().unwrap();
        let polled = follow.poll_unpin(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        self.follow.replace(Some(follow));
    }

    /// As [`Worker::run`] waits between its turns.
    fn is_awake(&self) -> bool {
        let bell = self.inbox.bell.notified().now_or_never().is_some();
        let grown = self.growth.borrow().has_changed().unwrap();
        if bell || grown {
            self.is_awake.set(true);
        }
        self.is_awake.get()
    }

    fn turn(&self) {
        let mut worker = self.worker.take().unwrap();
        // What has woken it by now has done so.
        self.is_awake();
        self.growth.borrow_mut().borrow_and_update();
        self.is_awake.set(false);
        let lines = self.inbox.take().unwrap();
        let begun = digest(&(worker.stand(), lines.len()));
        let at = |running: &mut Running| running.at.reach("turn", begun);
        self.running.borrow_mut().last_mut().map(at);
        if worker.turn(&lines) {
            self.is_awake.set(true);
        }
        self.worker.replace(Some(worker));
    }

    fn catch_up(&self, n: usize) {
        self.adopt();
        let sub = self.subs.borrow()[n];
        let (mut task, woken, at) = {
            let mut catch_ups = self.catch_ups.borrow_mut();
            let ready = |other: &&mut Spawned| other.sub == sub && other.task.is_some();
            let spawned = catch_ups.iter_mut().find(ready).unwrap();
            let task = spawned.task.take().unwrap();
            (task, spawned.woken.clone(), spawned.at)
        };
        self.running.borrow_mut().last_mut().unwrap().at = at;
        woken.set(false);
        let failures = self.store.failures.load(Ordering::Relaxed);
        let waker = Waker::from(woken.clone());
        let polled = task.poll_unpin(&mut Context::from_waker(&waker));
        if self.store.failures.load(Ordering::Relaxed) < failures {
            self.is_waiting.set(true);
        }
        let at = self.running.borrow().last().unwrap().at;
        let mut catch_ups = self.catch_ups.borrow_mut();
        let this = |other: &Spawned| Arc::ptr_eq(&other.woken, &woken);
        if polled.is_ready() {
            catch_ups.retain(|other| !this(other));
        } else {
            let spawned = catch_ups.iter_mut().find(|other| this(other)).unwrap();
            spawned.task = Some(task);
            spawned.at = at;
        }
    }

    /// Takes in what was spawned.
    fn adopt(&self) {
        let spawned = std::mem::take(&mut *self.spawned.lock().unwrap());
        for (sub, task) in spawned {
            let mut catch_ups = self.catch_ups.borrow_mut();
            let is_alone = catch_ups.iter().all(|other| other.sub != sub);
            assert!(is_alone, "a subscription with two owners");
            catch_ups.push(Spawned {
                sub,
                task: Some(task),
                woken: Arc::new(Woken::new(true)),
                at: Standing::default(),
            });
        }
    }

    fn stream_of(&self, sub: u64) -> Option<usize> {
        self.subs.borrow().iter().rposition(|other| *other == sub)
    }

    pub(super) fn is_seated(&self, sub: &Arc<Sub>) -> bool {
        let worker = self.worker.borrow();
        worker.as_ref().is_some_and(|worker| worker.has_seated(sub))
    }

    fn look(&self) {
        for client in &self.clients {
            client.look(self);
        }
    }
}
