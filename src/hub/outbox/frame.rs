//! What is queued: a message in two parts, and the header that goes before it on the wire.

use bytes::Bytes;

/// One text message: the connection's own bytes, then bytes shared with others (may be empty).
#[derive(Clone, Debug)]
pub struct Frame {
    /// Prefix, or the whole message.
    pub own: Bytes,
    /// The payload, shared.
    pub shared: Bytes,
}

impl Frame {
    /// A message of the connection's own.
    pub fn whole(own: Bytes) -> Self {
        Self {
            own,
            shared: Bytes::new(),
        }
    }

    /// Bytes of the message.
    pub fn len(&self) -> usize {
        self.own.len() + self.shared.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What precedes a message on the wire: at most ten bytes, the longest header of an unmasked WebSocket frame.
#[derive(Clone, Copy, Default, Debug)]
pub struct Header {
    bytes: [u8; 10],
    len: u8,
}

impl Header {
    /// Adds bytes; those beyond the tenth are not taken.
    #[must_use]
    pub fn with(mut self, more: &[u8]) -> Self {
        for byte in more {
            if let Some(place) = self.bytes.get_mut(usize::from(self.len)) {
                *place = *byte;
                self.len += 1;
            }
        }
        self
    }

    /// The header.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
