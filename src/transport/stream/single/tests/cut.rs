//! What ends a stream before its time.

use serde_json::json;
use tokio::time::Instant;

use super::{Desk, SECOND, chunk, complete, next, until_its_end};
use crate::hub::Notice;
use crate::transport::stream::single::Refused;

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_token_and_without_an_end() {
    let (_desk, _token, client) = Desk::with_stream("ada 20", 1024).await;
    let (text, ended) = until_its_end(client).await;
    // The leeway counted, and one comment at least.
    assert_eq!(
        text,
        chunk(":\n\n").repeat(text.len() / chunk(":\n\n").len())
    );
    assert!((49 * SECOND..=50 * SECOND).contains(&ended), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fresh_token_before_the_stream_counts_for_the_stream() {
    let desk = Desk::new();
    let token = desk.reserve("ada 20").await;
    let variables = json!({ "token": "ada 90" });
    let renewed = desk.execute_with(&token, "r", "mutation { renew }", variables);
    assert_eq!(renewed.await, Ok(()));
    let client = desk.open(&token, 1024).await;
    let (text, ended) = until_its_end(client).await;
    let answer = next("r", r#"{"data":{"renew":"ada"}}"#) + &complete("r");
    assert!(text.starts_with(&answer), "{text}");
    assert!((119 * SECOND..=120 * SECOND).contains(&ended), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_for_ten_seconds_is_cut_off() {
    let (desk, token, client) = Desk::with_stream("ada", 16).await;
    desk.begin(&token, "q", "{ longer_than_that }").await;
    let begun = Instant::now();
    while desk.drain.sockets() > 0 {
        tokio::time::sleep(SECOND / 10).await;
    }
    assert!((10 * SECOND..11 * SECOND).contains(&begun.elapsed()));
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn what_the_hub_closes_is_cut() {
    let (desk, token, client) = Desk::with_stream("ada", 1024).await;
    desk.begin(&token, "q", "{ a }").await;
    desk.stage.line().tell(Notice::Close(4403, "withdrawn"));
    let (text, ended) = until_its_end(client).await;
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    assert!(ended < SECOND, "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_cannot_begin_now_cuts_the_stream_and_one_that_never_can_is_told() {
    let (desk, token, client) = Desk::with_stream("ada", 1024).await;
    desk.begin(&token, "x", "subscription { refused }").await;
    desk.begin(&token, "y", "subscription { busy }").await;
    let (text, ended) = until_its_end(client).await;
    let refused = r#"{"errors":[{"message":"refused"}]}"#;
    assert_eq!(text, next("x", refused) + &complete("x"));
    assert!(ended < SECOND, "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_ends_its_operations() {
    let (desk, token, client) = Desk::with_stream("ada", 1024).await;
    desk.begin(&token, "s", "subscription { s }").await;
    let line = desk.stage.line();
    line.subscribed("s").await;
    drop(client);
    line.ended().await;
    desk.empty().await;
    let claimed = desk.reservations.claim(&token, None);
    assert_eq!(claimed.err(), Some(Refused::Unknown));
}
