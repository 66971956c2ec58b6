//! What runs beside what, and in which order.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tungstenite::Message;

use super::client::World;
use super::stage::HEAD;
use crate::hub::Notice;

const PIPE_BYTES: usize = 1 << 20;

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

/// What waits in a queue that others wait in must not keep its turn while nobody polls it.
#[tokio::test]
async fn what_runs_is_dropped_before_the_farewell() {
    let world = World::new();
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    client
        .subscribe("slow", "{ a }", json!({ "gate": "g" }))
        .await;
    world.stage.waiting.acquire().await.unwrap().forget();
    client.say(json!({ "type": "connection_init" })).await;
    let Some(Ok(Message::Close(Some(close)))) = client.0.next().await else {
        panic!("a close frame");
    };
    assert_eq!(u16::from(close.code), 4429);
    // It is not answered yet, and the server waits for that.
    assert_eq!(world.stage.dropped.available_permits(), 1);
}

#[tokio::test]
async fn queries_do_not_wait_for_one_another() {
    let world = World::new();
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    client
        .subscribe("slow", "{ a }", json!({ "gate": "g" }))
        .await;
    client.subscribe("fast", "{ b }", json!(null)).await;
    assert_eq!(client.hear().await["id"], "fast");
    assert_eq!(client.hear().await["type"], "complete");
    world.stage.open("g");
    assert_eq!(client.hear().await["id"], "slow");
}

#[tokio::test]
async fn mutations_begin_in_the_order_in_which_they_came() {
    let world = World::with(|settings| settings.at_once.operations = 0);
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    let names: Vec<String> = (0..300).map(|n| format!("m{n}")).collect();
    for name in &names {
        // Some wait, some do not; none overtakes another.
        let gate = (name.len() % 2 == 0).then_some("g");
        let variables = gate.map_or(json!(null), |gate| json!({ "gate": gate }));
        client
            .subscribe(name, &format!("mutation {{ {name} }}"), variables)
            .await;
    }
    world.stage.open("g");
    for _ in 0..2 * names.len() {
        client.hear().await;
    }
    assert_eq!(*world.stage.begun.lock().unwrap(), names);
}

#[tokio::test]
async fn a_subscription_begins_before_the_mutation_that_came_after_it() {
    let world = World::with(|settings| {
        settings.at_once.operations = 0;
        settings.at_once.subscriptions = 0;
    });
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    let names: Vec<String> = (0..300).map(|n| format!("n{n}")).collect();
    for pair in names.chunks(2) {
        // Some are planned at once, some wait; all begin in their turn.
        let variables = json!({ "gate": (pair[0].len() % 2 == 0).then_some("g") });
        let subscription = format!("subscription {{ {} }}", pair[0]);
        client.subscribe(&pair[0], &subscription, variables).await;
        let mutation = format!("mutation {{ {} }}", pair[1]);
        client.subscribe(&pair[1], &mutation, json!(null)).await;
    }
    for _ in 0..names.len() {
        client.hear().await;
    }
    assert_eq!(*world.stage.begun.lock().unwrap(), names);
    world.stage.open("g");
    world.stage.line().subscribed("n0").await;
    world.stage.line().subscribed("n298").await;
}

#[tokio::test]
async fn a_mutation_of_several_fields_holds_back_those_after_it() {
    let world = World::new();
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    client
        .subscribe("1", "mutation { a b }", json!({ "gate": "g" }))
        .await;
    client.subscribe("2", "mutation { c }", json!(null)).await;
    client.subscribe("3", "{ q }", json!(null)).await;
    assert_eq!(client.hear().await["id"], "3", "queries go on");
    client.hear().await;
    assert_eq!(*world.stage.begun.lock().unwrap(), ["a"]);
    world.stage.open("g");
    assert_eq!(client.hear().await["id"], "1");
    client.hear().await;
    assert_eq!(client.hear().await["id"], "2");
    assert_eq!(*world.stage.begun.lock().unwrap(), ["a", "c"]);
}

#[tokio::test]
async fn a_completed_query_is_stopped() {
    let world = World::new();
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    client.subscribe("1", "{ a }", json!({ "gate": "g" })).await;
    world.stage.waiting.acquire().await.unwrap().forget();
    client.complete("1").await;
    world.stage.dropped.acquire().await.unwrap().forget();
    client.subscribe("1", "{ b }", json!(null)).await;
    assert_eq!(
        client.hear().await["payload"]["data"],
        json!({ "b": "ada" })
    );
}

#[tokio::test]
async fn a_completed_mutation_is_finished_and_says_nothing() {
    let world = World::new();
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    client
        .subscribe("1", "mutation { a }", json!({ "gate": "g" }))
        .await;
    world.stage.waiting.acquire().await.unwrap().forget();
    client.complete("1").await;
    client.subscribe("2", "{ b }", json!(null)).await;
    assert_eq!(client.hear().await["id"], "2");
    client.hear().await;
    assert_eq!(world.stage.dropped.available_permits(), 0);
    world.stage.open("g");
    client.subscribe("3", "{ c }", json!(null)).await;
    assert_eq!(client.hear().await["id"], "3");
}

#[tokio::test]
async fn a_request_that_is_refused_is_an_error_and_not_a_next() {
    for query in ["{", "{ refused }", "subscription { refused }"] {
        let mut client = World::new().pipe(PIPE_BYTES).await;
        client.init("ada").await;
        client.subscribe("1", query, json!(null)).await;
        assert_eq!(
            client.hear().await,
            json!({ "id": "1", "type": "error", "payload": [{ "message": "refused" }] })
        );
        client.subscribe("1", "{ a }", json!(null)).await;
        assert_eq!(client.hear().await["type"], "next", "the id is free");
    }
}

#[tokio::test]
async fn a_subscription_that_cannot_be_planned_now_closes_1013() {
    let world = World::with(|settings| settings.waits.ping = Duration::ZERO);
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    client
        .subscribe("1", "subscription { busy }", json!(null))
        .await;
    // An error would be the end of it.
    let close = client.0.next().await.unwrap().unwrap();
    let Message::Close(Some(close)) = close else {
        panic!("{close:?}")
    };
    assert_eq!(u16::from(close.code), 1013);
}

#[tokio::test]
async fn a_panic_is_an_error_of_its_operation_alone() {
    let mut client = World::new().pipe(PIPE_BYTES).await;
    client.init("ada").await;
    for query in ["{ panic }", "mutation { panic }", "subscription { panic }"] {
        client.subscribe("1", query, json!(null)).await;
        // A panic takes its time to be told, and the first ping comes when it likes.
        let error = client.hear().await;
        assert_eq!(error["type"], "error");
        assert_eq!(
            error["payload"][0]["extensions"]["code"],
            "INTERNAL_SERVER_ERROR"
        );
        assert!(!error.to_string().contains("as told"));
    }
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
        client
            .subscribe(id, "subscription { a }", json!(null))
            .await;
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

#[tokio::test]
async fn a_subscription_completed_while_it_is_planned_does_not_begin() {
    let world = World::new();
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    client
        .subscribe("1", "subscription { a }", json!({ "gate": "g" }))
        .await;
    world.stage.waiting.acquire().await.unwrap().forget();
    client.complete("1").await;
    world.stage.dropped.acquire().await.unwrap().forget();
    world.stage.open("g");
    client.subscribe("2", "{ a }", json!(null)).await;
    client.hear().await;
    assert!(world.stage.line().subscribed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_id_of_a_stream_that_the_hub_ended_is_free() {
    let world = World::new();
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    for _ in 0..3 {
        client
            .subscribe("1", "subscription { a }", json!(null))
            .await;
        let line = world.stage.line();
        line.subscribed("1").await;
        line.end("1");
        assert_eq!(client.hear().await["type"], "error");
        // The notice is heard no later than the message after it is.
        client.say(json!({ "type": "ping" })).await;
        assert_eq!(client.hear().await["type"], "pong");
    }
}

#[tokio::test]
async fn a_stale_notice_does_not_end_the_next_stream_of_its_id() {
    // Which of the two the socket sees first is left to chance.
    for _ in 0..20 {
        let world = World::new();
        let mut client = world.pipe(PIPE_BYTES).await;
        client.init("ada").await;
        client
            .subscribe("1", "subscription { a }", json!(null))
            .await;
        let line = world.stage.line();
        line.subscribed("1").await;
        // Both sides end it at once, and the client begins anew before it has heard.
        client.complete("1").await;
        client
            .subscribe("1", "subscription { a }", json!(null))
            .await;
        line.end("1");
        line.subscribed("1").await;
        client.subscribe("1", "{ a }", json!(null)).await;
        assert_eq!(client.close_code().await, 4409);
    }
}

#[tokio::test]
async fn the_hub_may_close_the_socket() {
    let world = World::new();
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    world
        .stage
        .line()
        .tell(Notice::Close(1013, "Overloaded: connect again and resume"));
    assert_eq!(client.close_code().await, 1013);
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
async fn what_a_client_has_going_is_bounded() {
    let world = World::new();
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    for id in ["a", "b", "c", "d"] {
        client.subscribe(id, "{ a }", json!({ "gate": "g" })).await;
    }
    let error = client.hear().await;
    assert_eq!(
        (&error["id"], &error["type"]),
        (&json!("d"), &json!("error"))
    );
    assert_eq!(error["payload"][0]["extensions"]["limit"], 3);
    for id in ["x", "y", "z"] {
        client
            .subscribe(id, "subscription { a }", json!(null))
            .await;
    }
    let error = client.hear().await;
    assert_eq!(
        (&error["id"], &error["type"]),
        (&json!("z"), &json!("error"))
    );
    assert_eq!(error["payload"][0]["extensions"]["limit"], 2);
}

#[tokio::test]
async fn a_socket_that_ends_takes_its_work_with_it() {
    let world = World::new();
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    client.subscribe("q", "{ a }", json!({ "gate": "g" })).await;
    client
        .subscribe("s", "subscription { a }", json!(null))
        .await;
    let line = world.stage.line();
    line.subscribed("s").await;
    world.stage.waiting.acquire().await.unwrap().forget();
    drop(client);
    world.stage.dropped.acquire().await.unwrap().forget();
    line.unsubscribed("s").await;
    world.drain.begin();
    assert_eq!(world.drain.finished().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_cannot_make_answers_pile_up() {
    let world = World::new();
    let mut client = world.pipe(64 * 1024).await;
    client.init("ada").await;
    let line = world.stage.line();
    let flood = async {
        for n in 0..2_000 {
            client
                .subscribe(&format!("{n}"), "{ large }", json!(null))
                .await;
        }
    };
    // It comes to a halt long before it is over, and before the socket is given up.
    let halted = tokio::time::timeout(Duration::from_secs(5), flood).await;
    assert!(halted.is_err());
    assert!(line.outbox.queued_bytes() < 5 << 20);
}
