//! The protocols under any sequence of messages and outcomes whatever.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::conformance::{ACK_HEAD, head, opened, ready};
use super::conversation::*;
use super::legacy::conformance as legacy;
use super::speech::*;

fn anything() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        ".{0,8}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::hash_map(".{0,8}", inner, 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

fn message_like() -> impl Strategy<Value = String> {
    let kinds = [
        "connection_init",
        "ping",
        "pong",
        "subscribe",
        "complete",
        "start",
        "stop",
        "connection_error",
        "connection_terminate",
        "next",
        "x",
    ];
    let id = prop_oneof![
        8 => prop::sample::select(vec![json!("1"), json!("2"), json!("3")]),
        1 => anything(),
    ];
    let payload = prop_oneof![
        4 => Just(json!({ "query": "{a}" })),
        2 => Just(json!({ "token": "t", "resume": { "1": ACK_HEAD, "2": "x" } })),
        2 => anything(),
    ];
    (prop::sample::select(kinds.to_vec()), id, payload).prop_map(|(kind, id, payload)| {
        json!({ "type": kind, "id": id, "payload": payload }).to_string()
    })
}

#[derive(Clone, Debug)]
enum Step {
    Say(String),
    Binary,
    Acknowledge,
    Answer(bool),
    Ended(&'static str),
    Stop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => message_like().prop_map(Step::Say),
        2 => ".{0,40}".prop_map(Step::Say),
        1 => Just(Step::Binary),
        8 => Just(Step::Acknowledge),
        6 => any::<bool>().prop_map(Step::Answer),
        4 => prop::sample::select(vec!["1", "2", "3"]).prop_map(Step::Ended),
        1 => Just(Step::Stop),
    ]
}

/// No sequence of anything panics; what is sent is JSON; a closed connection stays silent; limits hold.
fn converse(mut protocol: impl Speech, steps: Vec<(Step, bool)>) -> Result<(), TestCaseError> {
    let mut closed = false;
    let mut started: Vec<Start> = Vec::new();
    for (step, stream) in steps {
        let mut out = Vec::new();
        match step {
            Step::Say(text) => {
                let mut action = protocol.receive(&text);
                if let Action::Stop {
                    id, ticket, then, ..
                } = action
                {
                    prop_assert!(!protocol.wants(&id, ticket));
                    action = *then;
                }
                match action {
                    Action::Send(said) => out.extend(said),
                    Action::Start(start) => {
                        prop_assert!(
                            !started
                                .iter()
                                .any(|other| protocol.wants(&other.id, other.ticket)
                                    && other.id == start.id)
                        );
                        let kind = if stream { Kind::Stream } else { Kind::Single };
                        match protocol.admit(&start, kind) {
                            Ok(()) => started.push(start),
                            Err(Action::Send(said)) => out.extend(said),
                            Err(instead) => prop_assert_eq!(instead, Action::Nothing),
                        }
                    }
                    Action::Close(_) => {
                        prop_assert!(!closed);
                        closed = true;
                        continue;
                    }
                    Action::Nothing | Action::Authenticate(_) => {}
                    stop @ Action::Stop { .. } => prop_assert!(false, "stopped twice: {:?}", stop),
                }
            }
            Step::Binary => closed |= matches!(protocol.receive_binary(), Action::Close(_)),
            Step::Acknowledge => out.extend(protocol.acknowledge(head()).unwrap_or_default()),
            Step::Answer(well) => {
                if let Some(Start { id, ticket, .. }) = started.pop() {
                    let said = if well {
                        protocol.answer(&id, ticket, "{}")
                    } else {
                        protocol.refuse(&id, ticket, "[]")
                    };
                    out.extend(said.unwrap_or_default());
                }
            }
            Step::Ended(id) => protocol.ended(id),
            Step::Stop => protocol.stop(),
        }
        prop_assert!(out.is_empty() || !closed);
        for text in out {
            prop_assert!(serde_json::from_slice::<Json>(&text).unwrap()["type"].is_string());
        }
        let wanted = |start: &&Start| protocol.wants(&start.id, start.ticket);
        prop_assert!(started.iter().filter(wanted).count() <= 5);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_conversation_ends_in_a_legal_state(
        steps in prop::collection::vec((step(), any::<bool>()), 0..60),
        greeted in any::<bool>(),
    ) {
        converse(if greeted { ready() } else { opened() }, steps)?;
    }

    #[test]
    fn any_legacy_conversation_ends_in_a_legal_state(
        steps in prop::collection::vec((step(), any::<bool>()), 0..60),
        greeted in any::<bool>(),
    ) {
        converse(if greeted { legacy::ready() } else { legacy::opened() }, steps)?;
    }
}
