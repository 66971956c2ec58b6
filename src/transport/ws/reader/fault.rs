//! The rules of the wire that a client can break.

/// A rule that was broken. The connection cannot go on: where the next frame begins is no longer known, or not trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Fault {
    /// A reserved bit is set, and no extension was agreed on (section 5.2).
    ReservedBits,
    /// An opcode that means nothing yet (section 5.2).
    ReservedOpcode(u8),
    /// A client's frame that is not masked (section 5.1).
    NotMasked,
    /// A control frame in fragments (section 5.5).
    FragmentedControl,
    /// A control frame with a payload of over 125 bytes (section 5.5).
    LongControl,
    /// A length in more bytes than it takes (section 5.2).
    LengthNotMinimal,
    /// A length of 2^63 or more (section 5.2).
    LengthTopBit,
    /// A continuation of nothing (section 5.4).
    LoneContinuation,
    /// A new message before the last one has ended (section 5.4).
    Interleaved,
    /// A close frame with half a code (section 5.5.1).
    HalfCloseCode,
    /// A close frame with a code that must not be in one (section 7.4).
    CloseCode(u16),
    /// Text, or the reason in a close frame, that is not UTF-8 (section 8.1).
    NotUtf8,
    /// A message, all its frames taken together, over the limit.
    TooLarge {
        /// The limit that held.
        bytes_max: usize,
    },
}

impl Fault {
    /// The code that the connection is to be closed with (section 7.4.1).
    #[cfg_attr(fuzzing, expect(dead_code, reason = "the fuzzer closes nothing"))]
    pub(in super::super) const fn close_code(self) -> u16 {
        match self {
            Self::NotUtf8 => 1007,
            Self::TooLarge { .. } => 1009,
            Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::NotMasked
            | Self::FragmentedControl
            | Self::LongControl
            | Self::LengthNotMinimal
            | Self::LengthTopBit
            | Self::LoneContinuation
            | Self::Interleaved
            | Self::HalfCloseCode
            | Self::CloseCode(_) => 1002,
        }
    }
}
