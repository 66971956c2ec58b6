//! What it costs a server to bring each event to many subscribers.
//!
//! One load generator, a single thread on one core, publishes and listens; each server is a process of its own on another
//! core. Every server sends frames of the same length, to the byte. The generator checks that every subscriber gets every
//! message once and in order: a run in which one does not is an error and no figure. The servers take turns, round by
//! round, so that what disturbs the machine disturbs them all.

mod chart;
mod run;
mod table;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;

use crate::contenders::Contender;
use crate::machine::{Cores, pin, raise_file_limit};
use crate::record::Record;

pub use run::{Load, Mode, Run, run as run_once};

#[derive(clap::Args)]
pub struct Options {
    /// Subscribers, one run for each.
    #[arg(long, value_delimiter = ',', default_value = "500,5000,9000")]
    subscribers: Vec<usize>,
    /// Runs of each, interleaved; medians are printed.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Who; everyone unless said.
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Contender>,
    /// How messages are sent.
    #[arg(long, value_delimiter = ',', value_enum, default_value = "paced,burst")]
    mode: Vec<Mode>,
    /// Deliveries a second, paced: 500 subscribers get 50 events a second, 5,000 get 5.
    #[arg(long, default_value_t = 25_000)]
    paced_per_sec: usize,
    /// Seconds of each paced run.
    #[arg(long, default_value_t = 5)]
    secs: u64,
    /// Deliveries of each burst.
    #[arg(long, default_value_t = 500_000)]
    burst: usize,
    /// Bytes of every frame, header included.
    #[arg(long, default_value_t = 610)]
    frame_bytes: usize,
    /// Where all single runs go.
    #[arg(long, default_value = "target/bench/fanout.json")]
    json: PathBuf,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let everyone = if options.only.is_empty() {
        Contender::value_variants()
    } else {
        &options.only
    };
    let (there, mut missing) = installed(everyone);
    let subscribers = within(raise_file_limit()?, &options.subscribers, &mut missing);
    let cores = Cores::two()?;
    let mut record = Record::begin(cores, missing)?;
    pin(cores.load)?;
    for subscribers in subscribers {
        let load = Load {
            subscribers,
            rooms: 1,
            documents: 1,
            paced_per_sec: options.paced_per_sec,
            secs: options.secs,
            burst: options.burst,
            frame_bytes: options.frame_bytes,
        };
        for round in 0..options.rounds {
            for n in 0..there.len() {
                let contender = there[(n + round) % there.len()];
                let what = format!(
                    "{subscribers} subscribers, round {round}: {}",
                    contender.title()
                );
                eprintln!("{what}");
                let runs = run_once(contender, &load, &options.mode, round, cores);
                record.runs.extend(runs.context(what)?);
                record.write(&options.json)?;
            }
        }
    }
    print!("{}", table::of(&record));
    Ok(())
}

/// The tables of a record, if there is one.
pub fn report(json: &Path) -> anyhow::Result<Option<String>> {
    Ok(Record::read(json)?.map(|record| table::of(&record)))
}

/// The chart of a record, if there is one.
pub fn chart(json: &Path) -> anyhow::Result<Option<String>> {
    Ok(Record::read(json)?.map(|record| chart::of(&record)))
}

/// Those numbers of subscribers for which a process may open enough sockets.
pub fn within(sockets: usize, subscribers: &[usize], missing: &mut Vec<String>) -> Vec<usize> {
    let (within, beyond) = subscribers
        .iter()
        .partition::<Vec<usize>, _>(|n| **n <= sockets);
    let beyond = beyond.iter();
    missing
        .extend(beyond.map(|n| format!("{n} subscribers: a process may open {sockets} sockets")));
    within
}

/// Who can be started, and why the others cannot.
fn installed(everyone: &[Contender]) -> (Vec<Contender>, Vec<String>) {
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for contender in everyone {
        match contender.install() {
            Ok(()) => there.push(*contender),
            Err(why) => missing.push(format!("{}: {why}", contender.title())),
        }
    }
    (there, missing)
}
