//! What an outbox takes, refuses, writes and wakes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use proptest::prelude::*;

use super::queue::scratch_bytes;
use super::*;

fn frame(bytes: usize) -> Frame {
    Frame::whole(Bytes::from(vec![b'x'; bytes]))
}

#[tokio::test]
async fn takes_what_fits_and_at_least_one_frame() {
    let outbox = Outbox::new(100);
    for bytes in [30, 30, 50] {
        outbox.push(frame(bytes));
    }
    let mut frames = Vec::new();
    outbox.take(&mut frames, 70).await;
    assert_eq!(frames.len(), 2);
    outbox.take(&mut frames, 1).await;
    assert_eq!((frames.len(), outbox.queued_bytes()), (3, 0));
}

#[test]
fn says_when_it_is_over_its_budget_and_takes_the_frame_all_the_same() {
    let outbox = Outbox::new(100);
    assert!(outbox.push(frame(100)));
    assert!(!outbox.push(frame(1)));
    assert_eq!(outbox.queued_bytes(), 101);
}

#[test]
fn a_catch_up_is_refused_over_a_quarter() {
    let (outbox, live) = (Outbox::new(100), AtomicBool::new(false));
    assert!(matches!(
        outbox.offer(frame(26), &live, || ()),
        Queued::Taken
    ));
    assert!(matches!(outbox.offer(frame(1), &live, || ()), Queued::Full));
}

#[test]
fn nothing_of_an_ended_subscription_is_taken() {
    let (outbox, ended) = (Outbox::new(100), AtomicBool::new(false));
    outbox.cancel(&ended);
    assert!(matches!(
        outbox.push_live(frame(1), &ended),
        Queued::Cancelled
    ));
    assert!(matches!(
        outbox.offer(frame(1), &ended, || ()),
        Queued::Cancelled
    ));
    assert_eq!(outbox.queued_bytes(), 0);
}

#[tokio::test]
async fn who_waits_for_room_is_woken_by_draining_and_by_the_end() {
    let outbox = Arc::new(Outbox::new(100));
    outbox.push(frame(60));
    let ended = Arc::new(AtomicBool::new(false));
    let waiting = |outbox: Arc<Outbox>, ended: Arc<AtomicBool>| {
        tokio::spawn(async move { outbox.drained_or_cancelled(25, &ended).await })
    };
    let drained = waiting(outbox.clone(), Arc::default());
    let cancelled = waiting(outbox.clone(), ended.clone());
    outbox.cancel(&ended);
    cancelled.await.unwrap();
    assert!(!drained.is_finished());
    outbox.take(&mut Vec::new(), 1).await;
    drained.await.unwrap();
}

#[tokio::test]
async fn a_closed_outbox_holds_nothing_and_keeps_no_one_waiting() {
    let outbox = Outbox::new(100);
    outbox.push(frame(60));
    outbox.close();
    assert!(outbox.push(frame(600)));
    let mut frames = Vec::new();
    outbox.take(&mut frames, 1).await;
    outbox.drained_to(0).await;
    assert!(frames.is_empty());
}

/// A socket that takes as many bytes as it is told to, write by write.
#[derive(Default)]
struct Narrow {
    took: Mutex<Vec<u8>>,
    room: Mutex<VecDeque<usize>>,
}

impl Narrow {
    fn take(&self, bytes: &[u8]) -> Option<usize> {
        let room = self.room.lock().unwrap().pop_front().unwrap_or(0);
        let taken = room.min(bytes.len());
        self.took.lock().unwrap().extend_from_slice(&bytes[..taken]);
        (taken > 0).then_some(taken)
    }
}

/// The length in two bytes before it, and one byte behind what is shared.
struct Lengths;

impl Framing for Lengths {
    fn framed_bytes(&self, own: &[u8], shared: &[u8]) -> usize {
        2 + own.len() + shared.len() + usize::from(!shared.is_empty())
    }

    fn frame(&self, own: &[u8], shared: &[u8], out: &mut Vec<u8>) {
        let bytes = u16::try_from(own.len() + shared.len()).unwrap();
        out.extend_from_slice(&bytes.to_be_bytes());
        out.extend_from_slice(own);
        out.extend_from_slice(shared);
        out.extend(shared.first().map(|_| b'.'));
    }
}

impl Sink for Narrow {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes).ok_or(io::ErrorKind::WouldBlock.into())
    }
}

fn flush(outbox: &Outbox, narrow: &Narrow) -> Flush {
    let mut cx = Context::from_waker(Waker::noop());
    outbox.flush(&mut cx, |_, bytes| match narrow.take(bytes) {
        Some(taken) => Poll::Ready(Ok(taken)),
        None => Poll::Pending,
    })
}

fn framed(own: &[u8], shared: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Lengths.frame(own, shared, &mut out);
    assert_eq!(out.len(), Lengths.framed_bytes(own, shared));
    out
}

fn narrow(room: &[usize]) -> (Arc<Narrow>, Outbox) {
    let narrow = Arc::new(Narrow::default());
    narrow.room.lock().unwrap().extend(room);
    let outbox = Outbox::written_through(100, &Lengths, narrow.clone());
    (narrow, outbox)
}

/// Delivers texts behind the prefix `p`.
fn deliver(outbox: &Outbox, texts: &[&'static [u8]], ended: &AtomicBool) -> Delivered {
    let prefix = Bytes::from_static(b"p");
    let payloads: Vec<_> = texts.iter().map(|text| Bytes::from_static(text)).collect();
    outbox.deliver(payloads.len(), |at| Live {
        prefix: &prefix,
        payload: &payloads[at],
        ended,
    })
}

#[test]
fn what_the_socket_takes_at_once_never_waits() {
    let (narrow, outbox) = narrow(&[usize::MAX]);
    let live = AtomicBool::new(false);
    let delivered = deliver(&outbox, &[b"one", b"two"], &live);
    assert_eq!((delivered.taken, delivered.over), (2, false));
    assert_eq!(outbox.queued_bytes(), 0);
    let took = narrow.took.lock().unwrap();
    assert_eq!(*took, [framed(b"p", b"one"), framed(b"p", b"two")].concat());
}

#[test]
fn the_rest_of_a_torn_frame_goes_before_everything_else() {
    let (narrow, outbox) = narrow(&[9, 1, usize::MAX]);
    let live = AtomicBool::new(false);
    let delivered = deliver(&outbox, &[b"one", b"two", b"three"], &live);
    assert_eq!((delivered.taken, delivered.over), (3, false));
    assert_eq!(outbox.queued_bytes(), 5 + 6);
    // Behind what waits nothing is written through.
    deliver(&outbox, &[b"four"], &live);
    assert!(matches!(
        flush(&outbox, &narrow),
        Flush::Wrote { left: true, .. }
    ));
    assert!(matches!(
        flush(&outbox, &narrow),
        Flush::Wrote { left: false, .. }
    ));
    assert!(matches!(flush(&outbox, &narrow), Flush::Idle));
    let texts = [&b"one"[..], b"two", b"three", b"four"];
    let all = texts.map(|text| framed(b"p", text)).concat();
    assert_eq!(*narrow.took.lock().unwrap(), all);
}

#[test]
fn a_live_payload_that_passes_the_budget_is_the_last() {
    let (_, outbox) = narrow(&[]);
    let live = AtomicBool::new(false);
    outbox.push(frame(95));
    let exactly = deliver(&outbox, &[b"five"], &live);
    assert_eq!((exactly.taken, exactly.over), (1, false));
    let over = deliver(&outbox, &[b"", b"six"], &live);
    assert_eq!((over.taken, over.over), (1, true));
    assert_eq!(outbox.queued_bytes(), 101);
}

#[test]
fn of_an_ended_subscription_nothing_is_written_through() {
    let (narrow, outbox) = narrow(&[usize::MAX]);
    let delivered = deliver(&outbox, &[b"one"], &AtomicBool::new(true));
    assert_eq!((delivered.taken, delivered.over), (1, false));
    assert!(narrow.took.lock().unwrap().is_empty());
}

#[test]
fn a_ping_is_completed_before_it_is_written_and_told_when_it_has_left() {
    let (narrow, outbox) = narrow(&[3, usize::MAX]);
    outbox.push_ping(Frame::whole(Bytes::from_static(b"raw")));
    assert!(matches!(flush(&outbox, &narrow), Flush::Ping));
    outbox.complete_ping(|_| Bytes::from_static(b"complete"));
    assert!(matches!(
        flush(&outbox, &narrow),
        Flush::Wrote {
            pinged: false,
            left: true
        }
    ));
    assert!(matches!(
        flush(&outbox, &narrow),
        Flush::Wrote {
            pinged: true,
            left: false
        }
    ));
    assert_eq!(*narrow.took.lock().unwrap(), framed(b"complete", b""));
}

#[test]
fn what_was_begun_is_left_when_the_writing_ends_and_the_rest_if_asked_for() {
    for (everything, expected) in [(false, &b"ne."[..]), (true, b"ne.\0\x04ptwo.\xff")] {
        let (_, outbox) = narrow(&[4]);
        deliver(&outbox, &[b"one", b"two"], &AtomicBool::new(false));
        outbox.push_raw(Bytes::from_static(b"\xff"));
        assert_eq!(outbox.finish(everything), expected);
        assert_eq!(outbox.queued_bytes(), 0);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Deliver(Vec<usize>),
    Raw,
    Room(usize),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..200usize).prop_map(Step::Push),
        prop::collection::vec(0..200usize, 1..6).prop_map(Step::Deliver),
        Just(Step::Raw),
        (1..400usize).prop_map(Step::Room),
        Just(Step::Flush),
    ]
}

proptest! {
    /// Whoever writes, and however little the socket takes at a time.
    #[test]
    fn frames_leave_whole_and_in_the_order_in_which_they_were_taken(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let narrow = Arc::new(Narrow::default());
        let outbox = Outbox::written_through(1_000, &Lengths, narrow.clone());
        let (live, mut expected, mut letter) = (AtomicBool::new(false), Vec::new(), 0_u8);
        let mut next = |bytes: usize| {
            letter = letter.wrapping_add(1);
            Bytes::from(vec![letter; bytes])
        };
        for step in steps {
            match step {
                Step::Push(bytes) => {
                    let own = next(bytes);
                    expected.extend(framed(&own, b""));
                    outbox.push(Frame::whole(own));
                }
                Step::Deliver(payloads) => {
                    let payloads: Vec<_> = payloads.into_iter().map(&mut next).collect();
                    let prefix = Bytes::from_static(b"p");
                    let delivered = outbox.deliver(payloads.len(), |at| Live {
                        prefix: &prefix,
                        payload: &payloads[at],
                        ended: &live,
                    });
                    prop_assert_eq!(delivered.over, outbox.queued_bytes() > 1_000);
                    for payload in &payloads[..delivered.taken] {
                        expected.extend(framed(&prefix, payload));
                    }
                }
                Step::Raw => {
                    let own = next(3);
                    expected.extend_from_slice(&own);
                    outbox.push_raw(own);
                }
                Step::Room(bytes) => narrow.room.lock().unwrap().push_back(bytes),
                Step::Flush => drop(flush(&outbox, &narrow)),
            }
        }
        let left = outbox.finish(true);
        let took = [&narrow.took.lock().unwrap()[..], &left].concat();
        prop_assert_eq!(took, expected);
    }
}

#[test]
fn a_frame_of_a_catch_up_and_the_place_that_it_reaches_are_one_step() {
    let (outbox, live) = (Outbox::new(100), AtomicBool::new(false));
    // A ping that came between would tell a place before the frame that it waits behind.
    let taken = outbox.offer(frame(1), &live, || assert!(outbox.is_held()));
    assert!(matches!(taken, Queued::Taken));
}

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
