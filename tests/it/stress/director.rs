//! What happens in the rooms, at random, at a given pace.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use super::client::{Op, Order, Word};
use super::stream::{Nonce, Scope, Seq, Shape, User, seq_of};

/// Clients, and the user of each. The last is the steward, who owns every room and is never cut off.
pub(super) struct Cast {
    pub(super) orders: Vec<UnboundedSender<Order>>,
    pub(super) users: Vec<User>,
}

/// What was asked for and acknowledged, for the oracle.
#[derive(Default)]
pub(super) struct Record {
    /// Who came in with a room, and whether it was public.
    pub(super) created: HashMap<Uuid, (Vec<User>, bool)>,
    /// Which message a body was meant for.
    pub(super) bodies: HashMap<Nonce, Uuid>,
    pub(super) acknowledged: Vec<Uuid>,
    /// Acknowledged operations of each kind; refused ones.
    pub(super) done: HashMap<&'static str, u32>,
    pub(super) refused: HashMap<String, u32>,
    /// How long the messages took.
    pub(super) took: Duration,
}

/// A room, as far as acknowledgements tell.
pub(super) struct Room {
    pub(super) id: Uuid,
    pub(super) public: bool,
    pub(super) members: BTreeSet<User>,
    /// Its name or visibility is being changed, or it is being deleted: one at a time, so that the log's order is known.
    pub(super) busy: bool,
}

pub(super) struct Message {
    pub(super) id: Uuid,
    pub(super) author: usize,
    pub(super) room: Uuid,
}

/// What an operation is to change here once it is acknowledged.
pub(super) enum Act {
    Send(Message),
    Edit,
    Delete,
    Create(Uuid, Vec<User>, bool),
    Update(Uuid, Option<bool>),
    DeleteRoom,
    In(Uuid, User),
    Out(Uuid, User),
}

pub(super) struct Director {
    pub(super) cast: Cast,
    words: UnboundedReceiver<Word>,
    pub(super) rng: StdRng,
    pub(super) rooms: Vec<Room>,
    pub(super) messages: Vec<Message>,
    waiting: HashMap<u64, (Act, usize, Op)>,
    /// Who reads nothing, until so many messages were sent.
    pub(super) stalled: Vec<(usize, usize)>,
    pub(super) serial: u64,
    /// The place of the newest message that was acknowledged.
    newest: Seq,
    /// Clients that are still to say that they have read everything.
    away: usize,
    hall: Uuid,
    pub(super) record: Record,
}

impl Director {
    const ROOMS: usize = 20;
    /// Operations that are not answered yet: more would only wait in line.
    const WAITING: usize = 400;
    /// Longer than any stall, and than a busy machine takes over anything else.
    const PATIENCE: Duration = Duration::from_secs(120);

    pub(super) fn new(cast: Cast, words: UnboundedReceiver<Word>, rng: StdRng) -> Self {
        Self {
            cast,
            words,
            rng,
            rooms: Vec::new(),
            messages: Vec::new(),
            waiting: HashMap::new(),
            stalled: Vec::new(),
            serial: 0,
            newest: 0,
            away: 0,
            hall: Uuid::now_v7(),
            record: Record::default(),
        }
    }

    /// The whole play, to the end of which every stream is followed.
    pub(super) async fn direct(mut self, messages: usize, per_second: f64) -> Record {
        self.set_the_stage().await;
        self.follow();
        self.gather().await;
        let start = Instant::now();
        self.play(messages, per_second).await;
        self.record.took = start.elapsed();
        self.gather().await;
        self.record
    }

    /// Makes the rooms: a hall that everyone is in for good, and others.
    async fn set_the_stage(&mut self) {
        let everyone: BTreeSet<User> = self.cast.users.iter().copied().collect();
        let everyone: Vec<User> = everyone
            .into_iter()
            .filter(|user| *user != User::MAX)
            .collect();
        let (first, rest) = everyone.split_at(everyone.len().min(100));
        let hall = self.hall;
        self.create(hall, first.to_vec(), false);
        self.settle().await;
        // Nothing else happens there: it is no room to act in.
        self.rooms.clear();
        for user in rest {
            self.add(hall, *user, "MEMBER");
        }
        for _ in 0..Self::ROOMS {
            self.create_any();
        }
        self.settle().await;
    }

    /// Follows what clients follow from the start.
    fn follow(&mut self) {
        for n in 0..self.cast.users.len() {
            let (mine, named) = (Scope::Mine, self.some_rooms());
            let one = |director: &mut Self| Scope::Messages(director.any_room());
            let follows = match n % 8 {
                _ if n + 1 == self.cast.users.len() => vec![(mine, Shape::Plain)],
                _ if n % 40 == 3 => vec![(mine, Shape::Waiting)],
                0 => vec![(mine, Shape::Wide)],
                1 => vec![(named, Shape::Wide)],
                2 => vec![(mine, Shape::Plain), (one(self), Shape::Plain)],
                3 => vec![(mine, Shape::Plain), (named, Shape::Plain)],
                4 => vec![(one(self), Shape::Plain), (one(self), Shape::Plain)],
                _ => vec![(mine, Shape::Plain)],
            };
            for (scope, shape) in follows {
                self.tell(n, Order::Subscribe(scope, shape));
            }
        }
    }

    /// Lets things happen until so many messages were sent, at most so many a second.
    async fn play(&mut self, messages: usize, per_second: f64) {
        let mut tick = interval(Duration::from_millis(4));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (start, before) = (Instant::now(), self.sent());
        let (mut begun, mut heard) = (0, start);
        while self.sent() - before < messages {
            tokio::select! {
                word = self.words.recv() => {
                    heard = Instant::now();
                    self.hear(word.expect("clients are there"));
                }
                _ = tick.tick() => {
                    let due = (start.elapsed().as_secs_f64() * per_second) as usize;
                    while begun < due && self.waiting.len() < Self::WAITING {
                        begun += 1;
                        self.send_any();
                        self.something_else();
                    }
                    assert!(heard.elapsed() < Self::PATIENCE, "{}", self.told_in_vain());
                    // What could not be said in time is not made up for in a burst.
                    begun = begun.max(due.saturating_sub(50));
                }
            }
        }
        self.settle().await;
    }

    pub(super) fn sent(&self) -> usize {
        self.record.acknowledged.len()
    }

    /// Says something in the hall, and waits until every stream has passed it.
    async fn gather(&mut self) {
        self.send(self.steward(), self.hall, 0, None);
        self.settle().await;
        for n in 0..self.cast.orders.len() {
            self.tell(n, Order::Reach(self.newest));
        }
        self.away = self.cast.orders.len();
        while self.away > 0 {
            self.wait().await;
        }
    }

    /// Waits until all is answered: also by those who stall.
    async fn settle(&mut self) {
        self.wake(usize::MAX);
        while !self.waiting.is_empty() {
            self.wait().await;
        }
    }

    async fn wait(&mut self) {
        let word = timeout(Self::PATIENCE, self.words.recv()).await;
        let word = word.unwrap_or_else(|_| panic!("{}", self.told_in_vain()));
        self.hear(word.expect("clients are there"));
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Answer(op, result) => self.take(op, result),
            Word::Reached => self.away -= 1,
        }
    }

    fn told_in_vain(&self) -> String {
        let waiting = self.waiting.values();
        let waiting = waiting.map(|(_, n, op)| format!("client {n}: m{} {}", op.number, op.query));
        format!(
            "{} are behind, not answered:\n{}",
            self.away,
            waiting.collect::<Vec<_>>().join("\n")
        )
    }

    pub(super) fn steward(&self) -> usize {
        self.cast.users.len() - 1
    }

    pub(super) fn any_client(&mut self) -> usize {
        self.rng.random_range(0..self.steward())
    }

    pub(super) fn client_of(&mut self, user: User) -> usize {
        let clients = self
            .cast
            .users
            .iter()
            .enumerate()
            .filter(|(_, other)| **other == user);
        clients
            .choose(&mut self.rng)
            .expect("each user has a client")
            .0
    }

    pub(super) fn tell(&self, n: usize, order: Order) {
        // A client that has failed is found by who waits for it.
        let _ = self.cast.orders[n].send(order);
    }

    pub(super) fn act(&mut self, n: usize, query: &'static str, input: Value, act: Act) {
        self.serial += 1;
        let sends = match &act {
            Act::Send(message) => Some(message.id),
            _ => None,
        };
        let op = Op {
            number: self.serial,
            query,
            variables: json!({ "input": input }),
            sends,
        };
        self.tell(n, Order::Do(op.clone()));
        self.waiting.insert(self.serial, (act, n, op));
    }

    fn take(&mut self, op: u64, result: Result<Value, String>) {
        let (act, n, op) = self.waiting.remove(&op).expect("it was asked for");
        let data = match result {
            Ok(data) => data,
            Err(code) if code == "UNAVAILABLE" => {
                self.tell(
                    n,
                    Order::Do(Op {
                        sends: None,
                        ..op.clone()
                    }),
                );
                self.waiting.insert(op.number, (act, n, op));
                return;
            }
            Err(code) => return self.refused(&act, code, &op),
        };
        match act {
            Act::Send(message) => {
                let cursor = data["sendMessage"]["message"]["cursor"].as_str();
                self.newest = self.newest.max(seq_of(cursor.unwrap()));
                self.record.acknowledged.push(message.id);
                self.wake(self.sent());
                if let Some(room) = self.room(message.room) {
                    self.rooms[room].members.insert(self.cast.users[n]);
                }
                self.messages.push(message);
            }
            Act::Edit => self.count("edits"),
            Act::Delete => self.count("deletions"),
            Act::Create(id, members, public) => {
                self.count("rooms made");
                self.record.created.insert(id, (members.clone(), public));
                let members = members.into_iter().collect();
                self.rooms.push(Room {
                    id,
                    public,
                    members,
                    busy: false,
                });
            }
            Act::Update(id, public) => {
                self.count(if public == Some(false) {
                    "rooms made private"
                } else {
                    "rooms changed"
                });
                let room = self.room(id).expect("it is not deleted meanwhile");
                self.rooms[room].busy = false;
                self.rooms[room].public = public.unwrap_or(self.rooms[room].public);
            }
            Act::DeleteRoom => self.count("rooms deleted"),
            Act::In(id, user) => {
                self.count("joins, additions, roles");
                if let Some(room) = self.room(id) {
                    self.rooms[room].members.insert(user);
                }
            }
            Act::Out(id, user) => {
                self.count("leavings, removals");
                if let Some(room) = self.room(id) {
                    self.rooms[room].members.remove(&user);
                }
            }
        }
    }

    /// Whoever acts at once with others may come too late; nothing else may be wrong.
    fn refused(&mut self, act: &Act, code: String, op: &Op) {
        let late = ["NOT_FOUND", "FORBIDDEN", "CONFLICT"].contains(&code.as_str());
        assert!(late, "{code}: {} {}", op.query, op.variables);
        assert!(
            !matches!(act, Act::Create(..) | Act::Update(..) | Act::DeleteRoom),
            "{code}"
        );
        if let Act::Send(message) = act
            && let Some(room) = self.room(message.room)
        {
            // It cannot send there: it left, was removed, or may only read.
            let user = self.cast.users[message.author];
            self.rooms[room].members.remove(&user);
        }
        *self.record.refused.entry(code).or_default() += 1;
    }

    fn room(&self, id: Uuid) -> Option<usize> {
        self.rooms.iter().position(|room| room.id == id)
    }

    fn count(&mut self, what: &'static str) {
        *self.record.done.entry(what).or_default() += 1;
    }
}
