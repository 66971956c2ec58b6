//! Direct rooms through the schema.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::world::{World, each, text};

const OPEN: &str = "mutation($with: ID!) { openDirectRoom(input: { userId: $with }) { room {
    id name direct visibility memberCount viewerRole members { nodes { user { id name } role } } } } }";

async fn open(world: &World, who: &str, with: &str) -> Value {
    let answer = world.ask(who, OPEN, json!({ "with": with })).await;
    answer["openDirectRoom"]["room"].clone()
}

#[tokio::test]
async fn a_direct_room_is_both_ones_and_no_one_elses() {
    let world = World::new().await;
    let room = open(&world, "ada", "ben").await;
    assert_eq!((&room["name"], &room["direct"]), (&json!(""), &json!(true)));
    assert_eq!(room["visibility"], "PRIVATE");
    assert_eq!(room["viewerRole"], "MEMBER");
    let members = room["members"]["nodes"].as_array().unwrap().iter();
    let members: HashSet<_> = members.map(|it| text(&it["user"]["id"])).collect();
    assert_eq!(members, ["ada", "ben"].map(str::to_owned).into());
    let head = world.head().await;
    assert_eq!(open(&world, "ben", "ada").await["id"], room["id"]);
    let query = "{ viewer { rooms { nodes { id direct } } } }";
    for (who, count) in [("ada", 1), ("ben", 1), ("cay", 0)] {
        let seen = world.ask(who, query, json!({})).await;
        assert_eq!(each(&seen["viewer"]["rooms"]["nodes"], "id").len(), count);
    }
    let query = "query($id: ID!) { room(id: $id) { direct } }";
    let hidden = world.ask("cay", query, json!({ "id": room["id"] })).await;
    assert!(hidden["room"].is_null());
    let told = world.refused("ada", OPEN, json!({ "with": "ada" })).await;
    assert_eq!(
        (&told["code"], &told["field"]),
        (&json!("BAD_USER_INPUT"), &json!("userId"))
    );
    let id = &room["id"];
    for (field, input) in [
        ("updateRoom", json!({"roomId": id, "visibility": "PUBLIC"})),
        ("deleteRoom", json!({"roomId": id})),
        ("leaveRoom", json!({"roomId": id})),
        ("addMember", json!({"roomId": id, "userId": "cay"})),
        ("removeMember", json!({"roomId": id, "userId": "ben"})),
    ] {
        let ty = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
        let query =
            format!("mutation($input: {ty}!) {{ {field}(input: $input) {{ __typename }} }}");
        let told = world
            .refused("ben", &query, json!({ "input": input }))
            .await;
        assert_eq!(told["code"], "FORBIDDEN", "{field}");
    }
    assert_eq!(world.head().await, head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_phones_at_once_make_one_room() {
    let world = World::new().await;
    let start = world.head().await;
    // In one batch or in several, as it comes.
    let opening = (0..20).map(|n| match n % 2 {
        0 => open(&world, "ada", "ben"),
        _ => open(&world, "ben", "ada"),
    });
    let rooms = futures_util::future::join_all(opening).await;
    let ids: HashSet<_> = rooms.iter().map(|room| text(&room["id"])).collect();
    assert_eq!(ids.len(), 1);
    let query = "query($after: Cursor!) { changes(after: $after) { events { __typename
        ... on RoomCreated { room { id direct } } } } }";
    for who in ["ada", "ben"] {
        let after = json!({ "after": start.to_string() });
        let seen = world.ask(who, query, after).await;
        let events = seen["changes"]["events"].as_array().unwrap();
        assert_eq!(events.len(), 1, "{who}: {events:?}");
        assert_eq!(events[0]["__typename"], "RoomCreated");
        assert_eq!(events[0]["room"]["direct"], true);
    }
}
