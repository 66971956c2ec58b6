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
async fn there_is_more_only_where_there_is_more_for_this_viewer() {
    let world = World::new().await;
    let start = world.head().await.to_string();
    let room = world.room("ada", "PRIVATE", &[]).await;
    world.send("ada", &room, "last", None).await;
    let other = world.room("eve", "PRIVATE", &[]).await;
    for n in 0..3 {
        world.send("eve", &other, &n.to_string(), None).await;
    }
    let page = changes(&world, "ada", json!({"after": start, "first": 1})).await;
    assert_eq!(page["hasMore"], true);
    let after = text(&page["cursor"]);
    for first in [1, 2] {
        let page = changes(&world, "ada", json!({"after": after, "first": first})).await;
        assert_eq!(each(&page["events"], "__typename"), ["MessageSent"]);
        assert_eq!(page["hasMore"], false);
        // What others said is not to be looked through again.
        assert_eq!(text(&page["cursor"]), world.head().await.to_string());
    }
    let none = changes(&world, "ada", json!({"after": after, "first": 0})).await;
    assert_eq!(
        (&none["cursor"], &none["hasMore"]),
        (&json!(after), &json!(true))
    );
}

#[tokio::test]
async fn a_viewer_without_rooms_goes_on_to_the_head() {
    let world = World::new().await;
    let start = world.head().await.to_string();
    let room = world.room("ada", "PRIVATE", &[]).await;
    world.send("ada", &room, "hello", None).await;
    for first in [0, 1, 500] {
        let page = changes(&world, "eve", json!({"after": start, "first": first})).await;
        let head = world.head().await.to_string();
        assert_eq!(
            page,
            json!({"events": [], "cursor": head, "hasMore": false, "reset": false})
        );
    }
}

#[tokio::test]
async fn a_page_says_half_a_megabyte_and_no_more() {
    let world = World::new().await;
    let room = world.room("ada", "PRIVATE", &[]).await;
    let start = world.head().await.to_string();
    let body = "x".repeat(16 * 1024);
    for _ in 0..32 {
        world.send("ada", &room, &body, None).await;
    }
    let page = changes(&world, "ada", json!({"after": start})).await;
    // 16.5 KiB each: 31 fit.
    assert_eq!(page["events"].as_array().unwrap().len(), 31);
    assert_eq!(page["hasMore"], true);
    assert_eq!(page["cursor"], page["events"][30]["cursor"]);
    let args = json!({"after": page["cursor"]});
    let rest = changes(&world, "ada", args).await;
    assert_eq!(rest["events"].as_array().unwrap().len(), 1);
    assert_eq!(rest["hasMore"], false);
    let args = json!({"after": start, "first": 31});
    let all = changes(&world, "ada", args).await;
    assert_eq!(all["events"], page["events"]);
}

#[tokio::test]
async fn a_place_that_retention_took_away_resets_and_the_last_one_kept_does_not() {
    let world = World::new().await;
    let mut places = vec![world.head().await];
    let room = world.room("ada", "PRIVATE", &[]).await;
    for n in 0..3 {
        places.push(world.head().await);
        world.send("ada", &room, &n.to_string(), None).await;
    }
    world.writer.prune(places[2].seq).await.unwrap();
    let head = world.head().await.to_string();
    for place in &places[..2] {
        let page = changes(&world, "ada", json!({"after": place.to_string()})).await;
        assert_eq!(
            page,
            json!({"events": [], "cursor": head, "hasMore": false, "reset": true})
        );
    }
    let page = changes(&world, "ada", json!({"after": places[2].to_string()})).await;
    assert_eq!(each(&page["events"], "__typename"), ["MessageSent"; 2]);
    assert_eq!(page["reset"], false);
}

#[tokio::test]
async fn one_row_tells_that_nothing_has_happened_and_nothing_that_has_is_overlooked() {
    let mut world = World::new().await;
    let room = world.room("ada", "PRIVATE", &[]).await;
    let head = world.head().await;
    let mut growth = world.deps.tail.watch();
    growth.wait_for(|seen| *seen >= head.seq).await.unwrap();
    world.hush().await;
    let args = json!({"after": head.to_string()});
    let before = world.deps.store.reads();
    let page = changes(&world, "ada", args.clone()).await;
    // One is the world's own, for the head.
    assert_eq!(world.deps.store.reads() - before, 2);
    assert_eq!(page["cursor"], head.to_string());
    assert_eq!(
        (&page["hasMore"], &page["reset"]),
        (&json!(false), &json!(false))
    );
    // The tail does not hear of this one.
    world.send("ada", &room, "acknowledged", None).await;
    let page = changes(&world, "ada", args).await;
    assert_eq!(page["events"][0]["message"]["body"], "acknowledged");
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

#[tokio::test]
async fn the_head_has_what_was_acknowledged_though_the_tail_has_not() {
    let mut world = World::new().await;
    let room = world.room("ada", "PRIVATE", &[]).await;
    world.hush().await;
    let deps = world.deps.clone();
    for n in 0..5 {
        let behind = deps.tail.head();
        world.send("ada", &room, &n.to_string(), None).await;
        let end = deps.tail.end(&*deps.store);
        assert_eq!(deps.tail.head(), behind);
        assert_eq!(end, world.head().await);
    }
}

#[tokio::test]
async fn what_an_answer_shows_is_never_older_than_the_cursors_in_it() {
    let world = World::new().await;
    let room = world.room("ada", "PRIVATE", &[]).await;
    let start = world.head().await;
    let query = "query($room: ID!, $after: Cursor) {
        room(id: $room) { messages(last: 1) { nodes { cursor } } }
        changes(after: $after) { cursor events { cursor } }
        afresh: changes { cursor }
        head }";
    let variables = json!({"room": room, "after": start.to_string()});
    for n in 0..5 {
        let before = world.deps.tail.end(&*world.deps.store);
        let mut request = async_graphql::Request::new(query)
            .variables(async_graphql::Variables::from_json(variables.clone()));
        request.data = super::super::equip(Some(&super::world::viewer("ada")), before);
        // Between the head and the reads.
        world.send("ada", &room, &n.to_string(), None).await;
        let now = world.head().await.to_string();
        let answer = world.schema.execute(request).await;
        let answer = answer.data.into_json().unwrap();
        assert_eq!(answer["head"], before.to_string());
        assert_eq!(answer["room"]["messages"]["nodes"][0]["cursor"], now);
        assert_eq!(answer["changes"]["events"][n]["cursor"], now);
        assert_eq!(answer["changes"]["cursor"], now);
        assert_eq!(answer["afresh"]["cursor"], now);
    }
}
