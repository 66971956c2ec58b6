//! How the cost of a delivery grows: with subscribers, with rooms, with distinct operations.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::contenders::Contender;
use crate::fanout::{Load, Mode, Run, run_once, within};
use crate::machine::{Cores, pin, raise_file_limit};
use crate::markdown::{Table, figure};
use crate::record::Record;
use crate::stats::{Spread, distinct};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum By {
    /// One room, one document.
    Subscribers,
    /// The same number of subscribers over more rooms.
    Rooms,
    /// Subscribers of one room that ask in more different documents, beside who shares nothing.
    Documents,
}

#[derive(clap::Args)]
pub struct Options {
    /// What grows.
    #[arg(
        long,
        value_delimiter = ',',
        value_enum,
        default_value = "subscribers,rooms,documents"
    )]
    by: Vec<By>,
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "100,500,1000,2000,5000,9000"
    )]
    subscribers: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_value = "1,20,500")]
    rooms: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_value = "1,10,500")]
    documents: Vec<usize>,
    /// Subscribers over all rooms.
    #[arg(long, default_value_t = 5_000)]
    in_rooms: usize,
    /// Subscribers with all documents.
    #[arg(long, default_value_t = 500)]
    with_documents: usize,
    /// Runs of each, interleaved; medians are printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Deliveries a second. Less than in `fanout`: with 500 rooms ten hear each event, so that there are many events.
    #[arg(long, default_value_t = 10_000)]
    paced_per_sec: usize,
    /// Seconds of each run.
    #[arg(long, default_value_t = 5)]
    secs: u64,
    /// Bytes of every frame, header included.
    #[arg(long, default_value_t = 610)]
    frame_bytes: usize,
    /// Where all single runs go.
    #[arg(long, default_value = "target/bench/scaling.json")]
    json: PathBuf,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Point {
    by: By,
    run: Run,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut missing = Vec::new();
    let subscribers = within(raise_file_limit()?, &options.subscribers, &mut missing);
    let cores = Cores::two()?;
    let mut record = Record::begin(cores, missing)?;
    pin(cores.load)?;
    for round in 0..options.rounds {
        for (by, contender, load) in plan(options, &subscribers) {
            let (n, rooms, documents) = (load.subscribers, load.rooms, load.documents);
            let what = format!(
                "round {round}: {n} subscribers, {rooms} rooms, {documents} documents: {}",
                contender.title()
            );
            eprintln!("{what}");
            let runs = run_once(contender, &load, &[Mode::Paced], round, cores).context(what)?;
            record
                .runs
                .extend(runs.into_iter().map(|run| Point { by, run }));
            record.write(&options.json)?;
        }
    }
    print!("{}", tables(&record));
    Ok(())
}

/// The runs of a round.
fn plan(options: &Options, subscribers: &[usize]) -> Vec<(By, Contender, Load)> {
    let load = |subscribers, rooms, documents| Load {
        subscribers,
        rooms,
        documents,
        paced_per_sec: options.paced_per_sec,
        secs: options.secs,
        burst: 0,
        frame_bytes: options.frame_bytes,
    };
    let mut plan = Vec::new();
    for by in &options.by {
        let mut push = |contender, subscribers, rooms, documents| {
            plan.push((*by, contender, load(subscribers, rooms, documents)));
        };
        match by {
            By::Subscribers => {
                subscribers
                    .iter()
                    .for_each(|n| push(Contender::Tidings, *n, 1, 1));
            }
            By::Rooms => {
                options
                    .rooms
                    .iter()
                    .for_each(|n| push(Contender::Tidings, options.in_rooms, *n, 1));
            }
            By::Documents => {
                for n in &options.documents {
                    push(Contender::Tidings, options.with_documents, 1, *n);
                    push(Contender::AsyncGraphql, options.with_documents, 1, *n);
                }
            }
        }
    }
    plan
}

/// The tables of a record, if there is one.
pub fn report(json: &Path) -> anyhow::Result<Option<String>> {
    Ok(Record::read(json)?.map(|record| tables(&record)))
}

fn tables(record: &Record<Point>) -> String {
    let mut text = record.heading();
    for by in distinct(&record.runs, |point| point.by) {
        let runs = record.runs.iter().filter(|point| point.by == by);
        let runs = runs.map(|point| &point.run).collect::<Vec<_>>();
        text += &match by {
            By::Subscribers => growth("subscribers", &runs, |run| run.subscribers),
            By::Rooms => growth("rooms", &runs, |run| run.rooms),
            By::Documents => sharing(&runs),
        };
    }
    text
}

fn growth(title: &str, runs: &[&Run], of: fn(&Run) -> usize) -> String {
    let total = runs.first().map_or(0, |run| run.subscribers);
    let heading = match title {
        "rooms" => format!("### By rooms, {total} subscribers in all"),
        _ => format!("### By {title}"),
    };
    let mut table = Table::new([
        title,
        "events/s",
        "CPU µs a delivery",
        "least-most",
        "of it sends and pings",
        "p50 ms",
        "p99 ms",
        "connect, CPU µs",
        "idle kB a socket",
    ]);
    for n in distinct(runs, |run| of(run)) {
        let own = runs.iter().filter(|run| of(run) == n).collect::<Vec<_>>();
        let of = |figure: fn(&Run) -> f64| own.iter().map(|run| figure(run)).collect::<Spread>();
        let cpu = of(|run| run.cpu_micros);
        table.push([
            n.to_string(),
            figure(of(|run| run.events as f64 / run.secs).median),
            figure(cpu.median),
            format!("{}-{}", figure(cpu.least), figure(cpu.most)),
            figure(of(Run::sends_micros).median),
            figure(of(|run| run.p50_millis).median),
            figure(of(|run| run.p99_millis).median),
            figure(of(|run| run.connect_micros).median),
            figure(of(|run| run.idle_bytes / 1e3).median),
        ]);
    }
    format!("{heading}\n\n{table}\n")
}

fn sharing(runs: &[&Run]) -> String {
    let Some(first) = runs.first() else {
        return String::new();
    };
    let mut table = Table::new([
        "documents",
        "Tidings, CPU µs a delivery",
        "least-most",
        "async-graphql-axum, which shares nothing",
        "least-most",
        "ratio",
    ]);
    for n in distinct(runs, |run| run.documents) {
        let of = |contender: Contender| {
            let own = runs.iter().filter(|run| run.documents == n);
            let own = own.filter(|run| run.server == contender.title());
            own.map(|run| run.cpu_micros).collect::<Spread>()
        };
        let (own, peer) = (of(Contender::Tidings), of(Contender::AsyncGraphql));
        table.push([
            n.to_string(),
            figure(own.median),
            format!("{}-{}", figure(own.least), figure(own.most)),
            figure(peer.median),
            format!("{}-{}", figure(peer.least), figure(peer.most)),
            figure(own.median / peer.median),
        ]);
    }
    format!(
        "### By distinct documents, {} subscribers of one room\n\n{table}\n",
        first.subscribers
    )
}
