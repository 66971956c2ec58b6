//! Connections, in both directions.

use serde_json::{Value, json};

use super::world::{World, each, text};

const PAGE: &str = "query($room: ID!, $first: Int, $after: String, $last: Int, $before: String) {
    room(id: $room) { messages(first: $first, after: $after, last: $last, before: $before) {
        edges { cursor node { body cursor } }
        nodes { body }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    } }
}";

/// Seven messages, `1` to `7`, each followed by one in another room.
async fn seven() -> (World, String) {
    let world = World::new().await;
    let room = world.room("ada", "PRIVATE", &[]).await;
    let other = world.room("ada", "PRIVATE", &[]).await;
    for n in 1..=7 {
        world.send("ada", &room, &n.to_string(), None).await;
        world.send("ada", &other, "noise", None).await;
    }
    (world, room)
}

async fn page(world: &World, room: &str, mut args: Value) -> Value {
    args["room"] = json!(room);
    let answer = world.ask("ada", PAGE, args).await;
    let page = answer["room"]["messages"].clone();
    for edge in page["edges"].as_array().unwrap() {
        assert_eq!(edge["cursor"], edge["node"]["cursor"]);
    }
    page
}

/// What is on a page, and whether there is more before and after it.
fn seen(page: &Value) -> (String, bool, bool) {
    let flag = |name: &str| page["pageInfo"][name].as_bool().unwrap();
    let bodies = each(&page["nodes"], "body").concat();
    (bodies, flag("hasPreviousPage"), flag("hasNextPage"))
}

fn shown(bodies: &str, previous: bool, next: bool) -> (String, bool, bool) {
    (bodies.to_owned(), previous, next)
}

#[tokio::test]
async fn forwards_to_the_end() {
    let (world, room) = seven().await;
    let mut args = json!({"first": 3});
    for expected in [
        shown("123", false, true),
        shown("456", true, true),
        shown("7", true, false),
    ] {
        let page = page(&world, &room, args).await;
        assert_eq!(seen(&page), expected);
        args = json!({"first": 3, "after": page["pageInfo"]["endCursor"]});
    }
    let beyond = page(&world, &room, args).await;
    assert_eq!(seen(&beyond), shown("", true, false));
    assert!(beyond["pageInfo"]["endCursor"].is_null());
}

#[tokio::test]
async fn backwards_to_the_begin() {
    let (world, room) = seven().await;
    let mut args = json!({"last": 3});
    for expected in [
        shown("567", true, false),
        shown("234", true, true),
        shown("1", false, true),
    ] {
        let page = page(&world, &room, args).await;
        assert_eq!(seen(&page), expected);
        args = json!({"last": 3, "before": page["pageInfo"]["startCursor"]});
    }
}

#[tokio::test]
async fn between_two_messages() {
    let (world, room) = seven().await;
    let all = page(&world, &room, json!({})).await;
    assert_eq!(seen(&all), shown("1234567", false, false));
    let cursor = |at: usize| text(&all["edges"][at]["cursor"]);
    let (after, before) = (cursor(1), cursor(5));
    for (size, expected) in [
        (json!({"first": 2}), shown("34", true, true)),
        (json!({"first": 9}), shown("345", true, true)),
        (json!({"last": 2}), shown("45", true, true)),
        (json!({}), shown("345", true, true)),
    ] {
        let mut args = size;
        args["after"] = json!(after);
        args["before"] = json!(before);
        assert_eq!(seen(&page(&world, &room, args).await), expected);
    }
    let none = json!({"after": cursor(6), "before": cursor(0)});
    assert_eq!(
        seen(&page(&world, &room, none).await),
        shown("", true, true)
    );
}

#[tokio::test]
async fn any_place_in_the_log_bounds_messages() {
    let (world, room) = seven().await;
    let epochs = world.deps.store.epochs();
    let place = |seq| epochs.cursor(crate::model::Seq(seq)).to_string();
    let start = page(&world, &room, json!({"first": 2, "after": place(0)})).await;
    assert_eq!(seen(&start), shown("12", false, true));
    let start = page(&world, &room, json!({"last": 2, "before": place(0)})).await;
    assert_eq!(seen(&start), shown("", false, true));
    let head = world.head().await.to_string();
    let end = page(&world, &room, json!({"after": head})).await;
    assert_eq!(seen(&end), shown("", true, false));
    let end = page(&world, &room, json!({"last": 1, "before": head})).await;
    assert_eq!(seen(&end), shown("7", true, false));
}

#[tokio::test]
async fn a_page_of_none_says_whether_there_is_any() {
    let (world, room) = seven().await;
    let page = |args| page(&world, &room, args);
    assert_eq!(
        seen(&page(json!({"first": 0})).await),
        shown("", false, true)
    );
    assert_eq!(
        seen(&page(json!({"last": 0})).await),
        shown("", true, false)
    );
}

#[tokio::test]
async fn a_place_of_a_history_that_was_cut_off_is_refused() {
    let (world, room) = seven().await;
    let head = world.head().await;
    let stranger = crate::model::Cursor {
        epoch: crate::model::Epoch::generate(),
        ..head
    };
    let ahead = crate::model::Cursor {
        seq: crate::model::Seq(head.seq.0 + 1_000_000),
        ..head
    };
    for (cursor, reason) in [(stranger, "EPOCH_CHANGED"), (ahead, "CURSOR_AHEAD")] {
        let args = json!({"room": room, "after": cursor.to_string()});
        let refusal = world.refused("ada", PAGE, args).await;
        assert_eq!(refusal["code"], "RESYNC_REQUIRED");
        assert_eq!(refusal["reason"], reason);
        assert!(
            text(&refusal["cursor"])
                .parse::<crate::model::Cursor>()
                .is_ok()
        );
    }
}

#[tokio::test]
async fn rooms_in_both_directions() {
    let world = World::new().await;
    let mut rooms = Vec::new();
    for _ in 0..5 {
        rooms.insert(0, world.room("ada", "PRIVATE", &[]).await);
    }
    // Two made in one millisecond are in the order of their ids, downwards: as they were made, as ids are v7.
    let query = "query($first: Int, $after: String, $last: Int, $before: String) {
        viewer { rooms(first: $first, after: $after, last: $last, before: $before) {
            edges { cursor node { id } } nodes { id }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }";
    let page = |args| async {
        let answer = world.ask("ada", query, args).await;
        answer["viewer"]["rooms"].clone()
    };
    let all = page(json!({})).await;
    assert_eq!(each(&all["nodes"], "id").len(), 5);
    let order = each(&all["nodes"], "id");
    let first = page(json!({"first": 2})).await;
    assert_eq!(each(&first["nodes"], "id"), order[..2]);
    let next = page(json!({"first": 3, "after": first["pageInfo"]["endCursor"]})).await;
    assert_eq!(each(&next["nodes"], "id"), order[2..]);
    assert_eq!(next["pageInfo"]["hasNextPage"], false);
    assert_eq!(next["pageInfo"]["hasPreviousPage"], true);
    let back = page(json!({"last": 2, "before": next["pageInfo"]["startCursor"]})).await;
    assert_eq!(each(&back["nodes"], "id"), order[..2]);
    assert_eq!(back["pageInfo"]["hasPreviousPage"], false);

    world.send("ada", &order[4], "wake", None).await;
    let moved = page(json!({"first": 1})).await;
    assert_eq!(text(&moved["nodes"][0]["id"]), order[4]);
}

#[tokio::test]
async fn members_in_both_directions() {
    let world = World::new().await;
    let room = world.room("ada", "PRIVATE", &["ben", "cay", "dot"]).await;
    let query = "query($room: ID!, $first: Int, $after: String, $last: Int, $before: String) {
        room(id: $room) { memberCount members(first: $first, after: $after, last: $last, before: $before) {
            nodes { user { id } role }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }";
    let page = |mut args: Value| {
        args["room"] = json!(room);
        async { world.ask("ada", query, args).await["room"]["members"].clone() }
    };
    let users = |page: &Value| -> Vec<String> {
        let nodes = page["nodes"].as_array().unwrap().iter();
        nodes.map(|node| text(&node["user"]["id"])).collect()
    };
    let first = page(json!({"first": 3})).await;
    assert_eq!(users(&first), ["ada", "ben", "cay"]);
    let rest = page(json!({"first": 3, "after": first["pageInfo"]["endCursor"]})).await;
    assert_eq!(users(&rest), ["dot"]);
    assert_eq!(rest["pageInfo"]["hasNextPage"], false);
    let back = page(json!({"last": 2, "before": rest["pageInfo"]["startCursor"]})).await;
    assert_eq!(users(&back), ["ben", "cay"]);
    assert_eq!(back["pageInfo"]["hasPreviousPage"], true);
}
