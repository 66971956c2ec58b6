//! The legacy subprotocol, rule by rule: what PROTOCOL.md of subscriptions-transport-ws 0.11 says, and where it is silent what
//! its server does and its clients count on.

use serde_json::{Value as Json, json};

use super::super::conformance::{ACK_HEAD, head};
use super::super::conversation::{AtOnce, Kind, Start};
use super::super::speech::{Action, Beat, Speech};
use super::*;

pub(in super::super) fn opened() -> Legacy {
    let at_once = AtOnce {
        subscriptions: 2,
        operations: 3,
    };
    Legacy::new(at_once, None)
}

pub(in super::super) fn ready() -> Legacy {
    ready_with(json!({ "Authorization": "Bearer t" }))
}

fn ready_with(payload: Json) -> Legacy {
    let mut legacy = opened();
    let init = json!({ "type": "connection_init", "payload": payload });
    assert_eq!(
        say(&mut legacy, &init),
        Action::Authenticate("t".to_owned())
    );
    assert!(legacy.acknowledge(head()).is_some());
    legacy
}

fn say(legacy: &mut Legacy, message: &Json) -> Action {
    legacy.receive(&message.to_string())
}

fn start_message(id: &str) -> Json {
    json!({ "id": id, "type": "start", "payload": { "query": "{a}" } })
}

fn begin(legacy: &mut Legacy, id: &str) -> Start {
    match say(legacy, &start_message(id)) {
        Action::Start(start) => start,
        other => panic!("{other:?}"),
    }
}

/// Starts an operation and says what it turned out to be.
fn start(legacy: &mut Legacy, id: &str, kind: Kind) -> Start {
    let start = begin(legacy, id);
    legacy.admit(&start, kind).unwrap();
    start
}

fn all(said: &Said) -> Vec<Json> {
    let parsed = said.iter().map(|text| serde_json::from_slice(text));
    parsed.map(Result::unwrap).collect()
}

fn sent(action: Action) -> Vec<Json> {
    match action {
        Action::Send(said) => all(&said),
        other => panic!("{other:?}"),
    }
}

fn closed(action: &Action) -> u16 {
    match action {
        Action::Close(close) => close.code,
        other => panic!("{other:?}"),
    }
}

fn farewell(legacy: &mut Legacy, close: Close) -> Option<Json> {
    let text = legacy.farewell(close)?;
    Some(serde_json::from_slice(&text).unwrap())
}

// connection_init

#[test]
fn connection_init_brings_a_token_in_any_letter_case_or_the_header_does() {
    for payload in [
        json!({ "Authorization": "Bearer t" }),
        json!({ "authorization": "t" }),
        json!({ "token": "t" }),
    ] {
        ready_with(payload);
    }
    let at_once = AtOnce {
        subscriptions: 0,
        operations: 0,
    };
    for init in [
        json!({ "type": "connection_init" }),
        json!({ "type": "connection_init", "payload": null }),
        json!({ "type": "connection_init", "payload": {} }),
    ] {
        let mut legacy = Legacy::new(at_once, Some("header".to_owned()));
        assert_eq!(
            say(&mut legacy, &init),
            Action::Authenticate("header".to_owned())
        );
    }
}

#[test]
fn without_a_token_it_is_told_so_and_closed_4403() {
    let mut legacy = opened();
    let action = say(&mut legacy, &json!({ "type": "connection_init" }));
    assert_eq!(closed(&action), 4403);
    let told = farewell(&mut legacy, Close::SIGN_IN).unwrap();
    assert_eq!(told["type"], "connection_error");
    assert_eq!(told["payload"]["message"], Close::SIGN_IN.reason);
    assert_eq!(told["payload"]["extensions"]["code"], "UNAUTHENTICATED");
    assert_eq!(told["payload"]["extensions"]["retryable"], false);
}

#[test]
fn until_it_is_acknowledged_every_close_is_told_and_from_then_on_none() {
    for (close, code) in [
        (Close::forbidden("no"), "UNAUTHENTICATED"),
        (Close::UNAUTHORIZED, "UNAUTHENTICATED"),
        (Close::TOO_MANY_CONNECTIONS, "UNAVAILABLE"),
        (Close::STOPPING, "UNAVAILABLE"),
        (Close::TOO_MANY_INITS, "BAD_USER_INPUT"),
        (Close::INIT_TIMEOUT, "BAD_USER_INPUT"),
    ] {
        let told = farewell(&mut opened(), close).unwrap();
        assert_eq!(told["payload"]["extensions"]["code"], code);
        let retryable = &told["payload"]["extensions"]["retryable"];
        assert_eq!(*retryable, code == "UNAVAILABLE");
        assert_eq!(farewell(&mut ready(), close), None);
    }
}

#[test]
fn an_acknowledgement_brings_the_head_and_the_first_keep_alive() {
    let mut legacy = opened();
    assert_eq!(legacy.acknowledge(head()), None, "nothing to acknowledge");
    let init = json!({ "type": "connection_init", "payload": { "token": "t" } });
    say(&mut legacy, &init);
    assert_eq!(
        all(&legacy.acknowledge(head()).unwrap()),
        [
            json!({ "type": "connection_ack", "payload": { "head": ACK_HEAD } }),
            json!({ "type": "ka" }),
        ]
    );
    assert_eq!(legacy.acknowledge(head()), None, "once is enough");
}

#[test]
fn a_second_connection_init_closes_4429() {
    let init = json!({ "type": "connection_init", "payload": { "token": "t" } });
    assert_eq!(closed(&say(&mut ready(), &init)), 4429);
}

#[test]
fn a_client_that_could_not_make_its_connection_init_is_sent_to_sign_in() {
    let error = json!({ "type": "connection_error", "payload": {} });
    assert_eq!(closed(&say(&mut opened(), &error)), 4403);
}

#[test]
fn nothing_is_listened_to_while_the_token_is_checked() {
    let mut legacy = opened();
    assert!(legacy.listens());
    let init = json!({ "type": "connection_init", "payload": { "token": "t" } });
    say(&mut legacy, &init);
    assert!(!legacy.listens());
    legacy.acknowledge(head());
    assert!(legacy.listens());
}

// connection_terminate

#[test]
fn connection_terminate_closes_1000() {
    let terminate = json!({ "type": "connection_terminate", "payload": null });
    let mut legacy = ready();
    assert_eq!(closed(&say(&mut legacy, &terminate)), 1000);
    assert_eq!(say(&mut legacy, &start_message("1")), Action::Nothing);
}

// start

#[test]
fn start_before_connection_init_closes_4401() {
    assert_eq!(closed(&say(&mut opened(), &start_message("1"))), 4401);
}

#[test]
fn an_answer_is_data_and_complete() {
    let id = "a\"\\\u{0}\u{1f496}";
    let mut legacy = ready();
    let started = start(&mut legacy, id, Kind::Single);
    let answer = legacy.answer(id, started.ticket, r#"{"data":{"a":1}}"#);
    assert_eq!(
        all(&answer.unwrap()),
        [
            json!({ "type": "data", "id": id, "payload": { "data": { "a": 1 } } }),
            json!({ "type": "complete", "id": id }),
        ]
    );
    assert_eq!(legacy.answer(id, started.ticket, "{}"), None);
}

#[test]
fn what_does_not_run_is_told_as_data_with_all_its_errors_and_complete() {
    let mut legacy = ready();
    let started = begin(&mut legacy, "1");
    let errors = json!([{ "message": "no" }, { "message": "nor this" }]);
    let refusal = legacy.refuse("1", started.ticket, &errors.to_string());
    assert_eq!(
        all(&refusal.unwrap()),
        [
            json!({ "type": "data", "id": "1", "payload": { "errors": errors } }),
            json!({ "type": "complete", "id": "1" }),
        ]
    );
    assert_eq!(legacy.refuse("1", started.ticket, "[]"), None);
    begin(&mut legacy, "1");
}

#[test]
fn a_payload_that_is_none_is_an_error_of_its_operation_and_not_the_end_of_the_socket() {
    let mut legacy = ready();
    for payload in [
        "null",
        "[]",
        "{}",
        r#"{"query":1}"#,
        r#"{"query":"{a}","variables":[]}"#,
        r#"{"query":"{a}","operationName":{}}"#,
        r#"{"query":"{a}","variables":{"a":1e999}}"#,
    ] {
        let text = format!(r#"{{"id":"1","type":"start","payload":{payload}}}"#);
        let [data, complete] = &sent(legacy.receive(&text))[..] else {
            panic!()
        };
        let extensions = &data["payload"]["errors"][0]["extensions"];
        assert_eq!(extensions["code"], "BAD_USER_INPUT", "{payload}");
        assert_eq!(*complete, json!({ "type": "complete", "id": "1" }));
    }
    begin(&mut legacy, "1");
}

#[test]
fn a_start_without_an_id_closes_4400() {
    for id in [json!(null), json!(1), json!(""), json!("x".repeat(129))] {
        let start = json!({ "id": id, "type": "start", "payload": { "query": "{a}" } });
        assert_eq!(closed(&say(&mut ready(), &start)), 4400);
    }
    begin(&mut ready(), &"x".repeat(128));
}

#[test]
fn a_start_under_an_id_that_is_taken_is_instead_of_what_had_it() {
    let mut legacy = ready();
    let old = start(&mut legacy, "1", Kind::Stream);
    let Action::Stop {
        id,
        ticket,
        kind,
        then,
    } = say(&mut legacy, &start_message("1"))
    else {
        panic!()
    };
    assert_eq!((&*id, ticket, kind), ("1", old.ticket, Kind::Stream));
    let Action::Start(new) = *then else { panic!() };
    assert!(legacy.wants("1", new.ticket) && !legacy.wants("1", old.ticket));
    // It takes no more room than one: two subscriptions are allowed.
    legacy.admit(&new, Kind::Stream).unwrap();
    start(&mut legacy, "2", Kind::Stream);
    let spoiled = json!({ "id": "1", "type": "start", "payload": {} });
    let Action::Stop { then, .. } = say(&mut legacy, &spoiled) else {
        panic!()
    };
    assert_eq!(sent(*then)[1]["type"], "complete");
}

// stop

#[test]
fn stop_is_answered_by_complete_and_a_late_one_by_nothing() {
    let mut legacy = ready();
    let started = start(&mut legacy, "1", Kind::Stream);
    let stop = json!({ "id": "1", "type": "stop" });
    let Action::Stop { ticket, then, .. } = say(&mut legacy, &stop) else {
        panic!()
    };
    assert_eq!(ticket, started.ticket);
    assert_eq!(sent(*then), [json!({ "type": "complete", "id": "1" })]);
    assert_eq!(say(&mut legacy, &stop), Action::Nothing);
    let nameless = json!({ "type": "stop" });
    assert_eq!(closed(&say(&mut legacy, &nameless)), 4400);
}

// What is none of this

#[test]
fn an_unknown_message_is_answered_by_an_error_and_the_socket_stays() {
    let mut legacy = ready();
    for message in [
        json!({ "id": "1", "type": "subscribe", "payload": { "query": "{a}" } }),
        json!({ "type": "ping" }),
        json!({ "type": "ka" }),
    ] {
        let [error] = &sent(say(&mut legacy, &message))[..] else {
            panic!()
        };
        assert_eq!(error["type"], "error");
        assert_eq!(error["id"], message["id"]);
        assert_eq!(error["payload"]["extensions"]["code"], "BAD_USER_INPUT");
    }
    begin(&mut legacy, "1");
}

#[test]
fn what_is_no_message_closes_4400() {
    for text in ["", "null", "[]", "{}", "{", "ka", r#"{"type":1}"#] {
        assert_eq!(closed(&ready().receive(text)), 4400, "{text}");
    }
    assert_eq!(closed(&ready().receive_binary()), 4400);
}

// What is the same in both protocols

#[test]
fn limits_hold_and_what_ends_makes_room() {
    let mut legacy = ready();
    start(&mut legacy, "a", Kind::Stream);
    let b = start(&mut legacy, "b", Kind::Stream);
    let c = begin(&mut legacy, "c");
    let refusal = sent(legacy.admit(&c, Kind::Stream).unwrap_err());
    let extensions = &refusal[0]["payload"]["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "RATE_LIMITED");
    assert_eq!(extensions["limit"], 2);
    legacy.ended("b");
    assert!(!legacy.wants("b", b.ticket));
    start(&mut legacy, "c", Kind::Stream);
    for id in ["1", "2", "3"] {
        start(&mut legacy, id, Kind::Single);
    }
    let one_more = begin(&mut legacy, "4");
    assert!(legacy.admit(&one_more, Kind::Single).is_err());
}

#[test]
fn a_subscription_resumes_where_connection_init_said_once() {
    let resume = json!({ "1": ACK_HEAD, "bad": "garbage" });
    let mut legacy = ready_with(json!({ "token": "t", "resume": resume }));
    assert_eq!(start(&mut legacy, "2", Kind::Stream).resume, None);
    assert_eq!(start(&mut legacy, "1", Kind::Stream).resume, Some(head()));
    say(&mut legacy, &json!({ "id": "1", "type": "stop" }));
    assert_eq!(start(&mut legacy, "1", Kind::Stream).resume, None);
    let refusal = sent(say(&mut legacy, &start_message("bad")));
    let extensions = &refusal[0]["payload"]["errors"][0]["extensions"];
    assert_eq!(extensions["field"], "resume");
}

#[test]
fn while_the_server_stops_nothing_new_begins_and_what_runs_is_answered() {
    let mut legacy = ready();
    let running = start(&mut legacy, "1", Kind::Single);
    legacy.stop();
    let late = begin(&mut legacy, "2");
    let refusal = sent(legacy.admit(&late, Kind::Single).unwrap_err());
    let extensions = &refusal[0]["payload"]["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "UNAVAILABLE");
    let stream = begin(&mut legacy, "3");
    assert_eq!(legacy.admit(&stream, Kind::Stream), Err(Action::Nothing));
    assert!(legacy.answer("1", running.ticket, "{}").is_some());
    let init = json!({ "type": "connection_init", "payload": { "token": "t" } });
    let mut new = opened();
    new.stop();
    assert_eq!(closed(&say(&mut new, &init)), 1012);
}

// What the hub says

#[test]
fn a_payload_closes_the_frame_that_its_prefix_opened() {
    let id = "a\"\\\u{0}\u{1f496}";
    let mut text = SubscriptionsTransportWs.next_prefix(id).to_vec();
    text.extend_from_slice(br#"{"data":{"a":1}}}"#);
    assert_eq!(
        serde_json::from_slice::<Json>(&text).unwrap(),
        json!({ "id": id, "type": "data", "payload": { "data": { "a": 1 } } })
    );
}

#[test]
fn a_stream_that_ends_with_errors_is_told_as_any_refusal() {
    let envelope = ready().envelope();
    let said = vec![envelope.error("1", "[]"), envelope.end("1").unwrap()];
    assert_eq!(all(&said), all(&frame::refusal("1", "[]")));
    assert_eq!(envelope.ping(&[]), None);
}

#[test]
fn a_keep_alive_has_no_payload() {
    let Beat::KeepAlive(text) = ready().beat() else {
        panic!()
    };
    assert_eq!(&text[..], br#"{"type":"ka"}"#);
}
