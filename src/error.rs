//! One error for everything a client can be told, with a stable code and text that is safe to show.
//!
//! Clients branch on [`Error::code`], never on the text. What went wrong inside stays in the log.

use crate::model::{Data, Emoji, MessageBody, Reaction, Resync, RoomName, UserId};

/// The codes in an error's `extensions.code`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Code {
    /// No token, or one that is not accepted.
    Unauthenticated,
    /// The viewer sees the thing but may not do this to it.
    Forbidden,
    /// Absent, or not for the viewer to see: the two are not told apart.
    NotFound,
    /// The request is wrong and will stay wrong.
    BadUserInput,
    /// The request is at odds with what is already so.
    Conflict,
    /// Too much in too little time.
    RateLimited,
    /// Not now: busy, stopping or a store that did not answer.
    Unavailable,
    /// Over a size limit.
    TooLarge,
    /// A cursor cannot be honoured.
    ResyncRequired,
    /// The document is not GraphQL.
    GraphqlParseFailed,
    /// The document does not fit the schema or its limits.
    GraphqlValidationFailed,
    /// An automatic persisted query is not known here: send its text.
    PersistedQueryNotFound,
    /// A defect of the server.
    InternalServerError,
}

impl Code {
    /// The code as clients see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::Conflict => "CONFLICT",
            Self::RateLimited => "RATE_LIMITED",
            Self::Unavailable => "UNAVAILABLE",
            Self::TooLarge => "TOO_LARGE",
            Self::ResyncRequired => "RESYNC_REQUIRED",
            Self::GraphqlParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::GraphqlValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::InternalServerError => "INTERNAL_SERVER_ERROR",
        }
    }

    /// Whether the same request may succeed later, as it is.
    pub const fn retryable(self) -> bool {
        matches!(
            self,
            Self::RateLimited | Self::Unavailable | Self::InternalServerError
        )
    }
}

/// What a client is told when a request fails.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No token came with the request.
    #[error("sign in: send a bearer token in the Authorization header or in connection_init")]
    NoToken,
    /// The token was not accepted.
    #[error("the token was not accepted: {why}")]
    BadToken {
        /// A fixed phrase.
        why: &'static str,
    },
    /// A fresh token came where no socket is that it could extend.
    #[error(
        "there is no socket here to extend: over HTTP send the fresh token in the Authorization header"
    )]
    NoSocket,
    /// A fresh token came that is another user's.
    #[error("the token is another user's: a socket stays its user's; open another one")]
    OtherViewer,
    /// The viewer's role does not allow it.
    #[error("{needs}")]
    Forbidden {
        /// A fixed sentence that names the role that is needed.
        needs: &'static str,
    },
    /// Absent or hidden.
    #[error("there is no such {what}, or it is not yours to see")]
    NotFound {
        /// `room`, `message`, `member`.
        what: &'static str,
    },
    /// An id that is not a UUID in canonical text.
    #[error("{field} is not a UUID in lower case with hyphens")]
    NotUuid {
        /// The argument or input field.
        field: &'static str,
    },
    /// A user id that cannot be one.
    #[error(
        "{field} is not a user id: 1 to {} bytes without control characters",
        UserId::MAX_BYTES
    )]
    BadUserId {
        /// The argument or input field.
        field: &'static str,
    },
    /// A cursor that this server never made.
    #[error("{field} is not a cursor of this server")]
    BadCursor {
        /// The argument or input field.
        field: &'static str,
    },
    /// A message body over the limit.
    #[error(
        "message body is {bytes} bytes; the limit is {}",
        MessageBody::MAX_BYTES
    )]
    BodyTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A message that says nothing.
    #[error("message body is blank and there is no data beside it")]
    BodyBlank,
    /// The app's own JSON over the limit.
    #[error("data is {bytes} bytes as text; the limit is {}", Data::MAX_BYTES)]
    DataTooLong {
        /// Its length as compact text.
        bytes: usize,
    },
    /// A room name that cannot be one.
    #[error(
        "a room's name is 1 to {} characters, not blank, without control characters",
        RoomName::MAX_CHARS
    )]
    BadRoomName,
    /// Not one emoji.
    #[error(
        "emoji is not one emoji: exactly one, of at most {} bytes",
        Emoji::MAX_BYTES
    )]
    BadEmoji,
    /// There are as many different emoji under the message as there may be.
    #[error(
        "there are {} different emoji under the message, which is the limit",
        Reaction::EMOJI_MAX
    )]
    TooManyEmoji,
    /// More than a page may hold, or less than nothing.
    #[error("{field} is {asked}; it is 0 to {limit}")]
    BadPageSize {
        /// `first` or `last`.
        field: &'static str,
        /// What was asked for.
        asked: i32,
        /// The most that a page may hold.
        limit: usize,
    },
    /// Anything else that is wrong with an argument.
    #[error("{field}: {why}")]
    BadInput {
        /// The argument or input field.
        field: &'static str,
        /// What is wrong, and the limit.
        why: String,
    },
    /// At odds with what is already so.
    #[error("{why}")]
    Conflict {
        /// A fixed sentence.
        why: &'static str,
    },
    /// Too many mutations.
    #[error("too many requests; try again in {retry_after_ms} ms")]
    RateLimited {
        /// When the same request would pass.
        retry_after_ms: u64,
    },
    /// Too much going at once on one connection: end something first.
    #[error("too many {what} at once on this connection; the limit is {limit}")]
    TooManyAtOnce {
        /// What, in the plural.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// The viewer has as many sockets and streams open as it may.
    #[error("you have {limit} connections open, as many as you may: close one first")]
    TooManyConnections {
        /// How many there may be.
        limit: usize,
    },
    /// An operation took longer than it may. A mutation may have been done all the same: say it again with its id.
    #[error("the operation took too long; try again")]
    TimedOut,
    /// The writer's queue is full.
    #[error("the server is busy; try again")]
    Busy,
    /// The server is stopping.
    #[error("the server is stopping; connect again")]
    Stopping,
    /// More is asked for than one answer holds. A mutation has been done all the same.
    #[error(
        "the answer is over {} bytes: ask for smaller pages, or less of each thing",
        Self::ANSWER_BYTES_MAX
    )]
    AnswerTooLarge,
    /// A cursor that cannot be honoured.
    #[error("the cursor cannot be honoured: read afresh and go on from the cursor in extensions")]
    ResyncRequired {
        /// Why.
        reason: Resync,
        /// The text of the cursor to go on from.
        cursor: String,
    },
    /// The store did not do what it should. The cause is logged where it is handled.
    #[error("the store did not answer; try again")]
    Store(#[source] crate::store::StoreError),
    /// A defect.
    #[error("internal error")]
    Internal,
}

impl Error {
    /// The most that an answer comes to, roughly, in bytes of JSON: a page of the usual 50 messages with what they reply to passes,
    /// whatever someone has put into them. Each byte of a body may make six.
    pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::NoToken | Self::BadToken { .. } => Code::Unauthenticated,
            Self::Forbidden { .. } | Self::OtherViewer => Code::Forbidden,
            Self::NotFound { .. } => Code::NotFound,
            Self::NotUuid { .. }
            | Self::BadUserId { .. }
            | Self::BadCursor { .. }
            | Self::BodyTooLong { .. }
            | Self::BodyBlank
            | Self::DataTooLong { .. }
            | Self::BadRoomName
            | Self::BadEmoji
            | Self::TooManyEmoji
            | Self::NoSocket
            | Self::BadPageSize { .. }
            | Self::BadInput { .. } => Code::BadUserInput,
            Self::Conflict { .. } => Code::Conflict,
            Self::RateLimited { .. }
            | Self::TooManyAtOnce { .. }
            | Self::TooManyConnections { .. } => Code::RateLimited,
            Self::Busy | Self::Stopping | Self::TimedOut | Self::Store(_) => Code::Unavailable,
            Self::AnswerTooLarge => Code::TooLarge,
            Self::ResyncRequired { .. } => Code::ResyncRequired,
            Self::Internal => Code::InternalServerError,
        }
    }

    /// The argument or input field at fault, where there is one.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::NotUuid { field }
            | Self::BadUserId { field }
            | Self::BadCursor { field }
            | Self::BadPageSize { field, .. }
            | Self::BadInput { field, .. } => Some(field),
            Self::BodyTooLong { .. } | Self::BodyBlank => Some("body"),
            Self::DataTooLong { .. } => Some("data"),
            Self::BadRoomName => Some("name"),
            Self::BadEmoji | Self::TooManyEmoji => Some("emoji"),
            _ => None,
        }
    }

    /// The limit that was passed, where one was.
    pub fn limit(&self) -> Option<usize> {
        match self {
            Self::BadUserId { .. } => Some(UserId::MAX_BYTES),
            Self::BodyTooLong { .. } => Some(MessageBody::MAX_BYTES),
            Self::DataTooLong { .. } => Some(Data::MAX_BYTES),
            Self::BadRoomName => Some(RoomName::MAX_CHARS),
            Self::BadEmoji => Some(Emoji::MAX_BYTES),
            Self::TooManyEmoji => Some(Reaction::EMOJI_MAX),
            Self::BadPageSize { limit, .. } => Some(*limit),
            Self::AnswerTooLarge => Some(Self::ANSWER_BYTES_MAX),
            _ => None,
        }
    }
}

impl From<crate::store::StoreError> for Error {
    fn from(source: crate::store::StoreError) -> Self {
        Self::Store(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each code, its name and whether the same request may succeed later: the contract's list.
    const ALL: [(Code, &str, bool); 13] = [
        (Code::Unauthenticated, "UNAUTHENTICATED", false),
        (Code::Forbidden, "FORBIDDEN", false),
        (Code::NotFound, "NOT_FOUND", false),
        (Code::BadUserInput, "BAD_USER_INPUT", false),
        (Code::Conflict, "CONFLICT", false),
        (Code::RateLimited, "RATE_LIMITED", true),
        (Code::Unavailable, "UNAVAILABLE", true),
        (Code::TooLarge, "TOO_LARGE", false),
        (Code::ResyncRequired, "RESYNC_REQUIRED", false),
        (Code::GraphqlParseFailed, "GRAPHQL_PARSE_FAILED", false),
        (
            Code::GraphqlValidationFailed,
            "GRAPHQL_VALIDATION_FAILED",
            false,
        ),
        (
            Code::PersistedQueryNotFound,
            "PERSISTED_QUERY_NOT_FOUND",
            false,
        ),
        (Code::InternalServerError, "INTERNAL_SERVER_ERROR", true),
    ];

    #[test]
    fn each_code_has_its_name_and_says_whether_to_try_again() {
        for (at, (code, name, retryable)) in ALL.into_iter().enumerate() {
            // A code that is not listed would shift those after it.
            assert_eq!(code as usize, at);
            assert_eq!((code.as_str(), code.retryable()), (name, retryable));
        }
        assert_eq!(ALL.len(), Code::InternalServerError as usize + 1);
    }
}
