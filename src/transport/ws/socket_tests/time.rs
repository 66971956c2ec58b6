//! What time decides, with a clock that moves when everyone waits.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tokio::time::Instant;

use super::client::World;

const PIPE_BYTES: usize = 64 * 1024;
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn no_connection_init_in_ten_seconds_closes_4408() {
    let start = Instant::now();
    let mut client = World::new().pipe(PIPE_BYTES).await;
    assert_eq!(
        client.closed().await,
        (4408, "Connection initialisation timeout".to_owned())
    );
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn pings_do_not_put_off_the_init_timeout() {
    let mut client = World::new().pipe(PIPE_BYTES).await;
    for _ in 0..3 {
        tokio::time::advance(3 * SECOND).await;
        client.say(json!({ "type": "ping" })).await;
        assert_eq!(client.hear_any().await["type"], "pong");
    }
    assert_eq!(client.close_code().await, 4408);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_checked_in_time_closes_1013() {
    let mut client = World::new().pipe(PIPE_BYTES).await;
    client
        .say(json!({ "type": "connection_init", "payload": { "token": "never" } }))
        .await;
    assert_eq!(client.close_code().await, 1013);
}

#[tokio::test(start_paused = true)]
async fn the_first_ping_comes_within_25_seconds_and_then_one_every_25() {
    let mut client = World::new().pipe(PIPE_BYTES).await;
    client.init("ada").await;
    let mut last = Instant::now();
    for n in 0..4 {
        let ping = client.hear_any().await;
        assert_eq!(ping, json!({ "type": "ping", "payload": { "resume": {} } }));
        let waited = last.elapsed();
        assert!(
            if n == 0 {
                waited <= 25 * SECOND
            } else {
                waited.as_secs() == 25
            },
            "{waited:?}"
        );
        last = Instant::now();
        client.say(json!({ "type": "pong" })).await;
    }
}

#[tokio::test(start_paused = true)]
async fn first_pings_are_spread() {
    let world = World::new();
    let mut waits = Vec::new();
    for _ in 0..40 {
        let start = Instant::now();
        let mut client = world.pipe(PIPE_BYTES).await;
        client.init("ada").await;
        client.hear_any().await;
        waits.push(start.elapsed());
    }
    waits.sort();
    assert!(
        waits[0] < 8 * SECOND && waits[39] > 16 * SECOND,
        "{waits:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn no_answer_to_a_ping_in_ten_seconds_closes_1013() {
    let mut client = World::new().pipe(PIPE_BYTES).await;
    client.init("ada").await;
    assert_eq!(client.hear_any().await["type"], "ping");
    let start = Instant::now();
    assert_eq!(
        client.closed().await,
        (1013, "No answer to ping".to_owned())
    );
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn whatever_a_client_says_answers_a_ping() {
    let mut client = World::new().pipe(PIPE_BYTES).await;
    client.init("ada").await;
    for n in 0..4 {
        while client.hear_any().await["type"] != "ping" {}
        tokio::time::advance(9 * SECOND).await;
        client.subscribe(&n.to_string(), "{ a }", json!(null)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_closes_4403_after_the_leeway() {
    let mut client = World::with(|settings| settings.waits.ping = Duration::ZERO)
        .pipe(PIPE_BYTES)
        .await;
    let start = Instant::now();
    client.init("ada 60").await;
    assert_eq!(
        client.closed().await,
        (4403, "Forbidden: the token has expired".to_owned())
    );
    assert_eq!((start.elapsed() + SECOND / 2).as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_token_puts_the_end_of_the_socket_off() {
    let mut client = World::with(|settings| settings.waits.ping = Duration::ZERO)
        .pipe(PIPE_BYTES)
        .await;
    client.init("ada 60").await;
    tokio::time::advance(80 * SECOND).await;
    let start = Instant::now();
    client
        .subscribe("1", "mutation { a }", json!({ "token": "ada 600" }))
        .await;
    assert_eq!(client.hear().await["type"], "next");
    assert_eq!(client.hear().await["type"], "complete");
    assert_eq!(
        client.closed().await,
        (4403, "Forbidden: the token has expired".to_owned())
    );
    assert_eq!((start.elapsed() + SECOND / 2).as_secs(), 630);
}

#[tokio::test(start_paused = true)]
async fn of_two_fresh_tokens_the_one_that_was_sent_later_counts() {
    for (first, second) in [("1", "2"), ("2", "1")] {
        let world = World::with(|settings| settings.waits.ping = Duration::ZERO);
        let mut client = world.pipe(PIPE_BYTES).await;
        client.init("ada 60").await;
        let start = Instant::now();
        for (id, token) in [("1", "ada 600"), ("2", "ada 120")] {
            let variables = json!({ "token": token, "gate": id });
            client.subscribe(id, "mutation { a }", variables).await;
            world.stage.under_way(1).await;
        }
        for id in [first, second] {
            world.stage.open(id);
            assert_eq!(client.hear().await["id"], id);
            assert_eq!(client.hear().await["type"], "complete");
        }
        assert_eq!(client.close_code().await, 4403);
        assert_eq!((start.elapsed() + SECOND / 2).as_secs(), 150, "{first}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fresh_token_counts_also_for_who_does_not_wait_for_the_answer() {
    let world = World::with(|settings| settings.waits.ping = Duration::ZERO);
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada 60").await;
    let start = Instant::now();
    let variables = json!({ "token": "ada 600", "gate": "g" });
    client.subscribe("1", "mutation { a }", variables).await;
    world.stage.under_way(1).await;
    client.complete("1").await;
    client.say(json!({ "type": "ping" })).await;
    assert_eq!(client.hear().await["type"], "pong");
    world.stage.open("g");
    assert_eq!(client.close_code().await, 4403);
    assert_eq!((start.elapsed() + SECOND / 2).as_secs(), 630);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_for_ten_seconds_is_let_go() {
    let world = World::new();
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    client
        .subscribe("1", "subscription { a }", json!(null))
        .await;
    let line = world.stage.line();
    line.subscribed("1").await;
    let start = Instant::now();
    let payload = json!({ "data": "x".repeat(4096) });
    while line.deliver("1", &payload) {}
    line.unsubscribed("1").await;
    assert!((10..13).contains(&start.elapsed().as_secs()));
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_let_go_over_tcp_and_sees_why() {
    let world = World::with(|settings| {
        settings.waits.stall = SECOND / 5;
        settings.waits.ping = Duration::ZERO;
    });
    let mut client = world.tcp().await;
    client.init("ada").await;
    client
        .subscribe("1", "subscription { a }", json!(null))
        .await;
    let line = world.stage.line();
    line.subscribed("1").await;
    let payload = json!({ "data": "x".repeat(4096) });
    let fill = async {
        loop {
            // Not without end: one that has been let go takes whatever comes.
            let _ = (0..1_000).all(|_| line.deliver("1", &payload));
            tokio::time::sleep(SECOND / 100).await;
        }
    };
    tokio::select! {
        () = line.unsubscribed("1") => {}
        _ = tokio::time::timeout(60 * SECOND, fill) => panic!("it may stay"),
    }
    let reason = "Too slow: connect again and resume".to_owned();
    assert_eq!(client.closed().await, (1013, reason));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_is_still_listened_to() {
    let world = World::new();
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    client
        .subscribe("1", "subscription { a }", json!(null))
        .await;
    let line = world.stage.line();
    line.subscribed("1").await;
    let payload = json!({ "data": "x".repeat(4096) });
    while line.deliver("1", &payload) {}
    // Nothing is read, and yet what is said is heard.
    let (mut sink, _stream) = client.0.split();
    let complete = json!({ "id": "1", "type": "complete" }).to_string();
    futures_util::SinkExt::send(&mut sink, tungstenite::Message::text(complete))
        .await
        .unwrap();
    let start = Instant::now();
    line.unsubscribed("1").await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_takes_something_stays() {
    let world = World::new();
    let mut client = world.pipe(16 * 1024).await;
    client.init("ada").await;
    client
        .subscribe("1", "subscription { a }", json!(null))
        .await;
    let line = world.stage.line();
    line.subscribed("1").await;
    let payload = json!({ "data": "x".repeat(4096) });
    let mut delivered = 1;
    while line.deliver("1", &payload) {
        delivered += 1;
    }
    for _ in 0..delivered {
        // Four KiB every nine seconds, for minutes.
        tokio::time::sleep(9 * SECOND).await;
        assert_eq!(client.hear().await["type"], "next");
        client.say(json!({ "type": "pong" })).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_takes_too_long_is_given_up() {
    let mut client = World::with(|settings| settings.waits.ping = Duration::ZERO)
        .pipe(PIPE_BYTES)
        .await;
    client.init("ada").await;
    for query in ["{ a }", "mutation { a }"] {
        let start = Instant::now();
        client.ask_at("1", query, "g").await;
        let error = client.hear_any().await;
        assert_eq!(error["type"], "error");
        assert_eq!(error["payload"][0]["extensions"]["code"], "UNAVAILABLE");
        assert_eq!(start.elapsed().as_secs(), 10);
    }
    let start = Instant::now();
    client.ask_at("1", "subscription { a }", "g").await;
    assert_eq!(client.close_code().await, 1013);
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn when_the_server_stops_sockets_leave_one_after_the_other_with_1012() {
    let world = World::new();
    let mut leaving = Vec::new();
    for _ in 0..40 {
        let mut client = world.pipe(PIPE_BYTES).await;
        client.init("ada").await;
        leaving.push(tokio::spawn(async move {
            assert_eq!(client.closed().await, (1012, "Service restart".to_owned()));
            Instant::now()
        }));
    }
    let start = Instant::now();
    world.drain.begin();
    let mut left = Vec::new();
    for socket in leaving {
        left.push(socket.await.unwrap() - start);
    }
    left.sort();
    assert!(left[0] < 4 * SECOND && left[39] > 5 * SECOND && left[39] < 10 * SECOND);
    assert_eq!(world.drain.finished().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_leaves_answers_its_mutations_first_and_begins_nothing_new() {
    let world = World::new();
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    client.ask_at("1", "mutation { a }", "g").await;
    client.subscribe("q", "{ a }", json!(null)).await;
    client.hear().await;
    client.hear().await;
    for (id, query) in [("s", "subscription { busy }"), ("x", "{ a }")] {
        client.ask_at(id, query, "s").await;
        world.stage.under_way(1).await;
    }
    world.drain.begin();
    tokio::task::yield_now().await;
    // What is subscribed to from now on, or cannot be planned any more, waits for the close.
    client
        .subscribe("late", "subscription { a }", json!(null))
        .await;
    world.stage.open("s");
    assert_eq!(client.hear().await["id"], "x");
    assert_eq!(client.hear().await["type"], "complete");
    client.subscribe("2", "mutation { b }", json!(null)).await;
    let error = client.hear().await;
    assert_eq!(
        (&error["id"], &error["type"]),
        (&json!("2"), &json!("error"))
    );
    assert_eq!(error["payload"][0]["extensions"]["code"], "UNAVAILABLE");
    // Every turn comes within nine seconds; the mutation takes until then.
    tokio::time::advance(9 * SECOND + SECOND / 2).await;
    world.stage.open("g");
    assert_eq!(client.hear().await["type"], "next");
    assert_eq!(client.hear().await["type"], "complete");
    assert_eq!(client.close_code().await, 1012);
}
