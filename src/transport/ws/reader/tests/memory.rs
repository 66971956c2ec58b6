//! What a reader costs: nothing while it waits, and never more than a message.

use super::*;
use crate::transport::ws::reader::message::Message;
use crate::transport::ws::reader::oracle::held;

#[test]
fn a_reader_is_small() {
    assert!(size_of::<Reader>() <= 24);
}

#[test]
fn nothing_is_held_between_messages() {
    let conversation = [
        frame(FINAL | TEXT, "Hello"),
        frame(FINAL | PING, [1; 125]),
        [frame(TEXT, "Hel"), frame(FINAL | CONTINUATION, "lo")].concat(),
        frame(FINAL | BINARY, [1; 1000]),
        frame(FINAL | PONG, [1; 125]),
        frame(FINAL | TEXT, "x".repeat(MESSAGE_BYTES_MAX)),
    ];
    for size in [1, 7, 4096, usize::MAX] {
        let mut reader = Reader::new(MESSAGE_BYTES_MAX);
        for message in &conversation {
            let pieces = message.chunks(size.min(message.len()));
            let said: usize = pieces
                .map(|piece| read_with(&mut reader, piece).0.len())
                .sum();
            assert_eq!(said, 1);
            assert!(
                reader.begun.is_none(),
                "something is left of a whole message"
            );
        }
    }
}

#[test]
fn nothing_is_held_after_the_end() {
    for end in [
        frame(FINAL | CLOSE, ""),
        frame(FINAL | 0x3, ""),
        frame(FINAL | CONTINUATION, b"\xff"),
    ] {
        let mut reader = Reader::new(MESSAGE_BYTES_MAX);
        read_with(&mut reader, &[frame(TEXT, [b'x'; 1000]), end].concat());
        assert!(reader.begun.is_none());
        read_with(&mut reader, &frame(TEXT, [b'x'; 1000]));
        assert!(reader.begun.is_none());
    }
}

#[test]
fn no_room_is_made_for_what_is_only_announced() {
    let bytes = frame(FINAL | TEXT, [b'x'; MESSAGE_BYTES_MAX]);
    let (header, payload) = bytes.split_at(14);
    let mut reader = Reader::new(MESSAGE_BYTES_MAX);
    read_with(&mut reader, header);
    assert_eq!(held(&reader), 0);
    read_with(&mut reader, &payload[..100]);
    assert_eq!(held(&reader), 100);
}

#[test]
fn a_binary_message_is_not_kept() {
    let mut reader = Reader::new(MESSAGE_BYTES_MAX);
    for piece in frame(BINARY, [1; 60_000]).chunks(4096) {
        read_with(&mut reader, piece);
        assert_eq!(held(&reader), 0);
    }
}

/// What has been checked of a text, and how much room it has.
fn state(reader: &Reader) -> (usize, usize, usize) {
    match reader
        .begun
        .as_ref()
        .and_then(|begun| begun.message.as_ref())
    {
        Some(Message::Text { bytes, checked }) => (bytes.len(), *checked, bytes.capacity()),
        other => panic!("{other:?}"),
    }
}

/// Copying and checking grow with the message, not with its square: it is moved a few times at most, and no more than the
/// beginning of a character is looked at twice before the end.
#[test]
fn a_message_in_fragments_of_one_byte_stays_linear_and_within_its_limit() {
    // No power of two, so that doubling would go beyond it.
    const BYTES_MAX: usize = 60_003;
    let whole = "ä€😀".repeat(BYTES_MAX / 9);
    assert_eq!(whole.len(), BYTES_MAX);
    let (last, rest) = whole.as_bytes().split_last().unwrap();
    let mut reader = Reader::new(BYTES_MAX);
    let (mut moves, mut room) = (0, 0);
    for (index, byte) in rest.iter().enumerate() {
        let first = if index == 0 { TEXT } else { CONTINUATION };
        assert_eq!(
            read_with(&mut reader, &frame(first, [*byte])),
            (vec![], None)
        );
        let (len, checked, capacity) = state(&reader);
        assert!(len - checked < 4);
        assert!(capacity <= BYTES_MAX);
        moves += usize::from(capacity != room);
        room = capacity;
    }
    assert!(moves <= 17, "moved {moves} times");
    let said = read_with(&mut reader, &frame(FINAL | CONTINUATION, [*last]));
    assert_eq!(said, (vec![text(&whole)], None));
}

#[test]
fn empty_fragments_cost_nothing() {
    let mut reader = Reader::new(MESSAGE_BYTES_MAX);
    read_with(&mut reader, &frame(TEXT, ""));
    for _ in 0..10_000 {
        assert_eq!(
            read_with(&mut reader, &frame(CONTINUATION, "")),
            (vec![], None)
        );
        assert_eq!(held(&reader), 0);
    }
}
