//! How much a stream of several operations may have going, and who may have one: each limit from both sides.

use serde_json::{Value, json};

use super::{Shared, body, completed, live, refusal, reserve, result, said};
use crate::streams::raw::{End, Request};
use crate::streams::{EVENTS, SEND, Scene};
use crate::support::Socket;

fn limited() -> (u16, String) {
    (429, "RATE_LIMITED".to_owned())
}

#[test]
fn sixteen_reservations_of_a_user_may_wait() {
    let scene = Scene::new();
    let waiting: Vec<_> = (0..16).map(|_| Shared::new(&scene)).collect();
    assert_eq!(refusal(reserve(&scene, &scene.token)), limited());
    let bob = Shared::of(&scene, &scene.server.token("bob"));
    bob.open();
    // One that is opened waits no more.
    let _stream = waiting[3].open();
    Shared::new(&scene);
    assert_eq!(refusal(reserve(&scene, &scene.token)), limited());
}

#[tokio::test]
async fn reservations_streams_and_sockets_of_a_viewer_are_counted_together() {
    let plan = Scene::plan().env("TIDINGS_CONNECTIONS_PER_USER", 3);
    let scene = Scene::on(plan.start());
    let socket = Socket::signed_in(&scene.server, &scene.token).await;
    let _distinct = scene.live(&scene.follow());
    let shared = Shared::new(&scene);
    assert_eq!(refusal(reserve(&scene, &scene.token)), limited());
    // Opening it takes no other place.
    let stream = shared.open();
    assert_eq!(refusal(reserve(&scene, &scene.token)), limited());
    drop(stream);
    while reserve(&scene, &scene.token).status() != 201 {}
    drop(socket);
    while reserve(&scene, &scene.token).status() != 201 {}
    assert_eq!(refusal(reserve(&scene, &scene.token)), limited());
}

#[test]
fn a_stream_carries_as_many_subscriptions_as_a_socket() {
    let plan = Scene::plan().env("TIDINGS_SUBSCRIPTIONS_PER_CONNECTION", 2);
    let scene = Scene::on(plan.start());
    let shared = Shared::new(&scene);
    // Before the stream is there as well.
    shared.follow("a");
    let mut stream = shared.open();
    live(&mut stream);
    shared.follow_live("b", &mut stream);
    shared.follow("c");
    let refused = result(&mut stream, "c");
    let extensions = &refused["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "RATE_LIMITED", "{refused}");
    assert_eq!(extensions["limit"], 2);
    completed(&mut stream, "c");
    assert_eq!(shared.stop("a").status(), 200);
    shared.follow_live("c", &mut stream);
    scene.send("for b and c");
    let ids = (0..2).map(|_| said(&stream.event().unwrap()).1["id"].clone());
    let mut ids: Vec<_> = ids.map(|id| id.as_str().unwrap().to_owned()).collect();
    ids.sort();
    assert_eq!(ids, ["b", "c"]);
}

#[test]
fn mutations_have_the_rate_that_they_have_everywhere() {
    let plan = Scene::plan()
        .env("TIDINGS_MUTATIONS_PER_SECOND", 1)
        .env("TIDINGS_MUTATIONS_BURST", 3);
    // The room takes one of them.
    let scene = Scene::on(plan.start());
    let (shared, mut stream) = Shared::opened(&scene);
    let input = json!({ "input": { "roomId": scene.room, "body": "hi" } });
    // Two are left of the burst, and as many as seconds have gone by.
    let mut passed = 0;
    let refused = loop {
        shared.execute("m", SEND, &input);
        let told = result(&mut stream, "m");
        if !told["errors"].is_null() {
            break told;
        }
        completed(&mut stream, "m");
        passed += 1;
    };
    assert!((2..60).contains(&passed), "{passed}");
    let extensions = &refused["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "RATE_LIMITED", "{refused}");
    assert!(extensions["retryAfterMs"].is_number(), "{refused}");
    completed(&mut stream, "m");
}

#[test]
fn what_waits_for_a_stream_is_bounded_and_all_of_it_comes() {
    let scene = Scene::new();
    let text = "x".repeat(15 * 1024);
    for _ in 0..8 {
        scene.send(&text);
    }
    let shared = Shared::new(&scene);
    // 120 KiB each: the fifth begins while as much waits as may, the sixth while more does.
    let query =
        "query ($id: ID!) { room(id: $id) { messages(first: 8) { edges { node { body } } } } }";
    let variables = json!({ "id": scene.room });
    for nth in 0..5 {
        let id = format!("q{nth}");
        shared.execute(&id, query, &variables);
        // It has its answer once its id is free; then this is refused, in a few bytes.
        loop {
            match shared.ask(&id.as_str().into(), "{ a", &json!({})).status() {
                409 => {}
                status => break assert_eq!(status, 202),
            }
        }
    }
    shared.execute("q5", query, &variables);
    let mut stream = shared.open();
    for nth in 0..5 {
        let id = format!("q{nth}");
        let answer = result(&mut stream, &id);
        let edges = &answer["data"]["room"]["messages"]["edges"];
        assert_eq!(edges.as_array().unwrap().len(), 8);
        completed(&mut stream, &id);
        let code = &result(&mut stream, &id)["errors"][0]["extensions"]["code"];
        // Too much waits by the last.
        let expected = ["GRAPHQL_PARSE_FAILED", "UNAVAILABLE"][nth / 4];
        assert_eq!(code, expected);
        completed(&mut stream, &id);
    }
    let code = &result(&mut stream, "q5")["errors"][0]["extensions"]["code"];
    assert_eq!(code, "UNAVAILABLE");
    completed(&mut stream, "q5");
    shared.execute("q6", "{ head }", &json!({}));
    result(&mut stream, "q6");
}

#[test]
fn a_slow_reader_loses_nothing() {
    const MESSAGES: usize = 600;
    let scene = Scene::new();
    let mut last = [scene.head(), scene.head()];
    let open = |last: &[String; 2]| {
        let shared = Shared::new(&scene);
        let mut stream = shared.opening("").send_narrow(&scene.server);
        assert_eq!(stream.chunk().unwrap(), ":\n\n");
        for (id, after) in ["a", "b"].into_iter().zip(last) {
            shared.follow_after(id, &after.as_str().into());
        }
        stream
    };
    let mut stream = open(&last);
    let text = "x".repeat(4 * 1024);
    for nth in 0..MESSAGES {
        scene.send(&format!("{nth} {text}"));
    }
    let mut heard = [0, 0];
    while heard != [MESSAGES; 2] {
        match stream.event() {
            Ok(event) => {
                let (_, data) = said(&event);
                let which = usize::from(data["id"] == "b");
                let expected = format!("{} x", heard[which]);
                let said = body(&data["payload"]);
                assert!(said.starts_with(&expected), "{expected}: {}", &said[..20]);
                heard[which] += 1;
                let cursor = &data["payload"]["extensions"]["cursor"];
                last[which] = cursor.as_str().unwrap().to_owned();
            }
            // On a busy machine all that takes longer than a stream waits for its reader.
            Err(end) => {
                assert_eq!(end, End::Cut);
                stream = open(&last);
            }
        }
    }
}

#[test]
fn reservations_come_in_at_the_rate_of_sockets() {
    let plan = Scene::plan().env("TIDINGS_SOCKETS_PER_SECOND", 1);
    let scene = Scene::on(plan.start());
    // Two at once, and as many as seconds have gone by; the stream of one is no newcomer.
    let shared = Shared::new(&scene);
    let mut more = (0..15).map(|_| reserve(&scene, &scene.token));
    assert_eq!(more.next().unwrap().status(), 201);
    let refused = more.find(|answer| answer.status() != 201).unwrap();
    let retry_after = refused.header("retry-after").unwrap().parse::<u64>();
    assert!((1..=10).contains(&retry_after.unwrap()));
    assert_eq!(refusal(refused), (503, "UNAVAILABLE".to_owned()));
    shared.open();
}

#[test]
fn a_page_of_another_site_reserves_nothing() {
    let plan = Scene::plan().env("TIDINGS_ALLOWED_ORIGINS", "https://app.example");
    let scene = Scene::on(plan.start());
    let from = |origin: &str| {
        let request = Request::new("PUT", "/graphql").token(&scene.token);
        request.header("origin", origin).send(&scene.server)
    };
    assert_eq!(from("https://evil.example").status(), 403);
    assert_eq!(from("http://t").status(), 201);
    let listed = from("https://app.example");
    assert_eq!(listed.status(), 201);
    let allowed = listed.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://app.example"));
    let shared = Shared::new(&scene);
    let evil = shared.opening("").header("origin", "https://evil.example");
    assert_eq!(evil.accept(EVENTS).send(&scene.server).status(), 403);
}

#[test]
fn a_listed_page_may_send_what_the_protocol_needs() {
    let plan = Scene::plan().env("TIDINGS_ALLOWED_ORIGINS", "https://app.example");
    let server = plan.start();
    for method in ["PUT", "GET", "POST", "DELETE"] {
        let header = "x-graphql-event-stream-token,authorization,content-type";
        let preflight = Request::new("OPTIONS", "/graphql")
            .header("origin", "https://app.example")
            .header("access-control-request-method", method)
            .header("access-control-request-headers", header);
        let answer = preflight.send(&server);
        let methods = answer.header("access-control-allow-methods").unwrap();
        assert!(methods.split(',').any(|one| one == method), "{methods}");
        let headers = answer.header("access-control-allow-headers").unwrap();
        assert!(
            headers.contains("x-graphql-event-stream-token"),
            "{headers}"
        );
    }
}

#[test]
fn a_stopping_server_reserves_and_opens_nothing() {
    let scene = Scene::on(Scene::plan().env("TIDINGS_DRAIN_SECS", 600).start());
    let shared = Shared::new(&scene);
    let _open: Vec<_> = (0..20).map(|_| scene.live(&scene.follow())).collect();
    scene.server.terminate();
    scene.server.logs().wait_for("the end to begin", |line| {
        line.contains("\"stopping\"").then_some(())
    });
    let stopping = (503, "UNAVAILABLE".to_owned());
    assert_eq!(refusal(reserve(&scene, &scene.token)), stopping);
    assert_eq!(refusal(shared.opening("").send(&scene.server)), stopping);
    let asked = shared.ask(&Value::from("x"), "{ head }", &json!({}));
    assert_eq!(refusal(asked), stopping);
}
