//! Measures Tidings beside its peers, in the same run: interleaved, medians, CPU time of the server process.
//!
//! Loopback only, bounded in time. `cargo run --release -p tidings-bench -- sends`

mod one_commit;
mod peer;
mod sends;
mod server;
mod stats;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Durable sends acknowledged a second, against one commit a send with the same SQLite settings.
    Sends(sends::Options),
    /// Serve the peer: async-graphql-axum as it comes, with a mutation that keeps nothing.
    Peer,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Args::parse().bench {
        Bench::Sends(options) => sends::run(options).await,
        Bench::Peer => peer::serve().await,
    }
}
