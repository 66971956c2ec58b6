//! What is queued: a message in two parts, and how it looks on the wire.

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

/// How messages look on a connection's wire. A frame is made when it is written: what is shared is never copied for one
/// connection before that.
pub trait Framing: Send + Sync + 'static {
    /// Bytes of a message in its frame.
    fn framed_bytes(&self, own: &[u8], shared: &[u8]) -> usize;

    /// Appends a message in its frame.
    fn frame(&self, own: &[u8], shared: &[u8], out: &mut Vec<u8>);
}

/// Messages as they are, one after the other.
pub(super) struct Bare;

impl Framing for Bare {
    fn framed_bytes(&self, own: &[u8], shared: &[u8]) -> usize {
        own.len() + shared.len()
    }

    fn frame(&self, own: &[u8], shared: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(own);
        out.extend_from_slice(shared);
    }
}
