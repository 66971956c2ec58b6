//! A client as the stock graphql-ws is one, with the recipe of `README.md`: it comes back with backoff, says where each
//! subscription was, answers pings, and says again what was not answered. With `keepAlive` it notices a silent network.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::iter::Sum;
use std::net::SocketAddr;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use uuid::Uuid;

use super::stream::{Seq, Stream, seq_of};
use crate::support::{Heard, Refused, Wire, field};

/// What a client is told to do.
pub(super) enum Order {
    /// Sends a message to this room, under an id of its own making.
    Say(Uuid),
    /// Says this mutation, once: it may get lost.
    Try(&'static str, Value),
    /// Goes on until every stream is at this place and everything that was said is answered, and tells so.
    Reach(Seq),
}

/// What a client has to tell.
#[derive(Debug)]
pub(super) enum Word {
    /// A message was acknowledged.
    Said(Said),
    /// See [`Order::Reach`].
    Reached,
}

impl Word {
    /// The message that was acknowledged, if this tells of one.
    pub(super) fn said(self) -> Option<Said> {
        match self {
            Self::Said(said) => Some(said),
            Self::Reached => None,
        }
    }
}

/// A message that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) by: usize,
    /// The how many-th of this client's.
    pub(super) nth: u64,
    pub(super) room: Uuid,
    pub(super) id: Uuid,
}

impl Said {
    /// What sends it, every time the same.
    pub(super) fn request(&self) -> Value {
        let body = format!("{}/{}", self.by, self.nth);
        let input = json!({ "id": self.id, "roomId": self.room, "body": body });
        json!({ "query": SEND, "variables": { "input": input } })
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    /// What graphql-ws has a second for: it waits 2^n of them and 0.3 to 3 at random.
    pub(super) backoff: Duration,
    /// It pings so often, and a pong must come as soon; else the network is gone. So must a connection's answers.
    pub(super) patience: Duration,
}

/// How often something happened to a client.
#[derive(Default, Clone, Debug)]
pub(super) struct Counts {
    pub(super) connected: u64,
    pub(super) resumed: u64,
    pub(super) silent: u64,
    /// 503, the server has enough to do just now.
    pub(super) refused: u64,
    pub(super) closed_1012: u64,
    /// 1013, by the reason that was given.
    pub(super) closed_1013: BTreeMap<String, u64>,
    pub(super) closed_4408: u64,
    pub(super) duplicates: u64,
    /// The longest that it took from asking for its streams to the first word about them, where there was one.
    pub(super) slowest_start: Duration,
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, one| {
            for (reason, times) in one.closed_1013 {
                *sum.closed_1013.entry(reason).or_default() += times;
            }
            Self {
                connected: sum.connected + one.connected,
                resumed: sum.resumed + one.resumed,
                silent: sum.silent + one.silent,
                refused: sum.refused + one.refused,
                closed_1012: sum.closed_1012 + one.closed_1012,
                closed_1013: sum.closed_1013,
                closed_4408: sum.closed_4408 + one.closed_4408,
                duplicates: sum.duplicates + one.duplicates,
                slowest_start: sum.slowest_start.max(one.slowest_start),
            }
        })
    }
}

pub(super) struct Client {
    pub(super) number: usize,
    pub(super) addr: SocketAddr,
    pub(super) token: String,
    pub(super) streams: Vec<Stream>,
    pub(super) habits: Habits,
    pub(super) rng: StdRng,
    pub(super) words: UnboundedSender<Word>,
    pub(super) counts: Counts,
    /// The recipe's `resume`.
    pub(super) resume: BTreeMap<String, String>,
    /// Said and not answered.
    pub(super) unanswered: VecDeque<Said>,
    pub(super) spoken: u64,
    pub(super) reach: Option<Seq>,
}

/// How a connection ended.
enum Then {
    /// To be tried again; whether it was ever acknowledged.
    Again(bool),
    Done,
}

const SEND: &str =
    "mutation($input:SendMessageInput!){sendMessage(input:$input){duplicate message{id}}}";

impl Client {
    /// One that listens to nobody yet.
    pub(super) fn new(addr: SocketAddr, token: String, habits: Habits, rng: StdRng) -> Self {
        Self {
            number: 0,
            addr,
            token,
            streams: Vec::new(),
            habits,
            rng,
            words: unbounded_channel().0,
            counts: Counts::default(),
            resume: BTreeMap::new(),
            unanswered: VecDeque::new(),
            spoken: 0,
            reach: None,
        }
    }

    /// Until nobody gives orders any more.
    pub(super) async fn run(mut self, mut orders: UnboundedReceiver<Order>) -> Self {
        let mut retries = 0;
        loop {
            match self.connected(&mut orders).await {
                Then::Done => return self,
                Then::Again(true) => retries = 0,
                Then::Again(false) => retries += 1,
            }
            // A client's own backoff, so that what a network does to one that waits is tried too.
            let wait = 2_f64.powi(retries.min(5)) + self.rng.random_range(0.3..3.0);
            sleep(self.habits.backoff.mul_f64(wait)).await;
        }
    }

    /// One connection, from its beginning to its end.
    async fn connected(&mut self, orders: &mut UnboundedReceiver<Order>) -> Then {
        let opening = timeout(self.habits.patience, Wire::open(self.addr, None));
        let mut wire = match opening.await {
            Ok(Ok(wire)) => wire,
            Ok(Err(error)) => return self.not_opened(&error).await,
            Err(_) => return Then::Again(false),
        };
        let authorization = format!("Bearer {}", self.token);
        let payload = json!({ "Authorization": authorization, "resume": self.resume });
        let init = json!({ "type": "connection_init", "payload": payload });
        self.say(&mut wire, &init).await;
        match timeout(self.habits.patience, wire.hear()).await {
            Ok(Heard::Text(text)) => assert!(text.as_str().contains("connection_ack")),
            Ok(Heard::Closed(code, reason)) => return self.closed(code, reason, false),
            Ok(Heard::Lost) | Err(_) => return Then::Again(false),
        }
        self.counts.connected += 1;
        self.counts.resumed += self.resume.len() as u64;
        for n in 0..self.streams.len() {
            let subscribe = self.streams[n].subscribe();
            self.say(&mut wire, &subscribe).await;
        }
        for said in self.unanswered.clone() {
            self.send(&mut wire, said).await;
        }
        self.converse(&mut wire, orders).await
    }

    /// Comes back no sooner than the server has said, if it has.
    async fn not_opened(&mut self, error: &io::Error) -> Then {
        let inner = error.get_ref();
        if let Some(refused) = inner.and_then(|inner| inner.downcast_ref::<Refused>()) {
            self.counts.refused += 1;
            // `Retry-After`, which a server that is stormed counts on.
            sleep(refused.retry_after.unwrap_or_default()).await;
        }
        Then::Again(false)
    }

    async fn converse(&mut self, wire: &mut Wire, orders: &mut UnboundedReceiver<Order>) -> Then {
        let patience = self.habits.patience;
        let (mut due, mut awaits_pong) = (Instant::now() + patience, false);
        let mut asked = Some(Instant::now());
        loop {
            if self.has_reached() {
                self.reach = None;
                self.tell(Word::Reached);
            }
            tokio::select! {
                heard = wire.hear() => match heard {
                    Heard::Text(text) if text.as_str() == r#"{"type":"pong"}"# => awaits_pong = false,
                    Heard::Text(text) => {
                        let took = asked.take().map_or(Duration::ZERO, |asked| asked.elapsed());
                        self.counts.slowest_start = self.counts.slowest_start.max(took);
                        self.hear(wire, text.as_str()).await;
                    }
                    Heard::Closed(code, reason) => return self.closed(code, reason, true),
                    Heard::Lost => return Then::Again(true),
                },
                order = orders.recv() => match order {
                    None => return Then::Done,
                    Some(order) => self.obey(wire, order).await,
                },
                () = sleep_until(due) => {
                    if awaits_pong {
                        self.counts.silent += 1;
                        return Then::Again(true);
                    }
                    self.say(wire, &json!({ "type": "ping" })).await;
                    (due, awaits_pong) = (Instant::now() + patience, true);
                }
            }
        }
    }

    async fn obey(&mut self, wire: &mut Wire, order: Order) {
        match order {
            Order::Say(room) => {
                let said = Said {
                    by: self.number,
                    nth: self.spoken,
                    room,
                    id: Uuid::now_v7(),
                };
                self.spoken += 1;
                self.unanswered.push_back(said);
                self.send(wire, said).await;
            }
            Order::Try(query, variables) => {
                let payload = json!({ "query": query, "variables": variables });
                let id = format!("t{}", self.spoken);
                self.spoken += 1;
                let message = json!({ "id": id, "type": "subscribe", "payload": payload });
                self.say(wire, &message).await;
            }
            Order::Reach(seq) => self.reach = Some(seq),
        }
    }

    /// What cannot be said in time is lost with its connection, which hearing or pinging will tell.
    async fn say(&self, wire: &mut Wire, message: &Value) {
        let _ = timeout(self.habits.patience, wire.say(&message.to_string())).await;
    }

    async fn send(&self, wire: &mut Wire, said: Said) {
        let payload = said.request();
        let id = format!("m{}", said.nth);
        let message = json!({ "id": id, "type": "subscribe", "payload": payload });
        self.say(wire, &message).await;
    }

    async fn hear(&mut self, wire: &mut Wire, text: &str) {
        let id = field(text, "\"id\":\"").unwrap_or_default();
        match field(text, "\"type\":\"").expect("each message has a type") {
            "next" | "error" if id.starts_with('m') => self.answered(&id[1..], text),
            "next" if id.starts_with('t') => {}
            "next" => {
                let stream = self.streams.iter_mut().find(|stream| stream.id == id);
                let cursor = stream.expect("it is followed").next(text);
                self.resume.insert(id.to_owned(), cursor.to_owned());
            }
            "ping" => {
                self.positions(text);
                self.say(wire, &json!({ "type": "pong" })).await;
            }
            "complete" => assert!(id.starts_with(['m', 't']), "{text}"),
            other => panic!("client {}: {other}: {text}", self.number),
        }
    }

    fn answered(&mut self, nth: &str, text: &str) {
        let nth: u64 = nth.parse().unwrap();
        if text.contains("\"errors\":") {
            // It stays in the queue, for the connection to come.
            assert!(text.contains("\"retryable\":true"), "{text}");
            return;
        }
        let at = self.unanswered.iter().position(|said| said.nth == nth);
        let said = self.unanswered.remove(at.expect("it was said")).unwrap();
        self.counts.duplicates += u64::from(text.contains("\"duplicate\":true"));
        self.tell(Word::Said(said));
    }

    /// A ping is the whole truth.
    fn positions(&mut self, text: &str) {
        let ping: Value = serde_json::from_str(text).unwrap();
        let Some(resume) = ping["payload"]["resume"].as_object() else {
            return;
        };
        let resume = resume.iter();
        let resume = resume.map(|(id, cursor)| (id.clone(), cursor.as_str().unwrap().to_owned()));
        self.resume = resume.collect();
        for stream in &mut self.streams {
            if let Some(cursor) = self.resume.get(&stream.id) {
                stream.mark(seq_of(cursor));
            }
        }
    }

    fn has_reached(&self) -> bool {
        let reached = |seq| self.streams.iter().all(|stream| stream.reached() >= seq);
        self.unanswered.is_empty() && self.reach.is_some_and(reached)
    }

    fn tell(&self, word: Word) {
        // Whoever wanted to know may have given up.
        let _ = self.words.send(word);
    }

    fn closed(&mut self, code: u16, reason: String, acknowledged: bool) -> Then {
        match code {
            1012 => self.counts.closed_1012 += 1,
            1013 => *self.counts.closed_1013.entry(reason).or_default() += 1,
            // What it said first was lost on its way, on a line that carries one way only.
            4408 => self.counts.closed_4408 += 1,
            other => panic!("client {} was closed with {other}: {reason}", self.number),
        }
        Then::Again(acknowledged)
    }
}
