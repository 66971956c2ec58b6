//! The forms that a stream comes in.

use std::sync::Arc;

use super::chunked::{Chunked, LAST};
use super::events::{self, EventFrames, Events};
use super::multipart::{self, PartFrames, Parts};
use crate::hub::{Envelope, Framing};

/// What a stream is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Server-sent events, one subscription a stream.
    Events,
    /// Apollo's multipart subscriptions.
    Multipart,
}

impl Format {
    /// `Content-Type`, to the letter.
    pub(in crate::transport) const fn content_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream; charset=utf-8",
            Self::Multipart => multipart::CONTENT_TYPE,
        }
    }

    /// A whole body: one result, then the end.
    pub(in crate::transport) fn body(self, result: &str) -> String {
        let next = match self {
            // A comment has nothing to say in a body that is whole.
            Self::Events => events::next(result),
            Self::Multipart => format!("{}{}", self.opening(), multipart::next(result)),
        };
        next + self.closing()
    }

    /// What stands before the first result.
    pub(super) const fn opening(self) -> &'static str {
        match self {
            Self::Events => events::OPENING,
            Self::Multipart => multipart::OPENING,
        }
    }

    /// What stands behind the last result.
    pub(super) const fn closing(self) -> &'static str {
        match self {
            Self::Events => events::COMPLETE,
            Self::Multipart => multipart::CLOSING,
        }
    }

    pub(super) fn envelope(self) -> Arc<dyn Envelope> {
        match self {
            Self::Events => Arc::new(Events),
            Self::Multipart => Arc::new(Parts),
        }
    }

    /// In chunks, or for HTTP/1.0 as it is: that knows no chunks, and the connection's end is the body's.
    pub(super) fn framing(self, in_chunks: bool) -> &'static dyn Framing {
        match (self, in_chunks) {
            (Self::Events, true) => &Chunked(EventFrames),
            (Self::Events, false) => &EventFrames,
            (Self::Multipart, true) => &Chunked(PartFrames),
            (Self::Multipart, false) => &PartFrames,
        }
    }

    /// What ends the stream for good.
    pub(super) fn last_words(self, in_chunks: bool) -> Vec<u8> {
        let mut last = Vec::new();
        let closing = self.closing().as_bytes();
        self.framing(in_chunks).frame(closing, b"", &mut last);
        if in_chunks {
            last.extend_from_slice(LAST);
        }
        last
    }
}
