//! What is written, by workers straight through and by the socket's task: whole frames, in order, however little the socket takes.

use std::collections::VecDeque;
use std::task::Waker;

use proptest::prelude::*;

use super::*;

/// A socket that takes as many bytes as it is told to, write by write.
#[derive(Default)]
pub(super) struct Narrow {
    took: Mutex<Vec<u8>>,
    pub(super) room: Mutex<VecDeque<usize>>,
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
