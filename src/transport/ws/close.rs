//! Why the server closes a socket. The code decides whether a client comes back: see the table in `docs/protocol.md`.

use crate::error::{Code, Error};

/// A close code and a fixed phrase. 1000 only to who asked for it: others retry it without limit or pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Close {
    /// RFC 6455, section 7.4, and PROTOCOL.md of graphql-ws.
    pub code: u16,
    /// At most [`Close::REASON_BYTES_MAX`] bytes; what is over is cut off.
    pub reason: &'static str,
}

impl Close {
    /// A control frame holds 125 bytes, two of which are the code (RFC 6455, section 5.5).
    pub const REASON_BYTES_MAX: usize = 123;

    /// The peer broke the WebSocket protocol itself. Fatal to clients.
    pub const BROKEN_FRAME: Self = Self::new(1002, "WebSocket protocol error");
    /// A text message that is not UTF-8. Fatal to clients.
    pub const NOT_UTF8: Self = Self::new(1007, "Text is not UTF-8");
    /// A message over the limit. Fatal to clients.
    pub const TOO_LARGE: Self = Self::new(1009, "Message over 64 KiB");
    /// A message over the limit that holds before `connection_init` has come. Fatal to clients.
    pub const TOO_LARGE_BEFORE_INIT: Self =
        Self::new(1009, "Message over 16 KiB before connection_init");
    /// The client has said that it goes (`connection_terminate` of the legacy subprotocol): the one that may end with 1000.
    pub const TERMINATED: Self = Self::new(1000, "Terminated");
    /// The server is stopping. Retried.
    pub const STOPPING: Self = Self::new(1012, "Service restart");
    /// The socket takes nothing. Retried, and resumed.
    pub const TOO_SLOW: Self = Self::new(1013, "Too slow: connect again and resume");
    /// Nothing came back for a ping. Retried.
    pub const SILENT: Self = Self::new(1013, "No answer to ping");
    /// A subscription cannot begin for a reason that passes. Retried, and resumed.
    pub const NOT_NOW: Self = Self::new(1013, "Not now: connect again and resume");
    /// The viewer has as many sockets as it may. Retried.
    pub const TOO_MANY_CONNECTIONS: Self = Self::new(1013, "Too many connections");
    /// What tokens are checked with could not be reached. Retried.
    pub const CANNOT_AUTHENTICATE: Self = Self::new(1013, "Tokens cannot be checked now");
    /// No token in `connection_init`, none in the upgrade request. Retried, with fresh parameters.
    pub const SIGN_IN: Self = Self::new(4403, "Forbidden: send a token in connection_init");
    /// The token has run out while the socket was open. Retried, with fresh parameters.
    pub const TOKEN_EXPIRED: Self = Self::new(4403, "Forbidden: the token has expired");
    /// `subscribe` before `connection_ack`. Fatal to clients.
    pub const UNAUTHORIZED: Self = Self::new(4401, "Unauthorized");
    /// No subprotocol that is spoken here. Fatal to clients.
    pub const SUBPROTOCOL: Self = Self::new(
        4406,
        "Subprotocol not acceptable: graphql-transport-ws is spoken here",
    );
    /// `connection_init` did not come in time. Retried.
    pub const INIT_TIMEOUT: Self = Self::new(4408, "Connection initialisation timeout");
    /// The id is that of an operation that has not ended. Fatal to clients.
    pub const DUPLICATE: Self = Self::new(4409, "Subscriber for this id already exists");
    /// A second `connection_init`. Fatal to clients.
    pub const TOO_MANY_INITS: Self = Self::new(4429, "Too many initialisation requests");

    /// A code and a phrase.
    pub const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason }
    }

    /// The token was not accepted. Retried, with fresh parameters: 4401 would be fatal.
    pub const fn forbidden(why: &'static str) -> Self {
        Self::new(4403, why)
    }

    /// Not a message of the protocol. Fatal to clients.
    pub const fn invalid(why: &'static str) -> Self {
        Self::new(4400, why)
    }

    /// What a token is turned away with that was refused for this.
    pub(super) fn turning_away(error: &Error) -> Self {
        match error {
            Error::NoToken => Self::SIGN_IN,
            Error::BadToken { why } => Self::forbidden(why),
            error if error.code() == Code::Unauthenticated => Self::forbidden("Forbidden"),
            _ => Self::CANNOT_AUTHENTICATE,
        }
    }

    /// The reason, cut to what a close frame holds.
    pub fn reason_cut(&self) -> &'static str {
        let mut end = self.reason.len().min(Self::REASON_BYTES_MAX);
        while !self.reason.is_char_boundary(end) {
            end -= 1;
        }
        &self.reason[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_into_a_control_frame() {
        let long = concat!(
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "xx\u{e9}x"
        );
        assert_eq!(Close::invalid(long).reason_cut().len(), 122);
        for close in [
            Close::SUBPROTOCOL,
            Close::SIGN_IN,
            Close::TOO_LARGE_BEFORE_INIT,
        ] {
            assert_eq!(close.reason_cut(), close.reason);
        }
    }
}
