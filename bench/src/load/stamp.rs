//! What every message of the bench says: which one it is, and as much padding as makes its frame as long as everyone's.

/// Which message of which room. Numbers count from 0 in each room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub room: usize,
    pub number: usize,
}

impl Stamp {
    /// What a stamp begins with.
    pub const MARK: &str = "tick#";
    const ROOM_DIGITS: usize = 4;
    const NUMBER_DIGITS: usize = 9;
    /// Bytes of the shortest body.
    pub const BYTES: usize = Self::MARK.len() + Self::ROOM_DIGITS + 1 + Self::NUMBER_DIGITS;

    /// A body of exactly so many bytes, or of the fewest that are possible.
    pub fn body(self, bytes: usize) -> String {
        let Self { room, number } = self;
        let (r, n) = (Self::ROOM_DIGITS, Self::NUMBER_DIGITS);
        let mut body = format!("{}{room:0r$}.{number:0n$}", Self::MARK);
        let padding = "and a few words more to make it as long as the others ".chars();
        body.extend(padding.cycle().take(bytes.saturating_sub(Self::BYTES)));
        body
    }

    /// The stamp whose mark these bytes follow.
    pub fn parse(after_mark: &[u8]) -> Option<Self> {
        let (room, rest) = after_mark.split_at_checked(Self::ROOM_DIGITS)?;
        let number = rest.strip_prefix(b".")?.get(..Self::NUMBER_DIGITS)?;
        Some(Self {
            room: decimal(room)?,
            number: decimal(number)?,
        })
    }
}

fn decimal(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + usize::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_its_length_and_says_its_stamp() {
        let (room, number) = (17, 123_456);
        let stamp = Stamp { room, number };
        for bytes in [Stamp::BYTES, 200, 400] {
            let body = stamp.body(bytes);
            assert_eq!(body.len(), bytes);
            let after_mark = body.strip_prefix(Stamp::MARK).unwrap();
            assert_eq!(Stamp::parse(after_mark.as_bytes()), Some(stamp));
        }
    }

    #[test]
    fn what_is_cut_short_is_no_stamp() {
        for text in [
            "",
            "0001",
            "0001.",
            "0001.00000000",
            "0001.00000000x",
            "0001,000000001",
        ] {
            assert_eq!(Stamp::parse(text.as_bytes()), None, "{text}");
        }
    }
}
