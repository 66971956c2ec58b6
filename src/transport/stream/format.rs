//! The forms that a stream comes in.

use std::sync::Arc;

use super::chunked::{Chunked, LAST};
use super::events::{self, EventFrames, Events};
use crate::hub::{Envelope, Framing};

/// What a stream is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Server-sent events, one subscription a stream.
    Events,
}

impl Format {
    /// `Content-Type`, to the letter.
    pub(in crate::transport) const fn content_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream; charset=utf-8",
        }
    }

    /// A whole body: one result, then the end.
    pub(in crate::transport) fn body(self, result: &str) -> String {
        match self {
            Self::Events => format!("{}{}", events::next(result), events::COMPLETE),
        }
    }

    /// What stands before the first result.
    pub(super) const fn opening(self) -> &'static str {
        match self {
            Self::Events => events::OPENING,
        }
    }

    /// What stands behind the last result.
    pub(super) const fn closing(self) -> &'static str {
        match self {
            Self::Events => events::COMPLETE,
        }
    }

    pub(super) fn envelope(self) -> Arc<dyn Envelope> {
        match self {
            Self::Events => Arc::new(Events),
        }
    }

    /// In chunks, or for HTTP/1.0 as it is: that knows no chunks, and the connection's end is the body's.
    pub(super) fn framing(self, in_chunks: bool) -> &'static dyn Framing {
        match (self, in_chunks) {
            (Self::Events, true) => &Chunked(EventFrames),
            (Self::Events, false) => &EventFrames,
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
