//! Who a client is and what it wants.

use serde_json::Value as Json;

#[derive(Clone, Debug)]
pub struct Role {
    pub user: String,
    /// The room whose messages it must get.
    pub room: usize,
    /// What to subscribe to; a publisher has nothing.
    pub follows: Option<Follows>,
    /// The number of the message that must come first, where that is known.
    pub next: Option<usize>,
    /// Whether the server may cut it off. It keeps its place, to go on from there.
    pub may_be_cut: bool,
}

/// A subscription.
#[derive(Clone, Debug)]
pub struct Follows {
    /// For who speaks GraphQL.
    pub document: String,
    pub variables: Json,
    /// For who speaks MQTT.
    pub topic: String,
}

impl Role {
    pub fn publisher() -> Self {
        Self {
            user: "publisher".to_owned(),
            room: 0,
            follows: None,
            next: None,
            may_be_cut: false,
        }
    }

    pub fn subscriber(user: String, room: usize, follows: Follows) -> Self {
        Self {
            user,
            room,
            follows: Some(follows),
            ..Self::publisher()
        }
    }
}
