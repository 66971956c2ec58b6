//! One subscription over all the connections that it outlives, and how it is held to the log.

use serde_json::{Value, json};
use uuid::Uuid;

use super::log::Entry;
use crate::support::field;
pub(super) use crate::support::seq_of;

/// A place in the log.
pub(super) type Seq = u64;

/// What a stream is about. Everything in it can be seen all along.
#[derive(Clone, Debug)]
pub(super) enum Scope {
    /// `events`.
    Mine,
    /// `events(roomIds:)`.
    Rooms(Vec<Uuid>),
    /// `messageSent`.
    Messages(Uuid),
}

/// A subscription. Its variables stay what they were, as stock clients have it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: String,
    pub(super) scope: Scope,
    pub(super) after: Option<String>,
    /// Where it begins: what comes behind this place is expected.
    pub(super) from: Seq,
    /// What has come, by place.
    items: Vec<(Seq, Option<Uuid>)>,
    /// Positions that were told, each with how much had come by then.
    marks: Vec<(Seq, usize)>,
}

const EVENTS: &str = "subscription($rooms:[ID!],$after:Cursor){events(roomIds:$rooms,after:$after){__typename \
     ...on MessageSent{message{messageId:id body}} ...on MessageEdited{message{messageId:id body}} \
     ...on MessageDeleted{message{messageId:id}}}}";
const MESSAGES: &str = "subscription($room:ID!,$after:Cursor){messageSent(roomId:$room,after:$after){messageId:id body}}";

impl Stream {
    pub(super) fn new(id: String, scope: Scope, after: Option<String>, from: Seq) -> Self {
        Self {
            id,
            scope,
            after,
            from,
            items: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// What asks for it.
    pub(super) fn subscribe(&self) -> Value {
        let (query, mut variables) = match &self.scope {
            Scope::Mine => (EVENTS, json!({})),
            Scope::Rooms(rooms) => (EVENTS, json!({ "rooms": rooms })),
            Scope::Messages(room) => (MESSAGES, json!({ "room": room })),
        };
        variables["after"] = self.after.clone().into();
        let payload = json!({ "query": query, "variables": variables });
        json!({ "id": self.id, "type": "subscribe", "payload": payload })
    }

    /// Takes a `next`; its cursor.
    pub(super) fn next<'a>(&mut self, text: &'a str) -> &'a str {
        assert!(!text.contains("\"errors\":"), "{}: {text}", self.id);
        let cursor = field(text, "\"extensions\":{\"cursor\":\"").expect("it has a cursor");
        let seq = seq_of(cursor);
        match field(text, "\"__typename\":\"") {
            Some("CaughtUp") => self.mark(seq),
            Some("ResyncRequired" | "AccessRevoked") => panic!("{}: {text}", self.id),
            _ => {
                let id = field(text, "\"messageId\":\"").map(|id| id.parse().unwrap());
                self.items.push((seq, id));
            }
        }
        cursor
    }

    /// It was told that everything of it up to here has been sent.
    pub(super) fn mark(&mut self, seq: Seq) {
        if self.marks.last() != Some(&(seq, self.items.len())) {
            self.marks.push((seq, self.items.len()));
        }
    }

    /// Up to where it has everything, as far as it knows.
    pub(super) fn reached(&self) -> Seq {
        let item = self.items.last().map(|(seq, _)| *seq);
        let mark = self.marks.last().map(|(seq, _)| *seq);
        item.max(mark).unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Each event once, in order, none missing; and each position that was told was true when it was told.
    pub(super) fn assert_is(&self, log: &[Entry]) {
        let due = log.iter().filter(|entry| entry.seq > self.from);
        let due: Vec<_> = due.filter(|entry| entry.is_in(&self.scope)).collect();
        for (n, (seq, message)) in self.items.iter().enumerate() {
            let expected = due.get(n).map(|entry| (entry.seq, entry.message));
            assert_eq!(
                expected,
                Some((*seq, *message)),
                "{} {:?} from {}: item {n} of {} came as {seq}, behind {:?}",
                self.id,
                self.scope,
                self.from,
                due.len(),
                n.checked_sub(1).map(|n| self.items[n].0),
            );
        }
        assert_eq!(
            self.items.len(),
            due.len(),
            "{}: {:?} did not come",
            self.id,
            due.get(self.items.len()).map(|entry| entry.seq)
        );
        for (seq, came) in &self.marks {
            let by_then = due.partition_point(|entry| entry.seq <= *seq);
            assert_eq!(
                by_then, *came,
                "{}: {seq} was told when so many had come",
                self.id
            );
        }
    }
}
