//! The legacy subprotocol `graphql-ws` as a state machine: a message in, one action out.
//!
//! Its specification, PROTOCOL.md of subscriptions-transport-ws 0.11, leaves much open; there what the library's own client
//! and server do is the rule. That client comes back after any close whatever, so a message that it would send again each
//! time is answered, and does not close the socket.

mod frame;
mod message;

#[cfg(test)]
pub(super) mod conformance;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use self::message::{Init, Message};
use super::conversation::{AtOnce, Conversation, Phase, Run, Ticket};
use super::frame::errors;
use super::speech::{Action, Beat, Said, Speech};
use super::{Close, Waits};
use crate::error::Error;
use crate::hub::Envelope;
use crate::model::Cursor;

pub(super) use self::frame::SubscriptionsTransportWs;

/// Its name in the handshake. (The library that is called graphql-ws speaks the other one.)
pub(super) const SUBPROTOCOL: &str = "graphql-ws";

/// One connection's side of the conversation.
pub(super) struct Legacy {
    conversation: Conversation,
    acknowledged: bool,
}

impl Legacy {
    /// A socket that has just opened. `header_token` is the upgrade request's, without `Bearer `.
    pub(super) fn new(at_once: AtOnce, header_token: Option<String>) -> Self {
        Self {
            conversation: Conversation::new(at_once, header_token),
            acknowledged: false,
        }
    }

    /// What its sockets wait for, where others wait for this: keep-alives come more often than pings.
    pub(super) fn waits(waits: &Waits) -> Waits {
        Waits {
            ping: waits.ping.min(Waits::KEEP_ALIVE),
            ..*waits
        }
    }
}

impl Speech for Legacy {
    fn envelope(&self) -> Arc<dyn Envelope> {
        Arc::new(SubscriptionsTransportWs)
    }

    fn conversation(&mut self) -> &mut Conversation {
        &mut self.conversation
    }

    fn understand(&mut self, text: &str) -> Action {
        match message::parse(text) {
            Ok(Message::Init(init)) => self.init(init),
            Ok(Message::Start { id, payload }) => self.start(&id, payload),
            Ok(Message::Stop { id }) => self.stopped(&id),
            Ok(Message::Terminate) => Action::Close(Close::TERMINATED),
            // Its client could not get the parameters of its `connection_init`.
            Ok(Message::ConnectionError) => Action::Close(Close::SIGN_IN),
            Ok(Message::Unknown { id }) => Action::Send(vec![frame::unknown(id.as_deref())]),
            Err(close) => Action::Close(close),
        }
    }

    /// The first `ka` comes at once: clients that have seen one go by them from then on, across connections.
    fn acknowledge(&mut self, head: Cursor) -> Option<Said> {
        self.acknowledged = self.conversation.acknowledge();
        self.acknowledged
            .then(|| vec![super::frame::ack(head), frame::keep_alive()])
    }

    fn answer(&mut self, id: &str, ticket: Ticket, response: &str) -> Option<Said> {
        self.conversation
            .finish(id, ticket)
            .then(|| vec![frame::data(id, response), frame::complete(id)])
    }

    fn refuse(&mut self, id: &str, ticket: Ticket, errors: &str) -> Option<Said> {
        let is_wanted = self.conversation.finish(id, ticket);
        is_wanted.then(|| frame::refusal(id, errors))
    }

    fn beat(&mut self) -> Beat {
        Beat::KeepAlive(frame::keep_alive())
    }

    /// Until they are in, clients are told why not: a close code says nothing to those that speak this protocol.
    fn farewell(&mut self, close: Close) -> Option<Bytes> {
        (!self.acknowledged).then(|| frame::connection_error(close))
    }

    /// Clients send what they follow right behind `connection_init`. It waits in the socket while the token is checked,
    /// where it costs no memory of ours.
    fn listens(&mut self) -> bool {
        self.conversation.phase() != Phase::Authenticating
    }
}

impl Legacy {
    fn init(&mut self, init: Init) -> Action {
        match self.conversation.init(init) {
            Ok(token) => Action::Authenticate(token),
            Err(close) => Action::Close(close),
        }
    }

    fn start(
        &mut self,
        id: &str,
        payload: Result<Option<Map<String, Json>>, &'static str>,
    ) -> Action {
        if self.conversation.phase() != Phase::Ready {
            return Action::Close(Close::UNAUTHORIZED);
        }
        // Who starts an id again wants the new one instead.
        let before = self.conversation.take(id);
        let begun = match payload {
            Ok(payload) => self.conversation.begin(id, payload),
            Err(why) => Err(Error::BadInput {
                field: "payload",
                why: why.to_owned(),
            }),
        };
        let action = match begun {
            Ok(start) => Action::Start(start),
            Err(error) => Action::Send(frame::refusal(id, &errors(&error))),
        };
        match before {
            Some(run) => stop(run, action),
            None => action,
        }
    }

    /// gql (Python) waits for `complete` after its `stop`.
    fn stopped(&mut self, id: &str) -> Action {
        match self.conversation.take(id) {
            Some(run) => stop(run, Action::Send(vec![frame::complete(id)])),
            // Both sides may end it at once: an id that is not known is no error.
            None => Action::Nothing,
        }
    }
}

fn stop(run: Run, then: Action) -> Action {
    let Run { id, ticket, kind } = run;
    Action::Stop {
        id,
        ticket,
        kind,
        then: Box::new(then),
    }
}
