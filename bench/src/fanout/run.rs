//! One run: a server of its own, its subscribers, and what bringing messages to them costs it.

use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::contenders::{Contender, LOBBY, follow};
use crate::load::{Crowd, Role};
use crate::machine::{Cores, memory_of};
use crate::measure::{Meter, settle};
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
    /// The subscribers spread over so many rooms, one each.
    pub rooms: usize,
    /// They ask in so many different documents.
    pub documents: usize,
    /// Deliveries a second, paced: subscribers of a room times events a second.
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
    pub rooms: usize,
    pub documents: usize,
    pub mode: Mode,
    pub round: usize,
    pub deliveries: u64,
    pub events: u64,
    pub secs: f64,
    /// CPU of the server process for each delivery, user and system, what the sends cost included.
    pub cpu_micros: f64,
    /// CPU of the server process for each send, measured by as many to a room where nobody listens, with the pings of
    /// all sockets meanwhile. Tidings alone keeps what it is sent, before anyone hears of it.
    pub send_micros: Option<f64>,
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

impl Run {
    /// What sends and pings add to each delivery; NaN where it was not measured.
    pub fn sends_micros(&self) -> f64 {
        let send = self.send_micros.unwrap_or(f64::NAN);
        send * self.events as f64 / self.deliveries as f64
    }
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
    let mut crowd = Crowd::new(&server.address, contender.talk(), vec![LOBBY.to_owned()])?;
    let keeps = contender == Contender::Tidings;
    let room_ids = if keeps {
        // One more, in which nobody listens.
        crowd.make_rooms(load.rooms + 1)?
    } else {
        vec![LOBBY.to_owned()]
    };
    let mut roles = (0..load.subscribers).map(|n| {
        let room = n % load.rooms;
        let follows = follow(&room_ids[room], n % load.documents);
        Role::subscriber(format!("user-{n}"), room, follows)
    });
    // The first subscriber has the server make what it makes once for all.
    crowd.connect(roles.next())?;
    crowd.pad(load.frame_bytes)?;

    let others = load.subscribers.saturating_sub(1).max(1) as f64;
    let before = settle(&mut crowd, &server)?;
    crowd.connect(roles)?;
    let idle = settle(&mut crowd, &server)?;
    crowd.warm_up()?;

    let mut runs = Vec::new();
    for mode in modes {
        settle(&mut crowd, &server)?;
        let run = measure(&mut crowd, &server, load, *mode)?;
        let used = memory_of(server.pid)?;
        runs.push(Run {
            server: contender.title().to_owned(),
            round,
            send_micros: keeps
                .then(|| measure_sends(&mut crowd, &server, load, *mode))
                .transpose()?,
            idle_bytes: (idle.memory as f64 - before.memory as f64) / others,
            used_bytes: (used as f64 - before.memory as f64) / others,
            connect_micros: (idle.cpu - before.cpu).as_secs_f64() * 1e6 / others,
            ..run
        });
    }
    Ok(runs)
}

fn measure(crowd: &mut Crowd, server: &Server, load: &Load, mode: Mode) -> anyhow::Result<Run> {
    let rooms = (0..load.rooms).collect::<Vec<_>>();
    let (delivered, sent) = (crowd.ledger.deliveries, crowd.ledger.sent_to_all());
    crowd.ledger.measure();
    let meter = Meter::start(server)?;
    send(crowd, &rooms, load, mode)?;
    let spent = meter.read()?;
    let deliveries = crowd.ledger.deliveries - delivered;
    let latencies = crowd.ledger.measured();
    Ok(Run {
        server: String::new(),
        subscribers: load.subscribers,
        rooms: load.rooms,
        documents: load.documents,
        mode,
        round: 0,
        deliveries,
        events: (crowd.ledger.sent_to_all() - sent) as u64,
        secs: spent.took.as_secs_f64(),
        cpu_micros: spent.cpu_micros(deliveries),
        send_micros: None,
        p50_millis: percentile(&latencies, 0.5).as_secs_f64() * 1e3,
        p99_millis: percentile(&latencies, 0.99).as_secs_f64() * 1e3,
        frame_bytes: crowd.ledger.wire_bytes,
        load_busy: spent.own.div_duration_f64(spent.took),
        idle_bytes: 0.0,
        used_bytes: 0.0,
        connect_micros: 0.0,
    })
}

/// Sends what the load and the mode say to the rooms in turn, and waits until all have all.
fn send(crowd: &mut Crowd, rooms: &[usize], load: &Load, mode: Mode) -> anyhow::Result<()> {
    let each = load.subscribers as f64 / load.rooms as f64;
    match mode {
        Mode::Paced => {
            let interval = Duration::from_secs_f64(each / load.paced_per_sec as f64);
            let count = Duration::from_secs(load.secs).div_duration_f64(interval);
            crowd.pace(rooms, interval, |n| n >= count.ceil() as usize)?;
        }
        Mode::Burst => crowd.burst(rooms, (load.burst as f64 / each).ceil() as usize)?,
    }
    crowd.drain()
}

/// CPU of the server, in microseconds, for a message to the room in which nobody listens.
fn measure_sends(
    crowd: &mut Crowd,
    server: &Server,
    load: &Load,
    mode: Mode,
) -> anyhow::Result<f64> {
    settle(crowd, server)?;
    let sent = crowd.ledger.sent_to_all();
    let meter = Meter::start(server)?;
    send(crowd, &[load.rooms], load, mode).context("sending to nobody")?;
    let sends = crowd.ledger.sent_to_all() - sent;
    Ok(meter.read()?.cpu_micros(sends as u64))
}
