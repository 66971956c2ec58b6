//! What a lone durable commit costs when nothing else is done: the floor of a send that nobody shares a commit with.

use std::time::Duration;

use crate::machine::{Cores, pin};
use crate::markdown::figure;
use crate::one_commit;
use crate::stats::Spread;

#[derive(clap::Args)]
pub struct Options {
    /// Commits a second; 0: each after the other.
    #[arg(long, default_value_t = 50)]
    per_sec: u32,
    /// Commits of each run.
    #[arg(long, default_value_t = 250)]
    count: u32,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Bytes of each message body.
    #[arg(long, default_value_t = 100)]
    body_bytes: usize,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    // One core for the task and the driver's thread, as the server has in the other benches.
    pin(Cores::two()?.server)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let body = "x".repeat(options.body_bytes);
    let interval = match options.per_sec {
        0 => Duration::from_nanos(1),
        per_sec => Duration::from_secs(1) / per_sec,
    };
    let mut micros = Vec::new();
    for _ in 0..options.rounds {
        let folder = tempfile::tempdir()?;
        let paced = one_commit::paced(folder.path(), interval, options.count, &body);
        micros.push(runtime.block_on(paced)?);
    }
    let spread = micros.into_iter().collect::<Spread>();
    println!(
        "CPU us a lone commit: {} ({}-{})",
        figure(spread.median),
        figure(spread.least),
        figure(spread.most)
    );
    Ok(())
}
