//! PROTOCOL.md of graphql-ws, rule by rule, in the order in which it states them.

mod added;
mod subscribe;

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
