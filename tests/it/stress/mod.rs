//! Everything at once against the real server: 200 clients in 20 rooms that are made, closed, opened and deleted, people
//! who come, go and are removed, messages edited and deleted, readers that stall and connections that are cut. Each stream
//! is the log as its viewer may see it, once and in order.
//!
//! `TIDINGS_STRESS_SECS` is how long it runs; `TIDINGS_TEST_SEED` has a run's random choices again.

mod acts;
mod check;
mod check_rooms;
mod client;
mod director;
mod hearing;
mod log;
mod stream;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::check::{Checker, Findings, deletions};
use self::client::{Client, Counts, Order, Seen, Stall, Word};
use self::director::{Cast, Director, Record};
use self::log::Log;
use self::stream::{Seq, Stream, User};
use crate::support::{Plan, TestServer, field, seed};

const CLIENTS: usize = 200;
const USERS: usize = 150;
const PER_SECOND: usize = 500;
/// What waits for a stalled reader before its subscriptions leave live delivery: the server's budget, its kernel's
/// buffer and the client's, which are double what was asked for.
const FULL_BYTES: usize = 256 * 1024 + 2 * 256 * 1024 + 2 * WINDOW_BYTES as usize;
/// Small enough that the server soon feels a stall; below a segment of the loopback (64 KiB) TCP only trickles.
const WINDOW_BYTES: u32 = 64 * 1024;

fn stress_secs() -> usize {
    let given = std::env::var("TIDINGS_STRESS_SECS").ok();
    given.and_then(|secs| secs.parse().ok()).unwrap_or(10)
}

struct Company {
    cast: Cast,
    words: UnboundedReceiver<Word>,
    clients: JoinSet<Seen>,
}

/// Clients, some of them with the same user; the last one is the steward.
fn company(server: &TestServer, rng: &mut StdRng) -> Company {
    let (mut orders, mut users, mut clients) = (Vec::new(), Vec::new(), JoinSet::new());
    let (word, words) = unbounded_channel();
    for n in 0..=CLIENTS {
        let user = if n == CLIENTS {
            User::MAX
        } else {
            (n % USERS) as User
        };
        // Those who follow much have a small window, so that the server feels it when they stall.
        let window = (n % 8 < 2 && n < CLIENTS).then_some(WINDOW_BYTES);
        let client = Client {
            addr: server.addr(),
            user,
            token: server.token(&format!("u{user}")),
            window,
            rng: StdRng::from_rng(rng),
            words: word.clone(),
            streams: Vec::new(),
            seen: Seen::default(),
            pending: Vec::new(),
            leaving: HashMap::new(),
            free_ids: Vec::new(),
            serial: 0,
            stalled: None,
            has_stalled: false,
            reach: None,
        };
        let (order, told) = unbounded_channel::<Order>();
        clients.spawn(client.run(told));
        orders.push(order);
        users.push(user);
    }
    Company {
        cast: Cast { orders, users },
        words,
        clients,
    }
}

/// Runs the whole play; what the clients have seen, and what was asked for.
async fn play(server: &TestServer, rng: &mut StdRng, secs: usize) -> (Vec<Seen>, Record) {
    let mut company = company(server, rng);
    let director = Director::new(company.cast, company.words, StdRng::from_rng(rng));
    let record = tokio::select! {
        record = director.direct(PER_SECOND * secs, PER_SECOND as f64) => record,
        Some(left) = company.clients.join_next() => {
            left.expect("a client fails");
            panic!("a client left");
        }
    };
    let seen = company.clients.join_all().await;
    (seen, record)
}

/// What a stalled reader had not taken of what happened meanwhile.
fn missed_bytes(seen: &Seen, log: &Log, (began, ended): &Stall) -> usize {
    let runs = seen.streams.iter().flat_map(|stream| &stream.runs);
    let missed = runs.flat_map(|run| &run.items).filter(|item| {
        let at = log.entry(item.seq.max(1)).at;
        item.at >= *ended && (*began..=*ended).contains(&at)
    });
    missed.map(|item| item.bytes).sum()
}

/// The places after which the tail missed something and began anew.
fn missed(logs: &str) -> Vec<Seq> {
    let lines = logs
        .lines()
        .filter(|line| line.contains("the tail begins anew"));
    let after = |line| field(line, "\"after\":\"")?.parse().ok();
    lines.map(|line| after(line).expect(line)).collect()
}

fn check(log: &Log, record: &Record, seen: &[Seen], missed: Option<Seq>) -> Findings {
    let streams = || seen.iter().flat_map(|seen| &seen.streams);
    let deletions = deletions(streams());
    let mut checker = Checker {
        log,
        record,
        deletions: &deletions,
        missed: missed.unwrap_or(Seq::MAX),
        found: Findings::default(),
    };
    streams().for_each(|stream: &Stream| checker.stream(stream));
    checker.found
}

/// What was acknowledged is in the log, and nothing is there twice: also what was said again after a cut.
fn assert_sent_once(log: &Log, record: &Record) {
    let sent = |entry: &&log::Entry| entry.kind == Some(stream::Kind::MessageSent);
    let sent = log.entries().iter().filter(sent).map(|entry| entry.message);
    let (count, once) = (sent.clone().count(), sent.collect::<HashSet<_>>());
    assert_eq!(once.len(), count, "a message was sent twice");
    assert!(
        record
            .acknowledged
            .iter()
            .all(|message| once.contains(&Some(*message)))
    );
}

/// What a run came to, in numbers.
struct Sum {
    messages: usize,
    counts: Counts,
    stalls: usize,
    /// Stalls that outlasted every buffer between the log and the reader.
    full: usize,
}

impl Sum {
    fn of(log: &Log, record: &Record, seen: &[Seen]) -> Self {
        let missed = |one: &Seen, stall: &Stall| missed_bytes(one, log, stall);
        let stalls = seen
            .iter()
            .flat_map(|one| one.stalls.iter().map(move |stall| missed(one, stall)));
        let stalls: Vec<usize> = stalls.collect();
        Self {
            messages: record.acknowledged.len(),
            counts: seen.iter().map(|seen| seen.counts).sum(),
            full: stalls.iter().filter(|bytes| **bytes > FULL_BYTES).count(),
            stalls: stalls.len(),
        }
    }

    /// A run in which nothing happened proves nothing.
    fn assert_worth_it(&self, record: &Record, found: &Findings) {
        let counts = &self.counts;
        for (what, count, one_in) in [
            ("shown", found.shown, 0.1),
            ("held to the log alone", found.exact, 0.2),
            ("rooms told to be lost", found.revoked, 50.0),
            ("rooms not told to be seen", found.refused, 500.0),
            ("deleted bodies", found.blanked, 10.0),
            ("stalls that filled all buffers", self.full as u64, 2_000.0),
            ("cuts", counts.cuts.into(), 100.0),
            (
                "resumed by connection_init",
                counts.resumed_by_map.into(),
                300.0,
            ),
            ("resumed by after", counts.resumed_by_after.into(), 500.0),
            ("unsubscribed", counts.unsubscribed.into(), 1_500.0),
            ("pings", counts.pings.into(), 20.0),
        ] {
            let least = self.messages as f64 / one_in;
            assert!(count as f64 >= least, "{what}: {count}, not {least}");
        }
        for what in [
            "edits",
            "deletions",
            "joins, additions, roles",
            "leavings, removals",
            "rooms changed",
            "rooms made private",
            "rooms deleted",
        ] {
            assert!(record.done.contains_key(what), "no {what}");
        }
    }
}

#[tokio::test]
async fn each_stream_is_what_its_viewer_may_see_once_and_in_order() {
    let (mut rng, secs) = (StdRng::seed_from_u64(seed()), stress_secs());
    // Often, so that quiet streams too know where they are.
    let ping_secs = rng.random_range(2..4);
    let mut server = Plan::default()
        .env("TIDINGS_PING_INTERVAL_SECS", ping_secs)
        // 200 clients of one thread on a busy machine have been seen to take longer than the 10 s of default.
        .env("TIDINGS_INIT_TIMEOUT_SECS", 60)
        .start();
    let limit = Duration::from_secs(240 + 10 * secs as u64);
    let play = timeout(limit, play(&server, &mut rng, secs));
    let (seen, record) = play.await.expect("it ends in time");
    server.kill();
    let missed = missed(&server.logs().text());
    let log = Log::read(&server.database(), &record).await;
    assert_sent_once(&log, &record);
    let found = check(&log, &record, &seen, missed.first().copied());
    let sum = Sum::of(&log, &record, &seen);
    eprintln!(
        "{} messages in {:?}: {} events, {} shown, {} exact, {} as a replay may, {} revoked, {} refused, {} blanked",
        sum.messages,
        record.took,
        log.head(),
        found.shown,
        found.exact,
        found.replayed,
        found.revoked,
        found.refused,
        found.blanked
    );
    eprintln!(
        "{} of {} stalls full, the tail began anew after {missed:?}, {:?}, {:?}, refused {:?}",
        sum.full, sum.stalls, sum.counts, record.done, record.refused
    );
    let some = &found.violations[..found.violations.len().min(20)];
    assert!(
        some.is_empty(),
        "{} violations:\n{}",
        found.violations.len(),
        some.join("\n")
    );
    sum.assert_worth_it(&record, &found);
}
