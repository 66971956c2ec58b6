//! `changes` and `head`.

use serde_json::{Value, json};

use super::world::{World, each, text};

const CHANGES: &str = "query($after: Cursor, $first: Int) { changes(after: $after, first: $first) {
    events { __typename cursor
        ... on RoomEvent { at actor { id } room { id } }
        ... on MessageSent { message { body } }
        ... on MemberJoined { member { user { id } } }
        ... on MemberLeft { user { id } memberId }
        ... on AccessRevoked { roomId } }
    cursor hasMore reset } }";

async fn changes(world: &World, who: &str, args: Value) -> Value {
    world.ask(who, CHANGES, args).await["changes"].clone()
}

#[tokio::test]
async fn without_a_place_there_is_one_to_begin_from() {
    let world = World::new().await;
    world.room("ada", "PRIVATE", &[]).await;
    let page = changes(&world, "ada", json!({})).await;
    let head = world.head().await.to_string();
    assert_eq!(
        page,
        json!({"events": [], "cursor": head, "hasMore": false, "reset": true})
    );
}

#[tokio::test]
async fn the_log_page_by_page() {
    let world = World::new().await;
    let start = world.head().await.to_string();
    let room = world.room("ada", "PRIVATE", &["ben"]).await;
    world.room("eve", "PRIVATE", &[]).await;
    for n in 0..4 {
        world.send("ada", &room, &n.to_string(), None).await;
    }
    let (mut seen, mut after) = (Vec::new(), start);
    loop {
        let page = changes(&world, "ben", json!({"after": after, "first": 2})).await;
        assert_eq!(page["reset"], false);
        assert!(page["events"].as_array().unwrap().len() <= 2);
        seen.extend(each(&page["events"], "__typename"));
        after = text(&page["cursor"]);
        if page["hasMore"] == false {
            break;
        }
    }
    let sent = ["MessageSent"; 4];
    assert_eq!(seen, [&["RoomCreated"], &sent[..]].concat());
    assert_eq!(after, world.head().await.to_string());
    let none = changes(&world, "ben", json!({"after": after})).await;
    assert_eq!(
        none,
        json!({"events": [], "cursor": after, "hasMore": false, "reset": false})
    );
}

#[tokio::test]
async fn who_lost_a_room_is_told_where() {
    let world = World::new().await;
    let room = world.room("ada", "PRIVATE", &["ben"]).await;
    let start = world.head().await.to_string();
    let remove =
        "mutation($input: RemoveMemberInput!) { removeMember(input: $input) { memberId } }";
    let input = json!({"input": {"roomId": room, "userId": "ben"}});
    world.ask("ada", remove, input).await;
    world.send("ada", &room, "secret", None).await;
    let page = changes(&world, "ben", json!({"after": start})).await;
    assert_eq!(each(&page["events"], "__typename"), ["AccessRevoked"]);
    assert_eq!(page["events"][0]["roomId"], room);
    let page = changes(&world, "ada", json!({"after": start})).await;
    assert_eq!(
        each(&page["events"], "__typename"),
        ["MemberLeft", "MessageSent"]
    );
}

#[tokio::test]
async fn a_place_that_cannot_be_honoured_resets() {
    let world = World::new().await;
    world.room("ada", "PRIVATE", &[]).await;
    let head = world.head().await;
    let stranger = crate::model::Cursor {
        epoch: crate::model::Epoch::generate(),
        ..head
    };
    let ahead = crate::model::Cursor {
        seq: head.seq.next(),
        ..head
    };
    for cursor in [stranger, ahead] {
        for first in [0, 10] {
            let args = json!({"after": cursor.to_string(), "first": first});
            let page = changes(&world, "ada", args).await;
            let reset =
                json!({"events": [], "cursor": head.to_string(), "hasMore": false, "reset": true});
            assert_eq!(page, reset);
        }
    }
}

#[tokio::test]
async fn a_page_of_none_stays_where_it_is() {
    let world = World::new().await;
    let start = world.head().await.to_string();
    world.room("ada", "PRIVATE", &[]).await;
    let page = changes(&world, "ada", json!({"after": start, "first": 0})).await;
    assert_eq!(
        page,
        json!({"events": [], "cursor": start, "hasMore": true, "reset": false})
    );
}

#[tokio::test]
async fn the_head_is_where_the_request_began() {
    let world = World::new().await;
    let before = world.head().await.to_string();
    // A mutation has no `head`; what a query takes is the one it was fitted with.
    let seen = world
        .ask("ada", "{ rooms { nodes { id } } head }", json!({}))
        .await;
    assert_eq!(text(&seen["head"]), before);
    let room = world.room("ada", "PRIVATE", &[]).await;
    world.send("ada", &room, "hello", None).await;
    let seen = world.ask("ada", "{ head }", json!({})).await;
    assert!(text(&seen["head"]) > before);
}
