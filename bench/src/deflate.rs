//! What permessage-deflate would save and cost: frames deflated once for all, or by each connection for itself.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::ensure;
use flate2::{Compress, Compression, FlushCompress, Status};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::machine::{Cores, pin};
use crate::markdown::{Table, figure};
use crate::record::Record;
use crate::stats::{Spread, distinct};

#[derive(clap::Args)]
pub struct Options {
    /// Bytes of text in a message.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,4000,16000")]
    body_bytes: Vec<usize>,
    /// Messages of each size.
    #[arg(long, default_value_t = 500)]
    messages: usize,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where all single runs go.
    #[arg(long, default_value = "target/bench/deflate.json")]
    json: PathBuf,
}

/// Who deflates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
enum By {
    /// The server once, each message by itself (`server_no_context_takeover`): the same bytes for everyone.
    All,
    /// Each connection, with a window of what it was sent before.
    Each,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Run {
    by: By,
    level: u32,
    body_bytes: usize,
    /// A frame's text, before and after.
    plain_bytes: f64,
    deflated_bytes: f64,
    /// To deflate one.
    micros: f64,
}

/// English prose, some 40 kB, of which each message says another piece.
const PROSE: &str = concat!(
    include_str!("../../docs/architecture.md"),
    include_str!("../../docs/protocol.md"),
);
const LEVELS: [u32; 2] = [1, 6];

pub fn run(options: &Options) -> anyhow::Result<()> {
    let cores = Cores::two()?;
    let mut record = Record::begin(cores, Vec::new())?;
    pin(cores.load)?;
    for _ in 0..options.rounds {
        for body_bytes in &options.body_bytes {
            let frames: Vec<String> = (0..options.messages)
                .map(|n| frame(n, *body_bytes))
                .collect();
            for (by, level) in [By::All, By::Each]
                .into_iter()
                .flat_map(|by| LEVELS.map(|level| (by, level)))
            {
                record.runs.push(once(by, level, *body_bytes, &frames)?);
            }
        }
    }
    record.write(&options.json)?;
    print!("{}", table(&record));
    Ok(())
}

/// The frame of a message, as a subscriber of the fan-out bench gets it.
fn frame(n: usize, body_bytes: usize) -> String {
    let begin = n * 7_919 % PROSE.len();
    let body: String = PROSE.chars().cycle().skip(begin).take(body_bytes).collect();
    let user = format!("user-{}", n % 50);
    let sent = json!({
        "id": Uuid::now_v7().to_string(), "body": body, "version": 1,
        "createdAt": format!("2026-11-21T03:50:{:02}.{:03}Z", n % 60, n % 1_000),
        "cursor": format!("{n:012}0123abcd"),
        "author": { "id": user, "name": user },
        "room": { "id": "00000000-0000-7000-8000-000000000001", "name": "Lobby" },
    });
    let cursor = sent["cursor"].clone();
    let payload = json!({ "data": { "messageSent": sent }, "extensions": { "cursor": cursor } });
    json!({ "id": "1", "type": "next", "payload": payload }).to_string()
}

fn once(by: By, level: u32, body_bytes: usize, frames: &[String]) -> anyhow::Result<Run> {
    let mut deflate = Compress::new(Compression::new(level), false);
    let longest = frames.iter().map(String::len).max().unwrap_or(0);
    let mut out = Vec::with_capacity(2 * longest + 64);
    let mut deflated = 0;
    let began = Instant::now();
    for frame in frames {
        if by == By::All {
            deflate.reset();
        }
        out.clear();
        let status = deflate.compress_vec(frame.as_bytes(), &mut out, FlushCompress::Sync)?;
        ensure!(
            status == Status::Ok && out.ends_with(&[0, 0, 0xFF, 0xFF]),
            "not flushed"
        );
        // RFC 7692, section 7.2.1: the tail of the flush is not sent.
        deflated += out.len() - 4;
    }
    let took = began.elapsed();
    let count = frames.len() as f64;
    Ok(Run {
        by,
        level,
        body_bytes,
        plain_bytes: frames.iter().map(String::len).sum::<usize>() as f64 / count,
        deflated_bytes: deflated as f64 / count,
        micros: took.as_secs_f64() * 1e6 / count,
    })
}

/// The table of a record, if there is one.
pub fn report(json: &Path) -> anyhow::Result<Option<String>> {
    Ok(Record::read(json)?.map(|record| table(&record)))
}

fn table(record: &Record<Run>) -> String {
    let mut table = Table::new([
        "deflated",
        "level",
        "text of the message, bytes",
        "frame, bytes",
        "deflated, bytes",
        "of it left",
        "µs to deflate",
    ]);
    for (by, level, body_bytes) in distinct(&record.runs, |run| (run.by, run.level, run.body_bytes))
    {
        let of = |value: fn(&Run) -> f64| {
            let runs = record
                .runs
                .iter()
                .filter(|run| (run.by, run.level, run.body_bytes) == (by, level, body_bytes));
            runs.map(value).collect::<Spread>().median
        };
        let by = match by {
            By::All => "once for all",
            By::Each => "by each connection",
        };
        table.push([
            by.to_owned(),
            level.to_string(),
            body_bytes.to_string(),
            figure(of(|run| run.plain_bytes)),
            figure(of(|run| run.deflated_bytes)),
            figure(of(|run| run.deflated_bytes / run.plain_bytes)),
            figure(of(|run| run.micros)),
        ]);
    }
    format!("{}{table}\n", record.heading())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_makes_a_frame_shorter() {
        let frames: Vec<String> = (0..20).map(|n| frame(n, 100)).collect();
        let of = |by| once(by, 6, 100, &frames).unwrap();
        let (all, each) = (of(By::All), of(By::Each));
        assert!(each.deflated_bytes < all.deflated_bytes);
        assert!(all.deflated_bytes < all.plain_bytes);
    }
}
