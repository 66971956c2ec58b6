//! RFC 6455 over TCP, by a client that sends whatever bytes it likes: what is read, what is answered, how it ends. Each
//! rule by itself is tested beside `reader`.

use std::io::Write;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::raw::{Raw, quiet_world};
use crate::transport::ws::reader::frames::*;
use crate::transport::ws::{INIT_BYTES_MAX, MESSAGE_BYTES_MAX};

/// A message that is answered with its own payload, and the answer.
fn say(what: &str) -> (String, String) {
    let message = |kind| format!(r#"{{"type":"{kind}","payload":{{"say":"{what}"}}}}"#);
    (message("ping"), message("pong"))
}

/// A message of so many bytes, answered by `PONG_TEXT`.
fn padded(bytes: usize) -> String {
    const PING_TEXT: &str = r#"{"type":"ping"}"#;
    format!("{PING_TEXT}{}", " ".repeat(bytes - PING_TEXT.len()))
}

const PONG_TEXT: &str = r#"{"type":"pong"}"#;

#[tokio::test]
async fn each_form_of_a_length_is_read_over_tcp() {
    let mut client = Raw::known().await;
    for length in [125, 126, 127, 4096, 65_535, MESSAGE_BYTES_MAX] {
        client.send(&frame(FINAL | TEXT, padded(length))).await;
        assert_eq!(client.text().await, PONG_TEXT, "{length} bytes");
    }
}

#[tokio::test]
async fn bytes_that_come_one_by_one_are_read() {
    let mut client = Raw::known().await;
    let (message, answer) = say("ä€😀");
    for byte in frame(FINAL | TEXT, message) {
        client.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.text().await, answer);
}

#[tokio::test]
async fn many_frames_that_come_at_once_are_read_in_order() {
    let client = Raw::known().await;
    let numbers = (0..2000).map(|number| say(&number.to_string()));
    let bytes: Vec<u8> = numbers
        .clone()
        .flat_map(|(message, _)| frame(FINAL | TEXT, message))
        .collect();
    let (mut reading, mut writing) = client.stream.into_split();
    let all = tokio::spawn(async move { writing.write_all(&bytes).await.map(|()| writing) });
    for (_, answer) in numbers {
        let mut heard = vec![0; 2 + answer.len()];
        reading.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard[2..], answer.as_bytes());
    }
    all.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_message_in_fragments_is_read_and_pings_between_them_are_answered_at_once() {
    let mut client = Raw::known().await;
    let (message, answer) = say("ä€😀");
    // Within the four bytes of the last character.
    let (start, end) = message.as_bytes().split_at(message.len() - 5);
    client.send(&frame(TEXT, start)).await;
    client.send(&frame(FINAL | PING, "one")).await;
    assert_eq!(client.hear().await, Some((FINAL | PONG, b"one".to_vec())));
    client.send(&frame(CONTINUATION, "")).await;
    client.send(&frame(FINAL | PONG, "unasked")).await;
    client.send(&frame(FINAL | PING, [0xFF; 125])).await;
    assert_eq!(client.hear().await, Some((FINAL | PONG, vec![0xFF; 125])));
    client.send(&frame(FINAL | CONTINUATION, end)).await;
    assert_eq!(client.text().await, answer);
}

/// Section 5.5.3: of several pings the newest is to be answered, the others may be.
#[tokio::test]
async fn the_newest_of_many_pings_is_answered() {
    let mut client = Raw::known().await;
    let pings: Vec<u8> = (0..1000_u32)
        .flat_map(|number| frame(FINAL | PING, number.to_be_bytes()))
        .collect();
    client.send(&pings).await;
    let mut answered = None;
    while answered != Some(999) {
        let (first, payload) = client.hear().await.unwrap();
        assert_eq!(first, FINAL | PONG);
        let number = u32::from_be_bytes(payload.try_into().unwrap());
        assert!(answered < Some(number), "{number} after {answered:?}");
        answered = Some(number);
    }
}

/// A frame whose length takes more bytes than it should.
fn long_form(code: u8, length: &[u8]) -> Vec<u8> {
    [&[FINAL | TEXT, MASKED | code], length, &KEY, b"{}"].concat()
}

/// Bytes that break a rule, and the code that the server closes with.
fn broken() -> Vec<(&'static str, Vec<u8>, u16)> {
    let start = frame(TEXT, "{");
    let after_start = |more: Vec<u8>| [&start[..], &more[..]].concat();
    vec![
        ("5.1 not masked", vec![FINAL | TEXT, 2, b'{', b'}'], 1002),
        ("5.2 RSV1", frame(FINAL | 0x40 | TEXT, "{}"), 1002),
        ("5.2 RSV2", frame(FINAL | 0x20 | PING, ""), 1002),
        ("5.2 RSV3", frame(FINAL | 0x10 | TEXT, "{}"), 1002),
        ("5.2 reserved data opcode", frame(FINAL | 0x3, ""), 1002),
        ("5.2 reserved control opcode", frame(FINAL | 0xB, ""), 1002),
        ("5.2 length not minimal", long_form(126, &[0, 2]), 1002),
        (
            "5.2 length not minimal in 64 bits",
            long_form(127, &[0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
            1002,
        ),
        (
            "5.2 top bit of a length",
            long_form(127, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
            1002,
        ),
        (
            "5.4 continues nothing",
            frame(FINAL | CONTINUATION, "{}"),
            1002,
        ),
        (
            "5.4 text within a message",
            after_start(frame(FINAL | TEXT, "}")),
            1002,
        ),
        (
            "5.4 binary within a message",
            after_start(frame(BINARY, "}")),
            1002,
        ),
        ("5.5 ping in fragments", frame(PING, ""), 1002),
        ("5.5 long ping", frame(FINAL | PING, [b'x'; 126]), 1002),
        ("5.5 long close", frame(FINAL | CLOSE, [3; 126]), 1002),
        ("5.5.1 half a code", frame(FINAL | CLOSE, [3]), 1002),
        (
            "7.4 code 999",
            frame(FINAL | CLOSE, 999_u16.to_be_bytes()),
            1002,
        ),
        (
            "7.4 code 1005",
            frame(FINAL | CLOSE, 1005_u16.to_be_bytes()),
            1002,
        ),
        (
            "7.4 code 2999",
            frame(FINAL | CLOSE, 2999_u16.to_be_bytes()),
            1002,
        ),
        (
            "7.4 code 5000",
            frame(FINAL | CLOSE, 5000_u16.to_be_bytes()),
            1002,
        ),
        ("8.1 reason", frame(FINAL | CLOSE, b"\x03\xe8\xff"), 1007),
        (
            "8.1 surrogate",
            frame(FINAL | TEXT, b"\"\xed\xa0\x80\""),
            1007,
        ),
        ("8.1 overlong", frame(FINAL | TEXT, b"\"\xc0\xaf\""), 1007),
        (
            "8.1 half a character",
            frame(FINAL | TEXT, b"\xe2\x82"),
            1007,
        ),
        (
            "8.1 over fragments",
            after_start(frame(FINAL | CONTINUATION, b"\xe2\x28\xa1")),
            1007,
        ),
        (
            "10.4 too large",
            header(FINAL | TEXT, MESSAGE_BYTES_MAX + 1),
            1009,
        ),
        (
            "10.4 too large binary",
            header(FINAL | BINARY, MESSAGE_BYTES_MAX + 1),
            1009,
        ),
        (
            "10.4 far too large",
            header(FINAL | TEXT, usize::MAX >> 1),
            1009,
        ),
    ]
}

#[tokio::test]
async fn each_broken_rule_closes_with_its_code() {
    for (rule, bytes, code) in broken() {
        let mut client = Raw::known().await;
        client.send(&bytes).await;
        assert_eq!(client.end_code().await, code, "{rule}");
    }
}

#[tokio::test]
async fn nothing_that_follows_a_broken_rule_is_done() {
    let (message, _) = say("too late");
    let after = frame(FINAL | TEXT, message);
    for (rule, bytes, code) in broken() {
        let mut client = Raw::known().await;
        client.send(&[bytes, after.clone()].concat()).await;
        assert_eq!(client.end_code().await, code, "{rule}");
    }
}

#[tokio::test]
async fn a_broken_rule_is_told_before_the_rest_of_its_frame_has_come() {
    let half = |first, payload: &[u8]| frame(first, payload)[..payload.len()].to_vec();
    for (rule, bytes, code) in [
        ("not masked", vec![FINAL | TEXT, 5], 1002),
        (
            "a reserved bit",
            vec![FINAL | 0x40 | TEXT, MASKED | 5],
            1002,
        ),
        ("a long ping", vec![FINAL | PING, MASKED | 126], 1002),
        ("continues nothing", header(CONTINUATION, 5), 1002),
        (
            "not UTF-8",
            half(FINAL | TEXT, b"\xff and more than what the header takes"),
            1007,
        ),
    ] {
        let mut client = Raw::known().await;
        client.send(&bytes).await;
        assert_eq!(client.end_code().await, code, "{rule}");
    }
}

#[tokio::test]
async fn a_header_alone_is_too_large_before_init() {
    let mut client = Raw::open(&quiet_world()).await;
    client.send(&header(FINAL | TEXT, INIT_BYTES_MAX + 1)).await;
    assert_eq!(
        client.end().await,
        b"\x03\xf1Message over 16 KiB before connection_init"
    );
}

/// Section 5.5.1: the answer to a close frame has the code that came, if one came, and it is the last frame.
#[tokio::test]
async fn the_code_of_a_close_frame_is_echoed() {
    for (payload, code) in [
        (&b""[..], &b""[..]),
        (b"\x03\xe8", b"\x03\xe8"),
        (b"\x03\xe9bye", b"\x03\xe9"),
        (b"\x0f\xa0auf Wiederh\xc3\xb6ren", b"\x0f\xa0"),
        // Registered since the RFC.
        (b"\x03\xf6", b"\x03\xf6"),
    ] {
        let mut client = Raw::known().await;
        client.send(&frame(FINAL | CLOSE, payload)).await;
        assert_eq!(client.end().await, code);
    }
}

#[tokio::test]
async fn a_close_frame_within_a_message_is_echoed() {
    let mut client = Raw::known().await;
    client.send(&frame(TEXT, "{")).await;
    client.send(&frame(FINAL | CLOSE, b"\x03\xe8")).await;
    assert_eq!(client.end().await, b"\x03\xe8");
}

#[tokio::test]
async fn what_comes_after_a_close_frame_is_not_looked_at() {
    let (message, _) = say("too late");
    for after in [
        frame(FINAL | TEXT, message),
        frame(FINAL | PING, "x"),
        vec![0xFF; 5000],
    ] {
        let mut client = Raw::known().await;
        let bytes = [frame(FINAL | CLOSE, b"\x03\xe8"), after].concat();
        client.send(&bytes).await;
        assert_eq!(client.end().await, b"\x03\xe8");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_within_a_frame_is_let_go() {
    for part in [1, 5, 10] {
        let world = quiet_world();
        let mut client = Raw::open(&world).await;
        client.send(&frame(FINAL | TEXT, "Hello")[..part]).await;
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.hear().await, None);
        world.drain.begin();
        assert_eq!(world.drain.finished().await, 0);
    }
}

/// A message may have fragments without end, and none of them makes the server answer.
#[tokio::test]
async fn a_client_that_never_pauses_holds_up_nobody() {
    let (mut loud, mut other) = (Raw::known().await, Raw::known().await);
    loud.send(&frame(TEXT, "")).await;
    let mut stream = loud.stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    let kept = stream.try_clone().unwrap();
    let (begun, beginning) = tokio::sync::oneshot::channel();
    let flood = std::thread::spawn(move || {
        let fragments = frame(CONTINUATION, "").repeat(10_000);
        stream.write_all(&fragments)?;
        let _ = begun.send(());
        (0..1000).try_for_each(|_| stream.write_all(&fragments))
    });
    beginning.await.unwrap();
    let (message, answer) = say("in between");
    other.send(&frame(FINAL | TEXT, message)).await;
    assert_eq!(other.text().await, answer);
    assert!(!flood.is_finished(), "answered only when all was read");
    kept.shutdown(std::net::Shutdown::Both).unwrap();
    flood.join().unwrap().unwrap_err();
}
