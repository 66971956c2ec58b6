//! Frames that take many writes: none is put together again, and no memory stays behind.

use std::task::Waker;

use super::super::queue::scratch_bytes;
use super::through::Narrow;
use super::*;

/// A socket that takes 4 KiB at a time; what it took, and the most that it was offered.
fn written_in_small_parts(outbox: &Outbox) -> (Vec<u8>, usize) {
    const PART_BYTES: usize = 4 * 1024;
    let (mut took, mut offered) = (Vec::new(), 0);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        let flush = outbox.flush(&mut cx, |_, bytes| {
            offered = offered.max(bytes.len());
            let part = &bytes[..bytes.len().min(PART_BYTES)];
            took.extend_from_slice(part);
            Poll::Ready(Ok(part.len()))
        });
        match flush {
            Flush::Wrote { .. } => {}
            Flush::Idle => return (took, offered),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_large_frame_is_not_put_together_again_for_each_part_of_it_that_is_taken() {
    const LARGE: usize = 8 * 1024 * 1024;
    const WRITE_BYTES: usize = 64 * 1024;
    let letters = |bytes: usize| -> Bytes { (b'a'..=b'z').cycle().take(bytes).collect() };
    let outbox = Outbox::new(100);
    let (mut all, mut longest) = (Vec::new(), 0);
    for bytes in [10, LARGE, 20, WRITE_BYTES, WRITE_BYTES + 1, 30] {
        outbox.push(Frame::whole(letters(bytes)));
        all.extend(letters(bytes));
        longest = if bytes <= WRITE_BYTES {
            bytes.max(longest)
        } else {
            longest
        };
    }
    assert_eq!(outbox.queued_bytes(), all.len());
    let (took, offered) = written_in_small_parts(&outbox);
    assert!(took == all, "other bytes, or in another order");
    assert_eq!(outbox.queued_bytes(), 0);
    assert!(
        offered <= WRITE_BYTES + longest,
        "{offered} bytes in one write"
    );
    assert!(scratch_bytes() <= 4 * WRITE_BYTES, "{}", scratch_bytes());
}

#[test]
fn nothing_of_a_large_frame_that_a_socket_has_not_begun_is_left_to_write() {
    let outbox = Outbox::new(100);
    outbox.push(frame(1 << 20));
    let mut cx = Context::from_waker(Waker::noop());
    let blocked = outbox.flush(&mut cx, |_, _| Poll::Pending);
    assert!(matches!(blocked, Flush::Blocked));
    assert_eq!(outbox.queued_bytes(), 1 << 20);
    assert_eq!(outbox.finish(false), b"");

    let outbox = Outbox::new(100);
    outbox.push(frame(1 << 20));
    let wrote = outbox.flush(&mut cx, |_, bytes| Poll::Ready(Ok(bytes.len().min(100))));
    assert!(matches!(wrote, Flush::Wrote { left: true, .. }));
    assert_eq!(outbox.queued_bytes(), (1 << 20) - 100);
    assert_eq!(outbox.finish(false).len(), (1 << 20) - 100);
}

#[test]
fn a_long_live_payload_leaves_no_long_scratch_behind() {
    let (prefix, payload) = (Bytes::from_static(b"p"), Bytes::from(vec![b'x'; 1 << 20]));
    let (narrow, ended) = (Arc::new(Narrow::default()), AtomicBool::new(false));
    narrow.room.lock().unwrap().push_back(100);
    let outbox = Outbox::written_through(100, &Bare, narrow.clone());
    let live = Live {
        prefix: &prefix,
        payload: &payload,
        ended: &ended,
    };
    assert_eq!(outbox.deliver(1, |_| live).taken, 1);
    assert_eq!(outbox.queued_bytes(), payload.len() + 1 - 100);
    assert!(scratch_bytes() <= 256 * 1024, "{}", scratch_bytes());
}
