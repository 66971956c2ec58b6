//! A frame's header: RFC 6455, section 5.2.

use super::Fault;
use super::mask::Key;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn parse(nibble: u8) -> Result<Self, Fault> {
        Ok(match nibble {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            reserved => return Err(Fault::ReservedOpcode(reserved)),
        })
    }

    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A header that keeps the rules which can be told from itself.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    pub(super) is_final: bool,
    /// Below 2^63.
    pub(super) payload_bytes: u64,
    pub(super) key: Key,
}

/// Of a client's frame: two bytes, eight of a long length, four of the mask.
const HEAD_BYTES_MAX: usize = 14;
/// Section 5.5.
pub(super) const CONTROL_BYTES_MAX: u8 = 125;
/// Instead of a length: it follows in two bytes.
const IN_2_BYTES: u8 = 126;
/// Instead of a length: it follows in eight bytes.
const IN_8_BYTES: u8 = 127;

/// The bytes of a header that have come.
#[derive(Default, Debug)]
pub(super) struct Head {
    bytes: [u8; HEAD_BYTES_MAX],
    len: u8,
}

impl Head {
    pub(super) const fn is_blank(&self) -> bool {
        self.len == 0
    }

    /// Takes bytes off the front; the header, once it is whole. Then the next one begins.
    pub(super) fn fill(&mut self, bytes: &mut &[u8]) -> Result<Option<Header>, Fault> {
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            self.bytes[usize::from(self.len)] = *byte;
            self.len += 1;
            let whole = 2 + self.length_bytes() + 4;
            if self.len == 2 {
                self.check()?;
            } else if self.len == whole {
                return std::mem::take(self).header().map(Some);
            }
        }
        Ok(None)
    }

    /// How many bytes hold the length, after the first two.
    const fn length_bytes(&self) -> u8 {
        match self.bytes[1] & 0x7F {
            IN_2_BYTES => 2,
            IN_8_BYTES => 8,
            _ => 0,
        }
    }

    /// Two bytes tell most of what can be wrong.
    const fn check(&self) -> Result<(), Fault> {
        let [first, second, ..] = self.bytes;
        if first & 0x70 != 0 {
            return Err(Fault::ReservedBits);
        }
        let opcode = match Opcode::parse(first & 0x0F) {
            Ok(opcode) => opcode,
            Err(fault) => return Err(fault),
        };
        if second & 0x80 == 0 {
            return Err(Fault::NotMasked);
        }
        if opcode.is_control() {
            if first & 0x80 == 0 {
                return Err(Fault::FragmentedControl);
            }
            if second & 0x7F > CONTROL_BYTES_MAX {
                return Err(Fault::LongControl);
            }
        }
        Ok(())
    }

    fn header(self) -> Result<Header, Fault> {
        let [first, second, rest @ ..] = self.bytes;
        let (length, key) = rest.split_at(usize::from(self.length_bytes()));
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let (payload_bytes, least) = match second & 0x7F {
            IN_2_BYTES => (length, u64::from(IN_2_BYTES)),
            IN_8_BYTES => (length, 1 << 16),
            short => (u64::from(short), 0),
        };
        // "The minimal number of bytes MUST be used". Browsers refuse the rest too; tungstenite takes it.
        if payload_bytes < least {
            return Err(Fault::LengthNotMinimal);
        }
        if payload_bytes >> 63 != 0 {
            return Err(Fault::LengthTopBit);
        }
        Ok(Header {
            opcode: Opcode::parse(first & 0x0F)?,
            is_final: first & 0x80 != 0,
            payload_bytes,
            key: Key([key[0], key[1], key[2], key[3]]),
        })
    }
}
