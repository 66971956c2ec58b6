//! Operations of one stream: what is asked, and what comes of it.

use serde_json::{Value, json};

use super::{Shared, body, completed, end_of, reserve, result, said};
use crate::streams::raw::Request;
use crate::streams::{SEND, Scene, code};
use crate::support::{Plan, run};

#[test]
fn a_stream_is_reserved_opened_and_carries_the_results_of_operations_by_their_ids() {
    let scene = Scene::new();
    let mut reserved = reserve(&scene, &scene.token);
    assert_eq!(reserved.status(), 201);
    let content_type = reserved.header("content-type");
    assert_eq!(content_type, Some("text/plain; charset=utf-8"));
    let token = reserved.whole();
    assert!(token.len() >= 32, "{token}");

    let (shared, mut stream) = Shared::opened(&scene);
    let content_type = stream.header("content-type");
    assert_eq!(content_type, Some("text/event-stream; charset=utf-8"));
    shared.follow_live("a", &mut stream);
    scene.send("one\nline");
    let cursor = scene.head();
    let expected = format!(
        "event: next\ndata: {{\"id\":\"a\",\"payload\":{{\"data\":{{\"messageSent\":\
         {{\"body\":\"one\\nline\"}}}},\"extensions\":{{\"cursor\":\"{cursor}\"}}}}}}\n\n"
    );
    assert_eq!(stream.chunk().unwrap(), expected);
}

#[test]
fn queries_and_mutations_are_one_result_and_complete() {
    let scene = Scene::new();
    let (shared, mut stream) = Shared::opened(&scene);
    shared.execute("q", "{ viewer { id } }", &json!({}));
    let viewer = result(&mut stream, "q");
    assert_eq!(viewer, json!({ "data": { "viewer": { "id": "ada" } } }));
    completed(&mut stream, "q");

    let input = json!({ "input": { "roomId": scene.room, "body": "by POST" } });
    shared.execute("m", SEND, &input);
    let sent = result(&mut stream, "m");
    assert_eq!(sent["data"]["sendMessage"]["message"]["body"], "by POST");
    completed(&mut stream, "m");
    // An id is free again once its operation has ended, and may be a number.
    assert_eq!(shared.ask(&7.into(), "{ head }", &json!({})).status(), 202);
    assert!(result(&mut stream, "7")["data"]["head"].is_string());
    completed(&mut stream, "7");
    shared.execute("q", "{ head }", &json!({}));
    assert!(result(&mut stream, "q")["data"]["head"].is_string());
}

#[test]
fn a_query_may_be_asked_by_get_and_a_mutation_may_not() {
    let scene = Scene::new();
    let (shared, mut stream) = Shared::opened(&scene);
    let by_get = |query: &str, variables: &Value| {
        let request = Request::get(query, variables).search("extensions", r#"{"operationId":"g"}"#);
        let request = request.search("token", &shared.token);
        request.token(&scene.token).send(&scene.server).status()
    };
    assert_eq!(by_get("{ viewer { id } }", &json!({})), 202);
    assert_eq!(result(&mut stream, "g")["data"]["viewer"]["id"], "ada");
    completed(&mut stream, "g");
    let input = json!({ "input": { "roomId": scene.room, "body": "by GET" } });
    let before = scene.head();
    assert_eq!(by_get(SEND, &input), 405);
    assert_eq!(scene.head(), before);
}

#[test]
fn what_is_asked_before_the_stream_comes_is_told_when_it_does() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    shared.follow("a");
    shared.execute("q", "{ viewer { id } }", &json!({}));
    // It follows from when it was asked, and what has ended meanwhile has ended.
    scene.send("meanwhile");
    shared.follow("b");
    assert_eq!(shared.stop("b").status(), 200);
    let mut stream = shared.open();
    // Operations keep no order among each other.
    let told = [(); 3].map(|()| stream.event().unwrap());
    let of = |id: &str| {
        let mut told = told.iter().map(|event| said(event));
        told.find(|(kind, data)| *kind == "next" && data["id"] == id)
            .map(|(_, data)| data["payload"]["data"].clone())
    };
    assert_eq!(of("q"), Some(json!({ "viewer": { "id": "ada" } })));
    assert_eq!(
        of("a"),
        Some(json!({ "messageSent": { "body": "meanwhile" } }))
    );
    assert!(told.iter().any(|event| *event == end_of("q")), "{told:?}");
    scene.send("then");
    assert_eq!(body(&result(&mut stream, "a")), "then");
}

#[test]
fn who_deletes_an_operation_hears_no_more_of_it() {
    let scene = Scene::new();
    let (shared, mut stream) = Shared::opened(&scene);
    shared.follow_live("a", &mut stream);
    shared.follow_live("b", &mut stream);
    let stopped = shared.stop("a");
    assert_eq!(stopped.status(), 200);
    scene.send("for b");
    assert_eq!(body(&result(&mut stream, "b")), "for b");
    // It is none any more, which is no error; and its id is free.
    assert_eq!(shared.stop("a").status(), 200);
    shared.follow_live("a", &mut stream);
    scene.send("for both");
    let mut heard: Vec<_> = (0..2)
        .map(|_| said(&stream.event().unwrap()).1["id"].to_string())
        .collect();
    heard.sort();
    assert_eq!(heard, ["\"a\"", "\"b\""]);
}

#[test]
fn a_subscription_that_the_server_ends_is_completed_alone() {
    let scene = Scene::new();
    let (shared, mut stream) = Shared::opened(&scene);
    shared.follow_live("a", &mut stream);
    let delete = "mutation ($input: DeleteRoomInput!) { deleteRoom(input: $input) { roomId } }";
    scene.ask(delete, &json!({ "input": { "roomId": scene.room } }));
    assert_eq!(code(&result(&mut stream, "a")), "NOT_FOUND");
    completed(&mut stream, "a");
    shared.execute("a", "{ viewer { id } }", &json!({}));
    assert_eq!(result(&mut stream, "a")["data"]["viewer"]["id"], "ada");
}

#[test]
fn operations_go_on_from_their_own_places() {
    let scene = Scene::new();
    let first = scene.head();
    scene.send("one");
    let second = scene.head();
    scene.send("two");
    let shared = Shared::new(&scene);
    // What stands for one place stands for none here.
    let opening = shared.opening("").header("last-event-id", scene.head());
    let mut stream = opening.send(&scene.server);
    shared.follow_after("second", &second.into());
    assert_eq!(body(&result(&mut stream, "second")), "two");
    shared.follow_after("first", &first.into());
    assert_eq!(body(&result(&mut stream, "first")), "one");
    assert_eq!(body(&result(&mut stream, "first")), "two");
}

#[test]
fn who_asks_for_pings_is_told_the_place_of_each_subscription_and_others_only_that_the_line_lives() {
    let scene = Scene::on(Plan::default().env("TIDINGS_PING_INTERVAL_SECS", 1).start());
    let plain = Shared::new(&scene);
    let mut quiet = plain.open();
    plain.follow("a");
    let shared = Shared::new(&scene);
    let mut stream = shared.open_with("&pings=true");
    shared.follow("a");
    shared.follow("b");
    let elsewhere = json!({ "input": { "name": "elsewhere" } });
    scene.ask(
        "mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }",
        &elsewhere,
    );
    let head = scene.head();
    let both = json!({ "resume": { "a": head, "b": head } });
    let mut told = (0..20).map(|_| {
        let event = stream.event().unwrap();
        let (kind, mut data) = said(&event);
        assert_eq!(kind, "ping");
        let places = data["resume"].as_object_mut().unwrap();
        places.sort_keys();
        data
    });
    assert!(told.any(|data| data == both), "never told {both}");
    for _ in 0..3 {
        assert_eq!(quiet.chunk().unwrap(), ":\n\n");
    }
}

#[test]
fn http_1_0_gets_its_events_as_they_are() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    shared.execute("q", "{ viewer { id } }", &json!({}));
    let mut stream = shared.opening("").http_1_0().send(&scene.server);
    assert_eq!(stream.header("connection"), Some("close"));
    let answer = "event: next\ndata: {\"id\":\"q\",\"payload\":{\"data\":{\"viewer\":{\"id\":\"ada\"}}}}\n\n";
    let complete = "event: complete\ndata: {\"id\":\"q\"}\n\n";
    let text = stream.until(complete).unwrap();
    assert_eq!(text, format!(":\n\n{answer}{complete}"));
    let mut revoke = scene.server.command(&["revoke", "--user", "ada"]);
    assert!(run(&mut revoke).status.success());
    let rest = stream.until_its_end();
    assert_eq!(rest, ":\n\n".repeat(rest.len() / 3));
}
