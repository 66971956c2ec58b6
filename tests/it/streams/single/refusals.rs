//! Who is refused what, and how that is told.

use serde_json::{Value, json};

use super::{Shared, body, completed, refusal, result};
use crate::streams::raw::Request;
use crate::streams::{EVENTS, SEND, SENT, Scene};
use crate::support::now_secs;

#[test]
fn each_request_but_the_streams_own_says_who_asks() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    let expired = json!({ "sub": "ada", "exp": now_secs() - 3600 });
    let expired = scene.server.token_of(expired);
    for viewer in [None, Some("nonsense"), Some(&*expired)] {
        let as_viewer = |request: Request| match viewer {
            Some(viewer) => request.token(viewer),
            None => request,
        };
        let body = json!({ "query": "{ head }", "extensions": { "operationId": "q" } });
        let post = shared.request("POST", "").body(body);
        let post = post.header("content-type", "application/json");
        for request in [
            Request::new("PUT", "/graphql"),
            shared.request("DELETE", "?operationId=q"),
            post,
        ] {
            let answer = as_viewer(request).send(&scene.server);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert_eq!(refusal(answer), (401, "UNAUTHENTICATED".to_owned()));
        }
    }
    // What opens it and says who it is, says so truly.
    let answer = shared.opening("").token("nonsense").send(&scene.server);
    assert_eq!(refusal(answer).0, 401);
    shared.open();
}

#[test]
fn a_reservation_is_its_users_alone() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    let bob = Shared {
        scene: &scene,
        viewer: scene.server.token("bob"),
        token: shared.token.clone(),
    };
    let unknown = (404, "NOT_FOUND".to_owned());
    let asked = bob.ask(&"x".into(), "{ head }", &json!({}));
    assert_eq!(refusal(asked), unknown);
    assert_eq!(refusal(bob.stop("x")), unknown);
    let opened = bob.opening("").token(&bob.viewer).send(&scene.server);
    assert_eq!(refusal(opened), unknown);
    // It is none the worse for that, and its user's token is not needed to open it.
    let mut stream = shared.open();
    shared.execute("q", "{ viewer { id } }", &json!({}));
    assert_eq!(result(&mut stream, "q")["data"]["viewer"]["id"], "ada");
}

#[test]
fn a_token_that_is_none_of_ours_is_not_found() {
    let scene = Scene::new();
    let unknown = (404, "NOT_FOUND".to_owned());
    let none = Shared {
        scene: &scene,
        viewer: scene.token.clone(),
        token: "0123456789abcdef0123456789abcdef".to_owned(),
    };
    assert_eq!(refusal(none.opening("").send(&scene.server)), unknown);
    assert_eq!(refusal(none.stop("x")), unknown);
    let asked = none.ask(&"x".into(), "{ head }", &json!({}));
    assert_eq!(refusal(asked), unknown);
    let stop = Request::new("DELETE", "/graphql?operationId=x").token(&scene.token);
    assert_eq!(refusal(stop.send(&scene.server)), unknown);
}

#[test]
fn a_token_in_the_search_that_is_no_streams_is_none_of_its_business() {
    let scene = Scene::new();
    let jwt = &*scene.token;
    let (short, long) = ("0".repeat(31), "0".repeat(33));
    let other = ["g".repeat(32), "A".repeat(32)];
    for token in [jwt, &*short, &*long, &*other[0], &*other[1]] {
        let asked = |request: Request| request.token(jwt).send(&scene.server).status();
        let post = Request::new("POST", &format!("/graphql?token={token}"));
        let post = post.header("content-type", "application/json");
        assert_eq!(
            asked(post.body(json!({ "query": "{ head }" }))),
            200,
            "{token}"
        );
        let get = || Request::get("{ head }", &json!({})).search("token", token);
        assert_eq!(asked(get()), 200, "{token}");
        assert_eq!(asked(get().accept(EVENTS)), 200, "{token}");
    }
    let get = Request::get("{ head }", &json!({})).search("token", &"0".repeat(32));
    assert_eq!(get.token(jwt).send(&scene.server).status(), 404);
}

#[test]
fn a_stream_opens_once() {
    let scene = Scene::new();
    let (shared, mut stream) = Shared::opened(&scene);
    let again = shared.opening("").send(&scene.server);
    assert_eq!(refusal(again), (409, "CONFLICT".to_owned()));
    // The one that was there is undisturbed; with it goes the reservation.
    shared.execute("q", "{ head }", &json!({}));
    result(&mut stream, "q");
    drop(stream);
    while shared.opening("").send(&scene.server).status() != 404 {}
    let asked = shared.ask(&"x".into(), "{ head }", &json!({}));
    assert_eq!(asked.status(), 404);
}

#[test]
fn the_token_comes_as_text_to_who_takes_text() {
    let scene = Scene::new();
    let asked = |accept: &str| {
        let request = Request::new("PUT", "/graphql").accept(accept);
        request.token(&scene.token).send(&scene.server).status()
    };
    for accept in [
        "*/*",
        "text/plain",
        "application/json, text/plain, */*",
        "text/*",
    ] {
        assert_eq!(asked(accept), 201, "{accept}");
    }
    for accept in ["application/json", "text/event-stream", "text/plain;q=0"] {
        assert_eq!(asked(accept), 406, "{accept}");
    }
}

#[test]
fn an_id_names_one_operation_at_a_time_and_has_to_be_there() {
    let scene = Scene::new();
    let (shared, mut stream) = Shared::opened(&scene);
    shared.follow("a");
    let again = shared.ask(&"a".into(), "{ head }", &json!({}));
    assert_eq!(refusal(again), (409, "CONFLICT".to_owned()));
    let bad = (400, "BAD_USER_INPUT".to_owned());
    for id in [
        Value::Null,
        json!(""),
        json!([]),
        json!({}),
        json!(true),
        json!("x".repeat(129)),
    ] {
        let asked = shared.ask(&id, "{ head }", &json!({}));
        assert_eq!(refusal(asked), bad, "{id}");
    }
    let longest = "x".repeat(128);
    shared.execute(&longest, "{ head }", &json!({}));
    result(&mut stream, &longest);
    for search in ["", "?operationId=", "?operation=a"] {
        let stop = shared.request("DELETE", search).token(&scene.token);
        assert_eq!(refusal(stop.send(&scene.server)), bad, "{search}");
    }
}

#[test]
fn a_request_that_is_none_is_refused_by_its_status() {
    let scene = Scene::new();
    let (shared, mut stream) = Shared::opened(&scene);
    for (query, variables) in [("", json!({})), ("{ head }", json!(7))] {
        let asked = shared.ask(&"x".into(), query, &variables);
        assert_eq!(refusal(asked), (400, "BAD_USER_INPUT".to_owned()));
    }
    let post = |content_type: &'static str, body: &str| {
        let request = shared.request("POST", "").token(&scene.token).body(body);
        request
            .header("content-type", content_type)
            .send(&scene.server)
            .status()
    };
    assert_eq!(post("application/json", "{"), 400);
    assert_eq!(post("text/plain", "{}"), 415);
    assert_eq!(post("application/json", &" ".repeat(70_000)), 413);
    // Nothing of all that has begun.
    shared.execute("x", "{ head }", &json!({}));
    result(&mut stream, "x");
}

#[test]
fn an_operation_that_is_refused_is_told_so_as_a_result_and_ends_nothing_else() {
    let scene = Scene::new();
    let (shared, mut stream) = Shared::opened(&scene);
    shared.follow_live("a", &mut stream);
    let nowhere = json!({ "roomId": "00000000-0000-7000-8000-00000000dead" });
    let blank = json!({ "input": { "roomId": scene.room, "body": " " } });
    let garbage = json!({ "roomId": scene.room, "after": "42" });
    for (query, variables, expected) in [
        (SENT, nowhere, "NOT_FOUND"),
        (SENT, garbage, "BAD_USER_INPUT"),
        (SEND, blank, "BAD_USER_INPUT"),
        ("subscription {", json!({}), "GRAPHQL_PARSE_FAILED"),
        ("{ head", json!({}), "GRAPHQL_PARSE_FAILED"),
        (
            "subscription { nothing }",
            json!({}),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("{ nothing }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        (SENT, json!({}), "BAD_USER_INPUT"),
    ] {
        shared.execute("x", query, &variables);
        let refused = result(&mut stream, "x");
        let code = &refused["errors"][0]["extensions"]["code"];
        assert_eq!(code, expected, "{refused}");
        completed(&mut stream, "x");
    }
    scene.send("still here");
    assert_eq!(body(&result(&mut stream, "a")), "still here");
}
