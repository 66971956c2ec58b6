//! Server-sent events: the frames to the byte, resuming, limits, ends.

use serde_json::{Value, json};

use super::raw::{End, Request};
use super::{COMPLETE, EVENTS, SENT, Scene, body, code, only_result};
use crate::support::{Plan, Socket, now_secs, run};

#[test]
fn a_stream_is_a_comment_and_then_a_chunk_for_each_event() {
    let scene = Scene::new();
    let asked = scene.follow().header("accept-encoding", "gzip, br, zstd");
    let mut stream = asked.send(&scene.server);
    let head = stream.head().to_owned();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for (name, value) in [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-store, no-transform"),
        ("x-accel-buffering", "no"),
        ("x-content-type-options", "nosniff"),
        ("transfer-encoding", "chunked"),
    ] {
        assert_eq!(stream.header(name), Some(value), "{head}");
    }
    assert!(stream.header("date").unwrap().ends_with(" GMT"), "{head}");
    assert_eq!(stream.header("content-length"), None);
    // With it Node's fetch would take a cut for an end.
    assert_eq!(stream.header("connection"), None);
    // But it ends with the stream, and is nothing to send another request on.
    assert_eq!(stream.header("keep-alive"), Some("timeout=0"));
    assert_eq!(stream.header("content-encoding"), None);

    assert_eq!(stream.chunk().unwrap(), ":\n\n");
    let begin = scene.head();
    assert_eq!(stream.chunk().unwrap(), format!(":\nid: {begin}\n\n"));
    for text in ["one", "two\nlines", "dreiß 🦀"] {
        scene.send(text);
        let cursor = scene.head();
        let quoted = Value::from(text);
        let expected = format!(
            "event: next\ndata: {{\"data\":{{\"messageSent\":{{\"body\":{quoted}}}}},\
             \"extensions\":{{\"cursor\":\"{cursor}\"}}}}\nid: {cursor}\n\n"
        );
        assert_eq!(stream.chunk().unwrap(), expected);
    }
}

#[test]
fn who_comes_back_with_the_last_events_id_goes_on_from_there() {
    let scene = Scene::new();
    let first = scene.head();
    scene.send("one");
    let second = scene.head();
    scene.send("two");
    let bodies = |request: Request| {
        let mut stream = request.send(&scene.server);
        (
            body(&stream.next()).to_owned(),
            body(&stream.next()).to_owned(),
        )
    };
    let resumed = bodies(scene.follow().header("last-event-id", &first));
    assert_eq!(resumed, ("one".into(), "two".into()));

    // Of two places the later one counts, wherever it is said.
    scene.send("three");
    let after = |after: &str, id: &str| {
        bodies(
            scene
                .follow_after(&after.into())
                .header("last-event-id", id),
        )
    };
    assert_eq!(after(&first, &second), ("two".into(), "three".into()));
    assert_eq!(after(&second, &first), ("two".into(), "three".into()));
    // What an `EventSource` says that has had no id.
    let mut fresh = scene.live(&scene.follow().header("last-event-id", ""));
    scene.send("four");
    assert_eq!(body(&fresh.next()), "four");
}

#[test]
fn an_id_that_is_none_of_ours_is_told_and_ends_the_stream() {
    let scene = Scene::new();
    let mut stream = scene
        .follow()
        .header("last-event-id", "42")
        .send(&scene.server);
    let result = only_result(&mut stream);
    assert_eq!(code(&result), "BAD_USER_INPUT");
    assert_eq!(result["errors"][0]["extensions"]["field"], "Last-Event-ID");
}

#[test]
fn a_browsers_event_source_is_served_by_get() {
    let scene = Scene::new();
    let request = Request::get(SENT, &json!({ "roomId": scene.room }));
    let request = request.accept(EVENTS).token(&scene.token);
    let mut stream = scene.live(&request);
    scene.send("hello");
    assert_eq!(body(&stream.next()), "hello");
}

#[test]
fn the_place_of_a_quiet_stream_is_told_again_and_again() {
    let scene = Scene::on(Plan::default().env("TIDINGS_PING_INTERVAL_SECS", 1).start());
    let mut stream = scene.live(&scene.follow());
    // Elsewhere something happens.
    let other = json!({ "input": { "name": "other" } });
    scene.ask(
        "mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }",
        &other,
    );
    let place = format!(":\nid: {}\n\n", scene.head());
    while stream.chunk().unwrap() != place {}
}

#[test]
fn what_is_named_in_accept_decides_and_only_for_subscriptions() {
    let scene = Scene::new();
    let all =
        "application/graphql-response+json, application/json, text/event-stream, multipart/mixed";
    let query = Request::post("{ head }", &json!({}))
        .accept(all)
        .token(&scene.token);
    let answer = query.send(&scene.server);
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("application/graphql-response")
    );
    // urql's subscriptions; an Accept that lists everything.
    for accept in ["text/event-stream, multipart/mixed", all] {
        let variables = json!({ "roomId": scene.room });
        let request = Request::post(SENT, &variables)
            .accept(accept)
            .token(&scene.token);
        let stream = request.send(&scene.server);
        assert_eq!(
            stream.header("content-type"),
            Some("text/event-stream; charset=utf-8")
        );
    }
    // A wildcard is no wish for an answer that does not end.
    for accept in [
        "*/*",
        "text/*, application/json",
        "multipart/mixed, application/json",
    ] {
        let variables = json!({ "roomId": scene.room });
        let request = Request::post(SENT, &variables)
            .accept(accept)
            .token(&scene.token);
        assert_eq!(
            code(&request.json(&scene.server)),
            "BAD_USER_INPUT",
            "{accept}"
        );
    }
}

#[test]
fn who_may_come_back_is_told_by_the_status_and_not_by_an_end() {
    let scene = Scene::new();
    let variables = json!({ "roomId": scene.room });
    let asked = || Request::post(SENT, &variables).accept(EVENTS);
    let expired = json!({ "sub": "ada", "exp": now_secs() - 3600 });
    let expired = scene.server.token_of(expired);
    for request in [asked(), asked().token("nonsense"), asked().token(&expired)] {
        let mut answer = request.send(&scene.server);
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let refusal: Value = serde_json::from_str(&answer.whole()).unwrap();
        assert_eq!(code(&refusal), "UNAUTHENTICATED");
    }
}

#[test]
fn a_page_of_another_site_opens_no_stream() {
    let scene = Scene::on(
        Scene::plan()
            .env("TIDINGS_ALLOWED_ORIGINS", "https://app.example")
            .start(),
    );
    let from = |origin: &str| scene.follow().header("origin", origin).send(&scene.server);
    assert_eq!(from("https://evil.example").status(), 403);
    assert_eq!(from("http://t").status(), 200);
    let listed = from("https://app.example");
    assert_eq!(listed.status(), 200);
    let allowed = listed.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://app.example"));
}

#[test]
fn http_1_0_gets_its_events_as_they_are() {
    let scene = Scene::new();
    let mut stream = scene.follow().http_1_0().send(&scene.server);
    assert_eq!(stream.header("transfer-encoding"), None);
    assert_eq!(stream.header("connection"), Some("close"));
    scene.send("old");
    // Losing the room ends the stream, and with it the connection.
    lose_the_room(&scene);
    let text = stream.until_its_end();
    assert!(text.starts_with(":\n\n"), "{text}");
    assert!(text.contains("\"body\":\"old\""), "{text}");
    assert!(text.ends_with(COMPLETE), "{text}");
}

fn lose_the_room(scene: &Scene) {
    let delete = "mutation ($input: DeleteRoomInput!) { deleteRoom(input: $input) { roomId } }";
    scene.ask(delete, &json!({ "input": { "roomId": scene.room } }));
}

#[test]
fn a_stream_that_is_over_says_so_and_ends_whole() {
    let scene = Scene::new();
    let mut stream = scene.live(&scene.follow());
    lose_the_room(&scene);
    assert_eq!(code(&stream.next()), "NOT_FOUND");
    assert_eq!(stream.rest(), (vec![COMPLETE.to_owned()], End::Whole));
}

#[test]
fn a_token_that_runs_out_cuts_the_stream_without_an_end() {
    let scene = Scene::new();
    // Good for twelve seconds more, the leeway counted.
    let claims = json!({ "sub": "ada", "exp": now_secs() - 18 });
    let token = scene.server.token_of(claims);
    let request = Request::post(SENT, &json!({ "roomId": scene.room }));
    let mut stream = scene.live(&request.accept(EVENTS).token(&token));
    scene.send("last");
    assert_eq!(body(&stream.next()), "last");
    assert_eq!(stream.rest(), (vec![], End::Cut));
}

#[test]
fn a_token_that_is_withdrawn_cuts_the_stream_without_an_end() {
    let scene = Scene::new();
    let mut stream = scene.live(&scene.follow());
    let ran = run(&mut scene.server.command(&["revoke", "--user", "ada"]));
    assert!(ran.status.success(), "{}", ran.stderr);
    assert_eq!(stream.rest(), (vec![], End::Cut));
    assert_eq!(scene.follow().send(&scene.server).status(), 401);
}

#[test]
fn when_the_server_stops_nothing_comes_but_a_cut() {
    let mut scene = Scene::new();
    let mut streams: Vec<_> = (0..10).map(|_| scene.live(&scene.follow())).collect();
    scene.send("one");
    scene.send("two");
    for stream in &mut streams {
        for said in ["one", "two"] {
            assert_eq!(body(&stream.next()), said);
        }
    }
    scene.server.terminate();
    for stream in &mut streams {
        let (events, end) = stream.rest();
        assert_eq!((events.len(), end), (0, End::Cut), "{events:?}");
    }
    assert_eq!(
        scene.server.wait().code(),
        Some(0),
        "{}",
        scene.server.logs().text()
    );
}

#[test]
fn a_stopping_server_opens_no_stream() {
    let scene = Scene::on(Scene::plan().env("TIDINGS_DRAIN_SECS", 600).start());
    let _open: Vec<_> = (0..20).map(|_| scene.live(&scene.follow())).collect();
    scene.server.terminate();
    scene.server.logs().wait_for("the end to begin", |line| {
        line.contains("\"stopping\"").then_some(())
    });
    assert_eq!(scene.follow().send(&scene.server).status(), 503);
}

#[tokio::test]
async fn streams_and_sockets_of_a_viewer_are_counted_together() {
    let plan = Scene::plan().env("TIDINGS_CONNECTIONS_PER_USER", 2);
    let scene = Scene::on(plan.start());
    let socket = Socket::signed_in(&scene.server, &scene.token).await;
    let stream = scene.live(&scene.follow());
    let mut refused = scene.follow().send(&scene.server);
    assert_eq!(refused.status(), 429);
    let refusal: Value = serde_json::from_str(&refused.whole()).unwrap();
    assert_eq!(code(&refusal), "RATE_LIMITED");
    assert_eq!(refusal["errors"][0]["extensions"]["limit"], 2);
    let mut third = Socket::open(&scene.server).await.unwrap();
    let authorization = format!("Bearer {}", scene.token);
    let init = json!({ "type": "connection_init", "payload": { "Authorization": authorization } });
    third.say(&init).await;
    assert_eq!(third.hear().await, Err(1013));

    // A client that goes makes room, as soon as the server has noticed.
    drop(stream);
    until_opened(&scene);
    drop(socket);
    until_opened(&scene);
}

fn until_opened(scene: &Scene) {
    while scene.follow().send(&scene.server).status() != 200 {}
}

#[test]
fn streams_take_places_of_their_address() {
    let plan = Scene::plan().env("TIDINGS_CONNECTIONS_PER_IP", 2);
    let server = plan.start();
    let token = server.token("ada");
    let asked = Request::post("subscription { events { __typename } }", &json!({}));
    let asked = asked.accept(EVENTS).token(&token);
    let first = asked.send(&server);
    let _second = asked.send(&server);
    assert_eq!(asked.send(&server).status(), 429);
    drop(first);
    while asked.send(&server).status() != 200 {}
}

#[test]
fn what_a_client_says_after_its_request_disturbs_nothing() {
    let scene = Scene::new();
    let mut stream = scene.live(&scene.follow());
    stream.say("GET / HTTP/1.1\r\nhost: t\r\n\r\nnonsense");
    scene.send("undisturbed");
    assert_eq!(body(&stream.next()), "undisturbed");
}

#[test]
fn a_slow_reader_loses_nothing() {
    const MESSAGES: usize = 600;
    let scene = Scene::new();
    let mut last = scene.head();
    let mut stream = scene.follow().send_narrow(&scene.server);
    assert_eq!(stream.chunk().unwrap(), ":\n\n");
    // More than its queue and both kernels take: its subscription has to catch up, many times over.
    let text = "x".repeat(8 * 1024);
    for nth in 0..MESSAGES {
        scene.send(&format!("{nth} {text}"));
    }
    for nth in 0..MESSAGES {
        let event = loop {
            match stream.event() {
                Ok(event) => break event,
                // On a busy machine all that takes longer than a stream waits for its reader.
                Err(end) => assert_eq!(end, End::Cut),
            }
            let again = scene.follow().header("last-event-id", &last);
            stream = again.send_narrow(&scene.server);
        };
        let said = format!("{{\"body\":\"{nth} x");
        assert!(event.contains(&said), "{nth}: {}", &event[..100]);
        let (_, id) = event.trim_end().rsplit_once("\nid: ").unwrap();
        id.clone_into(&mut last);
    }
}

#[test]
fn two_streams_of_one_viewer_are_apart() {
    let scene = Scene::new();
    let (mut one, mut two) = (scene.live(&scene.follow()), scene.live(&scene.follow()));
    scene.send("first");
    assert_eq!(body(&one.next()), "first");
    drop(one);
    scene.send("second");
    let (first, second) = (two.next(), two.next());
    assert_eq!([body(&first), body(&second)], ["first", "second"]);
}
