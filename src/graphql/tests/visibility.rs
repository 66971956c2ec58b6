//! Who sees what: absent and hidden give the same answer.

use serde_json::json;

use super::world::{World, text};

const LOOK: &str = "query($room: ID!, $message: ID!, $member: ID!) {
    room(id: $room) { id }
    message(id: $message) { id room { id } }
    a: node(id: $room) { __typename id }
    b: node(id: $message) { __typename id }
    c: node(id: $member) { __typename id }
    user(id: \"ada\") { id }
    d: node(id: \"ada\") { __typename id }
}";

async fn member_id(world: &World, room: &str) -> String {
    let query = "query($room: ID!) { room(id: $room) { members { nodes { id } } } }";
    let answer = world.ask("ada", query, json!({"room": room})).await;
    text(&answer["room"]["members"]["nodes"][0]["id"])
}

#[tokio::test]
async fn a_private_room_is_there_for_its_members_only() {
    let world = World::new().await;
    let room = world.room("ada", "PRIVATE", &["ben"]).await;
    let message = world.send("ada", &room, "secret", None).await;
    let member = member_id(&world, &room).await;
    let ids = json!({"room": room, "message": message, "member": member});

    let inside = world.ask("ben", LOOK, ids.clone()).await;
    assert_eq!(inside["room"]["id"], room);
    assert_eq!(inside["message"]["room"]["id"], room);
    for (key, kind, id) in [
        ("a", "Room", &*room),
        ("b", "Message", &message),
        ("c", "RoomMember", &member),
        ("d", "User", "ada"),
    ] {
        assert_eq!(inside[key], json!({"__typename": kind, "id": id}));
    }

    let absent = json!({"room": null, "message": null, "user": null,
        "a": null, "b": null, "c": null, "d": null});
    assert_eq!(world.ask("eve", LOOK, ids.clone()).await, absent);

    let remove =
        "mutation($input: RemoveMemberInput!) { removeMember(input: $input) { memberId } }";
    let input = json!({"input": {"roomId": room, "userId": "ben"}});
    world.ask("ada", remove, input).await;
    assert_eq!(world.ask("ben", LOOK, ids).await, absent);
}

#[tokio::test]
async fn a_public_room_is_there_for_everyone() {
    let world = World::new().await;
    let room = world.room("ada", "PUBLIC", &[]).await;
    let message = world.send("ada", &room, "hello", None).await;
    let member = member_id(&world, &room).await;
    let ids = json!({"room": room, "message": message, "member": member});
    let seen = world.ask("eve", LOOK, ids).await;
    assert!(
        seen.as_object().unwrap().values().all(|it| !it.is_null()),
        "{seen}"
    );
    let list = world.ask(
        "eve",
        "{ rooms { nodes { id } } viewer { rooms { nodes { id } } } }",
        json!({}),
    );
    let list = list.await;
    let public = list["rooms"]["nodes"].as_array().unwrap();
    assert!(
        public.contains(&json!({"id": room})),
        "the lobby is there too: {list}"
    );
    assert_eq!(list["viewer"]["rooms"]["nodes"], json!([]));
}

#[tokio::test]
async fn a_deleted_room_is_gone_with_its_messages() {
    let world = World::new().await;
    let room = world.room("ada", "PUBLIC", &["ben"]).await;
    let message = world.send("ada", &room, "hello", None).await;
    let delete = "mutation($input: DeleteRoomInput!) { deleteRoom(input: $input) { roomId } }";
    let answer = world
        .ask("ada", delete, json!({"input": {"roomId": room}}))
        .await;
    assert_eq!(answer["deleteRoom"]["roomId"], room);
    let look =
        "query($room: ID!, $message: ID!) { room(id: $room) { id } message(id: $message) { id }
        a: node(id: $room) { id } b: node(id: $message) { id } viewer { rooms { nodes { id } } } }";
    let gone = world
        .ask("ada", look, json!({"room": room, "message": message}))
        .await;
    let absent = json!({"room": null, "message": null, "a": null, "b": null,
        "viewer": {"rooms": {"nodes": []}}});
    assert_eq!(gone, absent);
}

#[tokio::test]
async fn a_users_rooms_are_those_shared_with_the_viewer() {
    let world = World::new().await;
    let shared = world.room("ada", "PRIVATE", &["ben"]).await;
    world.room("ben", "PRIVATE", &[]).await;
    let query = "{ user(id: \"ben\") { name rooms { nodes { id viewerRole } } } }";
    let seen = world.ask("ada", query, json!({})).await;
    let rooms = json!([{"id": shared, "viewerRole": "OWNER"}]);
    assert_eq!(seen["user"]["rooms"]["nodes"], rooms);
}

#[tokio::test]
async fn the_viewers_role_is_null_outside() {
    let world = World::new().await;
    let room = world.room("ada", "PUBLIC", &["ben"]).await;
    let query = "query($room: ID!) { room(id: $room) { viewerRole } }";
    for (who, role) in [
        ("ada", json!("OWNER")),
        ("ben", json!("MEMBER")),
        ("eve", json!(null)),
    ] {
        let seen = world.ask(who, query, json!({"room": room})).await;
        assert_eq!(seen["room"]["viewerRole"], role, "{who}");
    }
}

#[tokio::test]
async fn users_are_looked_for_first() {
    let world = World::new().await;
    // Someone whose `sub` is a room's id.
    let room = world.room("ada", "PUBLIC", &[]).await;
    let query = "query($id: ID!) { node(id: $id) { __typename } }";
    let seen = world.ask("ada", query, json!({"id": room})).await;
    assert_eq!(seen["node"]["__typename"], "Room");
    world.room("ada", "PRIVATE", &[&room]).await;
    let seen = world.ask("ada", query, json!({"id": room})).await;
    assert_eq!(seen["node"]["__typename"], "User");
}

#[tokio::test]
async fn what_is_nothing_is_null() {
    let world = World::new().await;
    let query =
        "{ a: node(id: \"nobody\") { id } b: node(id: \"\") { id } user(id: \"nobody\") { id }
        room(id: \"01890a5d-ac96-774b-bcce-b302099a8057\") { id }
        message(id: \"01890a5d-ac96-774b-bcce-b302099a8057\") { id } }";
    let seen = world.ask("ada", query, json!({})).await;
    assert!(
        seen.as_object()
            .unwrap()
            .values()
            .all(serde_json::Value::is_null),
        "{seen}"
    );
}

#[tokio::test]
async fn nothing_answers_without_a_viewer() {
    let world = World::new().await;
    for query in [
        "{ viewer { id } }",
        "{ room(id: \"x\") { id } }",
        "{ message(id: \"01890a5d-ac96-774b-bcce-b302099a8057\") { id } }",
        "{ user(id: \"ada\") { id } }",
        "{ node(id: \"ada\") { id } }",
        "{ rooms { nodes { id } } }",
        "{ head }",
        "{ changes { cursor } }",
        "mutation { joinRoom(input: { roomId: \"x\" }) { room { id } } }",
        "mutation { sendMessage(input: { roomId: \"x\", body: \"\" }) { duplicate } }",
    ] {
        let refusal = world.refused_of(None, query, json!({})).await;
        let code = json!("UNAUTHENTICATED");
        assert!(
            refusal["code"] == code || query.contains("(id: \"x\")"),
            "{query}"
        );
    }
}
