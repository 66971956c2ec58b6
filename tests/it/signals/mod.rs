//! Signals through the real server: who is there, who types, what apps say to one another.

mod limits;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Plan, Socket, TestServer, message};

const CREATE: &str = "mutation ($members: [ID!]) {
    createRoom(input: { name: \"a room\", memberIds: $members }) { room { id } } }";
const SEND: &str = "mutation ($room: ID!, $body: String!) {
    sendMessage(input: { roomId: $room, body: $body }) { message { id } } }";
const TYPE: &str = "mutation ($room: ID!, $typing: Boolean!) {
    setTyping(input: { roomId: $room, typing: $typing }) { expiresAt } }";
const SAY: &str = "mutation ($room: ID!, $kind: String!, $data: JSON) {
    sendSignal(input: { roomId: $room, kind: $kind, data: $data }) { room { id } } }";
const REMOVE: &str = "mutation ($room: ID!, $user: ID!) {
    removeMember(input: { roomId: $room, userId: $user }) { room { id } } }";
const ADD: &str = "mutation ($room: ID!, $user: ID!) {
    addMember(input: { roomId: $room, userId: $user }) { room { id } } }";
const SIGNALS: &str =
    "subscription ($rooms: [ID!]!) { signals(roomIds: $rooms) { __typename room { id }
    ... on RoomPresence { online { id } away { id } presentCount }
    ... on PresenceChanged { user { id } status lastSeenAt }
    ... on TypingChanged { user { id } typing }
    ... on ReadAdvanced { member { user { id } readUpTo } }
    ... on AppSignal { user { id } kind data } } }";
const EVENTS: &str = "subscription { events { __typename ... on AccessRevoked { roomId }
    ... on MessageSent { message { body } } } }";

async fn room(owner: &mut Socket, members: &[&str]) -> String {
    let answer = owner.ask(CREATE, json!({ "members": members })).await;
    let id = answer["data"]["createRoom"]["room"]["id"].as_str();
    id.expect("it was made").to_owned()
}

async fn listen(socket: &mut Socket, rooms: &[&str]) {
    let rooms = json!({ "rooms": rooms });
    socket.say(&message("signals", SIGNALS, rooms)).await;
}

/// The next signal.
async fn signal(socket: &mut Socket) -> Value {
    loop {
        let heard = socket.hear().await.expect("the socket is open");
        if heard["id"] == "signals" {
            assert_eq!(heard["type"], "next", "{heard}");
            let payload = &heard["payload"];
            assert_eq!(payload["errors"], Value::Null, "{heard}");
            assert_eq!(
                payload["extensions"],
                Value::Null,
                "a signal has no place: {heard}"
            );
            return payload["data"]["signals"].clone();
        }
    }
}

/// What there is to a signal beside its room, which is this one.
async fn signal_in(socket: &mut Socket, room: &str) -> Value {
    let mut signal = signal(socket).await;
    let about = signal.as_object_mut().unwrap().remove("room");
    assert_eq!(about, Some(json!({ "id": room })));
    signal
}

fn who_is_there(online: &[&str], away: &[&str]) -> Value {
    let users = |ids: &[&str]| -> Value { ids.iter().map(|id| json!({ "id": id })).collect() };
    json!({
        "__typename": "RoomPresence", "online": users(online), "away": users(away),
        "presentCount": online.len() + away.len()
    })
}

fn stands(user: &str, status: &str) -> Value {
    let user = json!({ "id": user });
    json!({ "__typename": "PresenceChanged", "user": user, "status": status, "lastSeenAt": null })
}

fn types(user: &str, typing: bool) -> Value {
    json!({ "__typename": "TypingChanged", "user": { "id": user }, "typing": typing })
}

async fn sign_in(server: &TestServer, user: &str) -> Socket {
    Socket::signed_in(server, &server.token(user)).await
}

#[tokio::test]
async fn signals_begin_with_who_is_there_and_go_on_with_what_changes() {
    let server = TestServer::start();
    let mut ada = sign_in(&server, "ada").await;
    let r = room(&mut ada, &["bob", "cay"]).await;
    let mut cay = sign_in(&server, "cay").await;
    let away =
        "mutation ($away: Boolean!) { setPresence(input: { away: $away }) { viewer { id } } }";
    cay.ask(away, json!({ "away": true })).await;
    listen(&mut ada, &[&r]).await;
    assert_eq!(
        signal_in(&mut ada, &r).await,
        who_is_there(&["ada"], &["cay"])
    );

    let mut bob = sign_in(&server, "bob").await;
    assert_eq!(signal_in(&mut ada, &r).await, stands("bob", "ONLINE"));
    // One more device of his is no news.
    let desk = sign_in(&server, "bob").await;
    let typing = json!({ "room": r, "typing": true });
    let answer = bob.ask(TYPE, typing.clone()).await;
    assert!(
        answer["data"]["setTyping"]["expiresAt"].is_string(),
        "{answer}"
    );
    assert_eq!(signal_in(&mut ada, &r).await, types("bob", true));
    // Said again it is told again, because clients forget it.
    bob.ask(TYPE, typing.clone()).await;
    assert_eq!(signal_in(&mut ada, &r).await, types("bob", true));
    let stop = json!({ "room": r, "typing": false });
    let answer = bob.ask(TYPE, stop.clone()).await;
    assert_eq!(answer["data"]["setTyping"]["expiresAt"], Value::Null);
    assert_eq!(signal_in(&mut ada, &r).await, types("bob", false));
    // What is over already is no news.
    bob.ask(TYPE, stop).await;
    bob.ask(TYPE, typing.clone()).await;
    assert_eq!(signal_in(&mut ada, &r).await, types("bob", true));
    bob.ask(SEND, json!({ "room": r, "body": "it is said" }))
        .await;
    assert_eq!(signal_in(&mut ada, &r).await, types("bob", false));

    let data = json!({ "x": 1.5, "y": [null, true] });
    bob.ask(SAY, json!({ "room": r, "kind": "pointer", "data": data }))
        .await;
    let said = json!({ "__typename": "AppSignal", "user": { "id": "bob" }, "kind": "pointer", "data": data });
    assert_eq!(signal_in(&mut ada, &r).await, said);

    bob.ask(away, json!({ "away": true })).await;
    assert_eq!(signal_in(&mut ada, &r).await, stands("bob", "AWAY"));
    bob.ask(away, json!({ "away": false })).await;
    assert_eq!(signal_in(&mut ada, &r).await, stands("bob", "ONLINE"));
    bob.ask(TYPE, typing).await;
    assert_eq!(signal_in(&mut ada, &r).await, types("bob", true));
    desk.close(1000).await;
    bob.close(1000).await;
    // Who goes types no more.
    assert_eq!(signal_in(&mut ada, &r).await, types("bob", false));
    let mut gone = signal_in(&mut ada, &r).await;
    let seen = gone["lastSeenAt"].take();
    assert!(seen.is_string(), "{gone}");
    assert_eq!(gone, stands("bob", "OFFLINE"));
}

#[tokio::test]
async fn who_is_cut_off_is_offline_after_the_grace_and_who_stops_typing_without_a_word_after_six_seconds()
 {
    let server = TestServer::start();
    let mut ada = sign_in(&server, "ada").await;
    let r = room(&mut ada, &["bob"]).await;
    let mut bob = sign_in(&server, "bob").await;
    listen(&mut ada, &[&r]).await;
    assert_eq!(
        signal_in(&mut ada, &r).await,
        who_is_there(&["ada", "bob"], &[])
    );
    let typing = json!({ "room": r, "typing": true });
    // Before it happens: what is to take a while takes no less from then, however long this test is held up.
    let typed = Instant::now();
    bob.ask(TYPE, typing).await;
    assert_eq!(signal_in(&mut ada, &r).await, types("bob", true));
    // His client is killed: no close frame, nothing.
    let cut = Instant::now();
    drop(bob);
    assert_eq!(signal_in(&mut ada, &r).await, types("bob", false));
    assert!(
        typed.elapsed() >= Duration::from_secs(6),
        "{:?}",
        typed.elapsed()
    );
    let mut gone = Value::Null;
    // The test's own patience is shorter than the grace.
    for _ in 0..3 {
        let heard = tokio::time::timeout(Duration::from_secs(8), signal_in(&mut ada, &r)).await;
        if let Ok(heard) = heard {
            gone = heard;
            break;
        }
    }
    assert!(
        cut.elapsed() >= Duration::from_secs(15),
        "{:?}",
        cut.elapsed()
    );
    assert_eq!(gone["status"], "OFFLINE", "{gone}");
    assert!(gone["lastSeenAt"].is_string(), "{gone}");
}

#[tokio::test]
async fn who_loses_a_room_hears_no_more_of_it_and_who_comes_back_hears_it_again() {
    let server = TestServer::start();
    let mut ada = sign_in(&server, "ada").await;
    let (r, other) = (
        room(&mut ada, &["bob"]).await,
        room(&mut ada, &["bob"]).await,
    );
    let strange = room(&mut ada, &[]).await;
    let mut bob = sign_in(&server, "bob").await;
    bob.say(&message("events", EVENTS, json!({}))).await;
    bob.live().await;
    // A room that is not his is left out, and so is one that there is not.
    let nowhere = "01890a5d-ac96-774b-bcce-b302099a8057";
    listen(&mut bob, &[&strange, &r, nowhere, &other]).await;
    let mut first =
        [signal(&mut bob).await, signal(&mut bob).await].map(|it| it["room"]["id"].clone());
    let mut named = [json!(r), json!(other)];
    first.sort_by_key(Value::to_string);
    named.sort_by_key(Value::to_string);
    assert_eq!(first, named);

    for round in 0..10 {
        // Ada types all the while, and bob is removed.
        for typing in [true, false, true] {
            ada.ask(TYPE, json!({ "room": r, "typing": typing })).await;
        }
        ada.say(&message(
            "remove",
            REMOVE,
            json!({ "room": r, "user": "bob" }),
        ))
        .await;
        for typing in [true, false, true] {
            ada.say(&message(
                "type",
                TYPE,
                json!({ "room": r, "typing": typing }),
            ))
            .await;
            while ada.hear().await.unwrap() != json!({ "id": "type", "type": "complete" }) {}
        }
        // Something of a room that he still has, behind it all.
        let mark = json!({ "room": other, "kind": "mark", "data": round });
        ada.ask(SAY, mark).await;
        let (mut revoked, mut heard_after) = (false, 0);
        loop {
            let heard = bob.hear().await.unwrap();
            let (event, signal) = (
                &heard["payload"]["data"]["events"],
                &heard["payload"]["data"]["signals"],
            );
            revoked |= event["__typename"] == "AccessRevoked";
            if revoked && signal["room"]["id"] == json!(r) {
                heard_after += 1;
            }
            if signal["kind"] == "mark" {
                assert_eq!(signal["data"], json!(round));
                break;
            }
        }
        assert_eq!(heard_after, 0, "round {round}");
        ada.ask(ADD, json!({ "room": r, "user": "bob" })).await;
        // Whether he is told of himself depends on who was first to know that he is in.
        let back = signal_in(&mut bob, &r).await;
        assert_eq!(back["__typename"], "RoomPresence", "round {round}");
    }
}

#[tokio::test]
async fn a_signal_is_no_place_to_go_on_from() {
    let server = Plan::default().env("TIDINGS_PING_INTERVAL_SECS", 1).start();
    let mut ada = sign_in(&server, "ada").await;
    let r = room(&mut ada, &[]).await;
    listen(&mut ada, &[&r]).await;
    assert_eq!(signal_in(&mut ada, &r).await, who_is_there(&["ada"], &[]));
    ada.say(&message("events", EVENTS, json!({}))).await;
    for _ in 0..2 {
        let resume = ada.hear_ping().await["payload"]["resume"].take();
        let ids: Vec<_> = resume.as_object().unwrap().keys().cloned().collect();
        assert_eq!(ids, ["events"], "{resume}");
    }
}

#[tokio::test]
async fn who_reads_on_is_told_to_the_room_and_to_ones_other_devices() {
    let server = TestServer::start();
    let mut ada = sign_in(&server, "ada").await;
    let r = room(&mut ada, &["bob"]).await;
    let mut bob = sign_in(&server, "bob").await;
    let mut desk = sign_in(&server, "ada").await;
    desk.say(&message(
        "read",
        "subscription { roomRead { id viewerReadUpTo } }",
        json!({}),
    ))
    .await;
    // Who asks for something and is answered has been seated: it is one queue.
    desk.say(&message("events", EVENTS, json!({}))).await;
    desk.live().await;
    listen(&mut bob, &[&r]).await;
    assert_eq!(
        signal_in(&mut bob, &r).await,
        who_is_there(&["ada", "bob"], &[])
    );
    let send = "mutation ($room: ID!, $body: String!) {
        sendMessage(input: { roomId: $room, body: $body }) { message { cursor } } }";
    for body in ["one", "two"] {
        let answer = bob.ask(send, json!({ "room": r, "body": body })).await;
        let cursor = answer["data"]["sendMessage"]["message"]["cursor"].clone();
        let mark = "mutation ($room: ID!, $upTo: Cursor!) {
            markRead(input: { roomId: $room, upTo: $upTo }) { room { id } } }";
        ada.ask(mark, json!({ "room": r, "upTo": cursor })).await;
        let member = json!({ "user": { "id": "ada" }, "readUpTo": cursor });
        let advanced = loop {
            let signal = signal_in(&mut bob, &r).await;
            // That he has read what he sent himself is told as well.
            if signal["member"]["user"]["id"] != "bob" {
                break signal;
            }
        };
        assert_eq!(
            advanced,
            json!({ "__typename": "ReadAdvanced", "member": member })
        );
        let told = loop {
            let heard = desk.hear().await.unwrap();
            if heard["id"] == "read" {
                break heard;
            }
        };
        assert_eq!(
            told["payload"],
            json!({ "data": { "roomRead": { "id": r, "viewerReadUpTo": cursor } } })
        );
    }
}
