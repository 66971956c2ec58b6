//! Measures Tidings beside its peers, in the same run: interleaved, medians, CPU time of the server process.
//!
//! Loopback only, bounded in time. `cargo run --release -p tidings-bench -- sends`, or `fanout`.

mod contenders;
mod fanout;
mod load;
mod machine;
mod one_commit;
mod peers;
mod sends;
mod server;
mod stats;

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
    /// What it costs to bring an event to many subscribers, beside peers and beside the least that it can cost.
    Fanout(fanout::Options),
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
        Bench::Fanout(options) => fanout::run(&options),
        Bench::Peer { peer } => peers::serve(peer),
    }
}
