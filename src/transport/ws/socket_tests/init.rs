//! How a socket begins: who is let in, and where its subscriptions go on from.

use serde_json::json;

use super::client::{PIPE_BYTES, World};
use super::stage::HEAD;

#[tokio::test]
async fn connection_ack_tells_the_end_of_the_log() {
    let mut client = World::new().pipe(PIPE_BYTES).await;
    client
        .say(json!({ "type": "connection_init", "payload": { "token": "ada" } }))
        .await;
    assert_eq!(
        client.hear().await,
        json!({ "type": "connection_ack", "payload": { "head": HEAD } })
    );
}

#[tokio::test]
async fn a_bad_token_closes_4403_and_a_busy_server_1013() {
    for (token, code, reason) in [
        ("bad", 4403, "Forbidden: bad"),
        ("busy", 1013, "Tokens cannot be checked now"),
    ] {
        let mut client = World::new().pipe(PIPE_BYTES).await;
        client
            .say(json!({ "type": "connection_init", "payload": { "token": token } }))
            .await;
        assert_eq!(client.closed().await, (code, reason.to_owned()));
    }
}

#[tokio::test]
async fn a_viewer_with_too_many_sockets_is_turned_away_until_one_closes() {
    let world = World::with(|settings| settings.connections_per_user = 1);
    let mut first = world.pipe(PIPE_BYTES).await;
    first.init("ada").await;
    let mut second = world.pipe(PIPE_BYTES).await;
    second
        .say(json!({ "type": "connection_init", "payload": { "token": "ada" } }))
        .await;
    assert_eq!(
        second.closed().await,
        (1013, "Too many connections".to_owned())
    );
    let mut other = world.pipe(PIPE_BYTES).await;
    other.init("eve").await;
    first.text("{").await;
    first.closed().await;
    let mut third = world.pipe(PIPE_BYTES).await;
    third.init("ada").await;
}

#[tokio::test]
async fn a_subscription_goes_on_from_its_resume_point() {
    let world = World::new();
    let mut client = world.pipe(PIPE_BYTES).await;
    let payload = json!({ "token": "ada", "resume": { "1": HEAD } });
    client
        .say(json!({ "type": "connection_init", "payload": payload }))
        .await;
    client.hear().await;
    for id in ["1", "2"] {
        client.ask(id, "subscription { a }").await;
    }
    let line = world.stage.line();
    assert_eq!(line.subscribed("1").await, Some(HEAD.parse().unwrap()));
    assert_eq!(line.subscribed("2").await, None);
    line.deliver("1", &json!({ "data": { "a": 1 } }));
    assert_eq!(
        client.hear().await,
        json!({ "id": "1", "type": "next", "payload": { "data": { "a": 1 } } })
    );
    client.complete("1").await;
    line.unsubscribed("1").await;
}
