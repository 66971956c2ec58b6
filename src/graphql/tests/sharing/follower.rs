//! One viewer's subscription to an operation, and what it must be sent.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

use super::super::types::Types;
use super::operation::Operation;
use super::spelling::{Arguments, Spelled, spell};
use super::stage::{Client, Plain};
use crate::document::Prepared;
use crate::hub::Item;
use crate::log::Tail;
use crate::model::{Access, Cursor, Epoch, Event, Resync, RoomId, Scope, Seq, Verdict, What};
use crate::store::{PageLimit, Replayed, Store};

pub(super) struct Follower {
    /// Whose: the number of its client.
    pub(super) client: usize,
    /// The number of its operation.
    pub(super) operation: usize,
    pub(super) asked: Operation,
    pub(super) id: String,
    pub(super) scope: Scope,
    pub(super) messages_only: bool,
    pub(super) resume: Option<Cursor>,
    spelled: Option<Spelled>,
    /// What it follows now.
    pub(super) access: Option<Access>,
    /// Where it begins, if it asks for that.
    from: Option<Cursor>,
    /// What is wrong with that.
    wrong: Option<Resync>,
    arguments: Arguments,
    prepared: Option<Prepared>,
    ended: bool,
}

/// One thing that a subscription must be sent.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Payload(Item),
    /// What the store shows now, or what is in the ring: a payload that was made for others is given to who reads the
    /// store, too.
    Either(Item, Item),
    End(&'static str),
}

impl Follower {
    /// With rooms of the viewer's own choice, as they come; `from`: by resume point or argument.
    pub(super) fn choose(
        client: usize,
        operation: usize,
        asked: &Operation,
        rooms: &[String],
        from: Option<Cursor>,
        rng: &mut StdRng,
    ) -> Self {
        let messages_only = asked.root == "messageSent";
        let mut arguments = Arguments::new();
        let id = |room: &String| RoomId::parse("room", room).unwrap();
        let scope = if messages_only {
            let room = rooms.choose(rng).unwrap();
            arguments.push(("roomId", "ID!", json!(room)));
            Scope::Rooms([id(room)].into())
        } else if rng.random_bool(0.4) {
            let count = rng.random_range(0..=rooms.len());
            let some: Vec<_> = rooms.choose_multiple(rng, count).cloned().collect();
            arguments.push(("roomIds", "[ID!]", json!(some)));
            Scope::Rooms(some.iter().map(id).collect())
        } else {
            if rng.random_bool(0.1) {
                arguments.push(("roomIds", "[ID!]", Value::Null));
            }
            Scope::Mine
        };
        let mut follower = Self {
            client,
            operation,
            asked: asked.clone(),
            id: format!("{operation}_{client}"),
            scope,
            messages_only,
            resume: None,
            spelled: None,
            access: None,
            from,
            wrong: None,
            arguments,
            prepared: None,
            ended: false,
        };
        if let Some(from) = from {
            follower.begin_at(from, rng);
        }
        follower
    }

    fn begin_at(&mut self, mut from: Cursor, rng: &mut StdRng) {
        match rng.random_range(0..12) {
            0 => {
                from.seq = Seq(u64::from(u32::MAX));
                self.wrong = Some(Resync::CursorAhead);
            }
            1 => {
                from.epoch = Epoch::stored(7);
                self.wrong = Some(Resync::EpochChanged);
            }
            _ => {}
        }
        self.from = Some(from);
        if rng.random() {
            self.resume = Some(from);
        } else {
            let after = json!(from.to_string());
            self.arguments.push(("after", "Cursor", after));
        }
    }

    /// Its document, in its own words; said more plainly where it came out too long.
    pub(super) fn prepare(
        &mut self,
        plain: &Plain,
        types: &Types,
        operation: &Operation,
        rng: &mut StdRng,
    ) -> Prepared {
        let mut freely = *[0.0, 0.1, 0.3].choose(rng).unwrap();
        loop {
            let spelled = spell(operation, &self.arguments, types, freely, rng);
            let prepared = plain.prepare(&spelled);
            self.spelled = Some(spelled);
            if let Some(prepared) = prepared {
                self.prepared = Some(prepared.clone());
                return prepared;
            }
            freely = if freely > 0.05 { freely / 2.0 } else { 0.0 };
        }
    }

    pub(super) fn prepared(&self) -> &Prepared {
        self.prepared.as_ref().unwrap()
    }

    /// Which one it is, for a failure.
    pub(super) fn told(&self, client: &Client) -> String {
        let viewer = &client.viewer.user.id;
        format!("{} of {viewer}: {:?}", self.id, self.spelled)
    }

    /// What it begins with when it begins at the end of the log.
    pub(super) fn opening(&self, head: Cursor) -> Vec<Wanted> {
        if self.messages_only {
            return Vec::new();
        }
        let mut wanted = self.unreadable(head);
        wanted.push(Wanted::Payload(Item::CaughtUp(head)));
        wanted
    }

    fn unreadable(&self, cursor: Cursor) -> Vec<Wanted> {
        let access = self.access.as_ref().unwrap();
        let rooms = match &self.scope {
            Scope::Mine => &[][..],
            Scope::Rooms(rooms) => rooms,
        };
        let hidden = rooms.iter().filter(|room| !access.rooms.contains_key(room));
        let hidden = hidden.map(|room| Item::Revoked {
            cursor,
            room: *room,
        });
        hidden.map(Wanted::Payload).collect()
    }

    /// What it is sent of the next event.
    pub(super) fn walk(&mut self, event: &Arc<Event>) -> Option<Wanted> {
        let mut access = self.access.take().unwrap();
        let wanted = self.step(&mut access, event);
        self.access = Some(access);
        wanted
    }

    fn step(&mut self, access: &mut Access, event: &Arc<Event>) -> Option<Wanted> {
        if self.ended {
            return None;
        }
        match access.follow(event) {
            Verdict::Skip => None,
            Verdict::Deliver => self.show(event),
            Verdict::Revoke => Some(self.revoke(event.cursor, event.room_id())),
        }
    }

    fn show(&self, event: &Arc<Event>) -> Option<Wanted> {
        let wants = !self.messages_only || matches!(event.what, What::MessageSent(_));
        wants.then(|| Wanted::Payload(Item::Event(event.clone())))
    }

    fn revoke(&mut self, cursor: Cursor, room: RoomId) -> Wanted {
        if self.messages_only {
            self.ended = true;
            return Wanted::End("NOT_FOUND");
        }
        Wanted::Payload(Item::Revoked { cursor, room })
    }

    /// What it is sent from the place where it begins, if that is in the ring and what it follows has not changed since.
    pub(super) fn by_ring(&mut self, tail: &Tail, head: Cursor) -> Option<Vec<Wanted>> {
        if self.wrong.is_some() {
            return None;
        }
        let from = self.from.unwrap();
        let events = tail.since(from.seq, usize::MAX)?;
        self.ended = false;
        let mut access = self.access.clone().unwrap();
        let mut wanted = self.unreadable(from);
        for event in &events {
            wanted.extend(self.step(&mut access, event));
        }
        self.catch_up(&mut wanted, head);
        Some(wanted)
    }

    /// What it is sent from the place where it begins, by what the store says now.
    pub(super) async fn by_store(
        &mut self,
        store: &dyn Store,
        tail: &Tail,
        head: Cursor,
    ) -> Vec<Wanted> {
        self.ended = false;
        let mut wanted = Vec::new();
        match self.wrong {
            Some(_) if self.messages_only => return vec![Wanted::End("RESYNC_REQUIRED")],
            Some(reason) => {
                let resync = Item::Resync {
                    cursor: head,
                    reason,
                };
                wanted.push(Wanted::Payload(resync));
                wanted.extend(self.unreadable(head));
            }
            None => {
                let viewer = &self.access.as_ref().unwrap().viewer;
                let from = self.from.unwrap().seq;
                let page = store.replay(viewer, &self.scope, from, PageLimit::of(10_000), true);
                for item in page.await.unwrap().items {
                    if self.ended {
                        break;
                    }
                    match item {
                        Replayed::Event(event) => {
                            let now = self.show(&event);
                            wanted.extend(now.map(|now| or_ring(now, &event, tail)));
                        }
                        Replayed::Revoked { cursor, room } => {
                            wanted.push(self.revoke(cursor, room));
                        }
                    }
                }
            }
        }
        self.catch_up(&mut wanted, head);
        wanted
    }

    fn catch_up(&self, wanted: &mut Vec<Wanted>, head: Cursor) {
        if !self.messages_only {
            wanted.push(Wanted::Payload(Item::CaughtUp(head)));
        }
    }
}

fn or_ring(now: Wanted, event: &Event, tail: &Tail) -> Wanted {
    let before = Seq(event.cursor.seq.0 - 1);
    let ring = tail.since(before, 1).unwrap_or_default().pop();
    match (now, ring) {
        (Wanted::Payload(now), Some(ring)) => Wanted::Either(now, Item::Event(ring)),
        (now, _) => now,
    }
}

/// The type of an event.
pub(super) fn kind(event: &Event) -> &'static str {
    match event.what {
        What::MessageSent(_) => "MessageSent",
        What::MessageEdited(_) => "MessageEdited",
        What::MessageDeleted(_) => "MessageDeleted",
        What::ReactionAdded(..) => "ReactionAdded",
        What::ReactionRemoved(..) => "ReactionRemoved",
        What::RoomCreated { .. } => "RoomCreated",
        What::RoomUpdated { .. } => "RoomUpdated",
        What::RoomDeleted { .. } => "AccessRevoked",
        What::MemberJoined(_) => "MemberJoined",
        What::MemberUpdated(_) => "MemberUpdated",
        What::MemberLeft(_) => "MemberLeft",
    }
}

/// The type of what a subscription's root field gives for an item.
pub(super) fn type_of(item: &Item, messages_only: bool) -> &'static str {
    match item {
        Item::Event(_) if messages_only => "Message",
        Item::Event(event) => kind(event),
        Item::CaughtUp(_) => "CaughtUp",
        Item::Resync { .. } => "ResyncRequired",
        Item::Revoked { .. } => "AccessRevoked",
        Item::Signal(_) => unreachable!("nobody listens here"),
    }
}
