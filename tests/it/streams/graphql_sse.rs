//! PROTOCOL.md of graphql-sse, a test for each of its rules.

use serde_json::{Value, json};

use super::raw::Request;
use super::{COMPLETE, EVENTS, SENT, Scene, code, only_result};

/// "Operation requests need to conform to the GraphQL over HTTP spec": what is no such request is refused as there.
#[test]
fn a_request_that_is_none_is_refused_by_its_status() {
    let scene = Scene::new();
    let asked = || scene.follow();
    let post = |content_type: &'static str, body: &str| {
        Request::new("POST", "/graphql")
            .accept(EVENTS)
            .token(&scene.token)
            .header("content-type", content_type)
            .body(body)
    };
    for (request, status) in [
        (post("application/json", "{"), 400),
        (post("application/json", "[]"), 400),
        (post("application/json", r#"{"query":1}"#), 400),
        (post("text/plain", "{}"), 415),
        (post("application/json", &" ".repeat(70_000)), 413),
        (Request::new("PATCH", "/graphql").accept(EVENTS), 405),
        (asked(), 200),
    ] {
        assert_eq!(request.send(&scene.server).status(), status);
    }
}

/// "The Content-Type MUST always be text/event-stream."
#[test]
fn the_content_type_is_that_of_an_event_stream_for_every_kind_of_operation() {
    let scene = Scene::new();
    let subscription = scene.follow();
    let query = Request::post("{ head }", &json!({}));
    let query = query.accept(EVENTS).token(&scene.token);
    let invalid = Request::post("{ nothing }", &json!({}));
    let invalid = invalid.accept(EVENTS).token(&scene.token);
    for request in [subscription, query, invalid] {
        let answer = request.send(&scene.server);
        assert_eq!(answer.status(), 200);
        let content_type = answer.header("content-type");
        assert_eq!(content_type, Some("text/event-stream; charset=utf-8"));
    }
}

/// "Validation steps that run before execution of the GraphQL operation MUST report errors through an accepted SSE
/// connection by emitting `next` events that contain the errors in the data field."
#[test]
fn what_is_refused_before_execution_is_told_as_a_result() {
    let scene = Scene::new();
    let nowhere = json!({ "roomId": "00000000-0000-7000-8000-00000000dead" });
    let cases = [
        ("subscription {", json!({}), "GRAPHQL_PARSE_FAILED"),
        (
            "subscription { nothing }",
            json!({}),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (SENT, json!({}), "BAD_USER_INPUT"),
        (SENT, json!({ "roomId": 1.5 }), "BAD_USER_INPUT"),
        (SENT, nowhere, "NOT_FOUND"),
        ("query { nothing }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
    ];
    for (query, variables, expected) in cases {
        for request in [
            Request::post(query, &variables),
            Request::get(query, &variables),
        ] {
            let mut answer = request
                .accept(EVENTS)
                .token(&scene.token)
                .send(&scene.server);
            assert_eq!(answer.status(), 200, "{query}");
            assert_eq!(code(&only_result(&mut answer)), expected, "{query}");
        }
    }
}

/// "Streaming operations are terminated by having the client simply close the SSE connection."
#[test]
fn a_client_that_closes_has_ended_its_subscription() {
    let plan = Scene::plan().env("TIDINGS_CONNECTIONS_PER_USER", 1);
    let scene = Scene::on(plan.start());
    drop(scene.live(&scene.follow()));
    // Its place is free again.
    while scene.follow().send(&scene.server).status() != 200 {}
}

/// "`next` event: operation execution result(s) from the source stream."
#[test]
fn results_come_as_next_events() {
    let scene = Scene::new();
    let mut stream = scene.live(&scene.follow());
    for text in ["one", "two"] {
        scene.send(text);
        assert_eq!(
            stream.next()["data"],
            json!({ "messageSent": { "body": text } })
        );
    }
}

/// "After all results have been emitted, the `complete` event will follow indicating stream completion."
#[test]
fn a_query_and_a_mutation_are_one_result_and_complete() {
    let scene = Scene::new();
    let asked = |query: &str, variables: &Value| {
        let request = Request::post(query, variables)
            .accept(EVENTS)
            .token(&scene.token);
        only_result(&mut request.send(&scene.server))
    };
    let viewer = asked("{ viewer { id } }", &json!({}));
    assert_eq!(viewer, json!({ "data": { "viewer": { "id": "ada" } } }));
    let input = json!({ "input": { "roomId": scene.room, "body": "hi" } });
    let sent = asked(super::SEND, &input);
    assert_eq!(sent["data"]["sendMessage"]["message"]["body"], "hi");
    // What fails while it is executed is a result too.
    let blank = json!({ "input": { "roomId": scene.room, "body": " " } });
    let refused = asked(super::SEND, &blank);
    assert_eq!(refused["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
}

/// "Include an empty `data: ` field when sending the message to a client that uses EventSource."
#[test]
fn complete_has_an_empty_line_of_data() {
    let scene = Scene::new();
    let request = Request::post("{ head }", &json!({})).accept(EVENTS);
    let text = request.token(&scene.token).send(&scene.server).whole();
    assert!(text.ends_with(COMPLETE), "{text}");
    assert_eq!(text.matches("event: ").count(), 2, "{text}");
}

/// GraphQL over HTTP, "GET": "GET requests MUST NOT be used for executing mutation operations."
#[test]
fn a_get_does_nothing_but_read() {
    let scene = Scene::new();
    let input = json!({ "input": { "roomId": scene.room, "body": "by GET" } });
    let before = scene.head();
    let request = Request::get(super::SEND, &input).accept(EVENTS);
    let answer = request.token(&scene.token).send(&scene.server);
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.header("allow"), Some("POST"));
    assert_eq!(scene.head(), before);
}
