//! Subscriptions over the real schema, store and writer: what is planned, and what arrives.

use std::sync::Arc;

use async_graphql::Variables;
use bytes::Bytes;
use serde_json::{Value, json};

use super::super::executor::{Allowance, Executor};
use super::super::sdl;
use super::world::{World, text, viewer};
use crate::document::{Documents, Limits, Shape};
use crate::hub::{Connection, Envelope, Frame, Hub, Outbox, Plan, Setup};
use crate::model::Cursor;

struct Follow {
    world: World,
    hub: Hub,
    documents: Documents,
}

struct Dress;

impl Envelope for Dress {
    fn next_prefix(&self, id: &str) -> Bytes {
        format!(r#"{{"id":"{id}","next":"#).into()
    }
    fn error(&self, id: &str, errors: &str) -> Bytes {
        format!(r#"{{"id":"{id}","error":{errors}}}"#).into()
    }
    fn ping(&self, _: &[(Arc<str>, Cursor)]) -> Option<Bytes> {
        Some(Bytes::from_static(b"{}"))
    }
}

struct Reader {
    _connection: Connection,
    outbox: Arc<Outbox>,
}

impl Reader {
    /// The payload of the next `next`.
    async fn next(&self) -> Value {
        loop {
            let mut frames: Vec<Frame> = Vec::new();
            self.outbox.take(&mut frames, 1).await;
            let text = [&frames[0].own[..], &frames[0].shared[..]].concat();
            let frame: Value = serde_json::from_slice(&text).unwrap();
            if !frame["next"].is_null() {
                assert_eq!(frame["next"]["errors"], Value::Null, "{frame}");
                return frame["next"].clone();
            }
        }
    }

    async fn event(&self) -> Value {
        self.next().await["data"]["events"].clone()
    }

    /// Type names through the first of this one.
    async fn until(&self, last: &str) -> Vec<String> {
        let mut kinds = Vec::new();
        while kinds.last().is_none_or(|kind| kind != last) {
            kinds.push(text(&self.event().await["__typename"]));
        }
        kinds
    }
}

impl Follow {
    async fn new() -> Self {
        let world = World::new().await;
        let shape = Arc::new(Shape::read(&sdl()).unwrap());
        let executor = Executor::new(
            world.schema.clone(),
            shape.clone(),
            Allowance::new(0, 0),
            |_| async_graphql::Data::default(),
        );
        let hub = Hub::start(Setup {
            store: world.deps.store.clone(),
            tail: world.deps.tail.clone(),
            signals: world.deps.signals.clone(),
            execute: Arc::new(move |prepared, data| executor.stream(prepared, data)),
            shape: shape.clone(),
            revocations: Arc::default(),
            workers: 2,
        });
        let documents = Documents::new(Limits::default(), shape);
        Self {
            world,
            hub: hub.unwrap(),
            documents,
        }
    }

    async fn plan(&self, who: &str, text: &str, variables: Value) -> Result<Plan, String> {
        let variables = Variables::from_json(variables);
        let prepared = self.documents.prepare(text, None, variables).unwrap();
        self.hub.plan(prepared, viewer(who)).await
    }

    async fn subscribe(&self, who: &str, text: &str, variables: Value) -> Reader {
        let plan = self.plan(who, text, variables).await.unwrap();
        let outbox = Arc::new(Outbox::new(Outbox::BUDGET_BYTES));
        let connection = self
            .hub
            .connect(viewer(who), outbox.clone(), Arc::new(Dress));
        connection.subscribe("1".into(), plan, None);
        Reader {
            _connection: connection,
            outbox,
        }
    }

    async fn refused(&self, text: &str, variables: Value) -> Value {
        let errors = self.plan("bob", text, variables).await.err().unwrap();
        let errors: Value = serde_json::from_str(&errors).unwrap();
        errors[0]["extensions"].clone()
    }

    async fn change(&self, who: &str, field: &str, input: Value) {
        let ty = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
        let query =
            format!("mutation($input: {ty}!) {{ {field}(input: $input) {{ __typename }} }}");
        self.world.ask(who, &query, json!({ "input": input })).await;
    }
}

const EVENTS: &str = "subscription($after: Cursor, $rooms: [ID!]) {
    events(after: $after, roomIds: $rooms) { __typename cursor
        ... on RoomEvent { at actor { id name } room { id name lastMessage { body } } }
        ... on MessageSent { message { ...m } } ... on MessageEdited { message { ...m } }
        ... on MessageDeleted { message { ...m } } ... on MemberJoined { member { id role } }
        ... on MemberLeft { memberId user { id } } ... on ResyncRequired { reason }
        ... on AccessRevoked { roomId } } }
    fragment m on Message { id body version author { name } room { id name } replyTo { body room { id } } }";

#[tokio::test]
async fn everything_that_happens_arrives_live_and_again_when_resumed() {
    let follow = Follow::new().await;
    let world = &follow.world;
    let start = world.head().await;
    let live = follow.subscribe("ada", EVENTS, json!({})).await;
    live.until("CaughtUp").await;
    let room = world.room("ada", "PRIVATE", &["bob"]).await;
    let first = world.send("ada", &room, "first", None).await;
    let second = world.send("bob", &room, "second", Some(&first)).await;
    let edit = json!({ "messageId": second, "body": "second, said better" });
    follow.change("bob", "editMessage", edit).await;
    let gone = json!({ "messageId": first });
    follow.change("ada", "deleteMessage", gone).await;
    let cy = json!({ "roomId": room, "userId": "cy" });
    follow.change("ada", "addMember", cy.clone()).await;
    follow.change("ada", "removeMember", cy).await;
    let kinds = [
        "RoomCreated",
        "MessageSent",
        "MessageSent",
        "MessageEdited",
        "MessageDeleted",
        "MemberJoined",
        "MemberLeft",
    ];
    assert_eq!(live.until("MemberLeft").await, kinds);
    let room = json!({ "roomId": room });
    follow.change("ada", "deleteRoom", room).await;
    assert_eq!(live.until("AccessRevoked").await, ["AccessRevoked"]);
    // Resumed, the room is gone, and nothing of it is left but that.
    let after = json!({ "after": start.to_string() });
    let resumed = follow.subscribe("ada", EVENTS, after).await;
    assert_eq!(
        resumed.until("CaughtUp").await,
        ["AccessRevoked", "CaughtUp"]
    );
    follow.hub.stop().await;
}

#[tokio::test]
async fn reactions_arrive_as_they_left_the_message_and_replayed_as_it_is_now() {
    let follow = Follow::new().await;
    let world = &follow.world;
    let room = world.room("ada", "PRIVATE", &["bob"]).await;
    let id = world.send("ada", &room, "hello", None).await;
    let document = "subscription($after: Cursor) { events(after: $after) { __typename
        ... on ReactionAdded { emoji actor { id } message { ...m } }
        ... on ReactionRemoved { emoji actor { id } message { ...m } } } }
        fragment m on Message { id version reactions { id emoji count } }";
    let start = json!({ "after": world.head().await.to_string() });
    let live = follow.subscribe("bob", document, start.clone()).await;
    live.until("CaughtUp").await;
    let input = |emoji| json!({ "messageId": id, "emoji": emoji });
    for (who, field, emoji) in [
        ("ada", "addReaction", "👍"),
        ("bob", "addReaction", "👍"),
        ("bob", "addReaction", "🎉"),
        ("ada", "removeReaction", "👍"),
        ("bob", "removeReaction", "🎉"),
    ] {
        follow.change(who, field, input(emoji)).await;
        follow.change(who, field, input(emoji)).await;
    }
    let shown = |event: &Value| -> Vec<(String, u64)> {
        let reactions = event["message"]["reactions"].as_array().unwrap().iter();
        let each = reactions.map(|it| (text(&it["emoji"]), it["count"].as_u64().unwrap()));
        each.collect()
    };
    let named = |of: &[(&str, u64)]| -> Vec<(String, u64)> {
        let each = of
            .iter()
            .map(|(emoji, count)| ((*emoji).to_owned(), *count));
        each.collect()
    };
    let (mut actors, mut id_of_thumb) = (Vec::new(), Vec::new());
    for (kind, emoji, expected) in [
        ("ReactionAdded", "👍", &[("👍", 1)][..]),
        ("ReactionAdded", "👍", &[("👍", 2)]),
        ("ReactionAdded", "🎉", &[("👍", 2), ("🎉", 1)]),
        ("ReactionRemoved", "👍", &[("👍", 1), ("🎉", 1)]),
        ("ReactionRemoved", "🎉", &[("👍", 1)]),
    ] {
        let event = live.event().await;
        assert_eq!(
            (&event["__typename"], &event["emoji"]),
            (&json!(kind), &json!(emoji))
        );
        assert_eq!(shown(&event), named(expected));
        assert_eq!(event["message"]["version"], 1);
        actors.push(text(&event["actor"]["id"]));
        id_of_thumb.push(text(&event["message"]["reactions"][0]["id"]));
    }
    assert_eq!(actors, ["ada", "bob", "bob", "ada", "bob"]);
    id_of_thumb.dedup();
    assert_eq!(id_of_thumb.len(), 1);
    let query = "query($after: Cursor) { changes(after: $after) { events { __typename
        ... on ReactionAdded { emoji message { ...m } } ... on ReactionRemoved { emoji message { ...m } } } } }
        fragment m on Message { reactions { emoji count } }";
    let changes = world.ask("ada", query, start).await;
    let events = changes["changes"]["events"].as_array().unwrap();
    assert_eq!(events.len(), 5);
    assert!(
        events
            .iter()
            .all(|event| shown(event) == named(&[("👍", 1)]))
    );
    follow.hub.stop().await;
}

#[tokio::test]
async fn a_deleted_body_is_in_no_payload_of_another_event_either() {
    let follow = Follow::new().await;
    let world = &follow.world;
    let room = world.room("ada", "PRIVATE", &[]).await;
    let start = world.head().await;
    let live = follow.subscribe("ada", EVENTS, json!({})).await;
    live.until("CaughtUp").await;
    let secret = world.send("ada", &room, "secret", None).await;
    let cy = json!({ "roomId": room, "userId": "cy" });
    follow.change("ada", "addMember", cy).await;
    live.event().await;
    // Its room's last message is read from the store: the payload had to wait, and showed what was there.
    let joined = live.event().await;
    assert_eq!(joined["room"]["lastMessage"]["body"], "secret", "{joined}");
    let gone = json!({ "messageId": secret });
    follow.change("ada", "deleteMessage", gone).await;
    let after = json!({ "after": start.to_string() });
    let resumed = follow.subscribe("ada", EVENTS, after).await;
    for kind in ["MessageSent", "MemberJoined", "MessageDeleted", "CaughtUp"] {
        let event = resumed.event().await;
        assert_eq!(event["__typename"], kind);
        assert!(!event.to_string().contains("secret"), "{event}");
    }
    follow.hub.stop().await;
}

#[tokio::test]
async fn a_resumed_stream_is_what_changes_says() {
    let follow = Follow::new().await;
    let world = &follow.world;
    let room = world.room("ada", "PUBLIC", &[]).await;
    let start = world.head().await;
    for n in 0..30 {
        world
            .send("ada", &room, &format!("message {n}"), None)
            .await;
        if n % 10 == 3 {
            follow
                .change("bob", "joinRoom", json!({ "roomId": room }))
                .await;
        }
        if n % 10 == 7 {
            follow
                .change("bob", "leaveRoom", json!({ "roomId": room }))
                .await;
        }
    }
    let query = "query($after: Cursor!) { changes(after: $after, first: 500) { events { cursor __typename } } }";
    for (who, rooms) in [
        ("ada", Value::Null),
        ("bob", Value::Null),
        ("bob", json!([room])),
    ] {
        let after = start.to_string();
        let reader = follow
            .subscribe(who, EVENTS, json!({ "after": after, "rooms": rooms }))
            .await;
        let mut seen = Vec::new();
        loop {
            let event = reader.event().await;
            if event["__typename"] == "CaughtUp" {
                break;
            }
            seen.push((text(&event["cursor"]), text(&event["__typename"])));
        }
        if rooms.is_null() {
            let changes = world.ask(who, query, json!({ "after": after })).await;
            let events = changes["changes"]["events"].as_array().unwrap().iter();
            let events = events.map(|it| (text(&it["cursor"]), text(&it["__typename"])));
            assert_eq!(seen, events.collect::<Vec<_>>(), "{who}");
        } else {
            // A public room that was named: everything, come and go who may.
            assert_eq!(seen.len(), 36);
        }
    }
    follow.hub.stop().await;
}

#[tokio::test]
async fn messages_come_as_they_are_sent_and_end_when_the_room_is_lost() {
    let follow = Follow::new().await;
    let world = &follow.world;
    let room = world.room("ada", "PUBLIC", &[]).await;
    let document = "subscription($room: ID!) { messageSent(roomId: $room) { body room { id } author { id } } }";
    let reader = follow
        .subscribe("bob", document, json!({ "room": room }))
        .await;
    world.send("ada", &room, "hello", None).await;
    let sent = reader.next().await;
    assert_eq!(sent["data"]["messageSent"]["body"], "hello");
    assert_eq!(sent["data"]["messageSent"]["room"]["id"], room.as_str());
    let private = json!({ "roomId": room, "visibility": "PRIVATE" });
    follow.change("ada", "updateRoom", private).await;
    let mut frames = Vec::new();
    while !frames
        .iter()
        .any(|frame: &Frame| frame.own.windows(9).any(|it| it == b"NOT_FOUND"))
    {
        reader.outbox.take(&mut frames, 1).await;
    }
    let refused = follow.refused(document, json!({ "room": room })).await;
    assert_eq!(refused["code"], "NOT_FOUND");
    follow.hub.stop().await;
}

#[tokio::test]
async fn what_depends_on_who_asks_is_each_viewers_own() {
    let follow = Follow::new().await;
    let world = &follow.world;
    let room = world.room("ada", "PRIVATE", &["bob"]).await;
    let document = "subscription($after: Cursor) { events(after: $after) { __typename
        ... on MessageSent { message { body room { viewerRole } } } } }";
    let head = json!({ "after": world.head().await.to_string() });
    let (ada, bob) = (
        follow.subscribe("ada", document, head.clone()).await,
        follow.subscribe("bob", document, head).await,
    );
    ada.until("CaughtUp").await;
    bob.until("CaughtUp").await;
    for body in ["one", "two"] {
        world.send("ada", &room, body, None).await;
        for (reader, role) in [(&ada, "OWNER"), (&bob, "MEMBER")] {
            let event = reader.event().await;
            assert_eq!(event["message"]["body"], body);
            assert_eq!(event["message"]["room"]["viewerRole"], role);
        }
    }
    follow.hub.stop().await;
}

#[tokio::test]
async fn bad_arguments_are_refused_before_anything_is_followed() {
    let follow = Follow::new().await;
    let room = follow.world.room("ada", "PRIVATE", &[]).await;
    let messages = "subscription($room: ID!, $after: Cursor) {
        messageSent(roomId: $room, after: $after) { id } }";
    let lobby = crate::model::RoomId::LOBBY.to_string();
    for (document, variables, code, field) in [
        (messages, json!({ "room": room }), "NOT_FOUND", Value::Null),
        (
            messages,
            json!({ "room": "lobby" }),
            "BAD_USER_INPUT",
            json!("roomId"),
        ),
        (
            messages,
            json!({ "room": lobby, "after": "yesterday" }),
            "BAD_USER_INPUT",
            json!("after"),
        ),
        (
            EVENTS,
            json!({ "rooms": ["x"] }),
            "BAD_USER_INPUT",
            json!("roomIds"),
        ),
        (
            EVENTS,
            json!({ "rooms": vec![lobby.clone(); 501] }),
            "BAD_USER_INPUT",
            json!("roomIds"),
        ),
        (
            "subscription { events { ... on RoomEvent { room { messages { nodes { id } } } } } }",
            json!({}),
            "GRAPHQL_VALIDATION_FAILED",
            Value::Null,
        ),
        (
            "subscription { events { ... on ReactionAdded { message { reactions { users { id } } } } } }",
            json!({}),
            "GRAPHQL_VALIDATION_FAILED",
            Value::Null,
        ),
    ] {
        let refused = follow.refused(document, variables).await;
        assert_eq!(refused["code"], code, "{document}");
        assert_eq!(refused["field"], field, "{document}");
    }
    follow.hub.stop().await;
}
