//! Things by their ids.

use std::collections::{HashMap, HashSet};

use super::Bench;
use super::pen::Pen;
use crate::model::{MemberId, MessageId, Role, RoomId, Timestamp, UserId, Visibility};
use crate::store::{Changes, Needs, Store};

pub(crate) async fn rooms_come_with_the_viewers_role<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let room = pen.create_room(&ada, &[&bob], Visibility::Private);
    pen.promote(&bob, room, Role::Reader);
    pen.flush().await;
    let eve = pen.user("eve");
    let roles = [
        (ada, Some(Role::Owner)),
        (bob, Some(Role::Reader)),
        (eve, None),
    ];
    for (viewer, role) in roles {
        let ids = [room, RoomId::LOBBY, RoomId::generate()];
        let views = bench.store().rooms(&viewer, &ids).await.unwrap();
        assert_eq!(views.len(), 2);
        let view = views.iter().find(|view| view.room.id == room).unwrap();
        assert_eq!((&view.room, view.role), (&pen.rooms[&room], role));
        assert!(
            views
                .iter()
                .any(|view| view.room.id == RoomId::LOBBY && view.role.is_none())
        );
    }
}

pub(crate) async fn deleted_rooms_and_past_members_are_not_found<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let room = pen.create_room(&ada, &[&bob], Visibility::Public);
    let gone = pen.create_room(&ada, &[], Visibility::Public);
    pen.leave(&bob, room);
    pen.delete_room(&ada, gone);
    pen.flush().await;
    assert!(bench.store().rooms(&ada, &[gone]).await.unwrap().is_empty());
    let ids = [(room, ada.clone()), (room, bob.clone())].map(|key| pen.members[&key].id);
    let read = bench.store().members(&ids).await.unwrap();
    assert_eq!(read, [pen.members[&(room, ada)].clone()]);
    assert!(
        bench
            .store()
            .members(&[MemberId::generate()])
            .await
            .unwrap()
            .is_empty()
    );
    let view = bench.store().rooms(&bob, &[room]).await.unwrap();
    assert_eq!(view[0].role, None);
}

pub(crate) async fn a_direct_room_is_one_and_what_a_room_was_made_with_is_kept<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let direct = pen.create_room(&ada, &[&bob], Visibility::Private);
    let room = std::sync::Arc::make_mut(pen.rooms.get_mut(&direct).unwrap());
    (room.direct, room.fingerprint) = (true, None);
    let other = pen.create_room(&ada, &[], Visibility::Private);
    pen.flush().await;
    // Changed, both stay what they are.
    for room in [direct, other] {
        pen.send(&ada, room, "hello");
    }
    pen.flush().await;
    for room in [direct, other] {
        let read = bench.store().rooms(&ada, &[room]).await.unwrap();
        assert_eq!(read[0].room, pen.rooms[&room]);
    }
    assert!(pen.rooms[&direct].direct && pen.rooms[&other].fingerprint.is_some());
}

pub(crate) async fn a_user_is_seen_by_those_who_share_a_room_or_in_a_public_one<B: Bench>(
    bench: B,
) {
    let mut pen = Pen::new(bench.store()).await;
    let names = ["ada", "bob", "cat", "dan", "eve"];
    let [ada, bob, cat, dan, eve] = names.map(|name| pen.user(name));
    let private = pen.create_room(&ada, &[&bob, &cat], Visibility::Private);
    pen.leave(&cat, private);
    let public = pen.create_room(&dan, &[], Visibility::Public);
    let closed = pen.create_room(&eve, &[&bob], Visibility::Public);
    pen.delete_room(&eve, closed);
    pen.flush().await;
    let all = [&ada, &bob, &cat, &dan, &eve].map(UserId::clone);
    let sees = async |viewer: &UserId| -> HashSet<UserId> {
        let users = bench.store().users(viewer, &all).await.unwrap();
        users.iter().map(|user| user.id.clone()).collect()
    };
    let set = |users: &[&UserId]| users.iter().map(|it| (*it).clone()).collect::<HashSet<_>>();
    assert_eq!(sees(&ada).await, set(&[&ada, &bob, &dan]));
    assert_eq!(sees(&bob).await, set(&[&ada, &bob, &dan]));
    assert_eq!(sees(&cat).await, set(&[&cat, &dan]));
    assert_eq!(sees(&eve).await, set(&[&dan, &eve]));
    assert!(pen.members.contains_key(&(public, dan)));
}

pub(crate) async fn a_profile_is_read_whoever_asks<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    pen.flush().await;
    let mut user = (*pen.users[&ada]).clone();
    user.name = "Ada \u{1f469}".into();
    user.avatar_url = Some("https://example.org/ada.png".into());
    user.profile_at = crate::model::Timestamp(7);
    pen.users.insert(ada.clone(), user.clone().into());
    pen.user("ada");
    pen.flush().await;
    let read = bench.store().profile(&ada).await.unwrap();
    assert_eq!(read.as_deref(), Some(&user));
    assert_eq!(
        bench.store().profile(&UserId::stored("eve")).await.unwrap(),
        None
    );
}

pub(crate) async fn when_someone_was_last_seen_is_for_those_who_share_a_room<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let [ada, bob, cat, dan] = ["ada", "bob", "cat", "dan"].map(|name| pen.user(name));
    let private = pen.create_room(&ada, &[&bob, &cat], Visibility::Private);
    pen.leave(&cat, private);
    // To be in a public room is enough to be seen, and not enough for this.
    pen.create_room(&dan, &[], Visibility::Public);
    let gone = pen.create_room(&dan, &[&ada], Visibility::Private);
    pen.delete_room(&dan, gone);
    pen.flush().await;
    let see = async |seen: &[(&UserId, i64)]| {
        let seen = seen
            .iter()
            .map(|(user, at)| ((*user).clone(), Timestamp(*at)));
        let changes = Changes {
            seen: seen.collect(),
            ..Changes::default()
        };
        bench.store().begin(&Needs::default()).await.unwrap();
        bench.store().commit(&changes).await.unwrap();
    };
    see(&[(&ada, 5), (&bob, 7), (&cat, 9), (&dan, 11)]).await;
    // Nobody is seen earlier than before, and who is not there is not made.
    see(&[(&ada, 4), (&bob, 8), (&UserId::stored("eve"), 1)]).await;
    let all = [&ada, &bob, &cat, &dan, &UserId::stored("eve")].map(UserId::clone);
    let asks = async |viewer: &UserId| -> HashMap<UserId, Option<i64>> {
        let seen = bench.store().last_seen(viewer, &all).await.unwrap();
        let seen = seen.into_iter();
        seen.map(|(user, at)| (user, at.map(|at| at.0))).collect()
    };
    let told = |seen: &[(&UserId, i64)]| -> HashMap<UserId, Option<i64>> {
        let seen = seen.iter();
        seen.map(|(user, at)| ((*user).clone(), Some(*at)))
            .collect()
    };
    assert_eq!(asks(&ada).await, told(&[(&ada, 5), (&bob, 8)]));
    assert_eq!(asks(&bob).await, told(&[(&ada, 5), (&bob, 8)]));
    assert_eq!(asks(&cat).await, told(&[(&cat, 9)]));
    assert_eq!(asks(&dan).await, told(&[(&dan, 11)]));
    // A newer profile leaves it as it is.
    pen.user("bob");
    pen.flush().await;
    assert_eq!(asks(&bob).await, told(&[(&ada, 5), (&bob, 8)]));
}

pub(crate) async fn a_reply_comes_with_what_it_replies_to<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let first = pen.send(&ada, RoomId::LOBBY, "first");
    let second = pen.reply(&bob, RoomId::LOBBY, "second", Some(first));
    let third = pen.reply(&ada, RoomId::LOBBY, "third", Some(second));
    pen.flush().await;
    let ids = [first, second, third, MessageId::generate()];
    let mut read = bench.store().messages(&ids).await.unwrap();
    read.sort_by_key(|message| message.cursor.seq);
    assert_eq!(read, [first, second, third].map(|id| pen.shown(id)));
    let quoted = read[2].reply_to.as_ref().unwrap().message.as_ref().unwrap();
    assert_eq!(quoted.author.id, bob);
    assert!(
        quoted
            .reply_to
            .as_ref()
            .is_some_and(|reply| reply.message.is_none())
    );

    pen.delete(second);
    pen.flush().await;
    let read = bench.store().messages(&[third]).await.unwrap();
    let quoted = read[0].reply_to.as_ref().unwrap().message.as_ref().unwrap();
    assert_eq!((&quoted.body, quoted.deleted_at.is_some()), (&None, true));
}

pub(crate) async fn a_deleted_room_leaves_no_message<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let room = pen.create_room(&ada, &[], Visibility::Private);
    let kept = pen.send(&ada, RoomId::LOBBY, "kept");
    let before = pen.send(&ada, room, "before");
    pen.flush().await;
    let edited = pen.send(&ada, room, "in the same batch");
    pen.edit(before, "edited");
    let sent = pen.changes().sent;
    pen.delete_room(&ada, room);
    // The writer may name messages of the room beside its deletion.
    let mut changes = pen.changes();
    changes.sent = sent;
    bench
        .store()
        .begin(&crate::store::Needs::default())
        .await
        .unwrap();
    bench.store().commit(&changes).await.unwrap();
    pen.flushed();
    let read = bench
        .store()
        .messages(&[kept, before, edited])
        .await
        .unwrap();
    assert_eq!(read, [pen.shown(kept)]);
    let pages = bench
        .store()
        .message_pages(&[room], &super::pages::first(10))
        .await
        .unwrap();
    assert!(pages[0].items.is_empty());
}
