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
    /// Something before it is missing: the store has it.
    Reread,
}

/// Compares the place of what arrives with the newest that is there.
pub(super) fn step(head: Seq, arrived: Seq) -> Step {
    if arrived <= head {
        Step::Skip
    } else if arrived == head.next() {
        Step::Take
    } else {
        Step::Reread
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
                Step::Reread => {
                    complete = false;
                    break;
                }
            }
        }
        self.blank(&gone);
        complete
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
        let blanked = self.message(message)?;
        let what = match &event.what {
            What::MessageSent(_) => What::MessageSent(blanked),
            What::MessageEdited(_) => What::MessageEdited(blanked),
            What::MessageDeleted(_) => What::MessageDeleted(blanked),
            _ => return None,
        };
        Some(Event {
            what,
            ..event.clone()
        })
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
        if let Some(tombstone) = self.messages.get(&message.id) {
            return (!Arc::ptr_eq(tombstone, message)).then(|| tombstone.clone());
        }
        let reply = message.reply_to.as_ref()?;
        let tombstone = self.messages.get(&reply.id)?;
        let quoted = Message {
            reply_to: without_quote(tombstone),
            ..(**tombstone).clone()
        };
        let reply_to = Some(Reply {
            id: reply.id,
            message: Some(Arc::new(quoted)),
        });
        Some(Arc::new(Message {
            reply_to,
            ..(**message).clone()
        }))
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
    let text = |message: &Message| {
        message.body.as_ref().map_or(0, |body| body.as_str().len())
            + message
                .data
                .as_ref()
                .map_or(0, |_| crate::model::Data::MAX_BYTES)
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
