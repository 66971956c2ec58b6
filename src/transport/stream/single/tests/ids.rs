//! Which operation an id stands for.

use super::{Desk, complete, next, until_its_end};
use crate::hub::Notice;

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_stopped_says_nothing_more() {
    let (desk, token, client) = Desk::with_stream("ada", 1024).await;
    desk.begin_at(&token, "m", "mutation { send }", "g").await;
    let ada = desk.viewer("ada").await.user.id.clone();
    desk.reservations.stop(&token, &ada, "m").await.unwrap();
    desk.stage.open("g");
    desk.begin(&token, "m", "{ next }").await;
    desk.begin(&token, "s", "subscription { s }").await;
    desk.stage.line().subscribed("s").await;
    desk.reservations.stop(&token, &ada, "s").await.unwrap();
    desk.stage.line().unsubscribed("s").await;
    desk.stage.line().tell(Notice::Close(1013, "enough"));
    let (text, _) = until_its_end(client).await;
    let answer = next("m", r#"{"data":{"next":"ada"}}"#) + &complete("m");
    assert_eq!(text, answer);
}

#[tokio::test(start_paused = true)]
async fn an_id_is_free_as_soon_as_the_hub_has_ended_its_subscription() {
    // Which of the two the task sees first is left to chance.
    for _ in 0..20 {
        let (desk, token, _client) = Desk::with_stream("ada", 1024).await;
        desk.begin(&token, "s", "subscription { s }").await;
        let line = desk.stage.line();
        line.subscribed("s").await;
        line.end("s");
        desk.begin(&token, "s", "{ a }").await;
    }
}
