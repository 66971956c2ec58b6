//! What happens, at random, through the schema's mutations: rooms and people come and go, messages are sent, edited, deleted.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

use super::super::world::{World, text};
use crate::model::Seq;

pub(super) const PEOPLE: [&str; 4] = ["ada", "ben", "cay", "dan"];

/// What there is to act upon. Deleted things stay in it.
pub(super) struct Town {
    pub(super) rooms: Vec<String>,
    messages: Vec<(String, String)>,
}

const ROLES: [&str; 3] = ["OWNER", "MEMBER", "READER"];

/// What a rule refuses; anything else is a defect.
const REFUSED: [&str; 4] = ["NOT_FOUND", "FORBIDDEN", "CONFLICT", "BAD_USER_INPUT"];

impl Town {
    pub(super) async fn new(world: &World, rng: &mut StdRng) -> Self {
        let mut town = Self {
            rooms: Vec::new(),
            messages: Vec::new(),
        };
        for _ in 0..3 {
            let visibility = pick(rng, &["PUBLIC", "PRIVATE"]);
            let members = PEOPLE.choose_multiple(rng, 2).copied().collect::<Vec<_>>();
            let room = world.room(pick(rng, &PEOPLE), visibility, &members).await;
            town.rooms.push(room);
        }
        town
    }

    /// Tries things until one of them is in the log.
    pub(super) async fn happen(&mut self, world: &World, rng: &mut StdRng) {
        let before = world.head().await;
        while world.head().await == before {
            self.attempt(world, rng).await;
        }
    }

    async fn attempt(&mut self, world: &World, rng: &mut StdRng) {
        let who = pick(rng, &PEOPLE);
        let user = pick(rng, &PEOPLE);
        let room = self.rooms.choose(rng).unwrap().clone();
        let (message, of) = self.messages.choose(rng).cloned().unwrap_or_default();
        let (field, input) = match rng.random_range(0..100) {
            0..33 => {
                let reply = rng.random_bool(0.4) && !message.is_empty();
                let room = if reply { of } else { room };
                let to = reply.then_some(message);
                let input = json!({ "roomId": room, "body": body(rng), "data": data(rng), "replyToId": to });
                ("sendMessage", input)
            }
            33..41 => (
                "editMessage",
                json!({ "messageId": message, "body": body(rng), "data": data(rng) }),
            ),
            41..49 => {
                let field = pick(rng, &["addReaction", "addReaction", "removeReaction"]);
                let emoji = pick(rng, &["👍", "👍🏽", "❤️", "🇳🇱"]);
                (field, json!({ "messageId": message, "emoji": emoji }))
            }
            49..56 => ("deleteMessage", json!({ "messageId": message })),
            56..65 => (
                "addMember",
                json!({ "roomId": room, "userId": user, "role": pick(rng, &ROLES) }),
            ),
            65..71 => ("removeMember", json!({ "roomId": room, "userId": user })),
            71..77 => ("joinRoom", json!({ "roomId": room })),
            77..83 => ("leaveRoom", json!({ "roomId": room })),
            83..89 => {
                let visibility = pick(rng, &["PUBLIC", "PRIVATE"]);
                let input = json!({ "roomId": room, "name": format!("room {}", rng.random::<u8>()),
                    "visibility": visibility, "data": data(rng) });
                ("updateRoom", input)
            }
            89..94 => {
                let place = rng.random_range(0..=world.head().await.seq.0);
                let up_to = world.deps.store.epochs().cursor(Seq(place)).to_string();
                ("markRead", json!({ "roomId": room, "upTo": up_to }))
            }
            94..96 => ("deleteRoom", json!({ "roomId": room })),
            96 => ("openDirectRoom", json!({ "userId": user })),
            _ => {
                let visibility = pick(rng, &["PUBLIC", "PRIVATE"]);
                let input = json!({ "name": "a room", "visibility": visibility, "data": data(rng),
                    "memberIds": [user] });
                ("createRoom", input)
            }
        };
        self.change(world, who, field, input).await;
    }

    async fn change(&mut self, world: &World, who: &str, field: &str, input: Value) {
        let shown = match field {
            "sendMessage" => "message { id }",
            "createRoom" | "openDirectRoom" => "room { id }",
            _ => "__typename",
        };
        let ty = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
        let query = format!("mutation($input: {ty}!) {{ {field}(input: $input) {{ {shown} }} }}");
        let variables = json!({ "input": input });
        let answer = world.run(Some(who), &query, variables).await;
        if let Some(error) = answer.errors.first() {
            let error = serde_json::to_value(error).unwrap();
            let code = error["extensions"]["code"].as_str().unwrap_or_default();
            assert!(REFUSED.contains(&code), "{query} {input}: {error}");
            return;
        }
        let answer = answer.data.into_json().unwrap();
        match field {
            "sendMessage" => {
                let message = text(&answer[field]["message"]["id"]);
                self.messages.push((message, text(&input["roomId"])));
            }
            "createRoom" | "openDirectRoom" => {
                let room = text(&answer[field]["room"]["id"]);
                if !self.rooms.contains(&room) {
                    self.rooms.push(room);
                }
            }
            _ => {}
        }
    }
}

pub(super) fn pick<'a>(rng: &mut StdRng, of: &[&'a str]) -> &'a str {
    of.choose(rng).copied().unwrap_or_default()
}

/// Text with everything in it that has to be escaped somewhere.
fn body(rng: &mut StdRng) -> String {
    let pieces = [
        "hello",
        " ",
        "\"",
        "\\",
        "\n",
        "\t\r",
        "\u{0}\u{1f}",
        "\u{7f}\u{2028}",
        "é",
        "🏃",
        "</a>",
        "{$x}",
    ];
    let count = rng.random_range(1..6);
    let said: String = (0..count).map(|_| pick(rng, &pieces)).collect();
    format!("{said} {}", rng.random::<u32>())
}

fn data(rng: &mut StdRng) -> Value {
    let leaves = [
        json!(null),
        json!(true),
        json!(-7),
        json!(0.1),
        json!(1e300),
        json!(-0.0),
        json!(u64::MAX),
        json!(i64::MIN),
        json!("\u{0}\"é"),
        json!({}),
        json!([]),
        json!({ "z": 1, "a": { "__typename": "Room", "__tidings_type": 1, "": [[null]] } }),
    ];
    let leaf = leaves.choose(rng).cloned().unwrap_or_default();
    match rng.random_range(0..4) {
        0 => Value::Null,
        1 => json!([leaf, { "b": leaf }]),
        _ => json!({ "leaf": leaf, "id": "not an id" }),
    }
}
