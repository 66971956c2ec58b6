//! Section 5.4: messages in fragments.

use super::*;

#[test]
fn the_fragments_of_a_message_are_put_together() {
    let bytes = [
        frame(TEXT, "Hel"),
        frame(CONTINUATION, "lo, "),
        frame(FINAL | CONTINUATION, "world"),
    ];
    assert_says(&bytes.concat(), &[text("Hello, world")]);
}

#[test]
fn fragments_may_be_empty() {
    let bytes = [
        frame(TEXT, ""),
        frame(CONTINUATION, ""),
        frame(CONTINUATION, "Hello"),
        frame(FINAL | CONTINUATION, ""),
    ];
    assert_says(&bytes.concat(), &[text("Hello")]);
    let nothing = [frame(TEXT, ""), frame(FINAL | CONTINUATION, "")];
    assert_says(&nothing.concat(), &[text("")]);
}

#[test]
fn a_binary_message_in_fragments_is_told_once() {
    let bytes = [
        frame(BINARY, [0xFF; 10]),
        frame(CONTINUATION, [0xFF; 200]),
        frame(FINAL | CONTINUATION, [0xFF; 10]),
        frame(FINAL | TEXT, "Hello"),
    ];
    assert_says(&bytes.concat(), &[Incoming::Binary, text("Hello")]);
}

#[test]
fn control_frames_between_fragments_are_told_at_once_and_disturb_nothing() {
    let mut reader = Reader::new(MESSAGE_BYTES_MAX);
    let mut say = |bytes: &[u8]| read_with(&mut reader, bytes);
    // Cut within a character, so that what is checked of the text has to last as well.
    assert_eq!(say(&frame(TEXT, b"Hel\xe2\x82")), (vec![], None));
    assert_eq!(
        say(&frame(FINAL | PING, "1")).0,
        [Incoming::Ping(b"1".to_vec())]
    );
    assert_eq!(say(&frame(CONTINUATION, b"\xac")), (vec![], None));
    assert_eq!(say(&frame(FINAL | PONG, "2")).0, [Incoming::Pong]);
    assert_eq!(
        say(&frame(FINAL | PING, "3")).0,
        [Incoming::Ping(b"3".to_vec())]
    );
    assert_eq!(say(&frame(FINAL | CONTINUATION, "lo")).0, [text("Hel€lo")]);
}

#[test]
fn a_close_frame_may_come_between_fragments() {
    let bytes = [frame(TEXT, "Hel"), frame(FINAL | CLOSE, "")];
    assert_says(&bytes.concat(), &[Incoming::Close(None)]);
}

/// A continuation continues something.
#[test]
fn a_continuation_without_a_beginning_is_refused() {
    for first in [CONTINUATION, FINAL | CONTINUATION] {
        assert_refused(&header(first, 5), Fault::LoneContinuation, 1002);
        let after = [frame(FINAL | TEXT, "whole"), frame(first, "more")];
        assert_eq!(
            read(&after.concat()),
            (vec![text("whole")], Some(Fault::LoneContinuation))
        );
    }
}

/// "The fragments of one message MUST NOT be interleaved between the fragments of another message".
#[test]
fn a_new_message_inside_another_is_refused() {
    for first in [TEXT, BINARY] {
        for second in [TEXT, BINARY, FINAL | TEXT, FINAL | BINARY] {
            let bytes = [frame(first, "x"), header(second, 1)];
            assert_refused(&bytes.concat(), Fault::Interleaved, 1002);
        }
    }
}

#[test]
fn a_new_message_begins_after_the_last_fragment() {
    let one = [frame(TEXT, "o"), frame(FINAL | CONTINUATION, "ne")].concat();
    assert_says(&[&one[..], &one[..]].concat(), &[text("one"), text("one")]);
}
