//! Who goes on: every order of steps, each once, or orders at random.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::mem::{Discriminant, discriminant};
use std::rc::Rc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::script::{Plot, Script};
use super::stage::{Stage, Step};

/// Many more than any script needs.
const STEPS_MOST: usize = 20_000;

/// Decides who goes on.
pub(super) trait Choose {
    /// What was chosen here in the run before, where this one repeats that.
    fn again(&self) -> Option<Step> {
        None
    }

    /// One of `options`, of which there is at least one; `None` where nothing new can come of this run. `state`: all that
    /// what comes may depend on.
    fn choose(&self, state: &dyn Fn() -> u64, options: Vec<Step>) -> Option<Step>;
}

/// All orders: each run takes the steps of the one before up to the last choice that has another option, and leaves off
/// where it comes to a state that was explored before.
#[derive(Default)]
struct AllOrders {
    path: RefCell<Vec<Choice>>,
    depth: Cell<usize>,
    is_known: Cell<bool>,
    states: RefCell<HashMap<u64, Reached>>,
    /// Steps that the server takes by itself, from state to state.
    own: RefCell<HashMap<u64, Vec<u64>>>,
}

struct Choice {
    state: u64,
    options: Vec<Step>,
    taken: usize,
}

/// How a state was come to first.
#[derive(Clone, Copy)]
struct Reached {
    from: u64,
    by: Step,
}

/// What was explored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) runs: usize,
    pub(super) steps_most: usize,
}

/// Tells the steps of a run that fails.
struct Told<'a>(&'a dyn Fn() -> Vec<Step>);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let steps = (self.0)();
            let last = steps.len().saturating_sub(100);
            eprintln!("after {last} steps and {:?}", &steps[last..]);
        }
    }
}

/// Explores all orders of a script's steps.
pub(super) fn explore(script: &Script) -> Explored {
    let all = Rc::new(AllOrders::default());
    let plot = Rc::new(Plot::new(script));
    let mut explored = Explored {
        states: 0,
        runs: 0,
        steps_most: 0,
    };
    loop {
        all.depth.set(0);
        all.is_known.set(false);
        {
            let steps = || all.steps();
            let _told = Told(&steps);
            Stage::run(&plot, all.clone());
        }
        explored.runs += 1;
        explored.steps_most = explored.steps_most.max(all.path.borrow().len());
        if !all.turn_back() {
            break;
        }
    }
    all.check_rest();
    explored.states = all.states.borrow().len();
    explored
}

impl Choose for AllOrders {
    fn again(&self) -> Option<Step> {
        let path = self.path.borrow();
        let choice = path.get(self.depth.get())?;
        self.depth.set(self.depth.get() + 1);
        Some(choice.options[choice.taken])
    }

    fn choose(&self, state: &dyn Fn() -> u64, options: Vec<Step>) -> Option<Step> {
        if self.is_known.get() {
            return None;
        }
        self.depth.set(self.depth.get() + 1);
        let mut path = self.path.borrow_mut();
        assert!(path.len() < STEPS_MOST, "this does not come to an end");
        let state = state();
        let last = path.last().map(|choice| Reached {
            from: choice.state,
            by: choice.options[choice.taken],
        });
        if let Some(last) = last
            && last.by.is_own()
        {
            let mut own = self.own.borrow_mut();
            own.entry(last.from).or_default().push(state);
        }
        let first = Reached {
            from: 0,
            by: Step::GoOn,
        };
        let is_new = match self.states.borrow_mut().entry(state) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(last.unwrap_or(first));
                true
            }
            std::collections::hash_map::Entry::Occupied(_) => false,
        };
        if !is_new {
            self.is_known.set(true);
            return None;
        }
        let step = options[0];
        path.push(Choice {
            state,
            options,
            taken: 0,
        });
        Some(step)
    }
}

impl AllOrders {
    fn steps(&self) -> Vec<Step> {
        let path = self.path.borrow();
        path.iter()
            .map(|choice| choice.options[choice.taken])
            .collect()
    }

    /// On to the next option of the last choice that has one.
    fn turn_back(&self) -> bool {
        let mut path = self.path.borrow_mut();
        while let Some(choice) = path.last_mut() {
            choice.taken += 1;
            if choice.taken < choice.options.len() {
                return true;
            }
            path.pop();
        }
        false
    }

    /// Left to itself the server comes to rest: no steps of its own lead back to where it was.
    fn check_rest(&self) {
        let own = self.own.borrow();
        let (mut done, mut on_path) = (HashSet::new(), HashSet::new());
        for first in own.keys() {
            // Each with the next of its followers to look at.
            let mut path = vec![(*first, 0)];
            while let Some((state, next)) = path.pop() {
                if next == 0 && !done.insert(state) {
                    continue;
                }
                on_path.insert(state);
                let Some(follower) = own.get(&state).and_then(|all| all.get(next)) else {
                    on_path.remove(&state);
                    continue;
                };
                path.push((state, next + 1));
                assert!(
                    !on_path.contains(follower),
                    "it never comes to rest after {:?}",
                    self.steps_to(*follower)
                );
                path.push((*follower, 0));
            }
        }
    }

    fn steps_to(&self, state: u64) -> Vec<Step> {
        let states = self.states.borrow();
        let mut steps = Vec::new();
        let mut at = state;
        while let Some(reached) = states.get(&at).filter(|reached| reached.from != 0) {
            steps.push(reached.by);
            at = reached.from;
        }
        steps.reverse();
        steps
    }
}

/// Steps at random, some kinds of them more often than others.
struct AtRandom {
    rng: RefCell<StdRng>,
    weights: RefCell<HashMap<Discriminant<Step>, u32>>,
    steps: RefCell<Vec<Step>>,
}

impl Choose for AtRandom {
    fn choose(&self, _: &dyn Fn() -> u64, options: Vec<Step>) -> Option<Step> {
        let (mut rng, mut steps) = (self.rng.borrow_mut(), self.steps.borrow_mut());
        assert!(steps.len() < STEPS_MOST, "this does not come to an end");
        let mut weights = self.weights.borrow_mut();
        for option in &options {
            let weight = weights.entry(discriminant(option));
            weight.or_insert_with(|| *[1, 5, 25].choose(&mut *rng).unwrap());
        }
        let step = options.choose_weighted(&mut *rng, |option| weights[&discriminant(option)]);
        let step = *step.unwrap();
        steps.push(step);
        Some(step)
    }
}

/// One order of steps, by a seed.
pub(super) fn wander(script: &Script, seed: u64) {
    let random = Rc::new(AtRandom {
        rng: RefCell::new(StdRng::seed_from_u64(seed)),
        weights: RefCell::default(),
        steps: RefCell::default(),
    });
    let steps = || random.steps.borrow().clone();
    let _told = Told(&steps);
    Stage::run(&Rc::new(Plot::new(script)), random.clone());
}
