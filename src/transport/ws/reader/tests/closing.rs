//! Sections 5.5.1, 7.1.5, 7.1.6 and 7.4: the client's close frame.

use super::*;

fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    frame(
        FINAL | CLOSE,
        [&code.to_be_bytes(), reason.as_ref()].concat(),
    )
}

#[test]
fn a_close_frame_may_be_empty() {
    assert_says(&frame(FINAL | CLOSE, ""), &[Incoming::Close(None)]);
}

#[test]
fn a_close_frame_tells_its_code_and_reason() {
    let longest = "x".repeat(123);
    for reason in ["", "bye", "auf Wiederhören", &longest] {
        let told = Incoming::Close(Some((1001, reason.to_owned())));
        assert_says(&close(1001, reason), &[told]);
    }
}

/// Section 5.5.1: "the first two bytes of the body MUST be a 2-byte unsigned integer".
#[test]
fn a_close_frame_with_half_a_code_is_refused() {
    assert_refused(&frame(FINAL | CLOSE, [3]), Fault::HalfCloseCode, 1002);
}

#[test]
fn a_code_that_may_be_sent_is_told() {
    let codes = (1000..=1003)
        .chain(1007..=1014)
        .chain([3000, 3999, 4000, 4999]);
    for code in codes {
        let told = Incoming::Close(Some((code, String::new())));
        assert_says(&close(code, ""), &[told]);
    }
}

/// Section 7.4: 1004 to 1006 and 1015 are never on the wire, the rest is undefined or not used.
#[test]
fn a_code_that_must_not_be_sent_is_refused() {
    let codes = [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ];
    for code in codes {
        assert_refused(&close(code, ""), Fault::CloseCode(code), 1002);
    }
}

/// Section 8.1 by way of 5.5.1: the reason is UTF-8.
#[test]
fn a_reason_that_is_not_utf8_is_refused() {
    for reason in [&b"\xff"[..], b"bye \xed\xa0\x80", b"by\xc3"] {
        assert_refused(&close(1000, reason), Fault::NotUtf8, 1007);
    }
}

/// Section 5.5.1: what comes after a close frame is not looked at.
#[test]
fn what_comes_after_a_close_frame_is_ignored() {
    let mut reader = Reader::new(MESSAGE_BYTES_MAX);
    let bytes = [
        close(1000, ""),
        frame(FINAL | TEXT, "Hello"),
        vec![0xFF; 100],
    ];
    let told = Incoming::Close(Some((1000, String::new())));
    assert_eq!(read_with(&mut reader, &bytes.concat()), (vec![told], None));
    for after in [frame(FINAL | PING, ""), close(1000, ""), vec![0xFF; 100]] {
        assert_eq!(read_with(&mut reader, &after), (vec![], None));
    }
}
