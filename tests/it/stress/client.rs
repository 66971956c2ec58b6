//! A client: it follows, stalls, is cut off and comes back by the documented ways, and does on its socket what it is told.

use std::collections::HashMap;
use std::iter::Sum;
use std::net::SocketAddr;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::sleep;
use uuid::Uuid;

use super::stream::{Millis, Scope, Seq, Shape, Stream, User, millis};
use crate::support::{Heard, Wire, field};

/// How long the server waits for a socket to take a byte.
const SERVERS_PATIENCE: Duration = Duration::from_secs(10);

/// What a client is told to do.
pub(super) enum Order {
    /// Says this mutation, again on the next connection where it was not answered.
    Do(Op),
    /// Reads nothing.
    Stall,
    /// Reads again.
    ReadOn,
    /// Loses its connection.
    Cut,
    Subscribe(Scope, Shape),
    Unsubscribe,
    /// Reads everything up to this place, and says so.
    Reach(Seq),
}

#[derive(Clone)]
pub(super) struct Op {
    pub(super) number: u64,
    pub(super) query: &'static str,
    pub(super) variables: Value,
    /// The message that it sends.
    pub(super) sends: Option<Uuid>,
}

/// What a client has to tell.
pub(super) enum Word {
    /// What became of an operation: its data, or the code of its error.
    Answer(u64, Result<Value, String>),
    /// All of its streams are where they were to get to, and nothing that it said is without an answer.
    Reached,
}

/// From when to when it read nothing.
pub(super) type Stall = (Millis, Millis);

/// What a client has seen and done by the end.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) streams: Vec<Stream>,
    pub(super) stalls: Vec<Stall>,
    pub(super) counts: Counts,
}

/// How often something happened to a client.
#[derive(Default, Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) cuts: u32,
    pub(super) closed_1013: u32,
    pub(super) reset: u32,
    pub(super) resumed_by_map: u32,
    pub(super) resumed_by_after: u32,
    pub(super) subscribed: u32,
    pub(super) unsubscribed: u32,
    pub(super) pings: u32,
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, one| Self {
            cuts: sum.cuts + one.cuts,
            closed_1013: sum.closed_1013 + one.closed_1013,
            reset: sum.reset + one.reset,
            resumed_by_map: sum.resumed_by_map + one.resumed_by_map,
            resumed_by_after: sum.resumed_by_after + one.resumed_by_after,
            subscribed: sum.subscribed + one.subscribed,
            unsubscribed: sum.unsubscribed + one.unsubscribed,
            pings: sum.pings + one.pings,
        })
    }
}

/// One client.
pub(super) struct Client {
    pub(super) addr: SocketAddr,
    pub(super) user: User,
    pub(super) token: String,
    pub(super) window: Option<u32>,
    pub(super) rng: StdRng,
    pub(super) words: UnboundedSender<Word>,
    pub(super) streams: Vec<Stream>,
    pub(super) seen: Seen,
    /// Said and not answered, by the number of the operation.
    pub(super) pending: Vec<Op>,
    /// Streams that were unsubscribed from, by the ping that was said behind that.
    pub(super) leaving: HashMap<u64, Stream>,
    /// Ids of streams that have ended.
    pub(super) free_ids: Vec<String>,
    pub(super) serial: u64,
    /// Since when it reads nothing.
    pub(super) stalled: Option<Millis>,
    /// It has stalled on this connection.
    pub(super) has_stalled: bool,
    /// Where all its streams are to get to.
    pub(super) reach: Option<Seq>,
}

enum Then {
    Again,
    Done,
}

impl Client {
    pub(super) async fn run(mut self, mut orders: UnboundedReceiver<Order>) -> Seen {
        while let Then::Again = self.connected(&mut orders).await {
            self.end_stall();
            for (_, stream) in self.leaving.drain() {
                self.seen.streams.push(stream);
            }
            if self.reach.is_none() && self.rng.random_bool(0.5) {
                // How long one is away decides whether it resumes from the ring or from the store.
                sleep(Duration::from_millis(self.rng.random_range(1..500))).await;
            }
        }
        self.seen.streams.append(&mut self.streams);
        self.seen
    }

    /// One connection, from its beginning to its end.
    async fn connected(&mut self, orders: &mut UnboundedReceiver<Order>) -> Then {
        let Ok(mut wire) = Wire::open(self.addr, self.window).await else {
            return Then::Again;
        };
        let ways: Vec<Return> = self
            .streams
            .iter()
            .map(|stream| Return::of(stream, &mut self.rng))
            .collect();
        let resume: Map<_, _> = (self.streams.iter().zip(&ways))
            .filter_map(|(stream, way)| Some((stream.id.clone(), way.resume.clone()?.into())))
            .collect();
        let payload =
            json!({ "Authorization": format!("Bearer {}", self.token), "resume": resume });
        let init = json!({ "type": "connection_init", "payload": payload });
        wire.say(&init.to_string()).await;
        if self.goes_too_soon() {
            return Then::Again;
        }
        let head = match wire.hear().await {
            Heard::Text(text) => field(text.as_str(), "\"head\":\"")
                .expect("an ack")
                .to_owned(),
            Heard::Closed(code, reason) => return self.closed(code, &reason),
            Heard::Lost => panic!("the server has lost u{} before its ack", self.user),
        };
        for (stream, way) in self.streams.iter_mut().zip(ways) {
            self.seen.counts.resumed_by_map += u32::from(way.resume.is_some());
            self.seen.counts.resumed_by_after += u32::from(way.after.is_some());
            stream.older = stream.place.clone();
            // Of cursors the later is the greater text.
            let from = way.resume.max(way.after.clone());
            stream.run(from.as_deref(), millis());
            say_subscribe(&mut wire, stream, way.after).await;
        }
        for op in self.pending.clone() {
            say_op(&mut wire, &op).await;
        }
        if self.goes_too_soon() {
            return Then::Again;
        }
        self.has_stalled = false;
        self.converse(&mut wire, orders, &head).await
    }

    /// A connection may be cut at any point, also before it is of any use.
    fn goes_too_soon(&mut self) -> bool {
        let goes = self.reach.is_none() && self.user != User::MAX && self.rng.random_bool(0.05);
        self.seen.counts.cuts += u32::from(goes);
        goes
    }

    async fn converse(
        &mut self,
        wire: &mut Wire,
        orders: &mut UnboundedReceiver<Order>,
        head: &str,
    ) -> Then {
        loop {
            if self.has_reached() {
                self.reach = None;
                self.tell(Word::Reached);
            }
            tokio::select! {
                heard = wire.hear(), if self.stalled.is_none() => match heard {
                    Heard::Text(text) => self.hear(wire, text.as_str()).await,
                    Heard::Closed(code, reason) => return self.closed(code, &reason),
                    Heard::Lost => return self.lost(wire.longest_silence()),
                },
                order = orders.recv() => match order {
                    None => return Then::Done,
                    Some(Order::Cut) => {
                        self.seen.counts.cuts += 1;
                        if self.rng.random() {
                            wire.reset();
                        }
                        return Then::Again;
                    }
                    Some(order) => self.obey(wire, order, head).await,
                },
            }
        }
    }

    async fn obey(&mut self, wire: &mut Wire, order: Order, head: &str) {
        match order {
            Order::Do(op) => self.act(wire, op).await,
            Order::Stall => {
                self.stalled = Some(millis());
                self.has_stalled = true;
            }
            Order::ReadOn => self.end_stall(),
            Order::Subscribe(scope, shape) => self.subscribe(wire, scope, shape, head).await,
            Order::Unsubscribe => self.unsubscribe(wire).await,
            Order::Reach(seq) => {
                self.reach = Some(seq);
                self.end_stall();
            }
            // Ends the connection, and so whoever obeys.
            Order::Cut => {}
        }
    }

    fn has_reached(&self) -> bool {
        let reached = |seq| self.streams.iter().all(|stream| stream.reached() >= seq);
        self.pending.is_empty() && self.reach.is_some_and(reached)
    }

    pub(super) fn tell(&self, word: Word) {
        self.words.send(word).expect("someone wants to know");
    }

    fn end_stall(&mut self) {
        if let Some(began) = self.stalled.take() {
            self.seen.stalls.push((began, millis()));
        }
    }

    fn closed(&mut self, code: u16, reason: &str) -> Then {
        assert_eq!(code, 1013, "the server closes u{}: {reason}", self.user);
        self.seen.counts.closed_1013 += 1;
        Then::Again
    }

    /// The server resets a connection whose client takes nothing, and no other: one that stalls as it is told to, or that did not
    /// come to read for as long because the machine was busy with other things. A silence of the server's own would not be as
    /// long: it pings more often.
    fn lost(&mut self, longest_silence: Duration) -> Then {
        assert!(
            self.has_stalled || longest_silence >= SERVERS_PATIENCE,
            "the server has lost u{}, which read nothing for {longest_silence:?} at most",
            self.user
        );
        self.seen.counts.reset += 1;
        Then::Again
    }

    async fn act(&mut self, wire: &mut Wire, op: Op) {
        if let Some(message) = op.sends {
            for stream in &mut self.streams {
                stream.now().first_own.get_or_insert(message);
            }
        }
        say_op(wire, &op).await;
        self.pending.push(op);
    }

    async fn subscribe(&mut self, wire: &mut Wire, scope: Scope, shape: Shape, head: &str) {
        const MOST: usize = 5;
        if self.streams.len() >= MOST {
            return;
        }
        self.serial += 1;
        let again = self.free_ids.pop().filter(|_| self.rng.random());
        // Either from the end of the log, or from the place that the ack told.
        let after = self.rng.random_bool(0.2).then(|| head.to_owned());
        let mut stream = Stream {
            id: again.unwrap_or_else(|| format!("s{}", self.serial)),
            viewer: self.user,
            scope,
            shape,
            place: after.clone(),
            older: None,
            first: after.clone(),
            runs: Vec::new(),
        };
        stream.run(after.as_deref(), millis());
        say_subscribe(wire, &stream, after).await;
        self.seen.counts.subscribed += 1;
        self.streams.push(stream);
    }

    async fn unsubscribe(&mut self, wire: &mut Wire) {
        if self.streams.len() < 2 || self.reach.is_some() {
            return;
        }
        let stream = self
            .streams
            .swap_remove(self.rng.random_range(0..self.streams.len()));
        self.serial += 1;
        let complete = json!({ "id": stream.id, "type": "complete" });
        wire.say(&complete.to_string()).await;
        let ping = json!({ "type": "ping", "payload": { "behind": self.serial } });
        wire.say(&ping.to_string()).await;
        self.seen.counts.unsubscribed += 1;
        self.leaving.insert(self.serial, stream);
    }
}

/// How a stream goes on where it was cut off.
#[derive(Default)]
struct Return {
    /// Its entry in `connection_init`.
    resume: Option<String>,
    /// The operation's argument.
    after: Option<String>,
}

impl Return {
    fn of(stream: &Stream, rng: &mut StdRng) -> Self {
        let place = stream.place.clone();
        let (resume, after) = match rng.random_range(0..10) {
            0..4 => (place, None),
            4..6 => (None, place),
            6..9 => (place, stream.first.clone()),
            // The newest place was not kept in time.
            _ => (stream.older.clone().or(place), None),
        };
        Self { resume, after }
    }
}

async fn say_op(wire: &mut Wire, op: &Op) {
    let payload = json!({ "query": op.query, "variables": op.variables });
    let id = format!("m{}", op.number);
    let message = json!({ "id": id, "type": "subscribe", "payload": payload });
    wire.say(&message.to_string()).await;
}

async fn say_subscribe(wire: &mut Wire, stream: &Stream, after: Option<String>) {
    let (query, mut variables) = stream.request();
    variables["after"] = after.into();
    let payload = json!({ "query": query, "variables": variables });
    let message = json!({ "id": stream.id, "type": "subscribe", "payload": payload });
    wire.say(&message.to_string()).await;
}
