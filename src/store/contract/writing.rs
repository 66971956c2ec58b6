//! Batches: what is committed is there, what is not is not.

use super::Bench;
use super::pen::Pen;
use crate::model::{
    Epoch, MessageBody, MessageId, NodeId, Resync, RoomId, Seq, Standing, Timestamp, Visibility,
};
use crate::store::{Bounds, Changes, Needs, PageArgs, RoomList, Store};

pub(crate) async fn a_new_database_has_the_lobby<B: Bench>(bench: B) {
    let pen = Pen::new(bench.store()).await;
    let lobby = &pen.rooms[&RoomId::LOBBY];
    assert_eq!(lobby.name.as_str(), "lobby");
    assert_eq!(lobby.visibility, Visibility::Public);
    assert!(!lobby.deleted && lobby.created_at > Timestamp(1_700_000_000_000));
    assert_eq!(bench.store().bounds().await.unwrap().head, Seq::ZERO);
}

pub(crate) async fn what_was_committed_is_there_after_reopening<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let room = pen.create_room(&ada, &[], Visibility::Private);
    let message = pen.send(&ada, room, "hello");
    pen.flush().await;
    let sent = pen.shown(message);
    let bench = bench.reopened().await;
    let read = bench.store().messages(&[message]).await.unwrap();
    assert_eq!(read, [sent]);
    assert_eq!(bench.store().bounds().await.unwrap().head, Seq(2));
}

pub(crate) async fn what_was_rolled_back_is_not_there<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    pen.user("ada");
    let store = bench.store();
    store.begin(&Needs::default()).await.unwrap();
    store.rollback().await.unwrap();
    store.rollback().await.unwrap();
    assert!(
        store.commit(&pen.changes()).await.is_err(),
        "no batch is open"
    );
    let ada = pen.user("ada");
    assert_eq!(store.profile(&ada).await.unwrap(), None);
}

pub(crate) async fn a_commit_that_fails_leaves_nothing_behind<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    pen.send(&ada, RoomId::LOBBY, "one");
    pen.flush().await;
    // A room that is not there: refused half-way, after the users were written.
    let bob = pen.user("bob");
    pen.send(&bob, RoomId::LOBBY, "two");
    let mut changes = pen.changes();
    let message = std::sync::Arc::make_mut(&mut changes.sent[0]);
    message.room = RoomId::generate();
    bench.store().begin(&Needs::default()).await.unwrap();
    bench.store().commit(&changes).await.unwrap_err();
    assert_eq!(bench.store().profile(&bob).await.unwrap(), None);
    pen.flush().await;
    assert_eq!(bench.store().bounds().await.unwrap().head, Seq(2));
}

pub(crate) async fn a_batch_that_would_leave_a_hole_is_refused<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    for body in ["one", "two", "three"] {
        pen.send(&ada, RoomId::LOBBY, body);
    }
    let store = bench.store();
    for keep in [vec![1, 2], vec![0, 2], vec![1, 0]] {
        let mut changes = pen.changes();
        changes.events = keep
            .iter()
            .map(|at: &usize| changes.events[*at].clone())
            .collect();
        changes
            .sent
            .retain(|it| changes.events.iter().any(|event| event.cursor == it.cursor));
        store.begin(&Needs::default()).await.unwrap();
        store.commit(&changes).await.unwrap_err();
    }
    assert_eq!(store.bounds().await.unwrap().head, Seq::ZERO);
    pen.flush().await;
}

pub(crate) async fn a_batch_that_was_begun_and_dropped_does_not_stand_in_the_way<B: Bench>(
    bench: B,
) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    for n in 0..40 {
        pen.send(&ada, RoomId::LOBBY, "hello");
        // Given up before, while and after the transaction is opened.
        let needs = Needs::default();
        let begin = bench.store().begin(&needs);
        tokio::select! {
            biased;
            () = yields(n % 20) => {}
            begun = begin => drop(begun.unwrap()),
        }
        pen.flush().await;
    }
    assert_eq!(bench.store().bounds().await.unwrap().head, Seq(40));
}

async fn yields(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn facts_say_how_everything_asked_for_stands<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let room = pen.create_room(&ada, &[&bob], Visibility::Private);
    let first = pen.send(&ada, room, "first");
    let second = pen.reply(&bob, room, "second", Some(first));
    pen.remove(&ada, &bob, room);
    let gone = pen.create_room(&ada, &[], Visibility::Public);
    pen.delete_room(&ada, gone);
    pen.flush().await;
    let absent = (RoomId::generate(), pen.user("eve"), MessageId::generate());
    let needs = Needs {
        rooms: [room, gone, absent.0].into(),
        members: [
            (room, ada.clone()),
            (room, bob.clone()),
            (room, absent.1.clone()),
        ]
        .into(),
        messages: [second, absent.2].into(),
        users: [ada.clone(), absent.1].into(),
        ..Needs::default()
    };
    let facts = bench.store().begin(&needs).await.unwrap();
    bench.store().rollback().await.unwrap();
    assert_eq!(facts.head, pen.head());
    assert_eq!(facts.rooms.len(), 2);
    assert_eq!(facts.rooms[&room], pen.rooms[&room]);
    assert_eq!(facts.rooms[&gone], pen.rooms[&gone]);
    assert!(facts.rooms[&gone].deleted);
    assert_eq!(facts.members.len(), 2);
    assert_eq!(
        facts.members[&(room, bob.clone())].standing,
        Standing::Removed
    );
    assert_eq!(facts.messages.len(), 1);
    assert_eq!(facts.messages[&second], pen.shown(second));
    assert!(
        facts.messages[&second]
            .reply_to
            .as_ref()
            .unwrap()
            .message
            .is_some()
    );
    assert_eq!(facts.users.len(), 1);
    assert_eq!(facts.users[&ada], pen.users[&ada]);
}

pub(crate) async fn facts_bring_the_room_and_the_viewer_of_a_message<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let room = pen.create_room(&ada, &[&bob], Visibility::Private);
    let message = pen.send(&ada, room, "hello");
    pen.flush().await;
    let needs = Needs {
        messages: [message].into(),
        viewers_of_messages: [(message, bob.clone()), (MessageId::generate(), ada)].into(),
        ..Needs::default()
    };
    let facts = bench.store().begin(&needs).await.unwrap();
    bench.store().rollback().await.unwrap();
    assert_eq!(facts.rooms.keys().collect::<Vec<_>>(), [&room]);
    assert_eq!(facts.members.keys().collect::<Vec<_>>(), [&(room, bob)]);
}

pub(crate) async fn every_kind_of_thing_takes_its_id<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let room = pen.create_room(&ada, &[], Visibility::Private);
    let gone = pen.create_room(&ada, &[], Visibility::Private);
    let message = pen.send(&ada, room, "hello");
    pen.delete_room(&ada, gone);
    pen.flush().await;
    let member = pen.members[&(room, ada)].id;
    let taken: [NodeId; 4] = [room.uuid(), gone.uuid(), message.uuid(), member.uuid()];
    let needs = Needs {
        nodes: taken.into_iter().chain([NodeId::now_v7()]).collect(),
        ..Needs::default()
    };
    let facts = bench.store().begin(&needs).await.unwrap();
    bench.store().rollback().await.unwrap();
    assert_eq!(facts.taken, taken.into());
}

pub(crate) async fn a_message_sent_and_edited_in_one_batch_is_kept_as_edited<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let edited = pen.send(&ada, RoomId::LOBBY, "one");
    let deleted = pen.send(&ada, RoomId::LOBBY, "two");
    pen.edit(edited, "three");
    pen.delete(deleted);
    pen.flush().await;
    pen.edit(edited, "four");
    pen.edit(edited, "five");
    pen.flush().await;
    let read = bench.store().messages(&[edited]).await.unwrap();
    assert_eq!(read, [pen.shown(edited)]);
    assert_eq!(read[0].body, Some(MessageBody::stored("five")));
    let read = bench.store().messages(&[deleted]).await.unwrap();
    assert_eq!(read, [pen.shown(deleted)]);
    assert_eq!((&read[0].body, &read[0].data), (&None, &None));
}

pub(crate) async fn a_body_comes_back_byte_for_byte<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let long = "é".repeat(8 * 1024);
    let bodies = [
        "",
        "\0",
        "a\0b",
        "'); DROP TABLE messages;--",
        "\"\\u0000\\",
        "\u{feff}\u{202e}\u{1f469}\u{200d}",
        "{\"a\":[1,2]}",
        "\r\n\t\u{7f}\u{80}",
        "null",
        "0x1p3",
        &long,
    ];
    let ids: Vec<_> = bodies
        .iter()
        .map(|body| pen.send(&ada, RoomId::LOBBY, body))
        .collect();
    pen.flush().await;
    for (id, body) in ids.iter().zip(bodies) {
        let read = bench.store().messages(&[*id]).await.unwrap();
        assert_eq!(read[0].body.as_ref().unwrap().as_str(), body);
    }
    for (id, body) in ids.iter().zip(bodies.iter().rev()) {
        pen.edit(*id, body);
    }
    pen.flush().await;
    for (id, body) in ids.iter().zip(bodies.iter().rev()) {
        let read = bench.store().messages(&[*id]).await.unwrap();
        assert_eq!(read[0].body.as_ref().unwrap().as_str(), *body);
    }
}

pub(crate) async fn pruning_keeps_the_head<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    for _ in 0..5 {
        pen.send(&ada, RoomId::LOBBY, "hello");
    }
    pen.flush().await;
    for (to, floor) in [(3, 3), (2, 3), (5, 5)] {
        prune(bench.store(), Seq(to)).await;
        let bounds = bench.store().bounds().await.unwrap();
        assert_eq!(
            bounds,
            Bounds {
                floor: Seq(floor),
                head: Seq(5)
            }
        );
        let kept = bench.store().events(Seq(0), 10).await.unwrap();
        assert_eq!(kept.len() as u64, 5 - floor);
    }
    let facts = bench.store().begin(&Needs::default()).await.unwrap();
    bench.store().rollback().await.unwrap();
    assert_eq!(facts.head, Seq(5));
    let bench = bench.reopened().await;
    assert_eq!(bench.store().lead().await.unwrap().head, Seq(5));
}

pub(crate) async fn the_head_is_known_once_a_commit_returns<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    assert_eq!(bench.store().head(), Seq::ZERO);
    for _ in 0..3 {
        pen.send(&ada, RoomId::LOBBY, "one");
        pen.send(&ada, RoomId::LOBBY, "batch");
        assert!(bench.store().head() < pen.head());
        pen.flush().await;
        assert_eq!(bench.store().head(), pen.head());
    }
    prune(bench.store(), Seq(6)).await;
    assert_eq!(bench.store().head(), Seq(6));
    let bench = bench.reopened().await;
    bench.store().lead().await.unwrap();
    assert_eq!(bench.store().head(), Seq(6));
}

async fn prune<S: Store>(store: &S, to: Seq) {
    store.begin(&Needs::default()).await.unwrap();
    let changes = Changes {
        prune_to: Some(to),
        ..Changes::default()
    };
    store.commit(&changes).await.unwrap();
}

pub(crate) async fn retention_stops_at_the_first_event_that_is_young_enough<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let store = bench.store();
    assert_eq!(
        store.place_before(Timestamp(i64::MAX)).await.unwrap(),
        Seq::ZERO
    );
    for _ in 0..4 {
        pen.send(&ada, RoomId::LOBBY, "hello");
    }
    pen.flush().await;
    let third = pen.log[2].at;
    assert_eq!(store.place_before(third).await.unwrap(), Seq(2));
    assert_eq!(store.place_before(Timestamp(0)).await.unwrap(), Seq(0));
    assert_eq!(
        store.place_before(Timestamp(i64::MAX)).await.unwrap(),
        Seq(4)
    );
    prune(store, Seq(4)).await;
    assert_eq!(store.place_before(third).await.unwrap(), Seq(4));
}

pub(crate) async fn each_start_begins_an_epoch_and_cursors_survive_it<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let message = pen.send(&ada, RoomId::LOBBY, "hello");
    pen.flush().await;
    let cursor = pen.shown(message).cursor;
    let bench = bench.reopened().await;
    let bounds = bench.store().lead().await.unwrap();
    let epochs = bench.store().epochs();
    assert_eq!(epochs.honour(cursor, bounds.floor, bounds.head), Ok(Seq(1)));
    assert_ne!(epochs.cursor(Seq(2)).epoch, cursor.epoch);
    let stranger = crate::model::Cursor {
        epoch: Epoch::generate(),
        ..cursor
    };
    let refused = epochs.honour(stranger, bounds.floor, bounds.head);
    assert_eq!(refused, Err(Resync::EpochChanged));
}

pub(crate) async fn the_fingerprint_key_is_made_once<B: Bench>(bench: B) {
    let key = *bench.store().fingerprint_key();
    let other = *B::fresh().await.store().fingerprint_key();
    let bench = bench.reopened().await;
    assert_eq!(*bench.store().fingerprint_key(), key);
    assert_ne!(other, key);
    let all = PageArgs {
        after: None,
        before: None,
        limit: 10,
        backwards: false,
    };
    let lobby = bench
        .store()
        .room_pages(&[RoomList::Public], &all)
        .await
        .unwrap();
    assert_eq!(lobby[0].items.len(), 1, "the lobby is made once, too");
}
