//! What a client was shown, kept as small as streams of thousands need it.
//!
//! Payloads are searched, not parsed: the fields have names that occur nowhere else, and bodies hold no quotes.

use std::sync::Arc;

use uuid::Uuid;

pub(super) use crate::support::seq_of;
use crate::support::{behind, field};

/// A place in the log.
pub(super) type Seq = u64;
/// Milliseconds since 1970, as the server's clock has them: it runs on this machine.
pub(super) type Millis = u64;
/// Users are numbered.
pub(super) type User = u16;

/// What a stream is about.
#[derive(Clone, Debug)]
pub(super) enum Scope {
    /// `events`.
    Mine,
    /// `events(roomIds:)`.
    Rooms(Arc<[Uuid]>),
    /// `messageSent`.
    Messages(Uuid),
}

impl Scope {
    /// Whether it is about this room, among others.
    pub(super) fn covers(&self, room: Uuid) -> bool {
        match self {
            Self::Mine => true,
            Self::Rooms(rooms) => rooms.contains(&room),
            Self::Messages(one) => *one == room,
        }
    }
}

/// What it selects of each event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// Enough to know it.
    Plain,
    /// The body many times over, so that a reader that stalls is soon far behind.
    Wide,
    /// The room's last message too, for which the server has to ask its store.
    Waiting,
}

/// One subscription, over all its connections.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: String,
    pub(super) viewer: User,
    pub(super) scope: Scope,
    pub(super) shape: Shape,
    /// Where it goes on when its connection is lost.
    pub(super) place: Option<String>,
    /// The place it had one cut ago.
    pub(super) older: Option<String>,
    /// The first place it had: variables stay as they were.
    pub(super) first: Option<String>,
    pub(super) runs: Vec<Run>,
}

/// What one connection showed of it.
#[derive(Debug)]
pub(super) struct Run {
    /// Where it was asked to begin; `None` for the end of the log.
    pub(super) from: Option<Seq>,
    pub(super) began: Millis,
    pub(super) items: Vec<Item>,
    /// It ended with NOT_FOUND.
    pub(super) refused: Option<Millis>,
    /// The first message that was sent after it on the same socket.
    pub(super) first_own: Option<Uuid>,
}

/// One thing that was shown.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) seq: Seq,
    pub(super) at: Millis,
    pub(super) bytes: usize,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// A ping says: everything up to here was sent.
    Position,
    CaughtUp,
    Revoked(Uuid),
    Event {
        kind: Kind,
        room: Uuid,
        shown: Option<Box<Shown>>,
        user: Option<User>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    MessageSent,
    MessageEdited,
    MessageDeleted,
    RoomCreated,
    RoomUpdated,
    MemberJoined,
    MemberUpdated,
    MemberLeft,
}

/// A message as a payload shows it.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) message: Uuid,
    pub(super) version: u32,
    pub(super) body: Option<Nonce>,
    pub(super) quoted: Option<(Uuid, Option<Nonce>)>,
}

/// What tells one body from another: a number, with the body's length in its low bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Nonce(pub(super) u64);

impl Nonce {
    const LENGTH: u64 = 0x3FFF;
    const HEX: usize = 16;

    pub(super) fn new(random: u64, bytes: usize) -> Self {
        Self(random & !Self::LENGTH | (bytes as u64).min(16_000))
    }

    fn filling(self) -> usize {
        (self.0 & Self::LENGTH) as usize
    }

    pub(super) fn body(self) -> String {
        format!("{:016x}{}", self.0, "x".repeat(self.filling()))
    }

    /// Knows a body as a whole: one that was cut short or mixed up is none.
    pub(super) fn of(body: &str) -> Self {
        let nonce = body
            .get(..Self::HEX)
            .and_then(|hex| u64::from_str_radix(hex, 16).ok());
        let nonce = Self(nonce.unwrap_or_else(|| panic!("no body of ours: {body}")));
        assert_eq!(
            body.len(),
            Self::HEX + nonce.filling(),
            "a body is not whole"
        );
        nonce
    }
}

impl Stream {
    /// The query that asks for it, and its variables but for `after`.
    pub(super) fn request(&self) -> (String, serde_json::Value) {
        let wide = "w1:body w2:body w3:body w4:body w5:body w6:body w7:body w8:body";
        let wide = if self.shape == Shape::Wide { wide } else { "" };
        let last = match self.shape {
            Shape::Waiting => "lastMessage{lastId:id}",
            _ => "",
        };
        let message = format!(
            "fragment M on Message{{messageId:id version body replyTo{{quotedId:id quotedBody:body}} {wide}}}"
        );
        let events = format!(
            "__typename ...on RoomEvent{{room{{roomId:id {last}}}}} ...on AccessRevoked{{roomId}} \
             ...on MessageSent{{message{{...M}}}} ...on MessageEdited{{message{{...M}}}} \
             ...on MessageDeleted{{message{{...M}}}} ...on MemberJoined{{member{{user{{userId:id}}}}}} \
             ...on MemberLeft{{user{{userId:id}}}}"
        );
        match &self.scope {
            Scope::Mine => (
                format!("subscription($after:Cursor){{events(after:$after){{{events}}}}}{message}"),
                serde_json::json!({}),
            ),
            Scope::Rooms(rooms) => (
                format!(
                    "subscription($after:Cursor,$rooms:[ID!]){{events(after:$after,roomIds:$rooms){{{events}}}}}{message}"
                ),
                serde_json::json!({ "rooms": **rooms }),
            ),
            Scope::Messages(room) => (
                format!(
                    "subscription($after:Cursor,$room:ID!){{messageSent(after:$after,roomId:$room){{\
                     room{{roomId:id {last}}} ...M}}}}{message}"
                ),
                serde_json::json!({ "room": room }),
            ),
        }
    }

    /// A new connection goes on with it.
    pub(super) fn run(&mut self, from: Option<&str>, began: Millis) {
        self.runs.push(Run {
            from: from.map(seq_of),
            began,
            items: Vec::new(),
            refused: None,
            first_own: None,
        });
    }

    pub(super) fn now(&mut self) -> &mut Run {
        self.runs.last_mut().expect("it runs")
    }

    /// Up to where it was shown, as far as the client knows.
    pub(super) fn reached(&self) -> Seq {
        self.place.as_deref().map_or(0, seq_of)
    }

    fn get_to(&mut self, cursor: &str) {
        self.place = Some(cursor.to_owned());
        self.first.get_or_insert_with(|| cursor.to_owned());
    }

    /// Takes a `next`.
    pub(super) fn next(&mut self, text: &str, at: Millis) {
        assert!(!text.contains("\"errors\":"), "{text}");
        let end = text.strip_suffix("\"}}}").expect("the cursor comes last");
        let cursor = end
            .get(end.len() - 20..)
            .expect("a cursor has 20 characters");
        let item = Item {
            seq: seq_of(cursor),
            at,
            bytes: text.len(),
            what: What::of(text),
        };
        self.get_to(cursor);
        self.now().items.push(item);
    }

    /// Takes its position in a ping.
    pub(super) fn position(&mut self, cursor: &str, at: Millis) {
        self.get_to(cursor);
        self.now().items.push(Item {
            seq: seq_of(cursor),
            at,
            bytes: 0,
            what: What::Position,
        });
    }
}

impl What {
    fn of(text: &str) -> Self {
        let room = || Uuid::parse_str(field(text, "\"roomId\":\"").expect("a room")).unwrap();
        let kind = match field(text, "\"__typename\":\"").unwrap_or("MessageSent") {
            "CaughtUp" => return Self::CaughtUp,
            "AccessRevoked" => return Self::Revoked(room()),
            "MessageSent" => Kind::MessageSent,
            "MessageEdited" => Kind::MessageEdited,
            "MessageDeleted" => Kind::MessageDeleted,
            "RoomCreated" => Kind::RoomCreated,
            "RoomUpdated" => Kind::RoomUpdated,
            "MemberJoined" => Kind::MemberJoined,
            "MemberUpdated" => Kind::MemberUpdated,
            "MemberLeft" => Kind::MemberLeft,
            other => panic!("{other}: {text}"),
        };
        Self::Event {
            kind,
            room: room(),
            shown: field(text, "\"messageId\":\"").map(|id| Box::new(Shown::of(text, id))),
            user: field(text, "\"userId\":\"").map(number),
        }
    }
}

impl Shown {
    fn of(text: &str, id: &str) -> Self {
        let quoted = field(text, "\"quotedId\":\"").map(|id| {
            let body = field(text, "\"quotedBody\":\"").map(Nonce::of);
            (Uuid::parse_str(id).unwrap(), body)
        });
        let version = behind(text, "\"version\":").expect("a version");
        let digits = version.split(|c: char| !c.is_ascii_digit()).next();
        Self {
            message: Uuid::parse_str(id).unwrap(),
            version: digits.and_then(|digits| digits.parse().ok()).unwrap(),
            body: field(text, "\"body\":\"").map(Nonce::of),
            quoted,
        }
    }
}

/// `u17` is 17; the steward is the last.
pub(super) fn number(user: &str) -> User {
    user.strip_prefix('u')
        .and_then(|n| n.parse().ok())
        .unwrap_or(User::MAX)
}

/// Now.
pub(super) fn millis() -> Millis {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    u64::try_from(since.as_millis()).unwrap()
}
