//! What a socket needs of the protocol that is spoken over it: messages in, actions out. Knows no socket, no clock and no
//! schema; who drives it does what the action says and tells it how that went.

use std::sync::Arc;

use bytes::Bytes;

use super::conversation::{Conversation, Kind, Phase, Refusal, Start, Ticket};
use super::{Close, frame};
use crate::hub::Envelope;
use crate::model::Cursor;

/// Messages to send, in this order.
pub(super) type Said = Vec<Bytes>;

/// What is to be done about a message.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Nothing.
    Nothing,
    /// Send this.
    Send(Said),
    /// Find out who this is, then [`Speech::acknowledge`] or close.
    Authenticate(String),
    /// Prepare this, then [`Speech::admit`] or [`Speech::refuse`] it.
    Start(Start),
    /// The client wants no more of this: stop it.
    Stop {
        /// Its id.
        id: Arc<str>,
        /// Which run.
        ticket: Ticket,
        /// What it is.
        kind: Kind,
        /// What is to be done once it is stopped.
        then: Box<Action>,
    },
    /// Close the socket.
    Close(Close),
}

/// What keeps an idle connection alive, and tells one that is dead.
#[derive(Debug, PartialEq)]
pub(super) enum Beat {
    /// The hub's ping with positions, which the client answers.
    Positions,
    /// This message, which no one answers, behind a ping of the wire's own, which every WebSocket client answers by itself.
    KeepAlive(Bytes),
}

/// A protocol.
pub(super) trait Speech: Send + 'static {
    /// How subscriptions' messages are dressed.
    fn envelope(&self) -> Arc<dyn Envelope>;

    /// What is the same in every protocol.
    fn conversation(&mut self) -> &mut Conversation;

    /// Takes a text message on a socket that is not closed.
    fn understand(&mut self, text: &str) -> Action;

    /// The client was authenticated: what to send. `None` when the socket has been closed meanwhile.
    fn acknowledge(&mut self, head: Cursor) -> Option<Said>;

    /// A single operation has its answer: what to send. `None` when the client has stopped it meanwhile.
    fn answer(&mut self, id: &str, ticket: Ticket, response: &str) -> Option<Said>;

    /// An operation does not run, for these errors (a JSON array): what to send. `None` when the client has stopped it
    /// meanwhile.
    fn refuse(&mut self, id: &str, ticket: Ticket, errors: &str) -> Option<Said>;

    /// A ping is due by the clock.
    fn beat(&mut self) -> Beat;

    /// A ping as it is to be sent.
    fn complete_ping(&mut self, ping: Bytes) -> Bytes {
        ping
    }

    /// What is said before the socket is closed, if anything is.
    fn farewell(&mut self, _close: Close) -> Option<Bytes> {
        None
    }

    /// Whether the next message may come. While it may not, it waits where it is.
    fn listens(&mut self) -> bool {
        true
    }

    /// A subscription has ended by itself, and its client has been told.
    fn ended(&mut self, id: &str) {
        self.conversation().ended(id);
    }

    /// Takes a text message.
    fn receive(&mut self, text: &str) -> Action {
        if self.conversation().phase() == Phase::Closed {
            return Action::Nothing;
        }
        let action = self.understand(text);
        if matches!(action, Action::Close(_)) {
            self.close();
        }
        action
    }

    /// Takes a binary message: no protocol has any.
    fn receive_binary(&mut self) -> Action {
        if self.conversation().phase() == Phase::Closed {
            return Action::Nothing;
        }
        self.close();
        Action::Close(Close::invalid(
            "Invalid message: binary, where text is spoken",
        ))
    }

    /// Whether `connection_init` has come.
    fn initialised(&mut self) -> bool {
        self.conversation().phase() != Phase::Opened
    }

    /// A started operation is one of this kind and may run.
    ///
    /// # Errors
    /// What to do instead: there are too many at once, or the server is stopping.
    fn admit(&mut self, start: &Start, kind: Kind) -> Result<(), Action> {
        match self.conversation().admit(start, kind) {
            Ok(()) => Ok(()),
            Err(Refusal::Untold) => Err(Action::Nothing),
            Err(Refusal::Told(error)) => {
                let refusal = self.refuse(&start.id, start.ticket, &frame::errors(&error));
                Err(refusal.map_or(Action::Nothing, Action::Send))
            }
        }
    }

    /// Whether this run is still wanted.
    fn wants(&mut self, id: &str, ticket: Ticket) -> bool {
        self.conversation().wants(id, ticket)
    }

    /// The server is stopping: what is running goes on, nothing new starts.
    fn stop(&mut self) {
        self.conversation().stop();
    }

    /// The socket has been closed: whatever still comes is ignored.
    fn close(&mut self) {
        self.conversation().close();
    }
}
