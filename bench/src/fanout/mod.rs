//! What it costs a server to bring each event to many subscribers.
//!
//! One load generator, a single thread on one core, publishes and listens; each server is a process of its own on another
//! core. Every server sends frames of the same length, to the byte. The generator checks that every subscriber gets every
//! message once and in order: a run in which one does not is an error and no figure. The servers take turns, round by
//! round, so that what disturbs the machine disturbs them all.

mod run;
mod table;

use std::path::PathBuf;

use run::{Load, Mode};

use crate::contenders::Contender;
use crate::machine::{Cores, pin};

#[derive(clap::Args)]
pub struct Options {
    /// Subscribers, one run for each.
    #[arg(long, value_delimiter = ',', default_value = "500,5000")]
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
    #[arg(long, default_value_t = 1_000_000)]
    burst: usize,
    /// Bytes of every frame, header included.
    #[arg(long, default_value_t = 610)]
    frame_bytes: usize,
    /// Where all single runs go.
    #[arg(long, default_value = "target/bench/fanout.json")]
    json: PathBuf,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let cores = Cores::two()?;
    if cores.server.is_none() {
        println!(
            "There is one core only: server and load generator share it, and neither is pinned.\n"
        );
    }
    pin(cores.load)?;
    let everyone = if options.only.is_empty() {
        <Contender as clap::ValueEnum>::value_variants()
    } else {
        &options.only
    };
    let (mut there, mut missing) = (Vec::new(), String::new());
    for contender in everyone {
        match contender.install() {
            Ok(()) => there.push(*contender),
            Err(why) => missing += &format!("Missing: {}: {why}.\n", contender.title()),
        }
    }
    let mut runs = Vec::new();
    for &subscribers in &options.subscribers {
        let load = Load {
            subscribers,
            paced_per_sec: options.paced_per_sec,
            secs: options.secs,
            burst: options.burst,
            frame_bytes: options.frame_bytes,
        };
        for round in 0..options.rounds {
            for n in 0..there.len() {
                let contender = there[(n + round) % there.len()];
                eprintln!(
                    "{subscribers} subscribers, round {round}: {}",
                    contender.title()
                );
                runs.extend(run::run(contender, &load, &options.mode, round, cores)?);
            }
        }
    }
    if let Some(folder) = options.json.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&options.json, serde_json::to_vec_pretty(&runs)?)?;
    print!("{}{missing}", table::of(&runs));
    Ok(())
}
