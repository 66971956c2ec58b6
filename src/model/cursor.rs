//! Places in the log: sequence numbers, the epochs that wrote them, and the opaque cursor that joins the two.

use std::fmt;
use std::str::FromStr;
use std::sync::RwLock;

/// A place in the log: 1 for the first event, gapless. 0 is the place before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Seq(pub u64);

impl Seq {
    /// The place before the first event.
    pub const ZERO: Self = Self(0);

    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The start of one writer: 50 random bits, so that two histories of one file are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Epoch(u64);

impl Epoch {
    const BITS: u32 = 5 * DIGITS as u32;

    /// A new random epoch.
    pub fn generate() -> Self {
        Self(rand::random::<u64>() >> (64 - Self::BITS))
    }

    /// The epoch as a store kept it.
    pub const fn stored(bits: u64) -> Self {
        Self(bits)
    }

    /// The 50 bits.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// A place in the log together with the epoch that wrote it: 20 characters of `0-9a-v`, seq before epoch, so that the
/// later of two is the greater string.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cursor {
    /// The place.
    pub seq: Seq,
    /// Who wrote it.
    pub epoch: Epoch,
}

/// Digits of each half: 50 bits, a million events a second for 35 years.
const DIGITS: usize = 10;
/// Base 32 in the order of ASCII ("base32hex", RFC 4648, section 7, in lower case).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

impl Cursor {
    /// Characters of a cursor's text.
    pub const LEN: usize = 2 * DIGITS;

    /// The text as bytes, for writing into a frame without a `String`.
    pub fn to_ascii(self) -> [u8; Self::LEN] {
        let mut text = [b'0'; Self::LEN];
        write_digits(&mut text[..DIGITS], self.seq.0);
        write_digits(&mut text[DIGITS..], self.epoch.0);
        text
    }
}

fn write_digits(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = ALPHABET[(value & 31) as usize];
        value >>= 5;
    }
}

fn read_digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'v' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 5 | u64::from(digit))
    })
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ascii()
            .iter()
            .try_for_each(|byte| fmt::Write::write_char(f, char::from(*byte)))
    }
}

/// The text is not a cursor: clients make none and take none apart.
#[derive(Debug, thiserror::Error)]
#[error("not a cursor")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let bytes = text.as_bytes();
        if bytes.len() != Self::LEN {
            return Err(CursorError);
        }
        let seq = read_digits(&bytes[..DIGITS]).ok_or(CursorError)?;
        let epoch = read_digits(&bytes[DIGITS..]).ok_or(CursorError)?;
        Ok(Self {
            seq: Seq(seq),
            epoch: Epoch(epoch),
        })
    }
}

/// Why a cursor cannot be honoured. The names are those of `ResyncReason` in the schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resync {
    /// Another database, or one restored from a backup: that place's history was cut off.
    EpochChanged,
    /// Older than the log is kept.
    CursorExpired,
    /// Beyond the end of the log.
    CursorAhead,
}

/// Every start of a writer, oldest first: who wrote which part of the log.
#[derive(Debug, Default)]
pub struct Epochs(RwLock<Vec<(Epoch, Seq)>>);

impl Epochs {
    /// From the recorded `(epoch, first seq it wrote or would have written)`, oldest first.
    pub fn new(starts: Vec<(Epoch, Seq)>) -> Self {
        Self(RwLock::new(starts))
    }

    /// Adds the newest start.
    pub fn push(&self, epoch: Epoch, first: Seq) {
        self.0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push((epoch, first));
    }

    /// The cursor of a place: with the last epoch that began at or before it, so each place has one cursor. The place
    /// before the first event belongs to the first epoch.
    pub fn cursor(&self, seq: Seq) -> Cursor {
        let starts = self
            .0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let after = starts.partition_point(|(_, first)| *first <= seq);
        let epoch = starts
            .get(after.saturating_sub(1))
            .map_or(Epoch(0), |(epoch, _)| *epoch);
        Cursor { seq, epoch }
    }

    /// The place that a cursor names, if the log still has all that follows it.
    ///
    /// `floor` is the last place that retention took away (0 when nothing was), `head` the end of the log.
    ///
    /// # Errors
    /// The reason to resynchronise. Never half-honoured: a cursor of a history that was cut off is refused even where
    /// this log has the same number.
    pub fn honour(&self, cursor: Cursor, floor: Seq, head: Seq) -> Result<Seq, Resync> {
        let starts = self
            .0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let latest = starts
            .last()
            .is_some_and(|(epoch, _)| *epoch == cursor.epoch);
        drop(starts);
        if cursor.seq > head && latest {
            return Err(Resync::CursorAhead);
        }
        if cursor.seq > head || self.cursor(cursor.seq).epoch != cursor.epoch {
            return Err(Resync::EpochChanged);
        }
        if cursor.seq < floor {
            Err(Resync::CursorExpired)
        } else {
            Ok(cursor.seq)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs() -> Epochs {
        Epochs::new(vec![
            (Epoch(7), Seq(1)),
            (Epoch(8), Seq(51)),
            (Epoch(9), Seq(51)),
        ])
    }

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor {
            seq: Seq(123_456_789),
            epoch: Epoch::generate(),
        };
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        assert_eq!(cursor.to_string().len(), Cursor::LEN);
    }

    #[test]
    fn the_later_cursor_is_the_greater_string() {
        let text = |seq, epoch| {
            Cursor {
                seq: Seq(seq),
                epoch: Epoch(epoch),
            }
            .to_string()
        };
        assert!(text(31, 900) < text(32, 3));
        assert!(text(9, 1) < text(10, 1));
    }

    #[test]
    fn garbage_is_no_cursor() {
        for text in [
            "",
            "0",
            "00000000000000000000x",
            "0000000000000000000w",
            "0000000000000000000A",
            "ééééé00000",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_ordinary_restart_costs_no_resync() {
        let at = |seq| epochs().honour(epochs().cursor(Seq(seq)), Seq(0), Seq(60));
        assert_eq!(at(0), Ok(Seq(0)));
        assert_eq!(at(50), Ok(Seq(50)));
        assert_eq!(at(51), Ok(Seq(51)));
    }

    #[test]
    fn a_cursor_of_a_history_that_was_cut_off_is_refused() {
        let cut_off = Cursor {
            seq: Seq(55),
            epoch: Epoch(7),
        };
        assert_eq!(
            epochs().honour(cut_off, Seq(0), Seq(60)),
            Err(Resync::EpochChanged)
        );
        assert_eq!(
            epochs().honour(cut_off, Seq(0), Seq(50)),
            Err(Resync::EpochChanged)
        );
        let stranger = Cursor {
            seq: Seq(5),
            epoch: Epoch(99),
        };
        assert_eq!(
            epochs().honour(stranger, Seq(0), Seq(60)),
            Err(Resync::EpochChanged)
        );
    }

    #[test]
    fn a_pruned_cursor_and_one_beyond_the_end_are_refused() {
        assert_eq!(
            epochs().honour(epochs().cursor(Seq(9)), Seq(10), Seq(60)),
            Err(Resync::CursorExpired)
        );
        assert_eq!(
            epochs().honour(epochs().cursor(Seq(10)), Seq(10), Seq(60)),
            Ok(Seq(10))
        );
        assert_eq!(
            epochs().honour(epochs().cursor(Seq(61)), Seq(0), Seq(60)),
            Err(Resync::CursorAhead)
        );
    }
}
