//! Any bytes at all, and frames that are nearly right, against tungstenite. The fuzzer in `fuzz/` checks the same.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::transport::ws::reader::oracle::{Limits, check};

/// A frame, and what may be wrong with it.
#[derive(Clone, Debug)]
struct Sent {
    first: u8,
    masked: bool,
    key: [u8; 4],
    length_bytes: usize,
    payload: Vec<u8>,
}

impl Sent {
    fn write(&self, bytes: &mut Vec<u8>) {
        let length = self.payload.len();
        let needed = match length {
            0..126 => 0,
            126..65_536 => 2,
            _ => 8,
        };
        let masked = if self.masked { MASKED } else { 0 };
        bytes.push(self.first);
        match self.length_bytes.max(needed) {
            0 => bytes.push(masked | length as u8),
            2 => {
                bytes.push(masked | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(masked | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        let key = if self.masked { self.key } else { [0; 4] };
        if self.masked {
            bytes.extend(key);
        }
        bytes.extend(
            self.payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
    }
}

fn right(first: u8, key: [u8; 4], payload: &[u8]) -> Sent {
    Sent {
        first,
        masked: true,
        key,
        length_bytes: 0,
        payload: payload.to_vec(),
    }
}

/// A message, cut into fragments with control frames between them.
fn message() -> impl Strategy<Value = Vec<Sent>> {
    let payload = prop_oneof![
        8 => "[ -~äß€😀\u{10FFFF}]{0,40}".prop_map(|text| (TEXT, text.into_bytes())),
        2 => (0..700_usize).prop_map(|length| (TEXT, "x€".repeat(length).into_bytes())),
        // Around the least limit, and where a length takes two bytes.
        2 => (123..130_usize).prop_map(|length| (TEXT, vec![b'x'; length])),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| (TEXT, bytes)),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| (BINARY, bytes)),
    ];
    let cuts = prop::collection::vec(
        (any::<Index>(), prop::option::weighted(0.3, control())),
        0..4,
    );
    (payload, cuts, any::<[u8; 4]>()).prop_map(|((opcode, payload), cuts, key)| {
        let mut ends: Vec<(usize, Option<Sent>)> = cuts
            .into_iter()
            .map(|(cut, between)| (cut.index(payload.len() + 1), between))
            .collect();
        ends.sort_by_key(|(end, _)| *end);
        let (mut frames, mut start, mut opcode) = (Vec::new(), 0, opcode);
        for (end, between) in ends {
            frames.push(right(opcode, key, &payload[start..end]));
            frames.extend(between);
            (start, opcode) = (end, CONTINUATION);
        }
        frames.push(right(FINAL | opcode, key, &payload[start..]));
        frames
    })
}

fn control() -> impl Strategy<Value = Sent> {
    let payload = prop::collection::vec(any::<u8>(), 0..=125);
    (select(&[PING, PONG][..]), any::<[u8; 4]>(), payload)
        .prop_map(|(opcode, key, payload)| right(FINAL | opcode, key, &payload))
}

fn close() -> impl Strategy<Value = Sent> {
    let code = prop_oneof![1000..1020_u16, 2990..3010_u16, any::<u16>()];
    let reason = prop_oneof![
        ".{0,30}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..10),
    ];
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..2),
        4 => (code, reason).prop_map(|(code, reason)| [&code.to_be_bytes(), &reason[..]].concat()),
    ]
    .prop_map(|payload| right(FINAL | CLOSE, KEY, &payload))
}

/// Of any shape, most of them wrong.
fn odd() -> impl Strategy<Value = Sent> {
    let payload = prop::collection::vec(any::<u8>(), 0..200);
    let length_bytes = select(&[0, 0, 2, 8][..]);
    (
        any::<u8>(),
        prop::bool::weighted(0.8),
        any::<[u8; 4]>(),
        length_bytes,
        payload,
    )
        .prop_map(|(first, masked, key, length_bytes, payload)| Sent {
            first,
            masked,
            key,
            length_bytes,
            payload,
        })
}

fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        12 => message(),
        4 => control().prop_map(|frame| vec![frame]),
        1 => close().prop_map(|frame| vec![frame]),
        1 => odd().prop_map(|frame| vec![frame]),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| {
        let mut bytes = Vec::new();
        parts
            .iter()
            .flatten()
            .for_each(|frame| frame.write(&mut bytes));
        bytes
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let first = prop_oneof![125..130_usize, 125..400_usize];
    (first, 125..3000_usize).prop_map(|(first, later)| Limits { first, later })
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..20_usize, 1..500_usize], 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_conversation_is_read_as_tungstenite_reads_it(
        bytes in conversation(),
        limits in limits(),
        cuts in cuts(),
    ) {
        check(&bytes, limits, &cuts);
    }

    #[test]
    fn a_conversation_that_breaks_off_is_read_as_tungstenite_reads_it(
        bytes in conversation(),
        end in any::<Index>(),
        limits in limits(),
        cuts in cuts(),
    ) {
        check(&bytes[..end.index(bytes.len() + 1)], limits, &cuts);
    }

    #[test]
    fn a_conversation_with_a_byte_changed_is_read_as_tungstenite_reads_it(
        mut bytes in conversation(),
        place in any::<Index>(),
        change in 1..=255_u8,
        limits in limits(),
        cuts in cuts(),
    ) {
        if !bytes.is_empty() {
            let place = place.index(bytes.len());
            bytes[place] ^= change;
        }
        check(&bytes, limits, &cuts);
    }

    #[test]
    fn any_bytes_are_read_as_tungstenite_reads_them(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        limits in limits(),
        cuts in cuts(),
    ) {
        check(&bytes, limits, &cuts);
    }
}
