//! Who is measured: how each is started and spoken to.

use clap::ValueEnum;
use serde_json::json;

use crate::load::{Follows, Talk};
use crate::peers::{Peer, mosquitto, node};
use crate::server::Server;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    /// This server.
    Tidings,
    /// async-graphql-axum as it comes.
    AsyncGraphql,
    /// graphql-ws on Node.
    GraphqlWs,
    /// axum's WebSocket and a tokio broadcast of text.
    Raw,
    /// ws on Node, a broadcast of text.
    Ws,
    /// Mosquitto, MQTT over TCP.
    Mosquitto,
    /// One thread that calls write(2) with a ready frame.
    Floor,
}

/// The selection of everyone who speaks GraphQL.
pub const MESSAGE: &str = "id body version createdAt cursor author { id name } room { id name }";
/// The room that Tidings makes.
pub const LOBBY: &str = "00000000-0000-7000-8000-000000000001";

impl Contender {
    /// As it stands in the tables.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Tidings => "Tidings",
            Self::AsyncGraphql => "async-graphql-axum as it comes",
            Self::GraphqlWs => "graphql-ws on Node",
            Self::Raw => "axum, raw broadcast",
            Self::Ws => "ws on Node, raw broadcast",
            Self::Mosquitto => "Mosquitto, MQTT",
            Self::Floor => "the floor: write(2) alone",
        }
    }

    pub const fn talk(self) -> Talk {
        match self {
            Self::Tidings => Talk::Graphql { ordered: true },
            // Both execute the mutations of a socket side by side.
            Self::AsyncGraphql | Self::GraphqlWs => Talk::Graphql { ordered: false },
            Self::Raw | Self::Ws | Self::Floor => Talk::Text,
            Self::Mosquitto => Talk::Mqtt,
        }
    }

    /// Makes sure that it can be started.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn install(self) -> Result<(), String> {
        match self {
            Self::GraphqlWs | Self::Ws => node::install(),
            Self::Mosquitto => mosquitto::find()
                .map(drop)
                .ok_or_else(|| "mosquitto is not installed".to_owned()),
            Self::Tidings | Self::AsyncGraphql | Self::Raw | Self::Floor => Ok(()),
        }
    }

    pub fn start(self, core: Option<usize>) -> anyhow::Result<Server> {
        match self {
            Self::Tidings => Server::tidings(core),
            Self::AsyncGraphql => Server::peer(Peer::AsyncGraphql, core),
            Self::GraphqlWs => Server::node("graphql-ws.mjs", core),
            Self::Raw => Server::peer(Peer::Raw, core),
            Self::Ws => Server::node("ws.mjs", core),
            Self::Mosquitto => mosquitto::start(core),
            Self::Floor => Server::peer(Peer::Floor, core),
        }
    }
}

/// Each message of a room, as it is sent. Documents of another number are another operation whose answers are as long:
/// only the name of a field differs.
pub fn follow(room_id: &str, document: usize) -> Follows {
    let selection = MESSAGE.replace("version", &format!("v{document:03}: version"));
    Follows {
        document: format!(
            "subscription Room($roomId: ID!) {{ messageSent(roomId: $roomId) {{ {selection} }} }}"
        ),
        variables: json!({ "roomId": room_id }),
        topic: room_id.to_owned(),
    }
}

/// The same of Tidings, with what came after a place first.
pub fn follow_from(room_id: &str, after: Option<&str>) -> Follows {
    Follows {
        document: format!(
            "subscription Room($roomId: ID!, $after: Cursor) {{ messageSent(roomId: $roomId, after: $after) {{ {MESSAGE} }} }}"
        ),
        variables: json!({ "roomId": room_id, "after": after }),
        topic: room_id.to_owned(),
    }
}
