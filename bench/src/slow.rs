//! Sockets that stop reading, beside others that read.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::contenders::{Contender, LOBBY, follow_from};
use crate::load::{Crowd, Role};
use crate::machine::{Cores, forget_peak_of, peak_memory_of, pin, raise_file_limit};
use crate::markdown::{Table, figure};
use crate::measure::{Meter, settle};
use crate::record::Record;
use crate::server::Server;
use crate::stats::{Spread, percentile};

#[derive(clap::Args)]
pub struct Options {
    /// Sockets that read.
    #[arg(long, default_value_t = 1_000)]
    readers: usize,
    /// Sockets that stop reading.
    #[arg(long, default_value_t = 1_000)]
    stalled: usize,
    /// Messages a second.
    #[arg(long, default_value_t = 200)]
    per_sec: u32,
    #[arg(long, default_value_t = 60)]
    secs: u32,
    /// Runs with and without the stalled ones.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Bytes of every frame, header included.
    #[arg(long, default_value_t = 610)]
    frame_bytes: usize,
    /// Where all single runs go.
    #[arg(long, default_value = "target/bench/slow.json")]
    json: PathBuf,
}

/// By then every stalled socket has been noticed: the kernel's buffers and the server's budget for it are full, so that it
/// is served no longer. Until then the server has twice as many to serve.
const NOTICED_SECS: u32 = 10;

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Run {
    readers: usize,
    stalled: usize,
    messages: u64,
    /// Seconds that the messages took, from the first sent to the last received by a reader.
    secs: f64,
    p50_millis: f64,
    p99_millis: f64,
    /// The same from second [`NOTICED_SECS`] on; none where it ended before.
    late_p99_millis: Option<f64>,
    /// CPU of the server for each delivery to a reader.
    cpu_micros: f64,
    memory_before: u64,
    /// The most at once, up to when every stalled client had caught up.
    memory_peak: u64,
    memory_after: u64,
    /// Stalled clients that were cut off, and connected anew.
    cut_off: usize,
    /// Seconds from when they read again until each had everything in order.
    caught_up_secs: f64,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    raise_file_limit()?;
    let cores = Cores::two()?;
    let mut record = Record::begin(cores, Vec::new())?;
    pin(cores.load)?;
    for round in 0..options.rounds {
        for stalled in [0, options.stalled] {
            eprintln!(
                "round {round}: {} readers, {stalled} stalled",
                options.readers
            );
            record.runs.push(once(options, stalled, cores)?);
            record.write(&options.json)?;
        }
    }
    print!("{}", table(&record));
    Ok(())
}

fn once(options: &Options, stalled: usize, cores: Cores) -> anyhow::Result<Run> {
    let server = Server::tidings(cores.server)?;
    let talk = Contender::Tidings.talk();
    let mut readers = Crowd::new(&server.address, talk, vec![LOBBY.to_owned()])?;
    let role = |name: String| Role::subscriber(name, 0, follow_from(LOBBY, None));
    readers.connect((0..options.readers).map(|n| role(format!("reader-{n}"))))?;
    readers.pad(options.frame_bytes)?;
    let mut others = Crowd::of_listeners(&server.address, talk)?;
    others.ledger.frame_bytes = Some(options.frame_bytes);
    others.connect((0..stalled).map(|n| Role {
        may_be_cut: true,
        ..role(format!("stalled-{n}"))
    }))?;
    while others
        .subscribers
        .iter()
        .any(|client| client.next.is_none())
    {
        readers.publish(0)?;
        readers.drain()?;
        others.serve_until(Instant::now() + Duration::from_millis(100))?;
    }
    let memory_before = settle(&mut readers, &server)?.memory;
    forget_peak_of(server.pid)?;

    let (count, delivered) = (options.per_sec * options.secs, readers.ledger.deliveries);
    let interval = Duration::from_secs(1) / options.per_sec;
    readers.ledger.measure();
    let meter = Meter::start(&server)?;
    let early = count.min(options.per_sec * NOTICED_SECS);
    readers.pace(&[0], interval, |n| n == early as usize)?;
    let mut latencies = readers.ledger.measured();
    readers.ledger.measure();
    readers.pace(&[0], interval, |n| n == (count - early) as usize)?;
    readers.drain()?;
    let spent = meter.read()?;
    let late = readers.ledger.measured();
    let late_p99 = (!late.is_empty()).then(|| percentile(&late, 0.99));
    latencies.extend(late);
    latencies.sort_unstable();

    let again = Instant::now();
    let cut_off = catch_up(&mut others, &mut readers)?;
    let caught_up_secs = again.elapsed().as_secs_f64();
    let memory_peak = peak_memory_of(server.pid)?;
    Ok(Run {
        readers: options.readers,
        stalled,
        messages: count.into(),
        secs: spent.took.as_secs_f64(),
        p50_millis: percentile(&latencies, 0.5).as_secs_f64() * 1e3,
        p99_millis: percentile(&latencies, 0.99).as_secs_f64() * 1e3,
        late_p99_millis: late_p99.map(|late| late.as_secs_f64() * 1e3),
        cpu_micros: spent.cpu_micros(readers.ledger.deliveries - delivered),
        memory_before,
        memory_peak,
        memory_after: settle(&mut readers, &server)?.memory,
        cut_off,
        caught_up_secs,
    })
}

/// The stalled ones read again; who has been cut off comes back with what it got last. How many were.
fn catch_up(others: &mut Crowd, readers: &mut Crowd) -> anyhow::Result<usize> {
    const PATIENCE: Duration = Duration::from_secs(300);
    let (began, end) = (Instant::now(), readers.ledger.sent(0));
    let mut cut_off = 0;
    while others
        .subscribers
        .iter()
        .any(|client| client.next != Some(end))
    {
        ensure!(
            began.elapsed() < PATIENCE,
            "not every stalled client has caught up"
        );
        others.serve_until(Instant::now() + Duration::from_millis(50))?;
        readers.turn(Some(Instant::now()))?;
        cut_off += others.reconnect()?;
    }
    Ok(cut_off)
}

/// The table of a record, if there is one.
pub fn report(json: &Path) -> anyhow::Result<Option<String>> {
    Ok(Record::read(json)?.map(|record| table(&record)))
}

fn table(record: &Record<Run>) -> String {
    let Some(first) = record.runs.first() else {
        return String::new();
    };
    let stalled = record.runs.iter().map(|run| run.stalled).max().unwrap_or(0);
    let of = |stalled: usize, figure: fn(&Run) -> f64| {
        let runs = record.runs.iter().filter(|run| run.stalled == stalled);
        runs.map(figure).collect::<Spread>().median
    };
    let mut table = Table::new(["", "none stalled", &format!("{stalled} stalled")]);
    let mut row = |name: &str, value: fn(&Run) -> f64| {
        let figures = [0, stalled].map(|stalled| figure(of(stalled, value)));
        table.push([vec![name.to_owned()], figures.to_vec()].concat());
    };
    row("p50 ms of the readers", |run| run.p50_millis);
    row("p99 ms of the readers", |run| run.p99_millis);
    row("the same from the 11th second on", |run| {
        run.late_p99_millis.unwrap_or(f64::NAN)
    });
    row("CPU µs a delivery to a reader", |run| run.cpu_micros);
    row("seconds that the messages took", |run| run.secs);
    row("memory before, MB", |run| run.memory_before as f64 / 1e6);
    row("memory at most, MB", |run| run.memory_peak as f64 / 1e6);
    row("memory after, MB", |run| run.memory_after as f64 / 1e6);
    row("stalled clients that were cut off", |run| {
        run.cut_off as f64
    });
    row("seconds until each had the whole log in order", |run| {
        run.caught_up_secs
    });
    let (readers, messages) = (first.readers, first.messages);
    format!(
        "{}### {readers} sockets that read, {messages} messages, sockets that stop reading beside them\n\n{table}\n",
        record.heading()
    )
}
