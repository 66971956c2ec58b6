//! What runs beside what, and in which order.

use std::time::Duration;

use serde_json::json;

use super::client::{PIPE_BYTES, World};

#[tokio::test]
async fn queries_do_not_wait_for_one_another() {
    let (world, mut client) = World::with_ada().await;
    client.ask_at("slow", "{ a }", "g").await;
    client.ask("fast", "{ b }").await;
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
        client.ask(&pair[1], &mutation).await;
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
    let (world, mut client) = World::with_ada().await;
    client.ask_at("1", "mutation { a b }", "g").await;
    client.ask("2", "mutation { c }").await;
    client.ask("3", "{ q }").await;
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
async fn a_panic_is_an_error_of_its_operation_alone() {
    let (_world, mut client) = World::with_ada().await;
    for query in ["{ panic }", "mutation { panic }", "subscription { panic }"] {
        client.ask("1", query).await;
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
async fn a_request_that_is_refused_is_an_error_and_not_a_next() {
    for query in ["{", "{ refused }", "subscription { refused }"] {
        let (_world, mut client) = World::with_ada().await;
        client.ask("1", query).await;
        assert_eq!(
            client.hear().await,
            json!({ "id": "1", "type": "error", "payload": [{ "message": "refused" }] })
        );
        client.ask("1", "{ a }").await;
        assert_eq!(client.hear().await["type"], "next", "the id is free");
    }
}

#[tokio::test]
async fn what_a_client_has_going_is_bounded() {
    let (_world, mut client) = World::with_ada().await;
    for id in ["a", "b", "c", "d"] {
        client.ask_at(id, "{ a }", "g").await;
    }
    let error = client.hear().await;
    assert_eq!(
        (&error["id"], &error["type"]),
        (&json!("d"), &json!("error"))
    );
    assert_eq!(error["payload"][0]["extensions"]["limit"], 3);
    for id in ["x", "y", "z"] {
        client.ask(id, "subscription { a }").await;
    }
    let error = client.hear().await;
    assert_eq!(
        (&error["id"], &error["type"]),
        (&json!("z"), &json!("error"))
    );
    assert_eq!(error["payload"][0]["extensions"]["limit"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_cannot_make_answers_pile_up() {
    let world = World::new();
    let mut client = world.pipe(64 * 1024).await;
    client.init("ada").await;
    let line = world.stage.line();
    let flood = async {
        for n in 0..2_000 {
            client.ask(&format!("{n}"), "{ large }").await;
        }
    };
    // It comes to a halt long before it is over, and before the socket is given up.
    let halted = tokio::time::timeout(Duration::from_secs(5), flood).await;
    assert!(halted.is_err());
    assert!(line.outbox.queued_bytes() < 5 << 20);
}

#[tokio::test(start_paused = true)]
async fn of_many_queries_said_at_once_no_more_answers_wait_than_a_few() {
    const QUERIES: usize = 100;
    let world = World::with(|settings| settings.at_once.operations = QUERIES);
    let mut client = world.pipe(64 * 1024).await;
    client.init("ada").await;
    let line = world.stage.line();
    for n in 0..QUERIES {
        client.ask_at(&format!("{n}"), "{ large }", "large").await;
    }
    // All have been heard: what is behind them was answered.
    client.say(json!({ "type": "ping" })).await;
    assert_eq!(client.hear().await, json!({ "type": "pong" }));
    world.stage.open("large");
    // Nobody reads meanwhile, and it is not given up yet.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let queued = line.outbox.queued_bytes();
    assert!((1 << 20..6 << 20).contains(&queued), "{queued}");
    let mut answered = Vec::new();
    while answered.len() < QUERIES {
        let heard = client.hear().await;
        if heard["type"] == "next" {
            answered.push(heard["id"].as_str().unwrap().parse::<usize>().unwrap());
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..QUERIES).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_query_that_has_not_begun_can_be_stopped_and_leaves_its_place_to_the_next() {
    let world = World::with(|settings| settings.at_once.operations = 10);
    let mut client = world.pipe(PIPE_BYTES).await;
    client.init("ada").await;
    for n in 0..4 {
        let id = format!("{n}");
        client.ask_at(&id, "{ a }", &id).await;
    }
    world.stage.under_way(4).await;
    // If it began it would keep the place of whom it takes it from.
    client.ask_at("stopped", "{ a }", "stopped").await;
    client.ask("last", "{ a }").await;
    client.complete("stopped").await;
    // One that runs goes too, and makes room.
    client.complete("2").await;
    let heard = client.hear().await;
    assert_eq!(
        (&heard["id"], &heard["type"]),
        (&json!("last"), &json!("next"))
    );
    world.stage.dropped.acquire().await.unwrap().forget();
}
