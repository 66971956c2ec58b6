//! Sections 5.1 to 5.3: masks, reserved bits, opcodes; and bytes that come as they like.

use super::*;

/// Section 5.7, the third example.
#[test]
fn the_masked_hello_of_the_specification_is_read() {
    let hello = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_says(&hello, &[text("Hello")]);
}

#[test]
fn a_message_may_be_empty() {
    assert_says(&frame(FINAL | TEXT, ""), &[text("")]);
    assert_says(&frame(FINAL | BINARY, ""), &[Incoming::Binary]);
}

#[test]
fn a_binary_message_is_told_as_such() {
    assert_says(&frame(FINAL | BINARY, b"\xff\xfe"), &[Incoming::Binary]);
}

/// Section 5.1: the server closes the connection on a frame that is not masked. Two bytes show it.
#[test]
fn a_frame_that_is_not_masked_is_refused() {
    for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
        assert_refused(&[FINAL | opcode, 0x05], Fault::NotMasked, 1002);
    }
}

/// Section 5.2: "MUST be 0 unless an extension is negotiated".
#[test]
fn a_reserved_bit_is_refused() {
    for bit in [0x40, 0x20, 0x10] {
        for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
            assert_refused(&[FINAL | bit | opcode, MASKED], Fault::ReservedBits, 1002);
        }
    }
}

/// Section 5.2: an unknown opcode fails the connection.
#[test]
fn a_reserved_opcode_is_refused() {
    for opcode in (0x3..=0x7).chain(0xB..=0xF) {
        assert_refused(
            &[FINAL | opcode, MASKED],
            Fault::ReservedOpcode(opcode),
            1002,
        );
    }
}

/// Section 5.3: each frame has a key of its own, and any key is one.
#[test]
fn each_frame_is_unmasked_with_its_own_key() {
    let mut bytes = Vec::new();
    for (key, end) in [([0; 4], 0), ([0xFF; 4], 0), ([1, 2, 3, 4], FINAL)] {
        let first = if key == [0; 4] { TEXT } else { CONTINUATION };
        bytes.extend([end | first, MASKED | 5]);
        bytes.extend(key);
        bytes.extend(
            b"Hello"
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
    }
    assert_says(&bytes, &[text("HelloHelloHello")]);
}

/// A conversation with some of everything.
fn conversation() -> (Vec<u8>, Vec<Incoming>) {
    let long = "ä€😀".repeat(50);
    let bytes = [
        frame(FINAL | TEXT, "one"),
        frame(FINAL | PING, "are you there"),
        frame(TEXT, &long.as_bytes()[..100]),
        frame(FINAL | PONG, ""),
        frame(CONTINUATION, &long.as_bytes()[100..101]),
        frame(FINAL | PING, ""),
        frame(FINAL | CONTINUATION, &long.as_bytes()[101..]),
        frame(FINAL | BINARY, [7; 300]),
        frame(FINAL | CLOSE, b"\x03\xe8bye"),
    ];
    let said = [
        text("one"),
        Incoming::Ping(b"are you there".to_vec()),
        Incoming::Pong,
        Incoming::Ping(Vec::new()),
        text(&long),
        Incoming::Binary,
        Incoming::Close(Some((1000, "bye".to_owned()))),
    ];
    (bytes.concat(), said.to_vec())
}

#[test]
fn many_frames_may_come_in_one_read() {
    let (bytes, said) = conversation();
    assert_says(&bytes, &said);
}

#[test]
fn bytes_may_come_in_pieces_of_any_size() {
    let (bytes, said) = conversation();
    for size in 1..=bytes.len() {
        let mut reader = Reader::new(MESSAGE_BYTES_MAX);
        let mut heard = Vec::new();
        for piece in bytes.chunks(size) {
            let (more, fault) = read_with(&mut reader, piece);
            assert_eq!(fault, None, "pieces of {size}");
            heard.extend(more);
        }
        assert_eq!(heard, said, "pieces of {size}");
    }
}

#[test]
fn a_message_is_told_when_its_last_byte_comes_and_not_before() {
    let bytes = frame(FINAL | TEXT, "Hello");
    let mut reader = Reader::new(MESSAGE_BYTES_MAX);
    for byte in &bytes[..bytes.len() - 1] {
        assert_eq!(reader.next(&mut &[*byte][..]), Ok(None));
    }
    assert_eq!(
        reader.next(&mut &bytes[bytes.len() - 1..]),
        Ok(Some(text("Hello")))
    );
}

#[test]
fn what_follows_a_message_is_left_for_the_next_call() {
    let bytes = [frame(FINAL | TEXT, "one"), frame(FINAL | TEXT, "two")].concat();
    let mut reader = Reader::new(MESSAGE_BYTES_MAX);
    let mut left = &bytes[..];
    assert_eq!(reader.next(&mut left), Ok(Some(text("one"))));
    assert_eq!(left, &bytes[bytes.len() / 2..]);
    assert_eq!(reader.next(&mut left), Ok(Some(text("two"))));
    assert_eq!(reader.next(&mut left), Ok(None));
}

#[test]
fn nothing_is_said_after_a_fault() {
    let mut reader = Reader::new(MESSAGE_BYTES_MAX);
    let bytes = [frame(FINAL | 0x3, ""), frame(FINAL | TEXT, "Hello")].concat();
    let mut left = &bytes[..];
    assert_eq!(reader.next(&mut left), Err(Fault::ReservedOpcode(3)));
    assert_eq!(read_with(&mut reader, left), (Vec::new(), None));
    assert_eq!(
        read_with(&mut reader, &frame(FINAL | TEXT, "Hello")),
        (Vec::new(), None)
    );
}
