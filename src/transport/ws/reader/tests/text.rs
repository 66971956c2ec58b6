//! Sections 5.6 and 8.1: text is UTF-8, all of the message together.

use super::*;

/// What looks like UTF-8 and is not; the last byte of each shows it.
const BAD: [&[u8]; 12] = [
    b"\x80",             // continues nothing
    b"\xC0",             // begins an overlong form only
    b"\xC1",             // the same
    b"\xE0\x80",         // overlong, three bytes
    b"\xE0\x9F",         // the same
    b"\xED\xA0",         // the first surrogate
    b"\xED\xBF",         // the last ones
    b"\xF0\x8F",         // overlong, four bytes
    b"\xF4\x90",         // over U+10FFFF
    b"\xF5",             // the same
    b"\xE2\x82\x28",     // a third byte that is none
    b"\xF0\x9F\x98\x28", // a fourth byte that is none
];

#[test]
fn the_bounds_of_each_length_of_a_character_are_text() {
    let bounds = "\0\u{7F}\u{80}\u{7FF}\u{800}\u{D7FF}\u{E000}\u{FFFD}\u{FFFF}\u{10000}\u{10FFFF}";
    assert_says(&frame(FINAL | TEXT, bounds), &[text(bounds)]);
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    for bad in BAD {
        let payload = [b"Hello", bad].concat();
        assert_refused(&frame(FINAL | TEXT, &payload), Fault::NotUtf8, 1007);
    }
}

#[test]
fn a_message_is_given_up_at_its_first_bad_byte() {
    for bad in BAD {
        let payload = [b"Hello", bad, &b" and much more"[..]].concat();
        for first in [TEXT, FINAL | TEXT] {
            let bytes = frame(first, &payload);
            let shown = bytes.len() - b" and much more".len();
            assert_refused(&bytes[..shown], Fault::NotUtf8, 1007);
        }
    }
}

#[test]
fn bad_text_is_refused_wherever_it_is_cut_into_fragments() {
    for bad in BAD {
        for cut in 0..=bad.len() {
            let bytes = [
                frame(TEXT, &bad[..cut]),
                frame(FINAL | PING, ""),
                frame(FINAL | CONTINUATION, &bad[cut..]),
            ];
            let (said, fault) = read(&bytes.concat());
            assert_eq!(fault, Some(Fault::NotUtf8), "{bad:x?} cut at {cut}");
            assert!(said.len() <= 1);
        }
    }
}

/// "A particular text frame might include a partial UTF-8 sequence; however, the whole message MUST contain valid UTF-8".
#[test]
fn a_character_may_be_cut_anywhere() {
    let whole = "ä€😀";
    for first in 0..=whole.len() {
        for second in first..=whole.len() {
            let bytes = [
                frame(TEXT, &whole.as_bytes()[..first]),
                frame(CONTINUATION, &whole.as_bytes()[first..second]),
                frame(FINAL | CONTINUATION, &whole.as_bytes()[second..]),
            ];
            assert_says(&bytes.concat(), &[text(whole)]);
        }
    }
}

#[test]
fn a_message_that_ends_within_a_character_is_refused() {
    for part in ["ä", "€", "😀"].map(str::as_bytes) {
        for length in 1..part.len() {
            let part = &part[..length];
            assert_refused(&frame(FINAL | TEXT, part), Fault::NotUtf8, 1007);
            let in_two = [frame(TEXT, part), frame(FINAL | CONTINUATION, "")];
            assert_refused(&in_two.concat(), Fault::NotUtf8, 1007);
        }
    }
}

#[test]
fn a_binary_message_may_hold_anything() {
    for bad in BAD {
        let bytes = [frame(BINARY, bad), frame(FINAL | CONTINUATION, bad)];
        assert_says(&bytes.concat(), &[Incoming::Binary]);
    }
}
