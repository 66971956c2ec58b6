//! What members have read.

use super::Bench;
use super::pen::Pen;
use crate::model::{MemberId, Role, RoomId, Seq, UserId, Visibility};
use crate::store::{Needs, PageArgs, Store};

/// What every way of reading a member says of its mark.
async fn marks<S: Store>(store: &S, room: RoomId, user: &UserId, id: MemberId) -> Vec<Option<Seq>> {
    let args = PageArgs {
        after: None,
        before: None,
        limit: 100,
        backwards: false,
    };
    let needs = Needs {
        members: [(room, user.clone())].into(),
        ..Needs::default()
    };
    let facts = store.begin(&needs).await.unwrap();
    store.rollback().await.unwrap();
    let pages = store.member_pages(&[room], &args).await.unwrap();
    let listed = pages[0].items.iter().find(|it| it.user.id == *user);
    vec![
        facts.members[&(room, user.clone())].read_up_to,
        listed.unwrap().read_up_to,
        store.members(&[id]).await.unwrap()[0].read_up_to,
        store.rooms(user, &[room]).await.unwrap()[0].read_up_to,
    ]
}

pub(crate) async fn a_mark_is_kept<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let room = pen.create_room(&ada, &[&bob], Visibility::Private);
    pen.send(&ada, room, "hello");
    pen.flush().await;
    let (ada_id, bob_id) = (pen.member(room, &ada).id, pen.member(room, &bob).id);
    assert_eq!(marks(pen.store, room, &bob, bob_id).await, [None; 4]);
    pen.read(&bob, room, Seq(2));
    pen.flush().await;
    assert_eq!(
        marks(pen.store, room, &bob, bob_id).await,
        [Some(Seq(2)); 4]
    );
    assert_eq!(marks(pen.store, room, &ada, ada_id).await, [None; 4]);
    let bench = bench.reopened().await;
    let store = bench.store();
    assert_eq!(marks(store, room, &bob, bob_id).await, [Some(Seq(2)); 4]);
}

pub(crate) async fn marks_of_many_are_written_at_once<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let users: Vec<_> = (0..20).map(|n| pen.user(&format!("user {n}"))).collect();
    let others: Vec<_> = users[1..].iter().collect();
    let rooms: Vec<_> = (0..5)
        .map(|_| pen.create_room(&users[0], &others, Visibility::Private))
        .collect();
    pen.flush().await;
    for (n, room) in rooms.iter().enumerate() {
        for (m, user) in users.iter().enumerate() {
            pen.read(user, *room, Seq((n * m) as u64 % 6));
        }
    }
    pen.flush().await;
    for (n, room) in rooms.iter().enumerate() {
        for (m, user) in users.iter().enumerate() {
            let id = pen.member(*room, user).id;
            let mark = Some(Seq((n * m) as u64 % 6));
            assert_eq!(
                marks(pen.store, *room, user, id).await,
                [mark; 4],
                "{n} {m}"
            );
        }
    }
}

pub(crate) async fn a_mark_outlives_what_befalls_the_member<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let room = pen.create_room(&ada, &[], Visibility::Public);
    // In and read on in one batch.
    pen.join(&bob, room);
    pen.read(&bob, room, Seq(1));
    pen.flush().await;
    let id = pen.member(room, &bob).id;
    assert_eq!(marks(pen.store, room, &bob, id).await, [Some(Seq(1)); 4]);
    pen.promote(&bob, room, Role::Reader);
    pen.leave(&bob, room);
    pen.flush().await;
    let away = pen.store.rooms(&bob, &[room]).await.unwrap();
    assert_eq!((away[0].role, away[0].read_up_to), (None, None));
    pen.join(&bob, room);
    pen.flush().await;
    assert_eq!(marks(pen.store, room, &bob, id).await, [Some(Seq(1)); 4]);
}

pub(crate) async fn a_batch_that_only_marks_is_committed<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let room = pen.create_room(&ada, &[], Visibility::Private);
    pen.flush().await;
    pen.read(&ada, room, Seq(1));
    let changes = pen.changes();
    assert!(changes.events.is_empty() && !changes.is_empty());
    pen.flush().await;
    let views = pen.store.rooms(&ada, &[room]).await.unwrap();
    assert_eq!(views[0].read_up_to, Some(Seq(1)));
}
