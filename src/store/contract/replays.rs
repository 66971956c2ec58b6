//! The log as one viewer may see it.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, SeedableRng};

use super::Bench;
use super::pen::Pen;
use crate::model::{MessageId, RoomId, Scope, Seq, UserId, Visibility};
use crate::store::{PageLimit, Replayed, Store};

fn named(rooms: &[RoomId]) -> Scope {
    Scope::Rooms(rooms.into())
}

/// The whole replay, page by page, and the rooms that were told first.
async fn replay<S: Store>(
    store: &S,
    viewer: &UserId,
    scope: &Scope,
    after: Seq,
    limit: usize,
) -> (BTreeSet<RoomId>, Vec<Replayed>) {
    let (mut at, mut opening) = (after, true);
    let (mut first, mut items) = (BTreeSet::new(), Vec::new());
    loop {
        let page = store
            .replay(viewer, scope, at, PageLimit::of(limit), opening)
            .await
            .unwrap();
        let told = |item: &Replayed| match item {
            Replayed::Revoked { cursor, room } if cursor.seq == after => Some(*room),
            _ => None,
        };
        first.extend(page.items.iter().map_while(told));
        let rest = page.items.into_iter().filter(|item| told(item).is_none());
        let before = items.len();
        items.extend(rest);
        assert!(items.len() - before <= limit);
        (at, opening) = (page.end, false);
        if at == page.bounds.head {
            return (first, items);
        }
        assert_eq!(
            items.len() - before,
            limit,
            "a page that is not full ends at the head"
        );
    }
}

fn revoked<S: Store>(pen: &Pen<'_, S>, room: RoomId, seq: u64) -> Replayed {
    Replayed::Revoked {
        cursor: pen.store.epochs().cursor(Seq(seq)),
        room,
    }
}

pub(crate) async fn events_have_no_hole_even_where_a_room_is_gone<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let room = pen.create_room(&ada, &[&bob], Visibility::Private);
    let message = pen.send(&bob, room, "hello");
    pen.edit(message, "bye");
    pen.delete(message);
    pen.delete_room(&ada, room);
    let kept = pen.send(&ada, RoomId::LOBBY, "hello");
    pen.reply(&ada, RoomId::LOBBY, "hello", Some(kept));
    pen.flush().await;
    let all = bench.store().events(Seq::ZERO, 100).await.unwrap();
    let expected: Vec<_> = pen.log.iter().map(|event| pen.now(event)).collect();
    assert_eq!(all, expected);
    let piece = bench.store().events(Seq(2), 3).await.unwrap();
    assert_eq!(piece, expected[2..5]);
    assert!(
        bench
            .store()
            .events(pen.head(), 3)
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn a_replay_shows_things_as_they_are_now<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let room = pen.create_room(&ada, &[], Visibility::Private);
    let message = pen.send(&ada, room, "secret");
    pen.delete(message);
    pen.flush().await;
    let (_, items) = replay(bench.store(), &ada, &Scope::Mine, Seq(1), 10).await;
    assert_eq!(items.len(), 2);
    for item in items {
        let Replayed::Event(event) = item else {
            panic!("{item:?}")
        };
        assert_eq!(event.message().unwrap().body, None);
    }
}

pub(crate) async fn one_who_is_removed_gets_the_revocation_in_its_place<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let room = pen.create_room(&ada, &[&bob], Visibility::Private);
    let other = pen.create_room(&bob, &[], Visibility::Private);
    pen.send(&ada, room, "not for bob any more");
    pen.remove(&ada, &bob, room);
    pen.send(&ada, room, "nor this");
    pen.send(&bob, other, "still here");
    pen.flush().await;
    for scope in [Scope::Mine, named(&[room, other])] {
        let (first, items) = replay(bench.store(), &bob, &scope, Seq(2), 10).await;
        let expected = [
            revoked(&pen, room, 4),
            Replayed::Event(pen.now(&pen.log[5])),
        ];
        assert_eq!((first.len(), items.as_slice()), (0, expected.as_slice()));
    }
    // From after the loss there is nothing to tell, but to one who names the room.
    let (first, items) = replay(bench.store(), &bob, &Scope::Mine, Seq(4), 10).await;
    assert_eq!((first.len(), items.len()), (0, 1));
    let (first, items) = replay(bench.store(), &bob, &named(&[room]), Seq(4), 10).await;
    assert_eq!((first, items), ([room].into(), vec![]));
}

pub(crate) async fn leaving_a_public_room_ends_it_only_among_ones_own<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    pen.join(&ada, RoomId::LOBBY);
    pen.leave(&ada, RoomId::LOBBY);
    pen.send(&ada, RoomId::LOBBY, "hello");
    pen.flush().await;
    let (_, items) = replay(bench.store(), &ada, &Scope::Mine, Seq(1), 10).await;
    assert_eq!(items, [revoked(&pen, RoomId::LOBBY, 2)]);
    let (_, items) = replay(bench.store(), &ada, &named(&[RoomId::LOBBY]), Seq(1), 10).await;
    assert_eq!(items, pen.replay(&ada, &named(&[RoomId::LOBBY]), Seq(1)));
    assert_eq!(items.len(), 2);
}

pub(crate) async fn a_private_room_that_is_deleted_is_told_only_to_those_in_it<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob, eve) = (pen.user("ada"), pen.user("bob"), pen.user("eve"));
    let private = pen.create_room(&ada, &[&bob], Visibility::Private);
    let public = pen.create_room(&ada, &[], Visibility::Public);
    pen.leave(&bob, private);
    pen.delete_room(&ada, private);
    pen.delete_room(&ada, public);
    pen.flush().await;
    let scope = named(&[private, public]);
    let from = async |viewer, after| replay(bench.store(), viewer, &scope, Seq(after), 10).await;
    let told = |room, seq| revoked(&pen, room, seq);
    assert_eq!(from(&ada, 2).await.1, [told(private, 4), told(public, 5)]);
    assert_eq!(from(&bob, 2).await.1, [told(private, 3), told(public, 5)]);
    assert_eq!(
        from(&bob, 3).await,
        ([private].into(), vec![told(public, 5)])
    );
    assert_eq!(
        from(&eve, 2).await,
        ([private].into(), vec![told(public, 5)])
    );
    let (_, own) = replay(bench.store(), &ada, &Scope::Mine, Seq(2), 1).await;
    assert_eq!(own, [told(private, 4), told(public, 5)]);
}

pub(crate) async fn rooms_that_were_never_readable_come_first<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, eve) = (pen.user("ada"), pen.user("eve"));
    let private = pen.create_room(&ada, &[], Visibility::Private);
    pen.send(&ada, RoomId::LOBBY, "hello");
    pen.flush().await;
    let absent = RoomId::generate();
    let scope = named(&[private, absent, RoomId::LOBBY, private]);
    let page = bench
        .store()
        .replay(&eve, &scope, Seq(0), PageLimit::of(1), true)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 3, "what comes first is beside the limit");
    assert_eq!(page.items[2], Replayed::Event(pen.now(&pen.log[1])));
    let (first, _) = replay(bench.store(), &eve, &scope, Seq(0), 1).await;
    assert_eq!(first, [private, absent].into());
    let page = bench
        .store()
        .replay(&eve, &scope, Seq(0), PageLimit::of(1), false)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
}

pub(crate) async fn a_page_that_is_full_ends_at_its_last_item<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let room = pen.create_room(&ada, &[&bob], Visibility::Private);
    for _ in 0..3 {
        pen.send(&ada, RoomId::LOBBY, "not bob's");
        pen.send(&ada, room, "bob's");
    }
    pen.send(&ada, RoomId::LOBBY, "not bob's");
    pen.flush().await;
    let page = async |after, limit| {
        let store = bench.store();
        store
            .replay(&bob, &Scope::Mine, Seq(after), PageLimit::of(limit), true)
            .await
            .unwrap()
    };
    assert_eq!(page(1, 2).await.end, Seq(5));
    assert_eq!(page(5, 2).await.end, pen.head());
    assert_eq!(page(1, 3).await.end, Seq(7));
    assert_eq!(page(1, 9).await.end, pen.head());
    let access = page(1, 9).await.access;
    assert_eq!(access.rooms, [(room, true)].into());
}

/// What may happen next, at random.
fn act<S: Store>(pen: &mut Pen<'_, S>, rng: &mut StdRng, users: &[UserId]) {
    let user = users.choose(rng).unwrap().clone();
    let open: Vec<RoomId> = {
        let rooms = pen.rooms.values().filter(|room| !room.deleted);
        let mut ids: Vec<_> = rooms.map(|room| room.id).collect();
        ids.sort();
        ids
    };
    let room = *open.choose(rng).unwrap();
    let visibility = pen.rooms[&room].visibility;
    let key = (room, user.clone());
    let is_in = pen
        .members
        .get(&key)
        .is_some_and(|member| member.is_active());
    let flip = match visibility {
        Visibility::Public => Visibility::Private,
        Visibility::Private => Visibility::Public,
    };
    let messages: BTreeSet<MessageId> = pen
        .messages
        .values()
        .filter(|it| it.body.is_some())
        .map(|it| it.id)
        .collect();
    let message = messages.iter().choose(rng).copied();
    match (rng.random_range(0..20), message) {
        (0..=4, _) => {
            pen.send(&user, room, "hello");
        }
        (5, Some(message)) => pen.edit(message, "edited"),
        (6, Some(message)) => pen.delete(message),
        (7..=10, _) if !is_in => pen.join(&user, room),
        (7..=8, _) => pen.leave(&user, room),
        (9..=10, _) => pen.remove(&users[0], &user, room),
        (11..=13, _) => pen.show(&users[0], room, flip),
        (14, _) if room != RoomId::LOBBY => pen.delete_room(&user, room),
        (15..=16, _) if open.len() < 6 => {
            let visibility = if rng.random() { visibility } else { flip };
            pen.create_room(&user, &[], visibility);
        }
        (17, Some(message)) => {
            let room = pen.messages[&message].room;
            pen.reply(&user, room, "a reply", Some(message));
        }
        (18..=19, Some(message)) => {
            let emoji = ["👍", "👍🏽", "🎉"].choose(rng).unwrap();
            if pen.reacts(&user, message, emoji) {
                pen.unreact(&user, message, emoji);
            } else {
                pen.react(&user, message, emoji);
            }
        }
        _ => {}
    }
}

pub(crate) async fn replays_agree_with_the_naive_walk<B: Bench>(bench: B) {
    let seed = rand::random::<u64>();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut pen = Pen::new(bench.store()).await;
    let users: Vec<_> = ["ada", "bob", "eve"].map(|name| pen.user(name)).into();
    for _ in 0..60 {
        for _ in 0..rng.random_range(1..8) {
            act(&mut pen, &mut rng, &users);
        }
        pen.flush().await;
        compare(&pen, &mut rng, &users, seed).await;
    }
}

async fn compare<S: Store>(pen: &Pen<'_, S>, rng: &mut StdRng, users: &[UserId], seed: u64) {
    let viewer = users.choose(rng).unwrap();
    let after = Seq(rng.random_range(0..=pen.head().0));
    let limit = rng.random_range(1..12);
    let rooms: BTreeSet<RoomId> = pen.rooms.keys().copied().collect();
    let some = rooms.into_iter().choose_multiple(rng, 4);
    for scope in [Scope::Mine, named(&some)] {
        let context = format!("seed {seed}: {viewer} {scope:?} after {after} by {limit}");
        let (first, items) = replay(pen.store, viewer, &scope, after, limit).await;
        assert_eq!(items, pen.replay(viewer, &scope, after), "{context}");
        assert_eq!(first, pen.never(viewer, &scope, after), "{context}");
        let (bounds, access) = pen.store.access(viewer, &scope).await.unwrap();
        assert_eq!(bounds.head, pen.head(), "{context}");
        let readable = pen.readable(viewer, &scope);
        assert_eq!(access.rooms, readable.into_iter().collect(), "{context}");
    }
    follows_as_it_goes(pen, viewer, seed);
    let events = pen.store.events(after, limit).await.unwrap();
    let expected = pen.log.iter().skip(after.0 as usize).take(limit);
    let expected: Vec<_> = expected.map(|event| pen.now(event)).collect();
    assert_eq!(
        events, expected,
        "seed {seed}: events after {after} by {limit}"
    );
}

/// [`crate::model::Access`] walks to the same rooms as the store reads.
fn follows_as_it_goes<S: Store>(pen: &Pen<'_, S>, viewer: &UserId, seed: u64) {
    let mut access = crate::model::Access {
        viewer: viewer.clone(),
        scope: Scope::Mine,
        rooms: std::collections::HashMap::new(),
    };
    for event in &pen.log {
        access.follow(event);
    }
    let readable = pen.readable(viewer, &Scope::Mine);
    assert_eq!(
        access.rooms,
        readable.into_iter().collect(),
        "seed {seed}: {viewer}"
    );
}
