//! Who gets a reservation, and for how long.

use serde_json::json;
use tokio::time::Instant;

use super::{Desk, SECOND, next, until_its_end};
use crate::transport::stream::single::reservation::PUT_OFF_MAX;
use crate::transport::stream::single::{Refused, WAITING_MAX, WAITING_PER_USER_MAX};

#[tokio::test(start_paused = true)]
async fn a_reservation_whose_stream_does_not_come_within_half_a_minute_lapses() {
    let desk = Desk::new();
    let in_time = desk.reserve("ada").await;
    tokio::time::sleep(29 * SECOND).await;
    let _client = desk.open(&in_time, 1024).await;
    let late = desk.reserve("ada").await;
    tokio::time::sleep(31 * SECOND).await;
    let claimed = desk.reservations.claim(&late, None);
    assert_eq!(claimed.err(), Some(Refused::Unknown));
    let executed = desk.execute(&late, "q", "{ a }").await;
    assert_eq!(executed, Err(Refused::Unknown));
    desk.begin(&in_time, "q", "{ a }").await;
    assert_eq!(desk.drain.sockets(), 1);
}

#[tokio::test(start_paused = true)]
async fn so_many_reservations_wait_and_no_more_until_some_have_lapsed() {
    let desk = Desk::new();
    for nth in 0..WAITING_MAX {
        desk.reserve(&format!("user-{}", nth / WAITING_PER_USER_MAX))
            .await;
    }
    let ada = desk.viewer("ada").await;
    let refused = desk.reservations.reserve(ada, None).unwrap_err();
    assert_eq!(refused.status, 503);
    assert!(refused.retry_after_ms.is_some());
    tokio::time::sleep(31 * SECOND).await;
    desk.reserve("ada").await;
    assert_eq!(desk.drain.sockets(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_user_has_so_many_waiting_and_no_more_until_some_have_lapsed() {
    let desk = Desk::new();
    for _ in 0..WAITING_PER_USER_MAX {
        desk.reserve("ada").await;
    }
    let ada = desk.viewer("ada").await;
    let refused = desk.reservations.reserve(ada, None).unwrap_err();
    assert_eq!(refused.status, 429);
    desk.reserve("bob").await;
    tokio::time::sleep(31 * SECOND).await;
    desk.reserve("ada").await;
}

#[tokio::test(start_paused = true)]
async fn who_claims_a_stream_and_goes_away_leaves_nothing_behind() {
    let desk = Desk::new();
    let token = desk.reserve("ada").await;
    drop(desk.reservations.claim(&token, None).unwrap());
    desk.empty().await;
    let executed = desk.execute(&token, "q", "{ a }").await;
    assert_eq!(executed, Err(Refused::Unknown));
}

#[tokio::test(start_paused = true)]
async fn two_large_answers_wait_for_a_stream_and_a_third_ends_the_reservation() {
    let desk = Desk::new();
    let token = desk.reserve("ada 20").await;
    desk.execute_large(&token, 2).await;
    for id in ["0", "1"] {
        desk.ended(&token, id).await;
    }
    let client = desk.open(&token, 1024).await;
    let (text, _) = until_its_end(client).await;
    let answer = json!({ "data": "x".repeat(1 << 20) }).to_string();
    for id in ["0", "1"] {
        assert!(text.contains(&*next(id, &answer)), "{} bytes", text.len());
    }

    let desk = Desk::new();
    let (token, begun) = (desk.reserve("ada").await, Instant::now());
    desk.execute_large(&token, 3).await;
    while desk.drain.sockets() > 0 {
        tokio::time::sleep(SECOND / 100).await;
    }
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    let claimed = desk.reservations.claim(&token, None);
    assert_eq!(claimed.err(), Some(Refused::Unknown));
}

#[tokio::test(start_paused = true)]
async fn so_many_are_told_to_come_later_and_with_one_more_the_stream_is_cut() {
    for (more, is_there) in [(0, true), (1, false)] {
        let desk = Desk::new();
        let token = desk.reserve("ada").await;
        desk.execute_large(&token, 1).await;
        // The first that is told so.
        desk.ended(&token, "0").await;
        for _ in 1..PUT_OFF_MAX + more {
            desk.begin(&token, "q", "{ a }").await;
        }
        let claimed = desk.reservations.claim(&token, None);
        if is_there {
            claimed.unwrap();
        } else {
            desk.empty().await;
            let executed = desk.execute(&token, "q", "{ a }").await;
            assert_eq!(executed, Err(Refused::Unknown));
        }
    }
}
