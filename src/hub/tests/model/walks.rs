//! Larger scripts than can be explored, each in one order, all at random.
//!
//! `TIDINGS_MODEL_SEED` runs one seed, as a failure prints it; `TIDINGS_MODEL_WALKS` says how many are tried.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, SeedableRng};

use super::explorer::wander;
use super::script::{About, Act, Doing, From, SLOW, Script};
use crate::hub::position::Pace;
use crate::model::Visibility::{self, Private, Public};

const PEOPLE: [&str; 2] = ["ada", "bob"];
const ROOMS: [&[usize]; 4] = [&[0], &[0, 1], &[1, 2], &[0, SLOW]];

/// Events that are committed and not announced, at most.
const AHEAD_MAX: u64 = 4;

/// Writes scripts.
struct Dice {
    rng: StdRng,
    /// Those that are there, with who is in them.
    rooms: BTreeMap<usize, BTreeSet<&'static str>>,
    /// Messages that are not deleted: their places, and their rooms.
    messages: Vec<(u64, usize)>,
    events: u64,
    prunes: bool,
}

impl Dice {
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_ratio(1, n)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        *choices.choose(&mut self.rng).unwrap()
    }

    fn create(&mut self, room: usize, visibility: Visibility, by: &'static str) -> Doing {
        self.rooms.insert(room, [by].into());
        self.events += 1;
        Doing::Create(room, visibility, by)
    }

    fn doing(&mut self) -> Doing {
        let room = *self.rooms.keys().choose(&mut self.rng).unwrap();
        let name = self.of(&PEOPLE);
        let is_in = self.rooms[&room].contains(name);
        let kind = self.rng.random_range(0..100);
        if kind < 3 && self.prunes {
            // Nothing that the tail may not have yet.
            let most = self.events.saturating_sub(AHEAD_MAX);
            return Doing::Prune(self.rng.random_range(0..=most));
        }
        self.events += 1;
        match kind {
            3..8 if self.rooms.len() > 1 => {
                self.rooms.remove(&room);
                self.messages.retain(|(_, of)| *of != room);
                Doing::DeleteRoom(room)
            }
            8..13 => Doing::MakePrivate(room),
            13..25 if !is_in => {
                self.rooms.get_mut(&room).unwrap().insert(name);
                Doing::Join(room, name)
            }
            13..25 => {
                self.rooms.get_mut(&room).unwrap().remove(name);
                Doing::Leave(room, name)
            }
            25..32 if !self.messages.is_empty() => {
                let at = self.rng.random_range(0..self.messages.len());
                Doing::Delete(self.messages.swap_remove(at).0)
            }
            kind => {
                self.messages.push((self.events, room));
                if kind < 37 {
                    Doing::Slow(room)
                } else {
                    Doing::Say(room)
                }
            }
        }
    }

    fn doings(&mut self, count: usize) -> Vec<Doing> {
        (0..count).map(|_| self.doing()).collect()
    }

    fn about(&mut self) -> About {
        match self.rng.random_range(0..6) {
            0..3 => About::Mine,
            3 if !self.prunes => About::Messages(self.of(&[0, 1, SLOW])),
            _ => About::Rooms(self.of(&ROOMS)),
        }
    }

    fn acts(&mut self, count: usize, places: u64) -> Vec<Act> {
        let act = |dice: &mut Self| {
            let id = dice.of(&['a', 'b']);
            match dice.rng.random_range(0..10) {
                0..5 => {
                    let after = From::After(dice.rng.random_range(0..=places));
                    let from = dice.of(&[From::Now, after, From::Known]);
                    Act::Subscribe(id, dice.about(), from)
                }
                5 => Act::Unsubscribe(id),
                6 => Act::Cut,
                _ => Act::Ping,
            }
        };
        (0..count).map(|_| act(self)).collect()
    }

    fn script(mut self) -> Script {
        let mut before = vec![
            self.create(0, Public, "ada"),
            self.create(1, Private, "bob"),
            self.create(2, Private, "ada"),
        ];
        if self.one_in(2) {
            before.push(self.create(SLOW, Public, "bob"));
        }
        self.prunes = false;
        let count = self.rng.random_range(0..6);
        before.extend(self.doings(count));
        self.prunes = self.one_in(4);
        let places = self.events;
        let count = self.rng.random_range(4..16);
        let writes = self.doings(count);
        let clients = self.rng.random_range(1..4);
        let clients = (0..clients).map(|_| {
            let count = self.rng.random_range(1..8);
            (self.of(&PEOPLE), self.acts(count, places))
        });
        let clients = clients.collect();
        let remainder = self.of(&[1, 2, 64]);
        Script {
            before,
            writes,
            clients,
            ring: self.of(&[1, 2, 4, 100]),
            ahead: self.of(&[1, 2, AHEAD_MAX]),
            budget: self.of(&[1, 2, 5, 100]),
            wire: self.of(&[None, Some(20), Some(100), Some(1_000)]),
            page: self.of(&[2, 3, 100]),
            pace: Pace {
                remainder,
                seating: 4 * remainder,
                ring: self.of(&[1, 2, 64]),
                ..Pace::default()
            },
            failures: self.of(&[0, 0, 3]),
            overtakes: self.of(&[0, 3, 1_000_000]),
        }
    }
}

fn walk(seed: u64) {
    let dice = Dice {
        rng: StdRng::seed_from_u64(seed),
        rooms: BTreeMap::new(),
        messages: Vec::new(),
        events: 0,
        prunes: false,
    };
    let script = dice.script();
    let told = Told(seed, &script);
    wander(&script, seed);
    drop(told);
}

/// Says which walk has failed.
struct Told<'a>(u64, &'a Script);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}: {:?}", self.0, self.1);
        }
    }
}

fn set<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn each_stream_is_whole_in_orders_at_random() {
    let Some(seed) = set("TIDINGS_MODEL_SEED") else {
        let first = rand::random_range(0..1_000_000_000);
        let count = set("TIDINGS_MODEL_WALKS").unwrap_or(500);
        return (first..first + count).for_each(walk);
    };
    walk(seed);
}
