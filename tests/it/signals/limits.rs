//! Who may be heard, how much may be said, and who is too slow to hear it.

use serde_json::{Value, json};

use super::{
    EVENTS, REMOVE, SAY, SEND, SIGNALS, TYPE, listen, room, sign_in, signal, signal_in,
    who_is_there,
};
use crate::support::{Heard, Plan, TestServer, Wire, message};

#[tokio::test]
async fn only_who_may_send_is_heard() {
    let server = TestServer::start();
    let mut ada = sign_in(&server, "ada").await;
    let mut eve = sign_in(&server, "eve").await;
    let r = room(&mut ada, &["eve"]).await;
    let lobby = "00000000-0000-7000-8000-000000000001";
    let code = |answer: &Value| answer["errors"][0]["extensions"]["code"].clone();
    let typing = |room: &str| json!({ "room": room, "typing": true });
    let pointer = |room: &str| json!({ "room": room, "kind": "pointer" });
    for listened in [false, true] {
        if listened {
            listen(&mut ada, &[&r]).await;
            signal(&mut ada).await;
        }
        let reader = "mutation ($room: ID!) {
            addMember(input: { roomId: $room, userId: \"eve\", role: READER }) { member { role } } }";
        ada.ask(reader, json!({ "room": r })).await;
        assert_eq!(code(&eve.ask(TYPE, typing(&r)).await), "FORBIDDEN");
        assert_eq!(code(&eve.ask(SAY, pointer(&r)).await), "FORBIDDEN");
        assert_eq!(code(&eve.ask(TYPE, typing(lobby)).await), "FORBIDDEN");
        ada.ask(REMOVE, json!({ "room": r, "user": "eve" })).await;
        assert_eq!(code(&eve.ask(TYPE, typing(&r)).await), "NOT_FOUND");
        assert_eq!(code(&eve.ask(SAY, pointer(&r)).await), "NOT_FOUND");
    }
}

#[tokio::test]
async fn limits_hold_on_both_sides() {
    let server = Plan::default()
        .env("TIDINGS_SIGNALS_PER_SECOND", 1)
        .env("TIDINGS_SIGNALS_BURST", 8)
        .start();
    let mut ada = sign_in(&server, "ada").await;
    let r = room(&mut ada, &[]).await;
    let code = |answer: &Value| answer["errors"][0]["extensions"]["code"].clone();
    // Four of kind and data, in both senses.
    for (kind, data, refused) in [
        ("k".repeat(64), json!("d".repeat(4094)), Value::Null),
        ("k".repeat(65), json!(null), json!("BAD_USER_INPUT")),
        (String::new(), json!(null), json!("BAD_USER_INPUT")),
        ("a\nb".to_owned(), json!(null), json!("BAD_USER_INPUT")),
        (
            "k".to_owned(),
            json!("d".repeat(4095)),
            json!("BAD_USER_INPUT"),
        ),
    ] {
        let answer = ada
            .ask(SAY, json!({ "room": r, "kind": kind, "data": data }))
            .await;
        assert_eq!(code(&answer), refused, "{kind} {answer}");
    }
    // Three are left of the burst, and as many as seconds have gone by.
    let mut passed = 0;
    let refused = loop {
        ada.say(&message("type", TYPE, json!({ "room": r, "typing": true })))
            .await;
        let answer = ada.hear().await.unwrap();
        if answer["type"] == "error" {
            break answer;
        }
        assert_eq!(answer["payload"]["errors"], Value::Null, "{answer}");
        assert_eq!(ada.hear().await.unwrap()["type"], "complete");
        passed += 1;
    };
    assert!((3..60).contains(&passed), "{passed}");
    let extensions = &refused["payload"][0]["extensions"];
    assert_eq!(extensions["code"], "RATE_LIMITED");
    assert!(
        extensions["retryAfterMs"]
            .as_u64()
            .is_some_and(|ms| ms <= 1_001),
        "{extensions}"
    );
    // Messages have a purse of their own.
    let answer = ada.ask(SEND, json!({ "room": r, "body": "still" })).await;
    assert_eq!(answer["errors"], Value::Null, "{answer}");

    // A hundred rooms, and one more.
    let mut rooms = vec![r.clone()];
    rooms.extend((1..100).map(|n| format!("01890a5d-ac96-774b-bcce-{n:012x}")));
    ada.say(&message("signals", SIGNALS, json!({ "rooms": rooms })))
        .await;
    assert_eq!(signal_in(&mut ada, &r).await, who_is_there(&["ada"], &[]));
    rooms.push("01890a5d-ac96-774b-bcce-ffffffffffff".to_owned());
    for bad in [json!(rooms), json!(["no uuid"])] {
        ada.say(&message("101", SIGNALS, json!({ "rooms": bad })))
            .await;
        let refused = ada.hear().await.unwrap();
        assert_eq!(refused["type"], "error", "{refused}");
        assert_eq!(
            refused["payload"][0]["extensions"]["code"],
            "BAD_USER_INPUT"
        );
    }
}

/// A reader that reads nothing for a while, with a window so small that the server notices.
#[tokio::test]
async fn a_slow_reader_misses_signals_and_no_message() {
    /// Several times what a socket and its queue hold.
    const MESSAGES: usize = 80;
    const COUNTS: usize = 8;
    let server = TestServer::start();
    let mut bob = sign_in(&server, "bob").await;
    let r = room(&mut bob, &["ada", "cay"]).await;
    let mut ada = Wire::open(server.addr(), Some(64 * 1024)).await.unwrap();
    let token = json!({ "token": server.token("ada") });
    let init = json!({ "type": "connection_init", "payload": token });
    ada.say(&init.to_string()).await;
    assert_eq!(hear(&mut ada).await["type"], "connection_ack");
    for said in [
        message("events", EVENTS, json!({})),
        message("signals", SIGNALS, json!({ "rooms": [r] })),
    ] {
        ada.say(&said.to_string()).await;
    }
    let (mut is_live, mut knows) = (false, false);
    while !is_live || !knows {
        let heard = hear(&mut ada).await;
        is_live |= heard["type"] == "ping";
        knows |= heard["payload"]["data"]["signals"]["__typename"] == "RoomPresence";
    }
    // From here on she reads nothing. Nothing waits for an answer of its own: after ten seconds she would be cut off.
    for n in 0..MESSAGES {
        let body = json!({ "room": r, "body": format!("{n} {}", "x".repeat(16_000)) });
        bob.say(&message(&format!("send-{n}"), SEND, body)).await;
    }
    for _ in 0..MESSAGES {
        while bob.hear().await.unwrap()["type"] != "complete" {}
    }
    for n in 0..COUNTS {
        let count = json!({ "room": r, "kind": "count", "data": n });
        bob.ask(SAY, count).await;
    }
    let cay = sign_in(&server, "cay").await;
    let (mut messages, mut signals, mut is_told) = (0, Vec::new(), false);
    while messages < MESSAGES {
        let heard = hear(&mut ada).await;
        let data = &heard["payload"]["data"];
        if let Some(body) = data["events"]["message"]["body"].as_str() {
            assert!(body.starts_with(&format!("{messages} ")), "{}", &body[..9]);
            messages += 1;
        }
        signals.extend(data["signals"]["data"].as_u64());
        is_told |= tells_of_cay(&data["signals"]);
    }
    assert!(signals.is_sorted(), "{signals:?}");
    assert!(signals.len() < COUNTS, "none was dropped");
    // She keeps up again, and is told of cay, which she may have missed.
    bob.ask(SAY, json!({ "room": r, "kind": "mark" })).await;
    while !is_told {
        let heard = hear(&mut ada).await;
        is_told = tells_of_cay(&heard["payload"]["data"]["signals"]);
    }
    cay.close(1000).await;
}

/// Anew, or by itself where just then so little waited that it was taken.
fn tells_of_cay(signal: &Value) -> bool {
    signal["presentCount"] == 3 || signal["user"]["id"] == "cay"
}

async fn hear(wire: &mut Wire) -> Value {
    match wire.hear().await {
        Heard::Text(text) => {
            let heard: Value = serde_json::from_str(text.as_str()).unwrap();
            if heard["type"] == "ping" {
                wire.say(r#"{"type":"pong"}"#).await;
            }
            heard
        }
        other => panic!("{other:?}"),
    }
}
