//! PROTOCOL.md of graphql-ws, rule by rule, in the order in which it states them.

use serde_json::{Value as Json, json};

use super::conversation::*;
use super::protocol::Protocol;
use super::speech::*;
use super::*;
use crate::hub::Envelope;

pub(super) const ACK_HEAD: &str = "00000000010000000007";

const AT_ONCE: AtOnce = AtOnce {
    subscriptions: 2,
    operations: 3,
};

pub(super) fn head() -> Cursor {
    ACK_HEAD.parse().unwrap()
}

pub(super) fn opened() -> Protocol {
    Protocol::new(AT_ONCE, None)
}

fn say(protocol: &mut Protocol, message: &Json) -> Action {
    protocol.receive(&message.to_string())
}

pub(super) fn ready() -> Protocol {
    ready_with(json!({ "token": "t" }))
}

fn ready_with(payload: Json) -> Protocol {
    let mut protocol = opened();
    let init = json!({ "type": "connection_init", "payload": payload });
    assert_eq!(
        say(&mut protocol, &init),
        Action::Authenticate("t".to_owned())
    );
    assert!(protocol.acknowledge(head()).is_some());
    protocol
}

fn subscribe(id: &str) -> Json {
    json!({ "id": id, "type": "subscribe", "payload": { "query": "{a}" } })
}

fn complete(id: &str) -> Json {
    json!({ "id": id, "type": "complete" })
}

/// Starts an operation and says what it turned out to be.
fn start(protocol: &mut Protocol, id: &str, kind: Kind) -> Start {
    match say(protocol, &subscribe(id)) {
        Action::Start(start) => {
            protocol.admit(&start, kind).unwrap();
            start
        }
        other => panic!("{other:?}"),
    }
}

fn sent(action: Action) -> Json {
    match action {
        Action::Send(said) => parsed(only(&said)),
        other => panic!("{other:?}"),
    }
}

fn only(said: &Said) -> &[u8] {
    assert_eq!(said.len(), 1);
    &said[0]
}

fn parsed(text: &[u8]) -> Json {
    serde_json::from_slice(text).unwrap()
}

fn closed(action: Action) -> u16 {
    match action {
        Action::Close(close) => {
            assert!(close.reason.len() <= Close::REASON_BYTES_MAX);
            close.code
        }
        other => panic!("{other:?}"),
    }
}

/// What a text message closes a connection with that is ready for anything.
fn closed_by(text: &str) -> u16 {
    closed(ready().receive(text))
}

// ConnectionInit

#[test]
fn a_second_connection_init_closes_4429_at_any_time() {
    let init = json!({ "type": "connection_init", "payload": { "token": "t" } });
    let mut waiting = opened();
    say(&mut waiting, &init);
    assert_eq!(closed(say(&mut waiting, &init)), 4429);
    assert_eq!(closed(say(&mut ready(), &init)), 4429);
}

#[test]
fn connection_init_without_a_token_closes_4403() {
    for init in [
        json!({ "type": "connection_init" }),
        json!({ "type": "connection_init", "payload": null }),
        json!({ "type": "connection_init", "payload": {} }),
    ] {
        assert_eq!(closed(say(&mut opened(), &init)), 4403);
    }
}

#[test]
fn the_upgrade_requests_token_counts_and_the_payloads_counts_more() {
    let from_header = || Protocol::new(AT_ONCE, Some("header".to_owned()));
    assert_eq!(
        say(&mut from_header(), &json!({ "type": "connection_init" })),
        Action::Authenticate("header".to_owned())
    );
    let init =
        json!({ "type": "connection_init", "payload": { "authorization": "Bearer payload" } });
    assert_eq!(
        say(&mut from_header(), &init),
        Action::Authenticate("payload".to_owned())
    );
}

#[test]
fn connection_init_of_the_wrong_shape_closes_4400() {
    for payload in [
        json!([]),
        json!("token"),
        json!(1),
        json!({ "token": 1 }),
        json!({ "token": "t", "resume": [] }),
    ] {
        let init = json!({ "type": "connection_init", "payload": payload });
        assert_eq!(closed(say(&mut opened(), &init)), 4400, "{payload}");
    }
}

#[test]
fn connection_init_while_the_server_stops_closes_1012() {
    let mut protocol = opened();
    protocol.stop();
    let init = json!({ "type": "connection_init", "payload": { "token": "t" } });
    assert_eq!(closed(say(&mut protocol, &init)), 1012);
}

// ConnectionAck

#[test]
fn connection_ack_carries_the_end_of_the_log() {
    let mut protocol = opened();
    let init = json!({ "type": "connection_init", "payload": { "token": "t" } });
    assert_eq!(protocol.acknowledge(head()), None, "nothing to acknowledge");
    say(&mut protocol, &init);
    assert_eq!(
        parsed(only(&protocol.acknowledge(head()).unwrap())),
        json!({ "type": "connection_ack", "payload": { "head": ACK_HEAD } })
    );
    assert_eq!(protocol.acknowledge(head()), None, "once is enough");
}

// Ping and Pong

#[test]
fn a_ping_is_answered_at_any_time_with_its_payload() {
    for mut protocol in [opened(), ready()] {
        assert_eq!(
            sent(say(&mut protocol, &json!({ "type": "ping" }))),
            json!({ "type": "pong" })
        );
        assert_eq!(
            sent(say(
                &mut protocol,
                &json!({ "type": "ping", "payload": null })
            )),
            json!({ "type": "pong" })
        );
        let payload = json!({ "at": 1, "naughty": "\u{0}\"\u{1f496}" });
        assert_eq!(
            sent(say(
                &mut protocol,
                &json!({ "type": "ping", "payload": payload })
            )),
            json!({ "type": "pong", "payload": payload })
        );
    }
}

#[test]
fn an_unsolicited_pong_is_ignored_at_any_time() {
    for mut protocol in [opened(), ready()] {
        for pong in [
            json!({ "type": "pong" }),
            json!({ "type": "pong", "payload": { "a": 1 } }),
        ] {
            assert_eq!(say(&mut protocol, &pong), Action::Nothing);
        }
    }
}

#[test]
fn a_ping_or_pong_whose_payload_is_no_object_closes_4400() {
    for kind in ["ping", "pong"] {
        for payload in [json!([]), json!("a"), json!(0), json!(false)] {
            let text = json!({ "type": kind, "payload": payload }).to_string();
            assert_eq!(closed_by(&text), 4400, "{text}");
        }
    }
}

// Subscribe

#[test]
fn subscribe_before_connection_init_closes_4401() {
    assert_eq!(closed(say(&mut opened(), &subscribe("1"))), 4401);
}

#[test]
fn subscribe_before_connection_ack_closes_4401() {
    let mut protocol = opened();
    say(
        &mut protocol,
        &json!({ "type": "connection_init", "payload": { "token": "t" } }),
    );
    assert_eq!(closed(say(&mut protocol, &subscribe("1"))), 4401);
}

#[test]
fn subscribe_hands_on_what_was_asked() {
    let payload = json!({
        "query": "query q {a}", "operationName": "q", "variables": { "v": [1] },
        "extensions": { "e": null }, "unknown": 1,
    });
    let message = json!({ "id": "1", "type": "subscribe", "payload": payload, "unknown": {} });
    let Action::Start(start) = say(&mut ready(), &message) else {
        panic!()
    };
    assert_eq!(&*start.id, "1");
    assert_eq!(Json::Object(start.request), payload);
    assert_eq!(start.resume, None);
}

#[test]
fn an_active_id_closes_4409_whatever_the_operation() {
    for kind in [Kind::Single, Kind::Stream] {
        let mut protocol = ready();
        start(&mut protocol, "1", kind);
        assert_eq!(closed(say(&mut protocol, &subscribe("1"))), 4409);
    }
}

#[test]
fn a_completed_id_is_free_again() {
    let mut protocol = ready();
    for kind in [Kind::Stream, Kind::Single, Kind::Stream] {
        let started = start(&mut protocol, "1", kind);
        let Action::Stop { ticket, .. } = say(&mut protocol, &complete("1")) else {
            panic!()
        };
        assert_eq!(ticket, started.ticket);
    }
}

#[test]
fn an_answered_id_is_free_again() {
    let mut protocol = ready();
    for _ in 0..5 {
        let started = start(&mut protocol, "1", Kind::Single);
        assert!(protocol.answer("1", started.ticket, "{}").is_some());
    }
}

#[test]
fn a_refused_id_is_free_again() {
    let mut protocol = ready();
    for _ in 0..5 {
        let started = start(&mut protocol, "1", Kind::Single);
        assert!(protocol.refuse("1", started.ticket, "[]").is_some());
    }
}

#[test]
fn the_id_of_a_stream_that_ended_by_itself_is_free_again() {
    let mut protocol = ready();
    for _ in 0..5 {
        start(&mut protocol, "1", Kind::Stream);
        protocol.ended("1");
    }
}

#[test]
fn subscribe_of_the_wrong_shape_closes_4400() {
    for message in [
        json!({ "type": "subscribe", "payload": { "query": "{a}" } }),
        json!({ "id": null, "type": "subscribe", "payload": { "query": "{a}" } }),
        json!({ "id": 1, "type": "subscribe", "payload": { "query": "{a}" } }),
        json!({ "id": "", "type": "subscribe", "payload": { "query": "{a}" } }),
        json!({ "id": "1", "type": "subscribe" }),
        json!({ "id": "1", "type": "subscribe", "payload": null }),
        json!({ "id": "1", "type": "subscribe", "payload": "{a}" }),
        json!({ "id": "1", "type": "subscribe", "payload": [] }),
        json!({ "id": "1", "type": "subscribe", "payload": {} }),
        json!({ "id": "1", "type": "subscribe", "payload": { "query": null } }),
        json!({ "id": "1", "type": "subscribe", "payload": { "query": 1 } }),
        json!({ "id": "1", "type": "subscribe", "payload": { "query": "{a}", "operationName": 1 } }),
        json!({ "id": "1", "type": "subscribe", "payload": { "query": "{a}", "variables": [] } }),
        json!({ "id": "1", "type": "subscribe", "payload": { "query": "{a}", "variables": "{}" } }),
        json!({ "id": "1", "type": "subscribe", "payload": { "query": "{a}", "extensions": [] } }),
        json!({ "id": "1", "type": "subscribe", "payload": { "query": 1, "extensions": { "persistedQuery": {} } } }),
    ] {
        assert_eq!(closed_by(&message.to_string()), 4400, "{message}");
    }
}

#[test]
fn null_is_as_good_as_left_out() {
    let payload =
        json!({ "query": "{a}", "operationName": null, "variables": null, "extensions": null });
    let message = json!({ "id": "1", "type": "subscribe", "payload": payload });
    assert!(matches!(say(&mut ready(), &message), Action::Start(_)));
}

#[test]
fn a_persisted_query_comes_without_its_text() {
    let payload = json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": "" } } });
    let message = json!({ "id": "1", "type": "subscribe", "payload": payload });
    assert!(matches!(say(&mut ready(), &message), Action::Start(_)));
}

#[test]
fn an_id_is_1_to_128_bytes_of_anything() {
    let mut protocol = ready();
    for id in [
        "x".repeat(128),
        "\u{0}".to_owned(),
        "\"\\\u{1f496}".to_owned(),
    ] {
        let started = start(&mut protocol, &id, Kind::Single);
        let answer = protocol.answer(&id, started.ticket, "{}").unwrap();
        let [next, complete] = &answer[..] else {
            panic!()
        };
        assert_eq!(parsed(next)["id"], id);
        assert_eq!(parsed(complete)["id"], id);
    }
    assert_eq!(closed_by(&subscribe(&"x".repeat(129)).to_string()), 4400);
    assert_eq!(closed_by(&complete(&"x".repeat(129)).to_string()), 4400);
}

#[test]
fn what_no_value_can_hold_is_an_error_of_its_operation_alone() {
    let mut protocol = ready();
    for variables in [r#"{"a":"\ud800"}"#, r#"{"a":1e999}"#] {
        let text = format!(
            r#"{{"id":"1","type":"subscribe","payload":{{"query":"{{a}}","variables":{variables}}}}}"#
        );
        let error = sent(protocol.receive(&text));
        assert_eq!(
            (&error["type"], &error["id"]),
            (&json!("error"), &json!("1"))
        );
        assert_eq!(error["payload"][0]["extensions"]["code"], "BAD_USER_INPUT");
    }
}

// Next, Error, Complete

#[test]
fn a_query_is_answered_by_one_next_and_complete() {
    let mut protocol = ready();
    let started = start(&mut protocol, "1", Kind::Single);
    let response = r#"{"data":{"a":1},"errors":[]}"#;
    let answer = protocol.answer("1", started.ticket, response).unwrap();
    let [next, complete] = &answer[..] else {
        panic!()
    };
    assert_eq!(
        parsed(next),
        json!({ "id": "1", "type": "next", "payload": { "data": { "a": 1 }, "errors": [] } })
    );
    assert_eq!(parsed(complete), json!({ "id": "1", "type": "complete" }));
    assert_eq!(protocol.answer("1", started.ticket, response), None);
}

#[test]
fn an_error_is_an_array_and_ends_the_operation() {
    let mut protocol = ready();
    let started = start(&mut protocol, "1", Kind::Single);
    let error = protocol
        .refuse("1", started.ticket, r#"[{"message":"no"}]"#)
        .unwrap();
    assert_eq!(
        parsed(only(&error)),
        json!({ "id": "1", "type": "error", "payload": [{ "message": "no" }] })
    );
    assert_eq!(protocol.answer("1", started.ticket, "{}"), None);
    assert_eq!(protocol.refuse("1", started.ticket, "[]"), None);
    assert_eq!(say(&mut protocol, &complete("1")), Action::Nothing);
}

#[test]
fn nothing_follows_the_clients_complete() {
    let mut protocol = ready();
    let started = start(&mut protocol, "1", Kind::Single);
    assert!(matches!(
        say(&mut protocol, &complete("1")),
        Action::Stop { .. }
    ));
    assert!(!protocol.wants("1", started.ticket));
    assert_eq!(protocol.answer("1", started.ticket, "{}"), None);
    assert_eq!(protocol.refuse("1", started.ticket, "[]"), None);
}

#[test]
fn a_late_answer_is_not_taken_for_the_next_operation_of_its_id() {
    let mut protocol = ready();
    let first = start(&mut protocol, "1", Kind::Single);
    say(&mut protocol, &complete("1"));
    let second = start(&mut protocol, "1", Kind::Single);
    assert_eq!(protocol.answer("1", first.ticket, "{}"), None);
    assert!(protocol.answer("1", second.ticket, "{}").is_some());
}

#[test]
fn complete_of_an_unknown_id_is_ignored() {
    let mut protocol = ready();
    assert_eq!(say(&mut protocol, &complete("never")), Action::Nothing);
    start(&mut protocol, "1", Kind::Stream);
    say(&mut protocol, &complete("1"));
    assert_eq!(say(&mut protocol, &complete("1")), Action::Nothing);
    assert_eq!(say(&mut opened(), &complete("1")), Action::Nothing);
}

#[test]
fn complete_without_an_id_closes_4400() {
    for message in [
        json!({ "type": "complete" }),
        json!({ "id": 1, "type": "complete" }),
        json!({ "id": "", "type": "complete" }),
    ] {
        assert_eq!(closed_by(&message.to_string()), 4400, "{message}");
    }
}

#[test]
fn many_operations_go_on_at_once() {
    let mut protocol = ready();
    let a = start(&mut protocol, "a", Kind::Single);
    let b = start(&mut protocol, "b", Kind::Single);
    start(&mut protocol, "c", Kind::Stream);
    assert!(protocol.answer("b", b.ticket, "{}").is_some());
    assert!(protocol.answer("a", a.ticket, "{}").is_some());
}

// Invalid message

#[test]
fn what_is_no_message_closes_4400() {
    let deep = "[".repeat(100_000);
    for text in [
        "",
        "null",
        "1",
        "[]",
        "{}",
        "{",
        "ping",
        r#"{"type":"ping"} x"#,
        r#"{"type":null}"#,
        r#"{"type":1}"#,
        r#"{"type":"PING"}"#,
        r#"{"type":"start"}"#,
        r#"{"type":"connection_terminate"}"#,
        r#"{"id":"1","type":"next","payload":{}}"#,
        r#"{"id":"1","type":"error","payload":[]}"#,
        r#"{"type":"connection_ack"}"#,
        r#"{"type":"ping","payload":{"a":}}"#,
        "\u{feff}{}",
        &deep,
    ] {
        assert_eq!(closed_by(text), 4400, "{}", &text[..text.len().min(40)]);
        assert_eq!(closed(opened().receive(text)), 4400);
    }
}

#[test]
fn a_close_tells_nothing_of_the_parser() {
    let Action::Close(close) = ready().receive("{secret") else {
        panic!()
    };
    assert_eq!(close.reason, "Invalid message");
}

#[test]
fn a_binary_message_closes_4400() {
    assert_eq!(closed(ready().receive_binary()), 4400);
    assert_eq!(closed(opened().receive_binary()), 4400);
}

#[test]
fn what_comes_after_a_close_is_ignored() {
    let mut protocol = ready();
    let started = start(&mut protocol, "1", Kind::Single);
    protocol.receive("{");
    assert_eq!(protocol.receive("{"), Action::Nothing);
    assert_eq!(protocol.receive_binary(), Action::Nothing);
    assert_eq!(say(&mut protocol, &subscribe("2")), Action::Nothing);
    assert_eq!(protocol.answer("1", started.ticket, "{}"), None);
    assert_eq!(protocol.acknowledge(head()), None);
}

// What Tidings adds: limits, resume, stopping.

#[test]
fn one_subscription_over_the_limit_is_an_error_and_the_others_go_on() {
    let mut protocol = ready();
    start(&mut protocol, "a", Kind::Stream);
    start(&mut protocol, "b", Kind::Stream);
    start(&mut protocol, "q", Kind::Single);
    let Action::Start(third) = say(&mut protocol, &subscribe("c")) else {
        panic!()
    };
    let error = sent(protocol.admit(&third, Kind::Stream).unwrap_err());
    assert_eq!(
        (&error["type"], &error["id"]),
        (&json!("error"), &json!("c"))
    );
    let extensions = &error["payload"][0]["extensions"];
    assert_eq!(extensions["code"], "RATE_LIMITED");
    assert_eq!(
        (&extensions["limit"], &extensions["retryable"]),
        (&json!(2), &json!(true))
    );
    say(&mut protocol, &complete("a"));
    start(&mut protocol, "c", Kind::Stream);
}

#[test]
fn one_operation_over_the_limit_is_an_error_and_the_others_go_on() {
    let mut protocol = ready();
    start(&mut protocol, "s", Kind::Stream);
    let first = start(&mut protocol, "a", Kind::Single);
    start(&mut protocol, "b", Kind::Single);
    start(&mut protocol, "c", Kind::Single);
    let Action::Start(fourth) = say(&mut protocol, &subscribe("d")) else {
        panic!()
    };
    let error = sent(protocol.admit(&fourth, Kind::Single).unwrap_err());
    assert_eq!(error["payload"][0]["extensions"]["limit"], 3);
    protocol.answer("a", first.ticket, "{}");
    start(&mut protocol, "d", Kind::Single);
}

#[test]
fn no_limit_is_none() {
    let at_once = AtOnce {
        subscriptions: 0,
        operations: 0,
    };
    let mut protocol = Protocol::new(at_once, Some("t".to_owned()));
    say(&mut protocol, &json!({ "type": "connection_init" }));
    protocol.acknowledge(head());
    for n in 0..200 {
        start(&mut protocol, &format!("s{n}"), Kind::Stream);
        start(&mut protocol, &format!("q{n}"), Kind::Single);
    }
}

#[test]
fn a_subscription_resumes_where_connection_init_said_once() {
    let mut protocol = ready_with(json!({ "token": "t", "resume": { "1": ACK_HEAD } }));
    assert_eq!(start(&mut protocol, "2", Kind::Stream).resume, None);
    assert_eq!(start(&mut protocol, "1", Kind::Stream).resume, Some(head()));
    say(&mut protocol, &complete("1"));
    assert_eq!(start(&mut protocol, "1", Kind::Stream).resume, None);
}

#[test]
fn a_refused_subscribe_keeps_its_resume_point_and_its_place_in_pings() {
    let mut protocol = ready_with(json!({ "token": "t", "resume": { "1": ACK_HEAD } }));
    let place = |protocol: &mut Protocol| {
        parsed(&protocol.complete_ping(TransportWs.ping(&[]).unwrap()))["payload"]["resume"]["1"]
            .clone()
    };
    // No value can hold it; it cannot be prepared; there are too many.
    let text = r#"{"id":"1","type":"subscribe","payload":{"query":"{a}","variables":{"a":1e999}}}"#;
    assert_eq!(sent(protocol.receive(text))["type"], "error");
    let Action::Start(unprepared) = say(&mut protocol, &subscribe("1")) else {
        panic!()
    };
    assert!(
        protocol
            .refuse("1", unprepared.ticket, r#"[{"message":"no"}]"#)
            .is_some()
    );
    start(&mut protocol, "a", Kind::Stream);
    start(&mut protocol, "b", Kind::Stream);
    let Action::Start(one_more) = say(&mut protocol, &subscribe("1")) else {
        panic!()
    };
    assert!(protocol.admit(&one_more, Kind::Stream).is_err());
    assert_eq!(place(&mut protocol), ACK_HEAD);
    say(&mut protocol, &complete("a"));
    let admitted = start(&mut protocol, "1", Kind::Stream);
    assert_eq!(admitted.resume, Some(head()));
    assert_eq!(place(&mut protocol), ACK_HEAD);
    // Refused later, it is over.
    protocol.refuse("1", admitted.ticket, "[]");
    assert_eq!(place(&mut protocol), Json::Null);
    assert_eq!(start(&mut protocol, "1", Kind::Stream).resume, None);
}

#[test]
fn a_garbage_resume_point_is_an_error_of_its_subscription_alone() {
    let resume = json!({ "bad": "garbage", "worse": 7, "good": ACK_HEAD });
    let mut protocol = ready_with(json!({ "token": "t", "resume": resume }));
    for id in ["bad", "worse"] {
        let error = sent(say(&mut protocol, &subscribe(id)));
        assert_eq!(
            (&error["type"], &error["id"]),
            (&json!("error"), &json!(id))
        );
        let extensions = &error["payload"][0]["extensions"];
        assert_eq!(extensions["code"], "BAD_USER_INPUT");
        assert_eq!(extensions["field"], "resume");
    }
    assert_eq!(
        start(&mut protocol, "good", Kind::Stream).resume,
        Some(head())
    );
}

#[test]
fn while_the_server_stops_nothing_new_begins_and_what_runs_is_answered() {
    let mut protocol = ready();
    let running = start(&mut protocol, "1", Kind::Single);
    protocol.stop();
    let Action::Start(late) = say(&mut protocol, &subscribe("2")) else {
        panic!()
    };
    let error = sent(protocol.admit(&late, Kind::Single).unwrap_err());
    assert_eq!(error["payload"][0]["extensions"]["code"], "UNAVAILABLE");
    assert!(protocol.answer("1", running.ticket, "{}").is_some());
}

#[test]
fn while_the_server_stops_a_late_subscription_hears_nothing_and_keeps_its_place() {
    let mut protocol = ready_with(json!({ "token": "t", "resume": { "1": ACK_HEAD } }));
    protocol.stop();
    let Action::Start(late) = say(&mut protocol, &subscribe("1")) else {
        panic!()
    };
    assert_eq!(protocol.admit(&late, Kind::Stream), Err(Action::Nothing));
    for _ in 0..3 {
        protocol.beat();
        let ping = parsed(&protocol.complete_ping(TransportWs.ping(&[]).unwrap()));
        assert_eq!(ping["payload"]["resume"]["1"], ACK_HEAD);
    }
    assert!(matches!(
        say(&mut protocol, &complete("1")),
        Action::Stop { .. }
    ));
}
