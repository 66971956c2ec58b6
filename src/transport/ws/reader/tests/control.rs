//! Section 5.5: control frames; 5.5.2 and 5.5.3: ping and pong.

use super::*;

const CONTROLS: [u8; 3] = [CLOSE, PING, PONG];

#[test]
fn a_ping_is_told_with_its_payload() {
    for payload in [vec![], vec![0xFF], vec![b'x'; 125]] {
        let bytes = frame(FINAL | PING, &payload);
        assert_says(&bytes, &[Incoming::Ping(payload)]);
    }
}

#[test]
fn each_of_several_pings_is_told_in_order() {
    let bytes: Vec<u8> = (0..5).flat_map(|i| frame(FINAL | PING, [i])).collect();
    let said: Vec<Incoming> = (0..5).map(|i| Incoming::Ping(vec![i])).collect();
    assert_says(&bytes, &said);
}

/// "A Pong frame MAY be sent unsolicited".
#[test]
fn a_pong_that_nobody_asked_for_is_no_fault() {
    assert_says(&frame(FINAL | PONG, [b'x'; 125]), &[Incoming::Pong]);
}

/// "MUST NOT be fragmented".
#[test]
fn a_control_frame_in_fragments_is_refused() {
    for opcode in CONTROLS {
        assert_refused(&[opcode, MASKED], Fault::FragmentedControl, 1002);
    }
}

/// "MUST have a payload length of 125 bytes or less". The second byte shows it, however long the frame is to be.
#[test]
fn a_control_frame_over_125_bytes_is_refused() {
    for opcode in CONTROLS {
        for longer in [126, 127] {
            assert_refused(&[FINAL | opcode, MASKED | longer], Fault::LongControl, 1002);
        }
    }
}

#[test]
fn a_control_frame_may_be_longer_than_messages_may_be() {
    let mut reader = Reader::new(10);
    let heard = read_with(&mut reader, &frame(FINAL | PING, [1; 125]));
    assert_eq!(heard, (vec![Incoming::Ping(vec![1; 125])], None));
}
