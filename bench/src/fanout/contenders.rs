//! Who is measured: how each is started and spoken to.

use clap::ValueEnum;
use serde_json::json;

use super::talk::{Follows, Talk};
use crate::peers::Peer;
use crate::server::Server;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    /// This server.
    Tidings,
    /// async-graphql-axum as it comes.
    AsyncGraphql,
    /// axum's WebSocket and a tokio broadcast of text.
    Raw,
    /// One thread that calls write(2) with a ready frame.
    Floor,
}

/// The selection of everyone who speaks GraphQL.
pub const MESSAGE: &str = "id body version createdAt cursor author { id name } room { id name }";

impl Contender {
    /// As it stands in the tables.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Tidings => "Tidings",
            Self::AsyncGraphql => "async-graphql-axum as it comes",
            Self::Raw => "axum, raw broadcast",
            Self::Floor => "the floor: write(2) alone",
        }
    }

    pub const fn talk(self) -> Talk {
        match self {
            Self::Tidings => Talk::Graphql,
            Self::AsyncGraphql => Talk::UnorderedGraphql,
            Self::Raw | Self::Floor => Talk::Text,
        }
    }

    pub fn start(self, core: Option<usize>) -> anyhow::Result<Server> {
        match self {
            Self::Tidings => Server::tidings(core),
            Self::AsyncGraphql => Server::peer(Peer::AsyncGraphql, core),
            Self::Raw => Server::peer(Peer::Raw, core),
            Self::Floor => Server::peer(Peer::Floor, core),
        }
    }
}

/// Each message of a room, as it is sent.
pub fn follow(room_id: &str) -> Follows {
    let document = format!(
        "subscription Room($roomId: ID!) {{ messageSent(roomId: $roomId) {{ {MESSAGE} }} }}"
    );
    Follows {
        document,
        variables: json!({ "roomId": room_id }),
    }
}
