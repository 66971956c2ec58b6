//! Measures Tidings beside its peers, in the same run: interleaved, medians, CPU time of the server process.
//!
//! Loopback only, bounded in time. `cargo run --release -p tidings-bench -- sends`, or `fanout`.

mod contenders;
mod deflate;
mod fanout;
mod http;
mod load;
mod lone;
mod machine;
mod markdown;
mod measure;
mod one_commit;
mod peers;
mod record;
mod report;
mod resume;
mod scaling;
mod sends;
mod server;
mod slow;
mod stats;
mod storm;
mod traffic;
mod unread;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Durable sends acknowledged a second, against one commit a send with the same SQLite settings.
    Sends(sends::Options),
    /// What one durable commit costs that nothing shares, SQLite alone.
    Lone(lone::Options),
    /// What it costs to bring an event to many subscribers, beside peers and beside the least that it can cost.
    Fanout(fanout::Options),
    /// How that grows with subscribers, rooms and distinct documents.
    Scaling(scaling::Options),
    /// Thousands of clients resume at once.
    Resume(resume::Options),
    /// Sockets that stop reading.
    Slow(slow::Options),
    /// Everyone is cut off at once and comes back.
    Storm(storm::Options),
    /// So many new sockets a second, beside some that are there.
    Rush(storm::rush::Options),
    /// Memory while traffic goes on for minutes.
    Traffic(traffic::Options),
    /// What permessage-deflate would save and cost.
    Deflate(deflate::Options),
    /// Unread counts of long rooms and of long lists of rooms.
    Unread(unread::Options),
    /// The tables and the chart of what has been measured.
    Report(report::Options),
    /// Serve one of the peers (the benches start them themselves).
    Peer {
        /// Which.
        #[arg(value_enum)]
        peer: peers::Peer,
    },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().bench {
        Bench::Sends(options) => Runtime::new()?.block_on(sends::run(options)),
        Bench::Lone(options) => lone::run(&options),
        Bench::Fanout(options) => fanout::run(&options),
        Bench::Scaling(options) => scaling::run(&options),
        Bench::Resume(options) => resume::run(&options),
        Bench::Slow(options) => slow::run(&options),
        Bench::Storm(options) => storm::run(&options),
        Bench::Rush(options) => storm::rush::run(&options),
        Bench::Traffic(options) => traffic::run(&options),
        Bench::Deflate(options) => deflate::run(&options),
        Bench::Unread(options) => Runtime::new()?.block_on(unread::run(options)),
        Bench::Report(options) => report::run(&options),
        Bench::Peer { peer } => peers::serve(peer),
    }
}
