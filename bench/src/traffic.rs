//! Memory for each socket while traffic goes on for minutes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contenders::{Contender, LOBBY, follow};
use crate::load::{Crowd, Role};
use crate::machine::{Cores, memory_of, pin, raise_file_limit};
use crate::markdown::{Table, figure};
use crate::measure::{Meter, settle};
use crate::record::Record;
use crate::server::Server;
use crate::stats::percentile;

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, default_value_t = 5_000)]
    subscribers: usize,
    #[arg(long, default_value_t = 10)]
    minutes: usize,
    /// Deliveries a second.
    #[arg(long, default_value_t = 25_000)]
    paced_per_sec: usize,
    /// Bytes of every frame, header included.
    #[arg(long, default_value_t = 610)]
    frame_bytes: usize,
    /// Where every minute goes.
    #[arg(long, default_value = "target/bench/traffic.json")]
    json: PathBuf,
}

/// A minute of traffic; the first is what there was before any.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Minute {
    subscribers: usize,
    minute: usize,
    deliveries: u64,
    /// Resident memory of the server, in all, and for each socket beyond what it had without.
    memory: u64,
    socket_bytes: f64,
    cpu_micros: f64,
    p99_millis: f64,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    raise_file_limit()?;
    let cores = Cores::two()?;
    let mut record = Record::begin(cores, Vec::new())?;
    pin(cores.load)?;
    let server = Server::tidings(cores.server)?;
    let talk = Contender::Tidings.talk();
    let mut crowd = Crowd::new(&server.address, talk, vec![LOBBY.to_owned()])?;
    let mut roles = (0..options.subscribers)
        .map(|n| Role::subscriber(format!("user-{n}"), 0, follow(LOBBY, 0)));
    crowd.connect(roles.next())?;
    crowd.pad(options.frame_bytes)?;
    let before = settle(&mut crowd, &server)?.memory;
    crowd.connect(roles)?;
    settle(&mut crowd, &server)?;

    let subscribers = options.subscribers;
    let interval = Duration::from_secs_f64(subscribers as f64 / options.paced_per_sec as f64);
    let count = Duration::from_secs(60).div_duration_f64(interval).ceil() as usize;
    for minute in 0..=options.minutes {
        let delivered = crowd.ledger.deliveries;
        let meter = Meter::start(&server)?;
        crowd.ledger.measure();
        if minute == 1 {
            crowd.warm_up()?;
        }
        if minute > 0 {
            crowd.pace(&[0], interval, |n| n == count)?;
            crowd.drain()?;
        }
        let deliveries = crowd.ledger.deliveries - delivered;
        let latencies = crowd.ledger.measured();
        let memory = memory_of(server.pid)?;
        record.runs.push(Minute {
            subscribers,
            minute,
            deliveries,
            memory,
            socket_bytes: (memory as f64 - before as f64) / subscribers.max(2) as f64,
            cpu_micros: meter.read()?.cpu_micros(deliveries.max(1)),
            p99_millis: percentile(&latencies, 0.99).as_secs_f64() * 1e3,
        });
        eprintln!("minute {minute}: {} MB", memory / 1_000_000);
        record.write(&options.json)?;
    }
    print!("{}", table(&record));
    Ok(())
}

/// The table of a record, if there is one.
pub fn report(json: &Path) -> anyhow::Result<Option<String>> {
    Ok(Record::read(json)?.map(|record| table(&record)))
}

fn table(record: &Record<Minute>) -> String {
    let subscribers = record.runs.first().map_or(0, |minute| minute.subscribers);
    let columns = [
        "minute",
        "memory, MB",
        "kB a socket",
        "deliveries",
        "CPU µs a delivery",
        "p99 ms",
    ];
    let mut table = Table::new(columns);
    for minute in &record.runs {
        table.push([
            minute.minute.to_string(),
            figure(minute.memory as f64 / 1e6),
            figure(minute.socket_bytes / 1e3),
            minute.deliveries.to_string(),
            figure(minute.cpu_micros),
            figure(minute.p99_millis),
        ]);
    }
    format!(
        "{}### Minutes of traffic, {subscribers} subscribers\n\n{table}\n",
        record.heading()
    )
}
