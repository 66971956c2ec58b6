//! Readers that do not read: they cost what the budget says, slow nobody down, and have everything in the end.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Heard, Plan, TestServer, Wire, field, resident_bytes};

const LOBBY: &str = "00000000-0000-7000-8000-000000000001";
const SEND: &str = "mutation($input:SendMessageInput!){sendMessage(input:$input){message{id}}}";

const STALLED: usize = 50;
const READING: usize = 50;
/// Read by everyone: afterwards what is kept for all is as full as it gets.
const FIRST: usize = 32;
/// 2.5 MB for each reader: three times what its buffers take.
const THEN: usize = 160;
const BODY_BYTES: usize = 16_000;
/// Small enough that the server soon notices who reads nothing; below a segment of the loopback (64 KiB) TCP only trickles.
const WINDOW_BYTES: u32 = 64 * 1024;
/// What may wait for one connection.
const BUDGET_BYTES: usize = 256 * 1024;
/// What else a connection with so much waiting takes: the frame that passed the budget, the queue, its task, what an
/// allocator leaves between.
const OVERHEAD_BYTES: usize = 96 * 1024;
/// What all share: the newest events in memory, and what a server under way has more or less of.
const SHARED_BYTES: usize = THEN * (BODY_BYTES + 2_048) + 8 * 1024 * 1024;

/// Someone who follows the lobby and checks that each message comes once and in its turn.
struct Follower {
    addr: SocketAddr,
    token: String,
    query: String,
    window: Option<u32>,
    wire: Wire,
    bodies: Arc<[String]>,
    /// Where it goes on.
    place: Option<String>,
    /// Messages that it has.
    seen: usize,
    /// How often the server closed it for being slow.
    closed: usize,
}

impl Follower {
    /// One that is live. Each with an alias of its own has payloads of its own: what waits for it is shared with nobody.
    async fn start(
        server: &TestServer,
        bodies: &Arc<[String]>,
        alias: &str,
        window: Option<u32>,
    ) -> Self {
        let query =
            format!("subscription {{ messageSent(roomId: \"{LOBBY}\") {{ body {alias}: id }} }}");
        let mut follower = Self {
            addr: server.addr(),
            token: server.token("ada"),
            query,
            window,
            wire: Wire::open(server.addr(), window).await.unwrap(),
            bodies: bodies.clone(),
            place: None,
            seen: 0,
            closed: 0,
        };
        follower.sign_in().await;
        // The ping that tells that it is live.
        while follower.place.is_none() {
            follower.hear().await;
        }
        follower
    }

    async fn sign_in(&mut self) {
        let resume = self.place.as_ref().map(|place| json!({ "1": place }));
        let payload = json!({ "token": self.token, "resume": resume.unwrap_or(json!({})) });
        let init = json!({ "type": "connection_init", "payload": payload });
        self.wire.say(&init.to_string()).await;
        match self.wire.hear().await {
            Heard::Text(ack) => {
                assert!(ack.as_str().contains("connection_ack"), "{}", ack.as_str())
            }
            other => panic!("{other:?}"),
        }
        let payload = json!({ "query": self.query });
        let subscribe = json!({ "id": "1", "type": "subscribe", "payload": payload });
        self.wire.say(&subscribe.to_string()).await;
    }

    async fn hear(&mut self) {
        match self.wire.hear().await {
            Heard::Text(text) => self.take(text.as_str()).await,
            Heard::Closed(1013, _) | Heard::Lost => {
                self.closed += 1;
                self.wire = Wire::open(self.addr, self.window).await.unwrap();
                self.sign_in().await;
            }
            Heard::Closed(code, reason) => panic!("closed with {code}: {reason}"),
        }
    }

    async fn take(&mut self, text: &str) {
        match field(text, "\"type\":\"").unwrap() {
            "next" => {
                let body = field(text, "\"body\":\"");
                assert_eq!(body, Some(&*self.bodies[self.seen]), "not the next message");
                self.seen += 1;
                self.place = field(text, "\"cursor\":\"").map(str::to_owned);
            }
            "ping" => {
                self.place = field(text, "\"resume\":{\"1\":\"").map(str::to_owned);
                self.wire.say(r#"{"type":"pong"}"#).await;
            }
            other => panic!("{other}: {text}"),
        }
    }

    /// Reads until it has so many.
    async fn read(mut self, messages: usize) -> Self {
        while self.seen < messages {
            self.hear().await;
        }
        self
    }
}

/// Sends messages one after the other; the most memory that the server took meanwhile.
async fn send(server: &TestServer, bodies: &[String]) -> usize {
    let (client, token) = (reqwest::Client::new(), server.token("bob"));
    let mut most = 0;
    for body in bodies {
        let input = json!({ "roomId": LOBBY, "body": body });
        let request = json!({ "query": SEND, "variables": { "input": input } });
        let post = client.post(server.url("/graphql")).bearer_auth(&token);
        let answer: Value = post
            .json(&request)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert!(answer["errors"].is_null(), "{answer}");
        most = most.max(resident_bytes(server.pid()));
    }
    most
}

async fn all(followers: Vec<Follower>, messages: usize) -> Vec<Follower> {
    let mut reading = JoinSet::new();
    for follower in followers {
        reading.spawn(follower.read(messages));
    }
    reading.join_all().await
}

fn closed(followers: &[Follower]) -> usize {
    followers.iter().map(|follower| follower.closed).sum()
}

/// Waits until the server has closed so many sockets for taking nothing.
fn wait_for_closed(server: &TestServer, sockets: usize) {
    let closed = Cell::new(0);
    server.logs().wait_for("slow readers to be closed", |line| {
        let is_slow = line.contains("socket ended") && line.contains("1013");
        closed.set(closed.get() + usize::from(is_slow));
        (closed.get() == sockets).then_some(())
    });
}

#[tokio::test]
async fn who_reads_nothing_costs_the_budget_and_has_everything_in_the_end() {
    let bodies = (0..FIRST + THEN).map(|n| format!("{n:04}{}", "x".repeat(BODY_BYTES - 4)));
    let bodies: Arc<[String]> = bodies.collect();
    // Without pings whoever stalls is closed for taking nothing, not for answering nothing.
    let plan = Plan::default().env("TIDINGS_PING_INTERVAL_SECS", 0);
    let server = plan
        .env("TIDINGS_LOG", "info,tidings::transport::ws=debug")
        .start();
    let (mut stalled, mut reading) = (Vec::new(), Vec::new());
    for n in 0..STALLED {
        // What waits for it is shared with nobody.
        let alias = format!("own{n}");
        stalled.push(Follower::start(&server, &bodies, &alias, Some(WINDOW_BYTES)).await);
    }
    for _ in 0..READING {
        reading.push(Follower::start(&server, &bodies, "shared", None).await);
    }
    let first = (
        all(stalled, FIRST),
        all(reading, FIRST),
        send(&server, &bodies[..FIRST]),
    );
    let (mut stalled, reading, before) = tokio::join!(first.0, first.1, first.2);
    let before = before.max(resident_bytes(server.pid()));

    let then = (all(reading, FIRST + THEN), send(&server, &bodies[FIRST..]));
    let (reading, most) = tokio::join!(then.0, then.1);
    assert_eq!(closed(&reading), 0);
    // Each worker has delivered what there was: it had readers to deliver it to.
    let most = most.max(resident_bytes(server.pid()));
    let grown = most.saturating_sub(before);
    eprintln!("{STALLED} stalled readers: {} KiB more", grown >> 10);
    assert!(
        grown > STALLED * BUDGET_BYTES / 4,
        "they hold nothing: {grown}"
    );
    assert!(
        grown < STALLED * (BUDGET_BYTES + OVERHEAD_BYTES) + SHARED_BYTES,
        "{grown}"
    );

    // Some read again before the server has had enough of them, the others only then.
    let late = stalled.split_off(STALLED / 2);
    let in_time = all(stalled, FIRST + THEN).await;
    wait_for_closed(&server, closed(&in_time) + late.len());
    let late = all(late, FIRST + THEN).await;
    assert!(late.iter().all(|follower| follower.closed == 1));
}
