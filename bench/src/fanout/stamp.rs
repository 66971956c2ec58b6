//! What every message of the bench says: which one it is, and as much padding as makes its frame as long as everyone's.

use memchr::memmem;

const MARK: &[u8] = b"tick#";
const ROOM_DIGITS: usize = 4;
const NUMBER_DIGITS: usize = 9;

/// Which message of which room. Numbers count from 0 in each room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub room: usize,
    pub number: usize,
}

impl Stamp {
    /// Bytes of the shortest body.
    pub const BYTES: usize = MARK.len() + ROOM_DIGITS + 1 + NUMBER_DIGITS;

    /// A body of exactly so many bytes, or of the fewest that are possible.
    pub fn body(self, bytes: usize) -> String {
        let Self { room, number } = self;
        let mut body = format!("tick#{room:0ROOM_DIGITS$}.{number:0NUMBER_DIGITS$}");
        let padding = "and a few words more to make it as long as the others ".chars();
        body.extend(padding.cycle().take(bytes.saturating_sub(Self::BYTES)));
        body
    }

    /// The first stamp in the payload. It is looked for at `hint`, where the last one was, before everywhere.
    pub fn find(payload: &[u8], hint: &mut usize) -> Option<Self> {
        if !payload.get(*hint..).is_some_and(|at| at.starts_with(MARK)) {
            *hint = memmem::find(payload, MARK)?;
        }
        let digits = &payload[*hint + MARK.len()..];
        Some(Self {
            room: decimal(digits.get(..ROOM_DIGITS)?)?,
            number: decimal(digits[ROOM_DIGITS + 1..].get(..NUMBER_DIGITS)?)?,
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
    fn a_stamp_is_found_wherever_it_is() {
        let stamp = Stamp {
            room: 17,
            number: 123_456,
        };
        let body = stamp.body(200);
        assert_eq!(body.len(), 200);
        let mut hint = 0;
        for before in ["", "{\"body\":\"", "{\"id\":\"1\",\"body\":\""] {
            let payload = format!("{before}{body}\"}}");
            assert_eq!(Stamp::find(payload.as_bytes(), &mut hint), Some(stamp));
            assert_eq!(hint, before.len());
        }
    }

    #[test]
    fn what_bears_no_stamp_has_none() {
        for payload in ["", "ping", "tick#", "tick#0001.", "tick#0001.00000000x"] {
            assert_eq!(Stamp::find(payload.as_bytes(), &mut 0), None, "{payload}");
        }
    }
}
