//! Runs as Markdown tables: medians with the least and the most, and ratios to the peers that matter, taken round by round.

use std::fmt::Write;

use super::run::{Mode, Run};
use crate::contenders::Contender;
use crate::stats::Spread;

/// A table for each number of subscribers and mode, in the order of the runs.
pub fn of(runs: &[Run]) -> String {
    let mut text = String::new();
    let mut told = Vec::new();
    for run in runs {
        let key = (run.subscribers, run.mode);
        if !told.contains(&key) {
            told.push(key);
            let of_key = runs.iter().filter(|run| (run.subscribers, run.mode) == key);
            push_table(&mut text, &of_key.collect::<Vec<_>>());
        }
    }
    text
}

fn push_table(text: &mut String, runs: &[&Run]) {
    let Some(first) = runs.first() else {
        return;
    };
    let how = match first.mode {
        Mode::Paced => "paced",
        Mode::Burst => "burst",
    };
    let events = first.deliveries as f64 / first.subscribers as f64 / first.secs;
    let pace = match first.mode {
        Mode::Paced => format!(", {events:.1} events a second"),
        Mode::Burst => String::new(),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "### {} subscribers, {how}{pace}, frames of {} bytes\n\n\
         | | CPU µs a delivery | to axum raw | to the floor | p50 ms | p99 ms | deliveries/s | connect µs | idle kB | used kB | load busy |\n\
         |---|---|---|---|---|---|---|---|---|---|---|",
        first.subscribers, first.frame_bytes
    );
    let mut servers = Vec::new();
    for run in runs {
        if !servers.contains(&&run.server) {
            servers.push(&run.server);
        }
    }
    for server in servers {
        let own = runs
            .iter()
            .filter(|run| run.server == *server)
            .copied()
            .collect::<Vec<_>>();
        let of = |figure: fn(&Run) -> f64| own.iter().map(|run| figure(run)).collect::<Spread>();
        let cpu = of(|run| run.cpu_micros);
        let _ = writeln!(
            text,
            "| {server} | {:.2} ({:.2}-{:.2}) | {} | {} | {:.2} | {:.2} | {:.0} | {:.0} | {:.1} | {:.1} | {:.2} |",
            cpu.median,
            cpu.least,
            cpu.most,
            ratio(&own, runs, Contender::Raw),
            ratio(&own, runs, Contender::Floor),
            of(|run| run.p50_millis).median,
            of(|run| run.p99_millis).median,
            of(|run| run.deliveries as f64 / run.secs).median,
            of(|run| run.connect_micros).median,
            of(|run| run.idle_bytes).median / 1e3,
            of(|run| run.used_bytes).median / 1e3,
            of(|run| run.load_busy).median,
        );
    }
    text.push('\n');
}

/// The median of the ratios within each round.
fn ratio(own: &[&Run], runs: &[&Run], to: Contender) -> String {
    let beside = |run: &&&Run| {
        let mut same = runs.iter().filter(|other| other.round == run.round);
        same.find(|other| other.server == to.title())
            .map(|other| run.cpu_micros / other.cpu_micros)
    };
    let ratios = own
        .iter()
        .filter_map(|run| beside(&run))
        .collect::<Spread>();
    if ratios.median.is_nan() {
        "-".to_owned()
    } else {
        format!("{:.2}", ratios.median)
    }
}
