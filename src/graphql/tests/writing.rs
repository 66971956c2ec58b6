//! Mutations and what they give back.

use serde_json::{Value, json};

use super::world::{World, text};

async fn mutate(world: &World, who: &str, field: &str, selection: &str, input: Value) -> Value {
    let answer = world
        .ask(who, &mutation(field, selection), json!({"input": input}))
        .await;
    answer[field].clone()
}

async fn refused(world: &World, who: &str, field: &str, input: Value) -> Value {
    let query = mutation(field, "{ __typename }");
    world.refused(who, &query, json!({"input": input})).await
}

fn mutation(field: &str, selection: &str) -> String {
    let input = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
    format!("mutation($input: {input}!) {{ {field}(input: $input) {selection} }}")
}

#[tokio::test]
async fn a_room_from_its_making_to_its_end() {
    let world = World::new().await;
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let shown =
        "{ room { id name visibility data memberCount viewerRole createdAt lastActivityAt } }";
    let input =
        json!({"id": id, "name": "tea", "memberIds": ["ben"], "data": {"topic": [1, null]}});
    let made = mutate(&world, "ada", "createRoom", shown, input.clone()).await["room"].clone();
    assert_eq!(made["id"], id);
    assert_eq!(made["visibility"], "PRIVATE");
    assert_eq!(made["data"], json!({"topic": [1, null]}));
    assert_eq!(made["memberCount"], 2);
    assert_eq!(made["viewerRole"], "OWNER");
    assert!(text(&made["createdAt"]).ends_with('Z'));
    let again = mutate(&world, "ada", "createRoom", shown, input).await["room"].clone();
    assert_eq!(again, made);
    let other = json!({"id": id, "name": "coffee", "memberIds": ["ben"]});
    assert_eq!(
        refused(&world, "ada", "createRoom", other).await["code"],
        "CONFLICT"
    );

    let input = json!({"roomId": id, "name": "coffee", "visibility": null});
    let changed = mutate(&world, "ada", "updateRoom", shown, input).await["room"].clone();
    assert_eq!(
        (&changed["name"], &changed["data"]),
        (&json!("coffee"), &made["data"])
    );

    let input = json!({"roomId": id, "userId": "cay", "role": "READER"});
    let added = mutate(
        &world,
        "ada",
        "addMember",
        "{ room { memberCount } member { id role user { id name } } }",
        input,
    );
    let added = added.await;
    assert_eq!(added["room"]["memberCount"], 3);
    assert_eq!(added["member"]["role"], "READER");
    let refusal = refused(
        &world,
        "cay",
        "sendMessage",
        json!({"roomId": id, "body": "hi"}),
    )
    .await;
    assert_eq!(refusal["code"], "FORBIDDEN");
    assert_eq!(refusal["retryable"], false);

    let input = json!({"roomId": id, "userId": "cay"});
    let removed = mutate(
        &world,
        "ada",
        "removeMember",
        "{ room { memberCount } memberId }",
        input,
    )
    .await;
    assert_eq!(removed["memberId"], added["member"]["id"]);

    let left = mutate(
        &world,
        "ben",
        "leaveRoom",
        "{ roomId }",
        json!({"roomId": id}),
    )
    .await;
    assert_eq!(left["roomId"], id);
    let refusal = refused(&world, "ben", "joinRoom", json!({"roomId": id})).await;
    assert_eq!(refusal["code"], "NOT_FOUND");
    mutate(
        &world,
        "ada",
        "deleteRoom",
        "{ roomId }",
        json!({"roomId": id}),
    )
    .await;
    let refusal = refused(
        &world,
        "ada",
        "sendMessage",
        json!({"roomId": id, "body": "hi"}),
    )
    .await;
    assert_eq!(refusal["code"], "NOT_FOUND");
}

#[tokio::test]
async fn a_message_from_its_sending_to_its_end() {
    let world = World::new().await;
    let room = world.room("ada", "PUBLIC", &[]).await;
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let shown = "{ duplicate message { id body data version createdAt editedAt deletedAt cursor author { id }
        room { id } replyTo { id } } }";
    let input = json!({"id": id, "roomId": room, "body": "", "data": {"card": true}});
    let sent = mutate(&world, "ben", "sendMessage", shown, input.clone()).await;
    assert_eq!(sent["duplicate"], false);
    assert_eq!(sent["message"]["body"], "");
    assert_eq!(sent["message"]["version"], 1);
    let again = mutate(&world, "ben", "sendMessage", shown, input.clone()).await;
    assert_eq!(again["duplicate"], true);
    assert_eq!(again["message"], sent["message"]);
    assert_eq!(
        refused(&world, "ada", "sendMessage", input).await["code"],
        "CONFLICT"
    );

    let shown = "{ message { body data version editedAt deletedAt cursor room { id name } } }";
    let input = json!({"messageId": id, "body": "better", "expectedVersion": 1});
    let edited =
        mutate(&world, "ben", "editMessage", shown, input.clone()).await["message"].clone();
    assert_eq!(
        (&edited["body"], &edited["version"]),
        (&json!("better"), &json!(2))
    );
    assert_eq!(edited["cursor"], sent["message"]["cursor"]);
    assert_eq!(edited["room"]["id"], room);
    assert_eq!(
        refused(&world, "ada", "editMessage", input).await["code"],
        "FORBIDDEN"
    );
    let input = json!({"messageId": id, "body": "other", "expectedVersion": 1});
    assert_eq!(
        refused(&world, "ben", "editMessage", input).await["code"],
        "CONFLICT"
    );

    let deleted = mutate(
        &world,
        "ada",
        "deleteMessage",
        shown,
        json!({"messageId": id}),
    )
    .await;
    let deleted = &deleted["message"];
    assert!(
        deleted["body"].is_null() && deleted["data"].is_null() && !deleted["deletedAt"].is_null()
    );
}

#[tokio::test]
async fn one_failure_leaves_the_others_standing() {
    let world = World::new().await;
    let query = "mutation {
        a: createRoom(input: { name: \"one\" }) { room { name } }
        b: createRoom(input: { name: \"\" }) { room { name } }
        c: createRoom(input: { name: \"three\" }) { room { name } } }";
    let refusal = world.refused("ada", query, json!({})).await;
    assert_eq!(refusal["field"], "name");
    let seen = world
        .ask("ada", "{ viewer { rooms { nodes { name } } } }", json!({}))
        .await;
    assert_eq!(
        seen["viewer"]["rooms"]["nodes"].as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn mutations_reach_the_writer_in_the_order_in_which_they_are_polled() {
    use super::super::equip;
    use super::world::viewer;
    use futures_util::future::join_all;

    let world = World::new().await;
    let room = world.room("ada", "PRIVATE", &[]).await;
    let head = world.head().await;
    // Each is polled once, in order, before any is polled again.
    let sends = (0..50).map(|n| {
        let query = format!(
            "mutation {{ sendMessage(input: {{ roomId: \"{room}\", body: \"{n}\" }}) {{ duplicate }} }}"
        );
        let mut request = async_graphql::Request::new(query);
        request.data = equip(Some(&viewer("ada")), head);
        Box::pin(world.schema.execute(request))
    });
    let mut sends: Vec<_> = sends.collect();
    for send in &mut sends {
        let _ = futures_util::poll!(send);
    }
    join_all(sends).await;
    let query = "query($room: ID!) { room(id: $room) { messages { nodes { body } } } }";
    let seen = world.ask("ada", query, json!({"room": room})).await;
    let bodies = super::world::each(&seen["room"]["messages"]["nodes"], "body");
    let expected: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    assert_eq!(bodies, expected);
}
