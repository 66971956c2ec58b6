//! Everyone comes back at once: thousands of clients resume from far back while others are live.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use serde::{Deserialize, Serialize};

use crate::contenders::{Contender, follow_from};
use crate::load::{Crowd, Role};
use crate::machine::{Cores, pin, raise_file_limit};
use crate::markdown::{Table, figure};
use crate::measure::{Meter, settle};
use crate::record::Record;
use crate::server::Server;
use crate::stats::{Spread, percentile};

#[derive(clap::Args)]
pub struct Options {
    /// Clients that resume.
    #[arg(long, default_value_t = 5_000)]
    clients: usize,
    /// Events that each has missed.
    #[arg(long, default_value_t = 1_000)]
    events: usize,
    /// Subscribers of another room that are live meanwhile.
    #[arg(long, default_value_t = 100)]
    live: usize,
    /// Events a second in that room.
    #[arg(long, default_value_t = 20)]
    live_per_sec: u32,
    /// Clients that may be in the middle of connecting.
    #[arg(long, default_value_t = 512)]
    connecting: usize,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Bytes of every frame, header included.
    #[arg(long, default_value_t = 610)]
    frame_bytes: usize,
    /// Where all single runs go.
    #[arg(long, default_value = "target/bench/resume.json")]
    json: PathBuf,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Run {
    clients: usize,
    events: usize,
    live: usize,
    /// From the first connect until the last client had everything.
    secs: f64,
    /// CPU of the server for each replayed event, with connecting, signing in, and the live room.
    replay_micros: f64,
    /// CPU of the server for each live delivery to the same clients afterwards, paced.
    live_micros: f64,
    /// Of the live room, with nobody resuming.
    calm_p50_millis: f64,
    calm_p99_millis: f64,
    /// Of the live room meanwhile.
    storm_p50_millis: f64,
    storm_p99_millis: f64,
    memory_before: u64,
    memory_after: u64,
}

/// The rooms: one with a past, and one that is live.
const PAST: usize = 0;
const LIVE: usize = 1;

pub fn run(options: &Options) -> anyhow::Result<()> {
    raise_file_limit()?;
    let cores = Cores::two()?;
    let mut record = Record::begin(cores, Vec::new())?;
    pin(cores.load)?;
    for round in 0..options.rounds {
        eprintln!("round {round}: {} clients resume", options.clients);
        record.runs.push(once(options, cores)?);
        record.write(&options.json)?;
    }
    print!("{}", table(&record));
    Ok(())
}

fn once(options: &Options, cores: Cores) -> anyhow::Result<Run> {
    let server = Server::tidings(cores.server)?;
    let talk = Contender::Tidings.talk();
    let mut live = Crowd::new(&server.address, talk, Vec::new())?;
    let room_ids = live.make_rooms(2)?;
    let follower = |name: String, room: usize| {
        Role::subscriber(name, room, follow_from(&room_ids[room], None))
    };
    let watcher = Role {
        may_be_cut: true, // It keeps its place.
        ..follower("watcher".to_owned(), PAST)
    };
    live.connect([watcher])?;
    live.connect((0..options.live).map(|n| follower(format!("live-{n}"), LIVE)))?;
    live.warm_up()?;
    live.pad(options.frame_bytes)?;
    let (place, first) = (
        live.subscribers[0].cursor().map(str::to_owned),
        live.ledger.sent(PAST),
    );
    let place = place.context("the watcher has no place")?;
    live.burst(&[PAST], options.events)?;
    live.drain()?;

    let interval = Duration::from_secs(1) / options.live_per_sec;
    live.ledger.measure();
    live.pace(&[LIVE], interval, |n| {
        n == 5 * options.live_per_sec as usize
    })?;
    live.drain()?;
    let calm = live.ledger.measured();

    let memory_before = settle(&mut live, &server)?.memory;
    let mut resumers = Crowd::of_listeners(&server.address, talk)?;
    resumers.connecting_max = options.connecting;
    resumers.ledger.frame_bytes = Some(options.frame_bytes);
    let roles = (0..options.clients).map(|n| Role {
        next: Some(first),
        ..Role::subscriber(
            format!("resumer-{n}"),
            PAST,
            follow_from(&room_ids[PAST], Some(&place)),
        )
    });
    let replays = (options.clients * options.events) as u64;
    let meter = Meter::start(&server)?;
    live.ledger.measure();
    let is_over = AtomicBool::new(false);
    let caught_up = beside(
        || live.pace(&[LIVE], interval, |_| is_over.load(Ordering::Relaxed)),
        || {
            let caught_up = resumers.connect(roles).and_then(|()| {
                resumers.wait("catching up", |crowd| crowd.ledger.deliveries >= replays)
            });
            is_over.store(true, Ordering::Relaxed);
            caught_up.and_then(|()| meter.read())
        },
    )?;
    live.drain()?;
    let storm = live.ledger.measured();
    let end = first + options.events;
    let exact = resumers
        .subscribers
        .iter()
        .all(|client| client.next == Some(end));
    ensure!(exact, "not every client has exactly what it missed");
    let memory_after = settle(&mut resumers, &server)?.memory;

    Ok(Run {
        clients: options.clients,
        events: options.events,
        live: options.live,
        secs: caught_up.took.as_secs_f64(),
        replay_micros: caught_up.cpu_micros(replays),
        live_micros: live_micros(&mut live, &mut resumers, &server)?,
        calm_p50_millis: percentile(&calm, 0.5).as_secs_f64() * 1e3,
        calm_p99_millis: percentile(&calm, 0.99).as_secs_f64() * 1e3,
        storm_p50_millis: percentile(&storm, 0.5).as_secs_f64() * 1e3,
        storm_p99_millis: percentile(&storm, 0.99).as_secs_f64() * 1e3,
        memory_before,
        memory_after,
    })
}

/// What live deliveries cost to those who have resumed: 25,000 a second for five seconds.
fn live_micros(live: &mut Crowd, resumers: &mut Crowd, server: &Server) -> anyhow::Result<f64> {
    const PER_SEC: f64 = 25_000.0;
    let clients = resumers.subscribers.len();
    let interval = Duration::from_secs_f64(clients as f64 / PER_SEC);
    let count = Duration::from_secs(5).div_duration_f64(interval).ceil() as usize;
    let due = (clients * count) as u64;
    let end = resumers.ledger.deliveries + due;
    let meter = Meter::start(server)?;
    let spent = beside(
        || live.pace(&[PAST], interval, |n| n == count),
        || {
            resumers.wait("delivering", |crowd| crowd.ledger.deliveries >= end)?;
            meter.read()
        },
    )?;
    live.drain()?;
    Ok(spent.cpu_micros(due))
}

/// Does the first on a thread of its own (on the same core) while it does the second: neither has to wait for what the
/// other reads.
fn beside<T>(
    first: impl FnOnce() -> anyhow::Result<()> + Send,
    second: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        first
            .join()
            .map_err(|_| anyhow!("a thread of the bench panicked"))??;
        second
    })
}

/// The table of a record, if there is one.
pub fn report(json: &Path) -> anyhow::Result<Option<String>> {
    Ok(Record::read(json)?.map(|record| table(&record)))
}

fn table(record: &Record<Run>) -> String {
    let Some(first) = record.runs.first() else {
        return String::new();
    };
    let of = |figure: fn(&Run) -> f64| record.runs.iter().map(figure).collect::<Spread>();
    let mut table = Table::new(["", "median", "least", "most"]);
    let mut row = |name: &str, spread: Spread| {
        let figures = [spread.median, spread.least, spread.most].map(figure);
        table.push([vec![name.to_owned()], figures.to_vec()].concat());
    };
    row("seconds until all had everything", of(|run| run.secs));
    row(
        "events replayed a second",
        of(|run| (run.clients * run.events) as f64 / run.secs),
    );
    row(
        "CPU µs a replayed event, connecting included",
        of(|run| run.replay_micros),
    );
    row(
        "CPU µs a live delivery to the same clients",
        of(|run| run.live_micros),
    );
    row(
        "replayed to live",
        of(|run| run.replay_micros / run.live_micros),
    );
    row("the others: p50 ms before", of(|run| run.calm_p50_millis));
    row(
        "the others: p50 ms meanwhile",
        of(|run| run.storm_p50_millis),
    );
    row("the others: p99 ms before", of(|run| run.calm_p99_millis));
    row(
        "the others: p99 ms meanwhile",
        of(|run| run.storm_p99_millis),
    );
    row(
        "memory before, MB",
        of(|run| run.memory_before as f64 / 1e6),
    );
    row("memory after, MB", of(|run| run.memory_after as f64 / 1e6));
    let (clients, events, live) = (first.clients, first.events, first.live);
    format!(
        "{}### {clients} clients resume at once from {events} events back, {live} others are live\n\n{table}\n",
        record.heading()
    )
}
