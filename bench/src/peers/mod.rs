//! The peers: what others do for the same work, each served by a process of its own that says where it listens.
//!
//! They are as their documentation shows them, with one addition: TCP_NODELAY. Without it Nagle's algorithm would be what
//! is measured.

mod async_graphql;
mod floor;
pub mod mosquitto;
pub mod node;
mod raw;

use axum::Router;
use clap::ValueEnum;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// async-graphql-axum as it comes, a tokio broadcast behind it: each subscriber executes each event.
    AsyncGraphql,
    /// axum's WebSocket and a tokio broadcast of text.
    Raw,
    /// One thread that calls write(2) with a ready frame.
    Floor,
}

impl Peer {
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Serves on a free port and says which.
pub fn serve(peer: Peer) -> anyhow::Result<()> {
    match peer {
        Peer::AsyncGraphql => Runtime::new()?.block_on(serve_app(async_graphql::app())),
        Peer::Raw => Runtime::new()?.block_on(serve_app(raw::app())),
        Peer::Floor => floor::serve(),
    }
}

async fn serve_app(app: Router) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say_where(listener.local_addr()?);
    axum::serve(axum::serve::ListenerExt::tap_io(listener, nodelay), app).await?;
    Ok(())
}

fn say_where(address: std::net::SocketAddr) {
    eprintln!("{}", serde_json::json!({ "listening": address }));
}

fn nodelay(stream: &mut TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        eprintln!("nodelay: {error}");
    }
}

/// Events that a broadcast holds for whoever is behind: more than any run sends, for a lost one is an error here.
const BROADCAST_EVENTS: usize = 65_536;
