//! One run: a server of its own, its subscribers, and what bringing messages to them costs it.

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::contenders::{Contender, LOBBY, follow};
use crate::load::{Crowd, Role};
use crate::machine::{Cores, cpu_of, cpu_of_this_thread, memory_of};
use crate::server::Server;
use crate::stats::percentile;

/// How messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// At an even pace that everyone keeps up with.
    Paced,
    /// As fast as they are taken: events come faster than sockets drain.
    Burst,
}

/// How much is done.
#[derive(Clone, Debug)]
pub struct Load {
    pub subscribers: usize,
    /// Deliveries a second, paced: subscribers times events a second.
    pub paced_per_sec: usize,
    pub secs: u64,
    /// Deliveries in a burst.
    pub burst: usize,
    /// Bytes of every frame, header included.
    pub frame_bytes: usize,
}

/// What one run came to.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Run {
    pub server: String,
    pub subscribers: usize,
    pub mode: Mode,
    pub round: usize,
    pub deliveries: u64,
    pub secs: f64,
    /// CPU of the server process for each delivery, user and system.
    pub cpu_micros: f64,
    pub p50_millis: f64,
    pub p99_millis: f64,
    pub frame_bytes: usize,
    /// Share of its core that the load generator used: near 1 it measures itself.
    pub load_busy: f64,
    /// Resident memory of the server for each subscribed socket: before the first message, and now.
    pub idle_bytes: f64,
    pub used_bytes: f64,
    /// CPU of the server for each client to connect, sign in and subscribe.
    pub connect_micros: f64,
}

/// Starts the server, connects everyone, and runs each mode once.
pub fn run(
    contender: Contender,
    load: &Load,
    modes: &[Mode],
    round: usize,
    cores: Cores,
) -> anyhow::Result<Vec<Run>> {
    let server = contender.start(cores.server)?;
    let roles = (0..load.subscribers).map(|n| Role {
        user: format!("user-{n}"),
        room: 0,
        follows: Some(follow(LOBBY)),
    });
    let mut roles = roles.collect::<Vec<_>>();
    let rest = roles.split_off(1);
    let mut crowd = Crowd::new(&server.address, contender.talk(), vec![LOBBY.to_owned()])?;
    // The first subscriber has the server make what it makes once for all.
    crowd.connect(roles)?;
    crowd.pad(load.frame_bytes)?;

    let others = rest.len().max(1) as f64;
    let before = settle(&mut crowd, &server)?;
    crowd.connect(rest)?;
    let idle = settle(&mut crowd, &server)?;
    crowd.warm_up()?;

    let mut runs = Vec::new();
    for mode in modes {
        settle(&mut crowd, &server)?;
        let measured = measure(&mut crowd, &server, load, *mode).with_context(|| {
            format!(
                "{} with {} subscribers",
                contender.title(),
                load.subscribers
            )
        })?;
        let used = memory_of(server.pid)?;
        runs.push(Run {
            server: contender.title().to_owned(),
            subscribers: load.subscribers,
            mode: *mode,
            round,
            idle_bytes: (idle.memory as f64 - before.memory as f64) / others,
            used_bytes: (used as f64 - before.memory as f64) / others,
            connect_micros: (idle.cpu - before.cpu).as_secs_f64() * 1e6 / others,
            ..measured
        });
    }
    Ok(runs)
}

fn measure(crowd: &mut Crowd, server: &Server, load: &Load, mode: Mode) -> anyhow::Result<Run> {
    crowd.ledger.measure();
    let delivered = crowd.ledger.deliveries;
    let (cpu, own, began) = (cpu_of(server.pid)?, cpu_of_this_thread()?, Instant::now());
    match mode {
        Mode::Paced => {
            let interval = Duration::from_secs(1) * u32::try_from(load.subscribers)?
                / u32::try_from(load.paced_per_sec)?;
            let count = Duration::from_secs(load.secs).div_duration_f64(interval);
            crowd.pace(count.ceil() as usize, interval)?;
        }
        Mode::Burst => crowd.burst(load.burst.div_ceil(load.subscribers))?,
    }
    crowd.drain()?;
    let took = began.elapsed();
    let (cpu, own) = (cpu_of(server.pid)? - cpu, cpu_of_this_thread()? - own);
    let deliveries = crowd.ledger.deliveries - delivered;
    let latencies = crowd.ledger.measured();
    Ok(Run {
        server: String::new(),
        subscribers: load.subscribers,
        mode,
        round: 0,
        deliveries,
        secs: took.as_secs_f64(),
        cpu_micros: cpu.as_secs_f64() * 1e6 / deliveries as f64,
        p50_millis: percentile(&latencies, 0.5).as_secs_f64() * 1e3,
        p99_millis: percentile(&latencies, 0.99).as_secs_f64() * 1e3,
        frame_bytes: crowd.ledger.wire_bytes,
        load_busy: own.div_duration_f64(took),
        idle_bytes: 0.0,
        used_bytes: 0.0,
        connect_micros: 0.0,
    })
}

/// What a server has used and holds.
struct Usage {
    cpu: Duration,
    memory: u64,
}

/// Waits until the server has nothing to do: there is no other sign that a subscription has begun.
fn settle(crowd: &mut Crowd, server: &Server) -> anyhow::Result<Usage> {
    const PEACE: Duration = Duration::from_millis(100);
    const QUIET: Duration = Duration::from_millis(2);
    const PATIENCE: Duration = Duration::from_secs(60);
    let began = Instant::now();
    let mut cpu = cpu_of(server.pid)?;
    loop {
        let until = Instant::now() + PEACE;
        while Instant::now() < until {
            crowd.turn(Some(until))?;
        }
        let used = cpu_of(server.pid)? - cpu;
        cpu += used;
        if used < QUIET {
            let memory = memory_of(server.pid)?;
            return Ok(Usage { cpu, memory });
        }
        anyhow::ensure!(began.elapsed() < PATIENCE, "the server never comes to rest");
    }
}
