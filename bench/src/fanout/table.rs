//! Runs as Markdown tables: medians with the least and the most, and ratios to the peers that matter, taken round by round.

use super::run::{Mode, Run};
use crate::contenders::Contender;
use crate::markdown::{Table, figure};
use crate::record::Record;
use crate::stats::{Spread, distinct};

/// A table for each number of subscribers and mode, in the order of the runs.
pub(super) fn of(record: &Record<Run>) -> String {
    let mut text = record.heading();
    for (subscribers, mode) in distinct(&record.runs, |run| (run.subscribers, run.mode)) {
        let runs = record.runs.iter();
        let runs = runs.filter(|run| (run.subscribers, run.mode) == (subscribers, mode));
        text += &section(&runs.collect::<Vec<_>>());
    }
    text
}

fn section(runs: &[&Run]) -> String {
    let Some(first) = runs.first() else {
        return String::new();
    };
    let how = match first.mode {
        Mode::Paced => format!("{:.1} events a second", first.events as f64 / first.secs),
        Mode::Burst => "a burst".to_owned(),
    };
    let (subscribers, frame_bytes) = (first.subscribers, first.frame_bytes);
    let mut table = Table::new([
        "",
        "CPU µs a delivery",
        "least-most",
        "of it sends and pings",
        "to axum raw",
        "to the floor",
        "p50 ms",
        "p99 ms",
        "deliveries/s",
        "connect, CPU µs",
        "idle kB a socket",
        "used kB a socket",
        "load generator busy",
    ]);
    for server in distinct(runs, |run| run.server.clone()) {
        let own = runs.iter().filter(|run| run.server == server).copied();
        let own = own.collect::<Vec<_>>();
        let of = |figure: fn(&Run) -> f64| own.iter().map(|run| figure(run)).collect::<Spread>();
        let cpu = of(|run| run.cpu_micros);
        table.push([
            server,
            figure(cpu.median),
            format!("{}-{}", figure(cpu.least), figure(cpu.most)),
            figure(of(Run::sends_micros).median),
            figure(ratio(&own, runs, Contender::Raw)),
            figure(ratio(&own, runs, Contender::Floor)),
            figure(of(|run| run.p50_millis).median),
            figure(of(|run| run.p99_millis).median),
            figure(of(|run| run.deliveries as f64 / run.secs).median),
            figure(of(|run| run.connect_micros).median),
            figure(of(|run| run.idle_bytes / 1e3).median),
            figure(of(|run| run.used_bytes / 1e3).median),
            figure(of(|run| run.load_busy).median),
        ]);
    }
    format!("### {subscribers} subscribers, {how}, frames of {frame_bytes} bytes\n\n{table}\n")
}

/// The median of the ratios within each round.
fn ratio(own: &[&Run], runs: &[&Run], to: Contender) -> f64 {
    let beside = |run: &&Run| {
        let mut same = runs.iter().filter(|other| other.round == run.round);
        let peer = same.find(|other| other.server == to.title())?;
        Some(run.cpu_micros / peer.cpu_micros)
    };
    own.iter().filter_map(beside).collect::<Spread>().median
}
