//! Section 5.2, payload length, and how long a message may be.

use super::*;
use crate::transport::ws::INIT_BYTES_MAX;

const NO_MESSAGE: (Vec<Incoming>, Option<Fault>) = (Vec::new(), None);

/// The header of a text frame that gives its length in so many bytes, up to its mask.
fn length_in(bytes: usize, length: u64) -> Vec<u8> {
    let code = if bytes == 2 { 126 } else { 127 };
    [
        &[FINAL | TEXT, MASKED | code],
        &length.to_be_bytes()[8 - bytes..],
        &KEY,
    ]
    .concat()
}

#[test]
fn each_form_of_a_length_is_read_up_to_its_bounds() {
    for length in [
        0, 1, 124, 125, 126, 127, 128, 255, 256, 65_534, 65_535, 65_536,
    ] {
        let message = "x".repeat(length);
        assert_says(&frame(FINAL | TEXT, &message), &[text(&message)]);
    }
}

/// "The minimal number of bytes MUST be used to encode the length".
#[test]
fn a_length_in_more_bytes_than_it_takes_is_refused() {
    for length in [0, 1, 124, 125] {
        assert_refused(&length_in(2, length), Fault::LengthNotMinimal, 1002);
    }
    for length in [0, 125, 126, 65_535] {
        assert_refused(&length_in(8, length), Fault::LengthNotMinimal, 1002);
    }
}

/// "The most significant bit MUST be 0".
#[test]
fn a_length_with_the_top_bit_set_is_refused() {
    for length in [1 << 63, (1 << 63) + 5, u64::MAX] {
        assert_refused(&length_in(8, length), Fault::LengthTopBit, 1002);
    }
}

#[test]
fn a_message_over_the_limit_is_refused_by_its_header_alone() {
    let too_large = Fault::TooLarge {
        bytes_max: MESSAGE_BYTES_MAX,
    };
    for length in [65_537, 1 << 32, u64::MAX >> 1] {
        assert_refused(&length_in(8, length), too_large, 1009);
    }
    assert_eq!(read(&header(FINAL | BINARY, MESSAGE_BYTES_MAX)), NO_MESSAGE);
    assert_refused(
        &header(FINAL | BINARY, MESSAGE_BYTES_MAX + 1),
        too_large,
        1009,
    );
}

#[test]
fn the_frames_of_a_message_count_together() {
    for first in [TEXT, BINARY] {
        let mut bytes = frame(first, [b'x'; 60_000]);
        bytes.extend(frame(CONTINUATION, [b'x'; 5_000]));
        bytes.extend(header(FINAL | CONTINUATION, 536));
        assert_eq!(read(&bytes), NO_MESSAGE);
        let last = bytes.len() - 8;
        bytes.splice(last.., header(FINAL | CONTINUATION, 537));
        let fault = Fault::TooLarge {
            bytes_max: MESSAGE_BYTES_MAX,
        };
        assert_refused(&bytes, fault, 1009);
    }
}

#[test]
fn a_sum_of_lengths_cannot_overflow() {
    for first in [TEXT, BINARY] {
        let mut bytes = frame(first, "x");
        bytes.push(FINAL | CONTINUATION);
        bytes.extend(&length_in(8, u64::MAX >> 1)[1..]);
        for bytes_max in [MESSAGE_BYTES_MAX, (1 << 63) - 1] {
            let heard = read_with(&mut Reader::new(bytes_max), &bytes);
            assert_eq!(heard, (Vec::new(), Some(Fault::TooLarge { bytes_max })));
        }
    }
}

#[test]
fn a_limit_holds_from_the_next_message_on() {
    let mut reader = Reader::new(INIT_BYTES_MAX);
    let init = "x".repeat(INIT_BYTES_MAX);
    assert_eq!(
        read_with(&mut reader, &frame(FINAL | TEXT, &init)).0,
        [text(&init)]
    );
    reader.limit(MESSAGE_BYTES_MAX);
    let longest = "x".repeat(MESSAGE_BYTES_MAX);
    assert_eq!(
        read_with(&mut reader, &frame(FINAL | TEXT, &longest)).0,
        [text(&longest)]
    );
}

#[test]
fn the_fault_names_the_limit_that_held() {
    for bytes_max in [INIT_BYTES_MAX, MESSAGE_BYTES_MAX] {
        let mut reader = Reader::new(bytes_max);
        let (_, fault) = read_with(&mut reader, &header(FINAL | TEXT, bytes_max + 1));
        assert_eq!(fault, Some(Fault::TooLarge { bytes_max }));
    }
}

#[test]
fn control_frames_do_not_count_for_the_message_around_them() {
    let mut reader = Reader::new(10);
    let bytes = [
        frame(TEXT, "12345"),
        frame(FINAL | PING, [b'p'; 125]),
        frame(FINAL | CONTINUATION, "67890"),
    ];
    let said = [Incoming::Ping(vec![b'p'; 125]), text("1234567890")];
    assert_eq!(
        read_with(&mut reader, &bytes.concat()),
        (said.to_vec(), None)
    );
}
