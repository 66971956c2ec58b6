//! Reading on: marks, who sees them, and who is told.

use serde_json::{Value, json};
use tokio::sync::broadcast::error::TryRecvError;

use super::unseen::show;
use super::world::{World, each, text, viewer};
use crate::bus::Bus;
use crate::hub::Item;
use crate::model::{Cursor, Epoch, RoomId, Seq};

const MARK: &str =
    "mutation($input: MarkReadInput!) { markRead(input: $input) { room { id viewerReadUpTo } } }";

impl World {
    /// Marks, and gives the mark that the answer shows.
    async fn mark(&self, who: &str, room: &str, up_to: impl ToString) -> Value {
        let input = json!({"roomId": room, "upTo": up_to.to_string()});
        let answer = self.ask(who, MARK, json!({"input": input})).await;
        assert_eq!(answer["markRead"]["room"]["id"], room);
        answer["markRead"]["room"]["viewerReadUpTo"].clone()
    }

    async fn mark_refused(&self, who: &str, room: &str, up_to: &str) -> Value {
        let input = json!({"roomId": room, "upTo": up_to});
        self.refused(who, MARK, json!({"input": input})).await
    }

    /// What each member has read, by `who`'s view of the room.
    async fn seen_by(&self, who: &str, room: &str) -> Value {
        let query =
            "query($id: ID!) { room(id: $id) { members { nodes { user { id } readUpTo } } } }";
        let answer = self.ask(who, query, json!({"id": room})).await;
        let nodes = answer["room"]["members"]["nodes"].as_array().unwrap();
        let of = |node: &Value| (text(&node["user"]["id"]), node["readUpTo"].clone());
        nodes.iter().map(of).collect()
    }

    async fn read_up_to(&self, who: &str, room: &str) -> Value {
        let query = "query($id: ID!) { room(id: $id) { viewerReadUpTo } }";
        let answer = self.ask(who, query, json!({"id": room})).await;
        answer["room"]["viewerReadUpTo"].clone()
    }

    fn place(&self, seq: u64) -> Cursor {
        self.deps.store.epochs().cursor(Seq(seq))
    }
}

#[tokio::test]
async fn a_mark_is_seen_by_its_member_and_by_others() {
    let world = World::new().await;
    let room = world.room("ada", "PUBLIC", &["ben"]).await;
    world.send("ada", &room, "hello", None).await;
    let head = world.head().await;
    assert_eq!(world.read_up_to("ben", &room).await, Value::Null);
    assert_eq!(
        world.mark("ben", &room, head).await,
        json!(head.to_string())
    );
    assert_eq!(
        world.read_up_to("ben", &room).await,
        json!(head.to_string())
    );
    assert_eq!(world.read_up_to("ada", &room).await, Value::Null);
    assert_eq!(world.read_up_to("a stranger", &room).await, Value::Null);
    let seen = world.seen_by("ada", &room).await;
    assert_eq!(seen, json!({"ada": null, "ben": head.to_string()}));
}

#[tokio::test]
async fn any_place_will_do_and_an_earlier_one_changes_nothing() {
    let world = World::new().await;
    let room = world.room("ada", "PRIVATE", &[]).await;
    for n in 0..4 {
        world.send("ada", &room, &n.to_string(), None).await;
    }
    // The place before everything, the room's making, messages, and an event elsewhere.
    world.room("ben", "PRIVATE", &[]).await;
    for (up_to, then) in [(0, 0), (1, 1), (4, 4), (2, 4), (0, 4), (6, 6), (5, 6)] {
        let mark = world.mark("ada", &room, world.place(up_to)).await;
        assert_eq!(mark, json!(world.place(then).to_string()), "{up_to}");
    }
}

#[tokio::test]
async fn a_mark_is_no_event() {
    let world = World::new().await;
    let room = world.room("ada", "PRIVATE", &[]).await;
    let head = world.head().await;
    world.mark("ada", &room, head).await;
    assert_eq!(world.head().await, head);
}

#[tokio::test]
async fn the_first_unread_comes_after_the_mark() {
    let world = World::new().await;
    let room = world.room("ada", "PRIVATE", &["ben"]).await;
    let mut sent = Vec::new();
    for n in 0..6 {
        sent.push(world.send("ada", &room, &n.to_string(), None).await);
    }
    let query = "query($id: ID!, $after: String) { room(id: $id) {
        viewerReadUpTo messages(first: 3, after: $after) { nodes { id cursor } } } }";
    let from_start = world.ask("ben", query, json!({"id": room})).await;
    let read = &from_start["room"]["messages"]["nodes"][2];
    assert_eq!(read["id"], sent[2]);
    let mark = world.mark("ben", &room, text(&read["cursor"])).await;
    let unread = world
        .ask("ben", query, json!({"id": room, "after": mark}))
        .await;
    assert_eq!(unread["room"]["viewerReadUpTo"], mark);
    assert_eq!(each(&unread["room"]["messages"]["nodes"], "id"), sent[3..]);
    // Of an event between two messages, too.
    let edit = "mutation($input: EditMessageInput!) { editMessage(input: $input) { __typename } }";
    let input = json!({"messageId": sent[0], "body": "again"});
    world.ask("ada", edit, json!({"input": input})).await;
    let mark = world.mark("ben", &room, world.head().await).await;
    let next = world.send("ada", &room, "next", None).await;
    let unread = world
        .ask("ben", query, json!({"id": room, "after": mark}))
        .await;
    assert_eq!(each(&unread["room"]["messages"]["nodes"], "id"), [next]);
}

#[tokio::test]
async fn sending_moves_no_mark() {
    let world = World::new().await;
    let room = world.room("ada", "PRIVATE", &[]).await;
    world.send("ada", &room, "hello", None).await;
    assert_eq!(world.read_up_to("ada", &room).await, Value::Null);
}

#[tokio::test]
async fn marks_that_cannot_be() {
    let world = World::new().await;
    let room = world.room("ada", "PUBLIC", &[]).await;
    let private = world.room("ada", "PRIVATE", &[]).await;
    let (head, absent) = (world.head().await, RoomId::generate().to_string());
    for up_to in [
        "",
        "garbage",
        "0000000000000000000",
        "É".repeat(10).as_str(),
    ] {
        let refusal = world.mark_refused("ada", &room, up_to).await;
        let said = (&refusal["code"], &refusal["field"], &refusal["retryable"]);
        let expected = (&json!("BAD_USER_INPUT"), &json!("upTo"), &json!(false));
        assert_eq!(said, expected, "{up_to}");
    }
    let refusal = world
        .mark_refused("ada", "the lobby", &head.to_string())
        .await;
    assert_eq!(
        (&refusal["code"], &refusal["field"]),
        (&json!("BAD_USER_INPUT"), &json!("roomId"))
    );
    let seq = Seq(1);
    let elsewhere = Cursor {
        seq,
        epoch: Epoch::generate(),
    };
    let beyond = Cursor {
        seq: head.seq.next(),
        ..head
    };
    for (up_to, reason) in [(elsewhere, "EPOCH_CHANGED"), (beyond, "CURSOR_AHEAD")] {
        let refusal = world.mark_refused("ada", &room, &up_to.to_string()).await;
        assert_eq!(refusal["code"], "RESYNC_REQUIRED");
        assert_eq!(refusal["reason"], reason);
        assert_eq!(refusal["cursor"], head.to_string());
    }
    for (who, room, code) in [
        ("ben", &room, "FORBIDDEN"),
        ("ben", &private, "NOT_FOUND"),
        ("ben", &absent, "NOT_FOUND"),
        ("ada", &absent, "NOT_FOUND"),
    ] {
        let refusal = world.mark_refused(who, room, &head.to_string()).await;
        assert_eq!(refusal["code"], code, "{who} {room}");
    }
    assert_eq!(world.read_up_to("ada", &room).await, Value::Null);
}

#[tokio::test]
async fn what_was_read_is_announced_once_a_batch_and_only_when_it_moves() {
    let world = World::new().await;
    let room = world.room("ada", "PRIVATE", &["ben"]).await;
    for n in 0..3 {
        world.send("ada", &room, &n.to_string(), None).await;
    }
    let id = RoomId::parse("id", &room).unwrap();
    let mut reads = world.bus.listen_reads();
    let (ada, ben) = (viewer("ada"), viewer("ben"));
    let chat = &world.deps.chat;
    // The writer runs on this thread, so these are one batch.
    let (one, two, three) = tokio::join!(
        chat.mark_read(&ben, id, world.place(3)),
        chat.mark_read(&ada, id, world.place(2)),
        chat.mark_read(&ben, id, world.place(2)),
    );
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    // Durable before it is announced or answered, and told once.
    let told = reads.try_recv().unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|it| (it.room.id, it.member.user.id.as_str(), it.member.read_up_to))
        .collect();
    assert_eq!(told, [(id, "ben", Some(Seq(3))), (id, "ada", Some(Seq(2)))]);
    chat.mark_read(&ben, id, world.place(1)).await.unwrap();
    assert_eq!(reads.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[tokio::test]
async fn marks_of_those_who_are_gone_are_not_announced() {
    let world = World::new().await;
    let kept = world.room("ada", "PUBLIC", &["ben"]).await;
    let gone = world.room("ada", "PUBLIC", &["ben"]).await;
    let parsed = |id: &str| RoomId::parse("id", id).unwrap();
    let (kept, gone) = (parsed(&kept), parsed(&gone));
    let mut reads = world.bus.listen_reads();
    let (ada, ben) = (viewer("ada"), viewer("ben"));
    let chat = &world.deps.chat;
    let outcomes = tokio::join!(
        chat.mark_read(&ben, kept, world.place(1)),
        chat.mark_read(&ada, kept, world.place(2)),
        chat.mark_read(&ada, gone, world.place(2)),
        chat.leave_room(&ben, kept),
        chat.delete_room(&ada, gone),
    );
    outcomes.3.unwrap();
    outcomes.4.unwrap();
    let told = reads.try_recv().unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|it| (it.room.id, it.member.user.id.as_str()))
        .collect();
    assert_eq!(told, [(kept, "ada")]);
}

#[tokio::test]
async fn an_event_of_a_member_shows_what_it_has_read_by_now() {
    let world = World::new().await;
    let room = world.room("ada", "PUBLIC", &[]).await;
    let join = "mutation($input: JoinRoomInput!) { joinRoom(input: $input) { __typename } }";
    world
        .ask("ben", join, json!({"input": {"roomId": room}}))
        .await;
    let head = world.head().await;
    world.mark("ben", &room, head).await;
    // As the ring has it: with the member as it was when it came in.
    let events = world.deps.tail.since(Seq(1), 1).unwrap();
    let shown = show(&world, events.into_iter().map(Item::Event).collect());
    let query = "{ events { ... on MemberJoined { member { user { id } readUpTo } } } }";
    let answer = shown.execute(query).await.data.into_json().unwrap();
    let member = &answer["events"][0]["member"];
    assert_eq!(
        *member,
        json!({"user": {"id": "ben"}, "readUpTo": head.to_string()})
    );
}

#[tokio::test]
async fn what_others_said_after_the_mark_is_counted() {
    let world = World::new().await;
    let room = world.room("ada", "PUBLIC", &["ben"]).await;
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.push(world.send("ada", &room, &n.to_string(), None).await);
    }
    world.send("ben", &room, "own", None).await;
    let query = "query($id: ID!) { room(id: $id) { unreadCount } }";
    let unread = async |who: &str| {
        let answer = world.ask(who, query, json!({"id": room})).await;
        answer["room"]["unreadCount"].clone()
    };
    assert_eq!(unread("ben").await, 5);
    assert_eq!(unread("ada").await, 1);
    assert_eq!(unread("a stranger").await, 0);
    // Places 2 to 6 are ada's.
    let input = json!({"roomId": room, "upTo": world.place(3).to_string()});
    let query =
        "mutation($input: MarkReadInput!) { markRead(input: $input) { room { unreadCount } } }";
    let marked = world.ask("ben", query, json!({"input": input})).await;
    assert_eq!(marked["markRead"]["room"]["unreadCount"], 3);
    let delete = "mutation($input: DeleteMessageInput!) { deleteMessage(input: $input) { message {
        room { unreadCount } } } }";
    for id in [&sent[0], &sent[4], &sent[4]] {
        let input = json!({"messageId": id});
        world.ask("ada", delete, json!({"input": input})).await;
    }
    assert_eq!(unread("ben").await, 2);
    for (who, field) in [("ben", "leaveRoom"), ("ben", "joinRoom")] {
        let ty = if field == "leaveRoom" {
            "LeaveRoomInput"
        } else {
            "JoinRoomInput"
        };
        let query =
            format!("mutation($input: {ty}!) {{ {field}(input: $input) {{ __typename }} }}");
        world
            .ask(who, &query, json!({"input": {"roomId": room}}))
            .await;
        let expected = if field == "leaveRoom" { 0 } else { 2 };
        assert_eq!(unread("ben").await, expected, "{field}");
    }
}
