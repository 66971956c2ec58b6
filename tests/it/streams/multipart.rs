//! Apollo's multipart subscriptions, byte by byte.

use serde_json::{Value, json};

use super::raw::{Answer, End, Request};
use super::{SENT, Scene};
use crate::support::{Plan, now_secs};

/// Apollo Client 4's.
pub(super) const ACCEPT: &str = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,\
     application/graphql-response+json,application/json;q=0.9";
const CONTENT_TYPE: &str = r#"multipart/mixed;boundary="graphql";subscriptionSpec=1.0"#;
const HEARTBEAT: &str = "\r\nContent-Type: application/json\r\n\r\n{}\r\n--graphql";

pub(super) fn follow(scene: &Scene) -> Request {
    let variables = json!({ "roomId": scene.room });
    let request = Request::post(SENT, &variables);
    request.accept(ACCEPT).token(&scene.token)
}

/// A stream that is live.
pub(super) fn live(scene: &Scene, request: &Request) -> Answer {
    let mut stream = request.send(&scene.server);
    assert_eq!(stream.status(), 200, "{}", stream.head());
    assert_eq!(stream.header("content-type"), Some(CONTENT_TYPE));
    assert_eq!(stream.chunk().unwrap(), "--graphql");
    assert_eq!(stream.chunk().unwrap(), HEARTBEAT);
    stream
}

/// The next part that is no heartbeat.
pub(super) fn next_payload(stream: &mut Answer) -> Value {
    loop {
        let part = stream.chunk().unwrap();
        if part != HEARTBEAT {
            return payload(&part);
        }
    }
}

/// What a part holds.
fn payload(part: &str) -> Value {
    let text = part
        .strip_prefix("\r\nContent-Type: application/json\r\n\r\n")
        .and_then(|text| text.strip_suffix("\r\n--graphql"));
    let part: Value = serde_json::from_str(text.unwrap()).unwrap();
    part["payload"].clone()
}

#[test]
fn each_event_is_a_part_whose_boundary_comes_with_it() {
    let scene = Scene::new();
    let request = follow(&scene).header("accept-encoding", "gzip");
    let mut stream = live(&scene, &request);
    assert_eq!(stream.header("content-encoding"), None);
    assert_eq!(
        stream.header("cache-control"),
        Some("no-store, no-transform")
    );
    for text in ["one", "two \"2\""] {
        scene.send(text);
        let cursor = scene.head();
        let quoted = Value::from(text);
        let expected = format!(
            "\r\nContent-Type: application/json\r\n\r\n{{\"payload\":{{\"data\":{{\"messageSent\":\
             {{\"body\":{quoted}}}}},\"extensions\":{{\"cursor\":\"{cursor}\"}}}}}}\r\n--graphql"
        );
        assert_eq!(stream.chunk().unwrap(), expected);
    }
}

#[test]
fn an_end_is_told_by_the_last_boundary() {
    let scene = Scene::new();
    let mut stream = live(&scene, &follow(&scene));
    let delete = "mutation ($input: DeleteRoomInput!) { deleteRoom(input: $input) { roomId } }";
    scene.ask(delete, &json!({ "input": { "roomId": scene.room } }));
    let lost = payload(&stream.chunk().unwrap());
    assert_eq!(lost["errors"][0]["extensions"]["code"], "NOT_FOUND");
    assert_eq!(stream.rest(), (vec!["--\r\n".to_owned()], End::Whole));
}

#[test]
fn what_cannot_be_followed_is_one_part_and_the_end() {
    let scene = Scene::new();
    let nowhere = json!({ "roomId": "00000000-0000-7000-8000-00000000dead" });
    let request = Request::post(SENT, &nowhere).accept(ACCEPT);
    let mut answer = request.token(&scene.token).send(&scene.server);
    assert_eq!(answer.header("content-type"), Some(CONTENT_TYPE));
    let body = answer.whole();
    let part = body
        .strip_prefix("--graphql")
        .and_then(|body| body.strip_suffix("--\r\n"));
    let refused = payload(part.unwrap());
    assert_eq!(refused["errors"][0]["extensions"]["code"], "NOT_FOUND");
}

#[test]
fn queries_and_what_is_no_subscription_are_answered_in_json() {
    let scene = Scene::new();
    for accept in [ACCEPT, "multipart/mixed;subscriptionSpec=1.0"] {
        for query in ["{ head }", "subscription {"] {
            let request = Request::post(query, &json!({})).accept(accept);
            let answer = request.token(&scene.token).send(&scene.server);
            let content_type = answer.header("content-type").unwrap();
            assert!(
                content_type.contains("json"),
                "{accept} {query} {content_type}"
            );
        }
    }
}

#[test]
fn without_the_specifications_name_no_parts_are_given() {
    let scene = Scene::new();
    let variables = json!({ "roomId": scene.room });
    let asked = |accept| {
        let request = Request::post(SENT, &variables).accept(accept);
        request.token(&scene.token).send(&scene.server)
    };
    // urql's: a heartbeat before its first part would be fatal to it.
    let urql = asked("text/event-stream, multipart/mixed");
    assert_eq!(
        urql.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(asked("multipart/mixed").status(), 406);
}

#[test]
fn a_quiet_stream_beats() {
    let plan = Plan::default().env("TIDINGS_PING_INTERVAL_SECS", 1);
    let scene = Scene::on(plan.start());
    let mut stream = live(&scene, &follow(&scene));
    for _ in 0..2 {
        assert_eq!(stream.chunk().unwrap(), HEARTBEAT);
    }
}

/// Apollo's clients accept a result too; to them that would be the end.
#[test]
fn who_is_to_fetch_a_fresh_token_is_told_by_the_status() {
    let scene = Scene::new();
    let asked = || Request::post(SENT, &json!({ "roomId": scene.room })).accept(ACCEPT);
    for request in [asked(), asked().token("nonsense")] {
        let mut answer = request.send(&scene.server);
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let _ = answer.until_its_end();
    }
}

#[test]
fn an_expired_token_cuts() {
    let scene = Scene::new();
    let claims = json!({ "sub": "ada", "exp": now_secs() - 18 });
    let token = scene.server.token_of(claims);
    let request = Request::post(SENT, &json!({ "roomId": scene.room }));
    let mut stream = live(&scene, &request.accept(ACCEPT).token(&token));
    let (parts, end) = stream.rest();
    assert!(parts.iter().all(|part| part == HEARTBEAT), "{parts:?}");
    assert_eq!(end, End::Cut);
}

#[test]
fn http_1_0_gets_its_parts_as_they_are() {
    let scene = Scene::new();
    let mut stream = follow(&scene).http_1_0().send(&scene.server);
    scene.send("old");
    let delete = "mutation ($input: DeleteRoomInput!) { deleteRoom(input: $input) { roomId } }";
    scene.ask(delete, &json!({ "input": { "roomId": scene.room } }));
    let text = stream.until_its_end();
    assert!(text.starts_with("--graphql\r\nContent-Type: "), "{text}");
    assert!(text.contains("{\"body\":\"old\"}"), "{text}");
    assert!(text.ends_with("\r\n--graphql--\r\n"), "{text}");
}
