//! Subscribe: what is taken, and what an id may be.

use super::*;

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
