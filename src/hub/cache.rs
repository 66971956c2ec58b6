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

/// How many deletions the cache has seen. Read it before reading events; what is made from them is kept only if no later
/// deletion concerns it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct AsOf {
    deletions: u64,
    shared: bool,
}

impl AsOf {
    /// For events read from the store. They show things as they are now, which may be later than what another who gets the
    /// same event may see (its access ended in between): a payload made from them is for this reader alone.
    pub(super) fn read_from_store(self) -> Self {
        Self {
            shared: false,
            ..self
        }
    }

    /// Whether what is made from such events may be given to anyone who gets the same event.
    pub(super) fn is_shared(self) -> bool {
        self.shared
    }
}

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
        let kept = Kept::new(tail.head(), bytes_max);
        Self {
            tail,
            kept: Mutex::new(kept),
        }
    }

    /// To be read before the events that payloads are made from.
    pub(super) fn as_of(&self) -> AsOf {
        AsOf {
            deletions: self.up_to_date().deletions,
            shared: true,
        }
    }

    /// A payload that was made before.
    pub(super) fn get(&self, key: &Key) -> Option<Bytes> {
        let kept = self.up_to_date();
        kept.payloads.get(key).map(|payload| payload.bytes.clone())
    }

    /// Keeps a payload made from `event`, unless a deletion since `as_of` concerns it.
    pub(super) fn keep(&self, key: Key, bytes: &Bytes, event: Option<&Event>, as_of: AsOf) {
        if !as_of.shared {
            return;
        }
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

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.up_to_date().payloads.len()
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
    /// Keys of forgotten payloads that are not worth a clean-up.
    const STALE_KEYS: usize = 1_024;

    fn new(followed: Seq, bytes_max: usize) -> Self {
        Self {
            payloads: HashMap::new(),
            by_message: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            bytes_max,
            followed,
            deletions: 0,
            recent: VecDeque::new(),
        }
    }

    fn follow(&mut self, event: &Event) {
        self.followed = event.cursor.seq;
        match &event.what {
            What::MessageDeleted(message) => self.note(Gone::Message(message.id)),
            What::RoomDeleted { .. } => self.note(Gone::Room(event.room_id())),
            _ => {}
        }
    }

    fn note(&mut self, gone: Gone) {
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
        let since = self.deletions - as_of.deletions;
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
        // Deletions leave their keys behind.
        if self.order.len() > 2 * self.payloads.len() + Self::STALE_KEYS {
            self.order.retain(|key| self.payloads.contains_key(key));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATION: u64 = 1;

    fn kept(bytes_max: usize) -> Kept {
        Kept::new(Seq::ZERO, bytes_max)
    }

    fn key(seq: u64) -> Key {
        Key {
            operation: OPERATION,
            seq: Seq(seq),
            revoked: None,
        }
    }

    fn shows(message: MessageId, quoted: Option<MessageId>, room: RoomId) -> Shows {
        Shows {
            room: Some(room),
            message: Some(message),
            quoted,
        }
    }

    fn gone(kept: &mut Kept, gone: Gone) {
        kept.note(gone);
    }

    #[test]
    fn a_deletion_takes_what_shows_the_message_also_as_a_quote() {
        let mut kept = kept(1_000_000);
        let (room, other_room) = (RoomId::generate(), RoomId::generate());
        let (one, two) = (MessageId::generate(), MessageId::generate());
        kept.insert(key(1), "one".into(), shows(one, None, room));
        kept.insert(key(2), "two quotes one".into(), shows(two, Some(one), room));
        kept.insert(key(3), "two".into(), shows(two, None, other_room));
        gone(&mut kept, Gone::Message(one));
        assert_eq!(kept.payloads.keys().collect::<Vec<_>>(), [&key(3)]);
        gone(&mut kept, Gone::Room(other_room));
        assert!(kept.payloads.is_empty() && kept.by_message.is_empty());
        assert_eq!(kept.bytes, 0);
    }

    #[test]
    fn nothing_is_sound_that_was_read_before_its_deletion() {
        let mut kept = kept(1_000_000);
        let room = RoomId::generate();
        let (one, two) = (MessageId::generate(), MessageId::generate());
        let before = AsOf {
            deletions: kept.deletions,
            shared: true,
        };
        gone(&mut kept, Gone::Message(one));
        assert!(!kept.is_sound(&shows(one, None, room), before));
        assert!(!kept.is_sound(&shows(two, Some(one), room), before));
        assert!(kept.is_sound(&shows(two, None, room), before));
        // More deletions than are remembered: anything might be among them.
        for _ in 0..Payloads::RECENT_DELETIONS {
            gone(&mut kept, Gone::Message(MessageId::generate()));
        }
        assert!(!kept.is_sound(&shows(two, None, room), before));
        let after = AsOf {
            deletions: kept.deletions,
            shared: true,
        };
        assert!(kept.is_sound(&shows(one, None, room), after));
        kept.forget_everything();
        assert!(!kept.is_sound(&shows(two, None, room), after));
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let each = Payloads::ENTRY_BYTES + 10;
        let mut kept = kept(3 * each);
        for seq in 0..10 {
            let message = MessageId::generate();
            let shows = shows(message, None, RoomId::generate());
            kept.insert(key(seq), Bytes::from(vec![b'x'; 10]), shows);
        }
        assert_eq!(kept.bytes, 3 * each);
        assert!((7..10).all(|seq| kept.payloads.contains_key(&key(seq))));
        assert_eq!((kept.by_message.len(), kept.order.len()), (3, 3));
    }

    #[test]
    fn keys_of_what_was_forgotten_do_not_pile_up() {
        let mut kept = kept(1_000_000);
        let room = RoomId::generate();
        for seq in 0..10_000 {
            let message = MessageId::generate();
            kept.insert(key(seq), "soon deleted".into(), shows(message, None, room));
            gone(&mut kept, Gone::Message(message));
            assert!(kept.order.len() <= Kept::STALE_KEYS + 2);
        }
        // One that stays is found where it is, however many go around it.
        let stays = shows(MessageId::generate(), None, room);
        kept.insert(key(10_000), "stays".into(), stays);
        for seq in 10_001..12_000 {
            let message = MessageId::generate();
            kept.insert(key(seq), "soon deleted".into(), shows(message, None, room));
            gone(&mut kept, Gone::Message(message));
        }
        assert!(kept.order.contains(&key(10_000)));
        assert!(kept.payloads.contains_key(&key(10_000)));
    }
}
