//! graphql-transport-ws as a state machine: a message in, one action out. PROTOCOL.md of graphql-ws is the specification.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use super::absent::Absent;
use super::conversation::{AtOnce, Conversation, Phase, Run, Ticket};
use super::message::{self, Init, Message};
use super::speech::{Action, Beat, Said, Speech};
use super::{Close, TransportWs, frame};
use crate::hub::Envelope;
use crate::model::Cursor;

/// One connection's side of the conversation.
pub(super) struct Protocol {
    conversation: Conversation,
    absent: Absent,
}

impl Protocol {
    /// A socket that has just opened. `header_token` is the upgrade request's, without `Bearer `.
    pub(super) fn new(at_once: AtOnce, header_token: Option<String>) -> Self {
        Self {
            conversation: Conversation::new(at_once, header_token),
            absent: Absent::default(),
        }
    }
}

impl Speech for Protocol {
    fn envelope(&self) -> Arc<dyn Envelope> {
        Arc::new(TransportWs)
    }

    fn conversation(&mut self) -> &mut Conversation {
        &mut self.conversation
    }

    fn understand(&mut self, text: &str) -> Action {
        match message::parse(text) {
            Ok(Message::Init(init)) => self.init(init),
            // At any time, before the acknowledgement too.
            Ok(Message::Ping(payload)) => Action::Send(vec![frame::pong(payload.as_deref())]),
            // Also unsolicited, as a heartbeat.
            Ok(Message::Pong) => {
                self.absent.answered();
                Action::Nothing
            }
            Ok(Message::Subscribe { id, payload }) => self.subscribe(&id, payload),
            Ok(Message::Complete { id }) => self.complete(&id),
            Err(close) => Action::Close(close),
        }
    }

    fn acknowledge(&mut self, head: Cursor) -> Option<Said> {
        let is_awaited = self.conversation.acknowledge();
        is_awaited.then(|| vec![frame::ack(head)])
    }

    fn answer(&mut self, id: &str, ticket: Ticket, response: &str) -> Option<Said> {
        self.finish(id, ticket)
            .then(|| vec![frame::next(id, response), frame::complete(id)])
    }

    fn refuse(&mut self, id: &str, ticket: Ticket, errors: &str) -> Option<Said> {
        self.finish(id, ticket)
            .then(|| vec![TransportWs.error(id, errors)])
    }

    fn ended(&mut self, id: &str) {
        if self.conversation.ended(id) {
            self.over(id);
        }
    }

    fn beat(&mut self) -> Beat {
        // While the server stops nobody gets to come back.
        let conversation = &self.conversation;
        if !conversation.is_stopping() {
            self.absent.round(|id| conversation.runs(id));
        }
        Beat::Positions
    }

    /// With the places of those subscriptions that are not back yet.
    fn complete_ping(&mut self, ping: Bytes) -> Bytes {
        self.absent.complete(ping)
    }
}

impl Protocol {
    fn init(&mut self, init: Init) -> Action {
        let absent = Absent::new(&init.resume);
        match self.conversation.init(init) {
            Ok(token) => {
                self.absent = absent;
                Action::Authenticate(token)
            }
            Err(close) => Action::Close(close),
        }
    }

    fn subscribe(&mut self, id: &str, payload: Option<Map<String, Json>>) -> Action {
        if self.conversation.phase() != Phase::Ready {
            return Action::Close(Close::UNAUTHORIZED);
        }
        if self.conversation.runs(id) {
            return Action::Close(Close::DUPLICATE);
        }
        match self.conversation.begin(id, payload) {
            Ok(start) => Action::Start(start),
            Err(error) => {
                self.over(id);
                Action::Send(vec![TransportWs.error(id, &frame::errors(&error))])
            }
        }
    }

    fn complete(&mut self, id: &str) -> Action {
        self.absent.over(id);
        // Both sides may complete at once: an id that is not known is no error.
        let Some(Run { id, ticket, kind }) = self.conversation.take(id) else {
            return Action::Nothing;
        };
        Action::Stop {
            id,
            ticket,
            kind,
            then: Box::new(Action::Nothing),
        }
    }

    fn finish(&mut self, id: &str, ticket: Ticket) -> bool {
        let is_wanted = self.conversation.finish(id, ticket);
        if is_wanted {
            self.over(id);
        }
        is_wanted
    }

    /// This run is over; whoever still has a place to go on from may come back.
    fn over(&mut self, id: &str) {
        if !self.conversation.has_place(id) {
            self.absent.over(id);
        }
    }
}
