//! What becomes of a stream when the server stops.

use std::pin::pin;

use futures_util::FutureExt;
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::{Desk, SECOND, complete, next, until_its_end};

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_lets_mutations_be_answered() {
    let (desk, token, client) = Desk::with_stream("ada", 1024).await;
    desk.begin_at(&token, "m", "mutation { send }", "g").await;
    desk.stage.under_way(1).await;
    // One that waits for its stream is not waited for.
    desk.reserve("bob").await;
    desk.drain.begin();
    tokio::time::sleep(9 * SECOND).await;
    assert_eq!(desk.drain.sockets(), 1);
    desk.stage.open("g");
    let (text, _) = until_its_end(client).await;
    let answer = next("m", r#"{"data":{"send":"ada"}}"#) + &complete("m");
    assert!(text.contains(&answer), "{text}");
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    assert_eq!(desk.drain.finished().await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_when_the_server_begins_to_stop_does_not_begin() {
    let (desk, token, mut client) = Desk::with_stream("ada", 1024).await;
    desk.begin(&token, "q", "{ a }").await;
    // The stream is there.
    client.read_u8().await.unwrap();
    {
        let mut mutation = pin!(desk.execute(&token, "m", "mutation { send }"));
        let mut subscription = pin!(desk.execute(&token, "s", "subscription { s }"));
        assert_eq!(mutation.as_mut().now_or_never(), None);
        assert_eq!(subscription.as_mut().now_or_never(), None);
        desk.drain.begin();
        assert_eq!(mutation.await, Ok(()));
        assert_eq!(subscription.await, Ok(()));
    }
    let (text, _) = until_its_end(client).await;
    assert!(text.contains(r#"{"id":"m","payload":{"errors":"#), "{text}");
    assert!(text.contains(&complete("m")), "{text}");
    // A subscription that is told of an error is over for its client; this one comes back.
    assert!(!text.contains(r#""id":"s""#), "{text}");
    assert!(desk.stage.begun.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_cannot_begin_while_the_server_stops_cuts_no_mutation_off() {
    let (desk, token, client) = Desk::with_stream("ada", 1024).await;
    for (id, query) in [("m", "mutation { send }"), ("s", "subscription { busy }")] {
        let gate = json!({ "gate": id });
        let executed = desk.execute_with(&token, id, query, gate).await;
        assert_eq!(executed, Ok(()));
    }
    desk.stage.under_way(2).await;
    desk.drain.begin();
    desk.stage.open("s");
    // All that follows from it has happened.
    tokio::time::sleep(SECOND / 1000).await;
    desk.stage.open("m");
    let (text, _) = until_its_end(client).await;
    let answer = next("m", r#"{"data":{"send":"ada"}}"#) + &complete("m");
    assert!(text.contains(&answer), "{text}");
    assert!(!text.contains(r#""id":"s""#), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_not_written_past_the_end_of_the_token_when_the_server_stops_by_then() {
    let (desk, token, client) = Desk::with_stream("ada 20", 16).await;
    // Five seconds before its end, the leeway counted.
    tokio::time::sleep(45 * SECOND).await;
    desk.begin(&token, "q", "{ a }").await;
    desk.ended(&token, "q").await;
    desk.drain.begin();
    tokio::task::yield_now().await;
    // Its turn to leave has come too, by the time it looks.
    tokio::time::advance(10 * SECOND).await;
    let (text, _) = until_its_end(client).await;
    assert!(!text.contains(&complete("q")), "{text}");
}
