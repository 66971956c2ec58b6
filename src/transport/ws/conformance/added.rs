//! What Tidings adds: limits, resume, stopping.

use super::*;

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
