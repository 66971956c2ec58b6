//! Messages out of the bytes of a client: the reading half of RFC 6455, as a server without extensions sees it.
//!
//! Knows no socket and no clock: bytes in, messages and faults out, the same ones however the bytes were cut. It holds
//! nothing while it waits for the first byte of a frame, because that is what most sockets do most of the time. It uses
//! nothing but std, so that the fuzzer in `fuzz/` builds it without the rest of the server.

mod close;
mod fault;
mod header;
mod mask;
mod message;

#[cfg(test)]
pub(super) mod frames;
#[cfg(any(test, fuzzing))]
pub(super) mod oracle;
#[cfg(test)]
mod tests;

pub(super) use fault::Fault;

use header::{Head, Header, Opcode};
use message::Message;

/// What a client has said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Incoming {
    /// A text message.
    Text(String),
    /// A binary message. What was in it is gone.
    Binary,
    /// To be answered by a pong with the same payload, of 125 bytes at most (section 5.5.2).
    Ping(Vec<u8>),
    /// An answer to a ping, asked for or not.
    Pong,
    /// The client closes: its code and reason, where it gave one. The reason is 123 bytes at most (section 5.5.1).
    Close(Option<(u16, String)>),
}

/// Reads what one client sends.
#[derive(Debug)]
pub(super) struct Reader {
    message_bytes_max: usize,
    /// On the heap, and only while there is something: this is the memory of each socket there is.
    begun: Option<Box<Begun>>,
    over: bool,
}

/// What has come of a frame or message that is not whole.
#[derive(Default, Debug)]
struct Begun {
    head: Head,
    frame: Option<Frame>,
    control: Vec<u8>,
    message: Option<Message>,
}

/// A frame whose payload has not come in full.
#[derive(Debug)]
struct Frame {
    header: Header,
    left: usize,
}

impl Reader {
    /// A reader of messages up to so many bytes, all frames taken together.
    pub(super) const fn new(message_bytes_max: usize) -> Self {
        Self {
            message_bytes_max,
            begun: None,
            over: false,
        }
    }

    /// Changes how long a message may be, from the next frame on.
    pub(super) const fn limit(&mut self, message_bytes_max: usize) {
        self.message_bytes_max = message_bytes_max;
    }

    /// Takes bytes off the front until they complete something, or all of them. After a close frame or a fault
    /// everything is taken and nothing more is said (section 5.5.1).
    ///
    /// # Errors
    /// The rule that the client broke. It is told as soon as the bytes show it, the rest of the frame unseen.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Incoming>, Fault> {
        if self.over {
            *bytes = &[];
            return Ok(None);
        }
        let mut begun = self
            .begun
            .take()
            .map_or_else(Begun::default, |begun| *begun);
        let result = begun.read(bytes, self.message_bytes_max);
        self.over = matches!(result, Err(_) | Ok(Some(Incoming::Close(_))));
        if !self.over && !begun.is_blank() {
            self.begun = Some(Box::new(begun));
        }
        result
    }
}

impl Begun {
    fn is_blank(&self) -> bool {
        self.head.is_blank() && self.frame.is_none() && self.message.is_none()
    }

    fn read(
        &mut self,
        bytes: &mut &[u8],
        message_bytes_max: usize,
    ) -> Result<Option<Incoming>, Fault> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.head.fill(bytes)? {
                    Some(header) => self.open(header, message_bytes_max)?,
                    None => return Ok(None),
                },
            };
            let (part, rest) = bytes.split_at(frame.left.min(bytes.len()));
            *bytes = rest;
            frame.left -= part.len();
            self.take(part, &mut frame, message_bytes_max)?;
            if frame.left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            if let Some(incoming) = self.end(&frame.header)? {
                return Ok(Some(incoming));
            }
        }
    }

    /// A frame that may come now.
    fn open(&mut self, header: Header, message_bytes_max: usize) -> Result<Frame, Fault> {
        let room = match (header.opcode, &mut self.message) {
            (Opcode::Continuation, Some(message)) => {
                message_bytes_max.saturating_sub(message.len())
            }
            (Opcode::Continuation, None) => return Err(Fault::LoneContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(Fault::Interleaved),
            (Opcode::Text, none) => {
                *none = Some(Message::text());
                message_bytes_max
            }
            (Opcode::Binary, none) => {
                *none = Some(Message::binary());
                message_bytes_max
            }
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => header::CONTROL_BYTES_MAX.into(),
        };
        // Before the payload has come, and without a sum that could overflow.
        match usize::try_from(header.payload_bytes) {
            Ok(left) if left <= room => Ok(Frame { header, left }),
            _ => Err(Fault::TooLarge {
                bytes_max: message_bytes_max,
            }),
        }
    }

    fn take(
        &mut self,
        part: &[u8],
        frame: &mut Frame,
        message_bytes_max: usize,
    ) -> Result<(), Fault> {
        let ends = frame.left == 0 && frame.header.is_final;
        let key = &mut frame.header.key;
        match &mut self.message {
            Some(message) if !frame.header.opcode.is_control() => {
                message.push(part, key, ends, message_bytes_max)
            }
            _ => {
                key.append(part, &mut self.control);
                Ok(())
            }
        }
    }

    /// What the frame says now that all of it is here.
    fn end(&mut self, header: &Header) -> Result<Option<Incoming>, Fault> {
        match header.opcode {
            Opcode::Ping => Ok(Some(Incoming::Ping(std::mem::take(&mut self.control)))),
            Opcode::Pong => {
                self.control = Vec::new();
                Ok(Some(Incoming::Pong))
            }
            Opcode::Close => close::parse(&self.control).map(|close| Some(Incoming::Close(close))),
            Opcode::Continuation | Opcode::Text | Opcode::Binary if header.is_final => {
                self.message.take().map(Message::finish).transpose()
            }
            Opcode::Continuation | Opcode::Text | Opcode::Binary => Ok(None),
        }
    }
}
