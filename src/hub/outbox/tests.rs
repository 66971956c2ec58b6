//! What an outbox takes, refuses and wakes.

mod large;
mod through;

use std::sync::Arc;

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

#[test]
fn a_frame_of_a_catch_up_and_the_place_that_it_reaches_are_one_step() {
    let (outbox, live) = (Outbox::new(100), AtomicBool::new(false));
    // A ping that came between would tell a place before the frame that it waits behind.
    let taken = outbox.offer(frame(1), &live, || assert!(outbox.is_held()));
    assert!(matches!(taken, Queued::Taken));
}
