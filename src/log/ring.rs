//! The ring behind the tail: contiguous events, bounded by count and bytes, with deleted bodies blanked.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::model::{Event, Message, MessageId, Reply, RoomId, Seq, Timestamp, What};

/// Contiguous events, newest last.
#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<Arc<Event>>,
    head: Seq,
    bytes: usize,
    events_max: usize,
    bytes_max: usize,
}

/// How an event that arrives stands to those that are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// It is here already.
    Skip,
    /// It is the next one.
    Take,
    /// Something before it is missing.
    Missing,
}

/// Compares the place of what arrives with the newest that is there.
pub(super) fn step(head: Seq, arrived: Seq) -> Step {
    if arrived <= head {
        Step::Skip
    } else if arrived == head.next() {
        Step::Take
    } else {
        Step::Missing
    }
}

/// What the events of one announcement take away from those before them.
#[derive(Default)]
struct Gone {
    messages: HashMap<MessageId, Arc<Message>>,
    rooms: HashMap<RoomId, Timestamp>,
}

impl Ring {
    pub(super) fn new(head: Seq, events_max: usize, bytes_max: usize) -> Self {
        Self {
            events: VecDeque::new(),
            head,
            bytes: 0,
            events_max,
            bytes_max,
        }
    }

    pub(super) fn head(&self) -> Seq {
        self.head
    }

    /// Takes those that are next, in order. False when one was missing: it and what follows it are not taken.
    pub(super) fn extend(&mut self, events: &[Arc<Event>]) -> bool {
        let mut gone = Gone::default();
        let mut complete = true;
        for event in events {
            match step(self.head, event.cursor.seq) {
                Step::Skip => {}
                Step::Take => {
                    gone.note(event);
                    self.push(event.clone());
                }
                Step::Missing => {
                    complete = false;
                    break;
                }
            }
        }
        self.blank(&gone);
        complete
    }

    /// Lets go of everything and goes on from a place beyond; false where it is there already.
    pub(super) fn begin_anew(&mut self, head: Seq) -> bool {
        let is_beyond = head > self.head;
        if is_beyond {
            self.events.clear();
            (self.head, self.bytes) = (head, 0);
        }
        is_beyond
    }

    fn push(&mut self, event: Arc<Event>) {
        self.head = event.cursor.seq;
        self.bytes += weight(&event);
        self.events.push_back(event);
        while self.events.len() > self.events_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= weight(&oldest);
        }
    }

    /// See [`super::Tail::since`].
    pub(super) fn since(&self, after: Seq, max: usize) -> Option<Vec<Arc<Event>>> {
        let newer = usize::try_from(self.head.0.saturating_sub(after.0)).unwrap_or(usize::MAX);
        let from = self.events.len().checked_sub(newer)?;
        Some(self.events.range(from..).take(max).cloned().collect())
    }

    /// One pass for all that a batch deleted: the ring is some ten thousand pointers, and deletions are rare.
    fn blank(&mut self, gone: &Gone) {
        if gone.messages.is_empty() && gone.rooms.is_empty() {
            return;
        }
        for event in &mut self.events {
            if let Some(blanked) = gone.taken_from(event) {
                self.bytes = self.bytes + weight(&blanked) - weight(event);
                *event = Arc::new(blanked);
            }
        }
    }
}

impl Gone {
    fn note(&mut self, event: &Event) {
        match &event.what {
            What::MessageDeleted(message) => {
                self.messages.insert(message.id, message.clone());
            }
            What::RoomDeleted { .. } => {
                self.rooms.insert(event.room_id(), event.at);
            }
            _ => {}
        }
    }

    /// The event without what is gone, if it shows any of it.
    fn taken_from(&self, event: &Event) -> Option<Event> {
        let message = event.message()?;
        Some(event.showing(self.message(message)?))
    }

    fn message(&self, message: &Arc<Message>) -> Option<Arc<Message>> {
        if let Some(at) = self.rooms.get(&message.room) {
            let reply_to = message.reply_to.as_ref().map(|reply| Reply {
                id: reply.id,
                message: None,
            });
            let deleted_at = message.deleted_at.or(Some(*at));
            return Some(Arc::new(Message {
                deleted_at,
                reply_to,
                ..message.blanked()
            }));
        }
        // Its own tombstone may still quote what went in the same batch after it.
        let shown = self.messages.get(&message.id).unwrap_or(message);
        match self.quote_of(shown) {
            Some(reply_to) => Some(Arc::new(Message {
                reply_to: Some(reply_to),
                ..(**shown).clone()
            })),
            None => (!Arc::ptr_eq(shown, message)).then(|| shown.clone()),
        }
    }

    /// What a message quotes, without what is gone; `None` where nothing of it is.
    fn quote_of(&self, message: &Message) -> Option<Reply> {
        let quoted = message.reply_to.as_ref()?;
        let tombstone = self.messages.get(&quoted.id)?;
        let blank = Message {
            reply_to: without_quote(tombstone),
            ..(**tombstone).clone()
        };
        Some(Reply {
            id: quoted.id,
            message: Some(Arc::new(blank)),
        })
    }
}

fn without_quote(message: &Message) -> Option<Reply> {
    message.reply_to.as_ref().map(|reply| Reply {
        id: reply.id,
        message: None,
    })
}

/// Roughly what an event holds in memory: text, and some for the structs around it.
fn weight(event: &Event) -> usize {
    const STRUCTS: usize = 640;
    const REACTION: usize = 96;
    let text = |message: &Message| {
        message.body.as_ref().map_or(0, |body| body.as_str().len())
            + message
                .data
                .as_ref()
                .map_or(0, |_| crate::model::Data::MAX_BYTES)
            + message.reactions.len() * REACTION
    };
    let message = event.message().map_or(0, |message| {
        let quoted = message
            .reply_to
            .as_ref()
            .and_then(|reply| reply.message.as_deref());
        text(message) + quoted.map_or(0, text)
    });
    STRUCTS + message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Cursor, Epoch, Fingerprint, MessageBody, Room, RoomName, User, UserId, Visibility,
    };

    const ROOMY: (usize, usize) = (100, 1 << 20);

    struct Log {
        room: Arc<Room>,
        actor: Arc<User>,
        epoch: Epoch,
    }

    impl Log {
        fn new() -> Self {
            let room = Room {
                id: RoomId::generate(),
                name: RoomName::stored("a room"),
                visibility: Visibility::Public,
                data: None,
                created_at: Timestamp(0),
                last_activity_at: Timestamp(0),
                last_message: None,
                member_count: 0,
                owner_count: 0,
                direct: false,
                fingerprint: None,
                deleted: false,
            };
            let actor = Arc::new(User::unseen(UserId::stored("ada")));
            Self {
                room: Arc::new(room),
                actor,
                epoch: Epoch::generate(),
            }
        }

        fn cursor(&self, seq: u64) -> Cursor {
            Cursor {
                seq: Seq(seq),
                epoch: self.epoch,
            }
        }

        fn message(&self, seq: u64, body: &str, reply: Option<&Arc<Message>>) -> Arc<Message> {
            Arc::new(Message {
                id: MessageId::generate(),
                room: self.room.id,
                author: self.actor.clone(),
                body: Some(MessageBody::stored(body)),
                data: None,
                version: 1,
                created_at: Timestamp(0),
                edited_at: None,
                deleted_at: None,
                reply_to: reply.map(|quoted| Reply {
                    id: quoted.id,
                    message: Some(quoted.clone()),
                }),
                cursor: self.cursor(seq),
                fingerprint: Fingerprint([0; 16]),
                reactions: Arc::default(),
            })
        }

        fn event(&self, seq: u64, what: What) -> Arc<Event> {
            let (room, actor) = (self.room.clone(), self.actor.clone());
            Arc::new(Event {
                cursor: self.cursor(seq),
                at: Timestamp(seq as i64),
                room,
                actor,
                what,
            })
        }

        fn sent(&self, seq: u64) -> Arc<Event> {
            self.event(seq, What::MessageSent(self.message(seq, "hello", None)))
        }
    }

    fn ring((events_max, bytes_max): (usize, usize)) -> Ring {
        Ring::new(Seq(0), events_max, bytes_max)
    }

    fn places(events: Option<Vec<Arc<Event>>>) -> Option<Vec<u64>> {
        events.map(|events| events.iter().map(|event| event.cursor.seq.0).collect())
    }

    #[test]
    fn what_is_here_already_is_skipped_and_a_hole_is_reported() {
        assert_eq!(step(Seq(5), Seq(5)), Step::Skip);
        assert_eq!(step(Seq(5), Seq(6)), Step::Take);
        assert_eq!(step(Seq(5), Seq(7)), Step::Missing);
    }

    #[test]
    fn the_ring_takes_repeats_and_refuses_holes() {
        let (log, mut ring) = (Log::new(), ring(ROOMY));
        assert!(ring.extend(&[log.sent(1), log.sent(2)]));
        assert!(ring.extend(&[log.sent(2), log.sent(3)]));
        assert!(!ring.extend(&[log.sent(5)]));
        assert_eq!(ring.head(), Seq(3));
        assert_eq!(places(ring.since(Seq(0), 9)), Some(vec![1, 2, 3]));
        assert_eq!(places(ring.since(Seq(1), 1)), Some(vec![2]));
        assert_eq!(places(ring.since(Seq(3), 9)), Some(vec![]));
        assert_eq!(places(ring.since(Seq(9), 9)), Some(vec![]));
    }

    #[test]
    fn the_ring_forgets_the_oldest_and_says_so() {
        let (log, mut ring) = (Log::new(), ring((2, 1 << 20)));
        assert!(ring.extend(&[log.sent(1), log.sent(2), log.sent(3)]));
        assert_eq!(places(ring.since(Seq(0), 9)), None);
        assert_eq!(places(ring.since(Seq(1), 9)), Some(vec![2, 3]));
    }

    #[test]
    fn the_ring_is_bounded_by_bytes_too() {
        let (log, mut ring) = (Log::new(), ring((100, 2_000)));
        assert!(ring.extend(&[log.sent(1), log.sent(2), log.sent(3), log.sent(4)]));
        assert_eq!(places(ring.since(Seq(1), 9)), Some(vec![2, 3, 4]));
        assert_eq!(places(ring.since(Seq(0), 9)), None);
    }

    #[test]
    fn a_deleted_body_is_gone_from_every_event_that_showed_it() {
        let (log, mut ring) = (Log::new(), ring(ROOMY));
        let secret = log.message(1, "secret", None);
        let reply = log.message(2, "to that", Some(&secret));
        let tombstone = Arc::new(Message {
            deleted_at: Some(Timestamp(3)),
            version: 2,
            ..secret.blanked()
        });
        let before = [
            log.event(1, What::MessageSent(secret)),
            log.event(2, What::MessageSent(reply.clone())),
        ];
        // What quotes the body may also come later in the same batch as the deletion.
        let after = [
            log.event(3, What::MessageDeleted(tombstone)),
            log.event(4, What::MessageEdited(reply)),
        ];
        assert!(ring.extend(&before) && ring.extend(&after));
        let shown = format!("{:?}", ring.since(Seq(0), 9));
        assert!(!shown.contains("secret"), "{shown}");
        assert_eq!(shown.matches("to that").count(), 2);
    }

    #[test]
    fn a_reply_deleted_before_what_it_quotes_shows_neither() {
        let (log, mut ring) = (Log::new(), ring(ROOMY));
        let secret = log.message(1, "secret", None);
        let reply = log.message(2, "to that", Some(&secret));
        let gone = |message: &Message, at| {
            let deleted_at = Some(Timestamp(at));
            Arc::new(Message {
                deleted_at,
                version: 2,
                ..message.blanked()
            })
        };
        let sent = [
            log.event(1, What::MessageSent(secret.clone())),
            log.event(2, What::MessageSent(reply.clone())),
        ];
        // In one batch, the reply first: its tombstone still quotes the other.
        let deleted = [
            log.event(3, What::MessageDeleted(gone(&reply, 3))),
            log.event(4, What::MessageDeleted(gone(&secret, 4))),
        ];
        assert!(ring.extend(&sent) && ring.extend(&deleted));
        let shown = format!("{:?}", ring.since(Seq(0), 9));
        assert!(
            !shown.contains("secret") && !shown.contains("to that"),
            "{shown}"
        );
    }

    #[test]
    fn a_deleted_rooms_messages_are_blank() {
        let (log, mut ring) = (Log::new(), ring(ROOMY));
        let gone = log.event(
            2,
            What::RoomDeleted {
                was: Visibility::Public,
            },
        );
        assert!(ring.extend(&[log.sent(1)]) && ring.extend(&[gone]));
        assert!(!format!("{:?}", ring.since(Seq(0), 9)).contains("hello"));
    }
}
