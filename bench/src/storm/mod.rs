//! Thousands are cut off at once and come back: the server is restarted in order, is killed, or the network drops them.

mod follower;
pub mod rush;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{interval, sleep};

use self::follower::{Follower, Tally, World};
use crate::contenders::LOBBY;
use crate::http::Http;
use crate::machine::{
    Cores, cpu_of, forget_peak_of, memory_of, peak_memory_of, pin, raise_file_limit,
};
use crate::markdown::{Table, figure};
use crate::record::Record;
use crate::server::{Server, token};
use crate::stats::percentile;

#[derive(clap::Args)]
pub struct Options {
    /// Subscribed sockets that are cut off.
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
    /// Messages that are sent while they are away: each of them must have all.
    #[arg(long, default_value_t = 50)]
    messages: usize,
    /// Subscribers of another room, whom the network does not drop.
    #[arg(long, default_value_t = 100)]
    live: usize,
    /// Events a second in that room.
    #[arg(long, default_value_t = 20)]
    live_per_sec: u32,
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Where all single runs go.
    #[arg(long, default_value = "target/bench/storm.json")]
    json: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
enum Cut {
    Restarted,
    Killed,
    Dropped,
}

impl Cut {
    const ALL: [Self; 3] = [Self::Restarted, Self::Killed, Self::Dropped];

    const fn name(self) -> &'static str {
        match self {
            Self::Restarted => "server restarted in order (SIGTERM, 1012 over 10 s)",
            Self::Killed => "server killed (SIGKILL)",
            Self::Dropped => "all dropped by the network",
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Run {
    cut: Cut,
    sockets: usize,
    messages: usize,
    /// From the signal, or the cut, until everyone has everything.
    secs: f64,
    /// From when the server was there again.
    secs_served: f64,
    /// CPU of the server meanwhile, for each socket that came back.
    cpu_micros: f64,
    memory_before: u64,
    memory_peak: u64,
    told: usize,
    refused: usize,
    failed: usize,
    closed: usize,
    /// Of those whom nothing cut off, before and meanwhile.
    calm_p99_millis: Option<f64>,
    storm_p99_millis: Option<f64>,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let most = raise_file_limit()?;
    let needed = options.sockets + options.live;
    ensure!(
        most >= needed,
        "{needed} sockets need more open files than {most}: raise `ulimit -Hn`"
    );
    let cores = Cores::two()?;
    let mut record = Record::begin(cores, Vec::new())?;
    pin(cores.load)?;
    for round in 0..options.rounds {
        for cut in Cut::ALL {
            eprintln!("round {round}: {} sockets, {}", options.sockets, cut.name());
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build()?;
            let storm = storm(options, cut, cores);
            record.runs.push(LocalSet::new().block_on(&runtime, storm)?);
            record.write(&options.json)?;
        }
    }
    print!("{}", table(&record));
    Ok(())
}

async fn storm(options: &Options, cut: Cut, cores: Cores) -> anyhow::Result<Run> {
    let mut server = Server::tidings(cores.server)?;
    let world = world_of(&server);
    let mut crowd = JoinSet::new();
    let (mut sender, live_room) = sender(&server).await?;
    let live = if cut == Cut::Dropped { options.live } else { 0 };
    join(&world, &mut crowd, live, "live", &live_room);
    let followers = join(&world, &mut crowd, options.sockets, "socket", LOBBY);
    until(&mut crowd, || {
        world.tally.followed.get() == live + options.sockets
    })
    .await?;
    // All are live. One message more, and each has a place of its own.
    send(&mut sender, LOBBY, 0).await?;
    until(&mut crowd, || have(&followers, 1)).await?;

    let (address, room) = (server.address.clone(), live_room.clone());
    let talk = talk(world.clone(), address, room, options.live_per_sec);
    let talking = (live > 0).then(|| tokio::task::spawn_local(talk));
    let calm = match live {
        0 => None,
        _ => Some(calm(&world, &mut crowd).await?),
    };
    sleep(Duration::from_secs(1)).await;
    let memory_before = memory_of(server.pid)?;
    let before = [
        &world.tally.told,
        &world.tally.refused,
        &world.tally.failed,
        &world.tally.closed,
    ];
    let before = before.map(Cell::get);

    let began = Instant::now();
    match cut {
        Cut::Dropped => {
            forget_peak_of(server.pid)?;
            world.cut.send_modify(|cuts| *cuts += 1);
        }
        Cut::Restarted | Cut::Killed => {
            server = tokio::task::spawn_blocking(move || {
                if cut == Cut::Restarted {
                    server.stop()?;
                }
                server.start_again(cores.server)
            })
            .await??;
            sender = Http::connect(&server.address, token("sender")?).await?;
        }
    }
    let (served, cpu) = (Instant::now(), cpu_of(server.pid)?);
    for number in 1..=options.messages {
        send(&mut sender, LOBBY, number).await?;
    }
    until(&mut crowd, || have(&followers, 1 + options.messages)).await?;
    let (secs, secs_served) = (
        began.elapsed().as_secs_f64(),
        served.elapsed().as_secs_f64(),
    );
    // A server that was started has counted what it took to start.
    let cpu = match cut {
        Cut::Dropped => cpu_of(server.pid)? - cpu,
        _ => cpu_of(server.pid)?,
    };
    let memory_peak = peak_memory_of(server.pid)?;
    if let Some(talking) = talking {
        talking.abort();
    }
    let since = |cell: &Cell<usize>, n: usize| cell.get() - before[n];
    Ok(Run {
        cut,
        sockets: options.sockets,
        messages: options.messages,
        secs,
        secs_served,
        cpu_micros: cpu.as_secs_f64() * 1e6 / options.sockets as f64,
        memory_before,
        memory_peak,
        told: since(&world.tally.told, 0),
        refused: since(&world.tally.refused, 1),
        failed: since(&world.tally.failed, 2),
        closed: since(&world.tally.closed, 3),
        calm_p99_millis: calm,
        storm_p99_millis: calm.map(|_| p99_millis(&world)),
    })
}

fn world_of(server: &Server) -> Rc<World> {
    Rc::new(World {
        address: server.address.clone(),
        cut: watch::Sender::new(0),
        tally: Tally::default(),
        sent: RefCell::default(),
        latencies: RefCell::default(),
    })
}

/// Connects so many, at the rate at which their backoff and the server let them; how many messages each has.
fn join(
    world: &Rc<World>,
    crowd: &mut JoinSet<anyhow::Result<()>>,
    count: usize,
    name: &str,
    room_id: &str,
) -> Vec<Rc<Cell<usize>>> {
    let followers = (0..count).map(|n| {
        let has = Rc::new(Cell::new(0));
        let follower = Follower {
            world: world.clone(),
            user: format!("{name}-{n}"),
            room_id: room_id.to_owned(),
            is_live: name == "live",
            has: has.clone(),
            resume: None,
        };
        // Not all in one moment: the first arrival is no storm.
        let turn = Duration::from_micros(500) * u32::try_from(n).unwrap_or(u32::MAX);
        crowd.spawn_local(async move {
            sleep(turn).await;
            follower.run().await
        });
        has
    });
    followers.collect()
}

fn have(followers: &[Rc<Cell<usize>>], messages: usize) -> bool {
    followers.iter().all(|has| has.get() == messages)
}

/// Waits until something is so, or someone has met a fault.
async fn until(
    crowd: &mut JoinSet<anyhow::Result<()>>,
    is_so: impl Fn() -> bool,
) -> anyhow::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(300);
    /// As exactly as times are told.
    const LOOK: Duration = Duration::from_millis(10);
    let began = Instant::now();
    while !is_so() {
        ensure!(
            began.elapsed() < PATIENCE,
            "not everyone is there after {PATIENCE:?}"
        );
        tokio::select! {
            Some(gone) = crowd.join_next() => gone??,
            () = sleep(LOOK) => {}
        }
    }
    Ok(())
}

async fn sender(server: &Server) -> anyhow::Result<(Http, String)> {
    const CREATE: &str = "mutation($input:CreateRoomInput!){createRoom(input:$input){room{id}}}";
    let mut http = Http::connect(&server.address, token("sender")?).await?;
    let input = json!({ "name": "live", "visibility": "PUBLIC" });
    let request = json!({ "query": CREATE, "variables": { "input": input } });
    let answer = http.post(&request.to_string()).await?;
    let room = answer["data"]["createRoom"]["room"]["id"].as_str();
    let room = room.with_context(|| answer.to_string())?.to_owned();
    Ok((http, room))
}

async fn send(http: &mut Http, room_id: &str, number: usize) -> anyhow::Result<()> {
    const SEND: &str = "mutation($input:SendMessageInput!){sendMessage(input:$input){duplicate}}";
    let input = json!({ "roomId": room_id, "body": number.to_string() });
    let request = json!({ "query": SEND, "variables": { "input": input } });
    let answer = http.post(&request.to_string()).await?;
    ensure!(answer["errors"].is_null(), "{answer}");
    Ok(())
}

/// Sends to the live room, for as long as it is let.
async fn talk(world: Rc<World>, address: String, room: String, per_sec: u32) -> anyhow::Result<()> {
    let mut http = Http::connect(&address, token("talker")?).await?;
    let mut pace = interval(Duration::from_secs(1) / per_sec);
    for number in 0.. {
        pace.tick().await;
        world.sent.borrow_mut().push(Instant::now());
        send(&mut http, &room, number).await?;
    }
    Ok(())
}

/// The live room's p99 while nothing else happens.
async fn calm(world: &Rc<World>, crowd: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<f64> {
    let began = Instant::now();
    until(crowd, || began.elapsed() > Duration::from_secs(5)).await?;
    let calm = p99_millis(world);
    world.latencies.borrow_mut().clear();
    Ok(calm)
}

fn p99_millis(world: &Rc<World>) -> f64 {
    let mut latencies = world.latencies.borrow().clone();
    latencies.sort_unstable();
    percentile(&latencies, 0.99).as_secs_f64() * 1e3
}

/// The table of a record, if there is one.
pub fn report(json: &Path) -> anyhow::Result<Option<String>> {
    Ok(Record::read(json)?.map(|record| table(&record)))
}

fn table(record: &Record<Run>) -> String {
    let (sockets, messages) =
        (record.runs.first()).map_or((0, 0), |run| (run.sockets, run.messages));
    let mut table = Table::new([
        "cut off by",
        "all caught up, s",
        "of it with a server, s",
        "server CPU, µs a socket",
        "memory before, MB",
        "peak, MB",
        "told 1012",
        "refused 503",
        "failed attempts",
        "closed otherwise",
        "live p99 before, ms",
        "meanwhile, ms",
    ]);
    for run in &record.runs {
        table.push([
            run.cut.name().to_owned(),
            figure(run.secs),
            figure(run.secs_served),
            figure(run.cpu_micros),
            figure(run.memory_before as f64 / 1e6),
            figure(run.memory_peak as f64 / 1e6),
            run.told.to_string(),
            run.refused.to_string(),
            run.failed.to_string(),
            run.closed.to_string(),
            figure(run.calm_p99_millis.unwrap_or(f64::NAN)),
            figure(run.storm_p99_millis.unwrap_or(f64::NAN)),
        ]);
    }
    format!(
        "{}### {sockets} sockets are cut off at once; {messages} messages meanwhile\n\n{table}\n",
        record.heading()
    )
}
