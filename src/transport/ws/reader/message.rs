//! A message whose frames are coming: RFC 6455, sections 5.4 and 5.6.

use super::mask::Key;
use super::{Fault, Incoming};

/// What has come of a message.
#[derive(Debug)]
pub(super) enum Message {
    /// The bytes, and how many of them are whole characters.
    Text { bytes: Vec<u8>, checked: usize },
    /// Only counted: nobody looks at what is in it.
    Binary { len: usize },
}

impl Message {
    pub(super) const fn text() -> Self {
        Self::Text {
            bytes: Vec::new(),
            checked: 0,
        }
    }

    pub(super) const fn binary() -> Self {
        Self::Binary { len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Text { bytes, .. } => bytes.len(),
            Self::Binary { len } => *len,
        }
    }

    /// Adds a part of the payload; the message `ends` with it or does not. The caller has seen to it that it fits.
    pub(super) fn push(
        &mut self,
        part: &[u8],
        key: &mut Key,
        ends: bool,
        bytes_max: usize,
    ) -> Result<(), Fault> {
        match self {
            Self::Text { bytes, checked } => {
                make_room(bytes, part.len(), bytes_max);
                key.append(part, bytes);
                // The end is checked once, by `finish`; a message that goes on is given up at its first bad byte.
                if !ends {
                    *checked += whole_characters(&bytes[*checked..])?;
                }
            }
            Self::Binary { len } => *len += part.len(),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Incoming, Fault> {
        match self {
            Self::Text { bytes, .. } => match String::from_utf8(bytes) {
                Ok(text) => Ok(Incoming::Text(text)),
                Err(_) => Err(Fault::NotUtf8),
            },
            Self::Binary { .. } => Ok(Incoming::Binary),
        }
    }
}

/// Doubles, so that many small parts are copied a few times at most, but not beyond what a message may be. What a header
/// announces is not made room for: it costs the client 14 bytes to say.
fn make_room(bytes: &mut Vec<u8>, more: usize, bytes_max: usize) {
    let needed = bytes.len() + more;
    if needed > bytes.capacity() {
        let doubled = (2 * bytes.capacity()).min(bytes_max);
        bytes.reserve_exact(needed.max(doubled) - bytes.len());
    }
}

/// How many bytes are whole characters; what follows them is the beginning of one.
fn whole_characters(bytes: &[u8]) -> Result<usize, Fault> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.len()),
        Err(error) if error.error_len().is_none() => Ok(error.valid_up_to()),
        Err(_) => Err(Fault::NotUtf8),
    }
}
