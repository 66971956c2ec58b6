//! So many new sockets a second, beside some that are there: what that costs those, with a bound and without.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::interval;

use super::follower::{Follower, World};
use super::{calm, join, p99_millis, sender, talk, until, world_of};
use crate::contenders::LOBBY;
use crate::machine::{Cores, cpu_of, peak_memory_of, pin, raise_file_limit};
use crate::markdown::{Table, figure};
use crate::record::Record;
use crate::server::Server;

#[derive(clap::Args)]
pub struct Options {
    /// Sockets a second that come.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1000,1500,2000,3000,4000,6000"
    )]
    rates: Vec<u32>,
    /// TIDINGS_SOCKETS_PER_SECOND; 0 for no bound.
    #[arg(long, value_delimiter = ',', default_value = "0,2000")]
    bounds: Vec<u32>,
    /// Sockets that come in all: one address has some 28,000 ports.
    #[arg(long, default_value_t = 18_000)]
    sockets: u32,
    /// For how long they come, at most.
    #[arg(long, default_value_t = 10)]
    secs: u32,
    /// Subscribers of another room, who are there.
    #[arg(long, default_value_t = 100)]
    live: usize,
    /// Events a second in that room.
    #[arg(long, default_value_t = 20)]
    live_per_sec: u32,
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Where all single runs go.
    #[arg(long, default_value = "target/bench/rush.json")]
    json: PathBuf,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Run {
    /// 0 for none.
    bound_per_sec: u32,
    rate_per_sec: u32,
    came: u32,
    /// Acknowledged and following.
    live: usize,
    refused: usize,
    failed: usize,
    /// From the last one that came until all were following or refused.
    secs_behind: f64,
    /// Of the server's core, from the first one that came until then.
    busy_share: f64,
    memory_peak: u64,
    calm_p99_millis: f64,
    rush_p99_millis: f64,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let most = raise_file_limit()?;
    let needed = options.sockets as usize + options.live;
    ensure!(
        most >= needed,
        "{needed} sockets need more open files than {most}: raise `ulimit -Hn`"
    );
    let cores = Cores::two()?;
    let mut record = Record::begin(cores, Vec::new())?;
    pin(cores.load)?;
    for _ in 0..options.rounds {
        for &rate in &options.rates {
            for &bound in &options.bounds {
                eprintln!("{rate} sockets a second, {bound} let in");
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.enable_all().build()?;
                let rush = rush(options, rate, bound, cores);
                record.runs.push(LocalSet::new().block_on(&runtime, rush)?);
                record.write(&options.json)?;
            }
        }
    }
    print!("{}", table(&record));
    Ok(())
}

async fn rush(options: &Options, rate: u32, bound: u32, cores: Cores) -> anyhow::Result<Run> {
    let server = Server::letting_in(bound, cores.server)?;
    let world = world_of(&server);
    let mut crowd = JoinSet::new();
    let (_sender, live_room) = sender(&server).await?;
    join(&world, &mut crowd, options.live, "live", &live_room);
    let tally = &world.tally;
    until(&mut crowd, || tally.followed.get() == options.live).await?;
    let talk = talk(
        world.clone(),
        server.address.clone(),
        live_room,
        options.live_per_sec,
    );
    let talking = tokio::task::spawn_local(talk);
    // A bound has its burst by the end of that.
    let calm_p99_millis = calm(&world, &mut crowd).await?;

    let came = (rate * options.secs).min(options.sockets);
    let visitors = visitors(&world, came)?;
    let (began, cpu) = (Instant::now(), cpu_of(server.pid)?);
    come(visitors, &mut crowd, rate).await;
    let last = Instant::now();
    let served = || tally.followed.get() - options.live + tally.refused.get() + tally.failed.get();
    until(&mut crowd, || served() >= came as usize).await?;
    let busy = cpu_of(server.pid)? - cpu;
    talking.abort();
    Ok(Run {
        bound_per_sec: bound,
        rate_per_sec: rate,
        came,
        live: tally.followed.get() - options.live,
        refused: tally.refused.get(),
        failed: tally.failed.get(),
        secs_behind: last.elapsed().as_secs_f64(),
        busy_share: busy.as_secs_f64() / began.elapsed().as_secs_f64(),
        memory_peak: peak_memory_of(server.pid)?,
        calm_p99_millis,
        rush_p99_millis: p99_millis(&world),
    })
}

/// Those who are to come, each with what it will say first: signing tokens takes time that is not the server's.
fn visitors(world: &Rc<World>, count: u32) -> anyhow::Result<Vec<(Follower, Vec<u8>)>> {
    let visitors = (0..count).map(|n| {
        let visitor = Follower {
            world: world.clone(),
            user: format!("socket-{n}"),
            room_id: LOBBY.to_owned(),
            is_live: false,
            has: Rc::new(Cell::new(0)),
            resume: None,
        };
        let init = visitor.init()?;
        Ok((visitor, init))
    });
    visitors.collect()
}

/// All of them, evenly over time, whatever becomes of those before.
async fn come(
    visitors: Vec<(Follower, Vec<u8>)>,
    crowd: &mut JoinSet<anyhow::Result<()>>,
    rate: u32,
) {
    const STEPS_PER_SEC: u64 = 200;
    let mut steps = interval(Duration::from_secs(1) / STEPS_PER_SEC as u32);
    let mut visitors = visitors.into_iter();
    for step in 1.. {
        steps.tick().await;
        let rate = u64::from(rate);
        let due = step * rate / STEPS_PER_SEC - (step - 1) * rate / STEPS_PER_SEC;
        for _ in 0..due {
            let Some((visitor, init)) = visitors.next() else {
                return;
            };
            crowd.spawn_local(visitor.visit(init));
        }
    }
}

/// The table of a record, if there is one.
pub fn report(json: &Path) -> anyhow::Result<Option<String>> {
    Ok(Record::read(json)?.map(|record| table(&record)))
}

fn table(record: &Record<Run>) -> String {
    let mut table = Table::new([
        "come a second",
        "let in a second",
        "came",
        "are live",
        "refused 503",
        "failed",
        "all served after the last, s",
        "server's core busy, %",
        "memory peak, MB",
        "live p99 before, ms",
        "meanwhile, ms",
    ]);
    for run in &record.runs {
        table.push([
            run.rate_per_sec.to_string(),
            match run.bound_per_sec {
                0 => "all".to_owned(),
                bound => bound.to_string(),
            },
            run.came.to_string(),
            run.live.to_string(),
            run.refused.to_string(),
            run.failed.to_string(),
            figure(run.secs_behind),
            figure(100.0 * run.busy_share),
            figure(run.memory_peak as f64 / 1e6),
            figure(run.calm_p99_millis),
            figure(run.rush_p99_millis),
        ]);
    }
    format!(
        "{}### New sockets beside those that are there\n\n{table}\n",
        record.heading()
    )
}
