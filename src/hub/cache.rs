//! Payloads that were made, so that each is made once: for all workers, and for those who come back.
//!
//! Nothing that was deleted is given out from here. The cache follows the tail by itself: before it answers it forgets
//! every payload that shows a message whose deletion the tail has, and it takes no payload made from what was read before
//! such a deletion.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::log::Tail;
use crate::model::{Event, MessageId, RoomId, Seq, What};

/// What a payload is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    /// The operation's number.
    pub(super) operation: u64,
    /// The event's place.
    pub(super) seq: Seq,
    /// `AccessRevoked` for this room in the event's place.
    pub(super) revoked: Option<RoomId>,
}

/// How many deletions the cache has seen. Read it before reading events; what is made from them is kept only if none of
/// those deletions concerns it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct AsOf(u64);

/// The cache. Per-viewer operations stay out of it.
pub(super) struct Payloads {
    tail: Arc<Tail>,
    kept: Mutex<Kept>,
}

struct Kept {
    payloads: HashMap<Key, Payload>,
    by_message: HashMap<MessageId, Vec<Key>>,
    /// Oldest first; keys of forgotten payloads stay until their turn.
    order: VecDeque<Key>,
    bytes: usize,
    bytes_max: usize,
    followed: Seq,
    deletions: u64,
    recent: VecDeque<Gone>,
}

struct Payload {
    bytes: Bytes,
    shows: Shows,
}

/// Whose text a payload may hold.
#[derive(Clone, Copy, Default, Debug)]
struct Shows {
    room: Option<RoomId>,
    message: Option<MessageId>,
    quoted: Option<MessageId>,
}

#[derive(Clone, Copy, Debug)]
enum Gone {
    Message(MessageId),
    Room(RoomId),
}

impl Payloads {
    /// Deletions that are remembered for payloads still being made.
    const RECENT_DELETIONS: usize = 1_024;
    /// Beside its text a payload costs about this much here.
    const ENTRY_BYTES: usize = 256;

    /// An empty one that follows a tail from its head.
    pub(super) fn new(tail: Arc<Tail>, bytes_max: usize) -> Self {
        let followed = tail.head();
        let kept = Kept {
            payloads: HashMap::new(),
            by_message: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            bytes_max,
            followed,
            deletions: 0,
            recent: VecDeque::new(),
        };
        Self {
            tail,
            kept: Mutex::new(kept),
        }
    }

    /// To be read before the events that payloads are made from.
    pub(super) fn as_of(&self) -> AsOf {
        AsOf(self.up_to_date().deletions)
    }

    /// A payload that was made before.
    pub(super) fn get(&self, key: &Key) -> Option<Bytes> {
        let kept = self.up_to_date();
        kept.payloads.get(key).map(|payload| payload.bytes.clone())
    }

    /// Keeps a payload made from `event`, unless a deletion since `as_of` concerns it.
    pub(super) fn keep(&self, key: Key, bytes: &Bytes, event: Option<&Event>, as_of: AsOf) {
        let shows = event.map_or_else(Shows::default, Shows::of);
        let mut kept = self.up_to_date();
        if kept.is_sound(&shows, as_of) {
            kept.insert(key, bytes.clone(), shows);
        }
    }

    /// Whether nothing that `event` shows was deleted since `as_of`.
    pub(super) fn is_sound(&self, event: &Event, as_of: AsOf) -> bool {
        self.up_to_date().is_sound(&Shows::of(event), as_of)
    }

    fn up_to_date(&self) -> MutexGuard<'_, Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.followed < self.tail.head() {
            let Some(events) = self.tail.since(kept.followed, 256) else {
                kept.forget_everything();
                kept.followed = self.tail.head();
                continue;
            };
            for event in &events {
                kept.follow(event);
            }
            if events.is_empty() {
                break;
            }
        }
        kept
    }
}

impl Kept {
    fn follow(&mut self, event: &Event) {
        self.followed = event.cursor.seq;
        let gone = match &event.what {
            What::MessageDeleted(message) => Gone::Message(message.id),
            What::RoomDeleted { .. } => Gone::Room(event.room_id()),
            _ => return,
        };
        self.deletions += 1;
        if self.recent.len() == Payloads::RECENT_DELETIONS {
            self.recent.pop_front();
        }
        self.recent.push_back(gone);
        self.forget(gone);
    }

    fn forget(&mut self, gone: Gone) {
        let keys: Vec<Key> = match gone {
            Gone::Message(message) => self.by_message.remove(&message).unwrap_or_default(),
            Gone::Room(_) => {
                let shown = self.payloads.iter();
                let shown = shown.filter(|(_, payload)| payload.shows.any_of(gone));
                shown.map(|(key, _)| *key).collect()
            }
        };
        for key in keys {
            self.remove(&key);
        }
    }

    /// The tail has moved on past what this has followed: some deletion may have been missed.
    fn forget_everything(&mut self) {
        self.payloads.clear();
        self.by_message.clear();
        self.order.clear();
        self.bytes = 0;
        self.recent.clear();
        // Further than any payload in the making can have read.
        self.deletions += 1 + Payloads::RECENT_DELETIONS as u64;
    }

    fn is_sound(&self, shows: &Shows, as_of: AsOf) -> bool {
        let since = self.deletions - as_of.0;
        match usize::try_from(since) {
            Ok(since) if since <= self.recent.len() => {
                let newest = self.recent.iter().rev().take(since);
                newest.copied().all(|gone| !shows.any_of(gone))
            }
            _ => false,
        }
    }

    fn insert(&mut self, key: Key, bytes: Bytes, shows: Shows) {
        let weight = bytes.len() + Payloads::ENTRY_BYTES;
        if self.payloads.contains_key(&key) || weight > self.bytes_max {
            return;
        }
        self.bytes += weight;
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.remove(&oldest);
        }
        for message in [shows.message, shows.quoted].into_iter().flatten() {
            self.by_message.entry(message).or_default().push(key);
        }
        self.payloads.insert(key, Payload { bytes, shows });
        self.order.push_back(key);
    }

    fn remove(&mut self, key: &Key) {
        let Some(payload) = self.payloads.remove(key) else {
            return;
        };
        self.bytes -= payload.bytes.len() + Payloads::ENTRY_BYTES;
        let shown = [payload.shows.message, payload.shows.quoted];
        for message in shown.into_iter().flatten() {
            if let Some(keys) = self.by_message.get_mut(&message) {
                keys.retain(|other| other != key);
                if keys.is_empty() {
                    self.by_message.remove(&message);
                }
            }
        }
    }
}

impl Shows {
    fn of(event: &Event) -> Self {
        // A deleted body is not in its own deletion's payload, but a version of it that quotes another may be.
        let message = event.message();
        let reply = message.and_then(|message| message.reply_to.as_ref());
        Self {
            room: Some(event.room_id()),
            message: message.map(|message| message.id),
            quoted: reply.map(|reply| reply.id),
        }
    }

    fn any_of(&self, gone: Gone) -> bool {
        match gone {
            Gone::Message(message) => self.message == Some(message) || self.quoted == Some(message),
            Gone::Room(room) => self.room == Some(room),
        }
    }
}
