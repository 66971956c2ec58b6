//! Pages: every one against the whole list, cut by hand.

use std::sync::Arc;

use super::Bench;
use super::pen::Pen;
use crate::model::{Member, Message, Room, RoomId, Seq, Visibility};
use crate::store::{MemberKey, Page, PageArgs, RoomKey, RoomList, Store};

/// The first so many.
pub(crate) fn first<K>(limit: usize) -> PageArgs<K> {
    PageArgs {
        after: None,
        before: None,
        limit,
        backwards: false,
    }
}

/// Every combination of a few bounds, limits and both directions.
fn all_args<K: Clone>(keys: &[K]) -> Vec<PageArgs<K>> {
    let bounds: Vec<Option<K>> = std::iter::once(None)
        .chain(keys.iter().cloned().map(Some))
        .collect();
    let mut all = Vec::new();
    for after in &bounds {
        for before in &bounds {
            for limit in [0, 1, 2, 3, 100] {
                for backwards in [false, true] {
                    all.push(PageArgs {
                        after: after.clone(),
                        before: before.clone(),
                        limit,
                        backwards,
                    });
                }
            }
        }
    }
    all
}

/// The page, cut out of the whole list. `cmp` is the list's order.
fn cut<T: Clone, K>(
    list: &[T],
    args: &PageArgs<K>,
    cmp: impl Fn(&T, &K) -> std::cmp::Ordering,
) -> Page<T> {
    let within: Vec<T> = (list.iter())
        .filter(|it| args.after.as_ref().is_none_or(|key| cmp(it, key).is_gt()))
        .filter(|it| args.before.as_ref().is_none_or(|key| cmp(it, key).is_lt()))
        .cloned()
        .collect();
    let more = within.len() > args.limit;
    let items = if args.backwards {
        within[within.len().saturating_sub(args.limit)..].to_vec()
    } else {
        within[..within.len().min(args.limit)].to_vec()
    };
    Page {
        items,
        has_previous: more && args.backwards,
        has_next: more && !args.backwards,
    }
}

fn cut_messages(list: &[Arc<Message>], args: &PageArgs<Seq>) -> Page<Arc<Message>> {
    cut(list, args, |it, key| it.cursor.seq.cmp(key))
}

pub(crate) async fn a_page_of_messages_from_either_end<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let room = pen.create_room(&ada, &[], Visibility::Private);
    let mut ids = Vec::new();
    for n in 0..6 {
        let to = ids.first().copied().filter(|_| n % 2 == 1);
        ids.push(pen.reply(&ada, room, &format!("{n}"), to));
        pen.send(&ada, RoomId::LOBBY, "elsewhere");
    }
    pen.delete(ids[2]);
    pen.flush().await;
    let list: Vec<_> = ids.iter().map(|id| pen.shown(*id)).collect();
    // Any place in the log will do, not only those of this room's messages.
    let keys: Vec<Seq> = (0..=pen.head().0 + 1).map(Seq).collect();
    for args in all_args(&keys) {
        let pages = bench.store().message_pages(&[room], &args).await.unwrap();
        assert_eq!(pages, [cut_messages(&list, &args)], "{args:?}");
    }
}

pub(crate) async fn pages_of_many_rooms_are_read_at_once<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let rooms: Vec<RoomId> = (0..4)
        .map(|_| pen.create_room(&ada, &[], Visibility::Public))
        .collect();
    let mut lists = vec![Vec::new(); rooms.len()];
    for n in 0..12 {
        // The last room stays empty.
        let id = pen.send(&ada, rooms[n % 3], &format!("{n}"));
        lists[n % 3].push(id);
    }
    pen.flush().await;
    let lists: Vec<Vec<_>> = (lists.iter())
        .map(|ids| ids.iter().map(|id| pen.shown(*id)).collect())
        .collect();
    for backwards in [false, true] {
        let args = PageArgs {
            backwards,
            ..first(3)
        };
        let pages = bench.store().message_pages(&rooms, &args).await.unwrap();
        let expected: Vec<_> = lists.iter().map(|list| cut_messages(list, &args)).collect();
        assert_eq!(pages, expected);
        let members = bench
            .store()
            .member_pages(
                &rooms,
                &PageArgs {
                    backwards,
                    ..first(3)
                },
            )
            .await;
        assert!(members.unwrap().iter().all(|page| page.items.len() == 1));
    }
    assert!(
        bench
            .store()
            .message_pages(&[], &first(3))
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn a_page_of_members_goes_by_joining<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let names = ["zoe", "ada", "10", "9", "cat", "dan"];
    let users = names.map(|name| pen.user(name));
    // Three come in by one event: then the user's id decides.
    let room = pen.create_room(&users[0], &[&users[1], &users[2]], Visibility::Public);
    for user in &users[3..] {
        pen.join(user, room);
    }
    pen.leave(&users[1], room);
    pen.leave(&users[4], room);
    pen.join(&users[1], room);
    pen.flush().await;
    let key = |it: &Member| MemberKey {
        joined_seq: it.joined_seq,
        user: it.user.id.clone(),
    };
    let order = |it: &Member| (it.joined_seq, it.user.id.as_str().to_owned());
    let mut list: Vec<Arc<Member>> = (pen.members.values())
        .filter(|it| it.is_active())
        .cloned()
        .collect();
    list.sort_by_key(|it| order(it));
    assert_eq!(list.len(), 5);
    let keys: Vec<MemberKey> = pen.members.values().map(|it| key(it)).collect();
    for args in all_args(&keys) {
        let pages = bench.store().member_pages(&[room], &args).await.unwrap();
        let expected = cut(&list, &args, |it, key| {
            order(it).cmp(&(key.joined_seq, key.user.as_str().to_owned()))
        });
        assert_eq!(pages, [expected], "{args:?}");
    }
}

pub(crate) async fn rooms_are_listed_by_activity<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| pen.user(name));
    let mut rooms = Vec::new();
    for n in 0..6 {
        let visibility = if n % 3 == 0 {
            Visibility::Private
        } else {
            Visibility::Public
        };
        let others: &[_] = match n {
            0 | 2 => &[&bob],
            3 => &[&eve],
            4 => &[&bob, &eve],
            _ => &[],
        };
        rooms.push(pen.create_room(&ada, others, visibility));
    }
    pen.delete_room(&ada, rooms[2]);
    pen.send(&ada, rooms[1], "hello");
    pen.leave(&bob, rooms[0]);
    pen.flush().await;
    let is_in = |room: &Room, user: &crate::model::UserId| {
        let member = pen.members.get(&(room.id, user.clone()));
        member.is_some_and(|it| it.is_active())
    };
    type Holds<'a> = &'a dyn Fn(&Room) -> bool;
    let lists: [(RoomList, Holds<'_>); 6] = [
        (RoomList::Public, &|room| {
            room.visibility == Visibility::Public
        }),
        (RoomList::Of(ada.clone()), &|room| is_in(room, &ada)),
        (RoomList::Of(bob.clone()), &|room| is_in(room, &bob)),
        (RoomList::Shared(ada.clone(), bob.clone()), &|room| {
            is_in(room, &ada) && is_in(room, &bob)
        }),
        (RoomList::Shared(eve.clone(), ada.clone()), &|room| {
            is_in(room, &eve) && is_in(room, &ada)
        }),
        (RoomList::Shared(bob.clone(), eve.clone()), &|room| {
            is_in(room, &bob) && is_in(room, &eve)
        }),
    ];
    let key = |room: &Room| RoomKey {
        at: room.last_activity_at,
        id: room.id,
    };
    let keys: Vec<RoomKey> = pen.rooms.values().map(|room| key(room)).collect();
    let mut expected = Vec::new();
    for (list, holds) in lists {
        let mut rooms: Vec<Arc<Room>> = (pen.rooms.values())
            .filter(|it| !it.deleted && holds(it))
            .cloned()
            .collect();
        rooms.sort_by_key(|it| std::cmp::Reverse((it.last_activity_at, it.id)));
        expected.push((list, rooms));
    }
    let lists: Vec<RoomList> = expected.iter().map(|(list, _)| list.clone()).collect();
    for args in all_args(&keys) {
        let expected: Vec<_> = (expected.iter())
            .map(|(_, rooms)| {
                cut(rooms, &args, |it, key| {
                    (key.at, key.id).cmp(&(it.last_activity_at, it.id))
                })
            })
            .collect();
        let store = bench.store();
        let all = store.room_pages(&lists, &args).await.unwrap();
        assert_eq!(all, expected, "{args:?}");
        for (list, expected) in lists.iter().zip(expected) {
            let alone = store.room_pages(std::slice::from_ref(list), &args);
            assert_eq!(alone.await.unwrap(), [expected], "{list:?} {args:?}");
        }
    }
}

pub(crate) async fn both_bounds_may_be_given<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let ids: Vec<_> = (0..5)
        .map(|n| pen.send(&ada, RoomId::LOBBY, &format!("{n}")))
        .collect();
    pen.flush().await;
    let args = PageArgs {
        after: Some(Seq(1)),
        before: Some(Seq(5)),
        limit: 2,
        backwards: true,
    };
    let pages = bench
        .store()
        .message_pages(&[RoomId::LOBBY], &args)
        .await
        .unwrap();
    let items = [ids[2], ids[3]].map(|id| pen.shown(id)).to_vec();
    assert_eq!(
        pages,
        [Page {
            items,
            has_previous: true,
            has_next: false
        }]
    );
}

pub(crate) async fn the_number_of_statements_does_not_grow_with_the_page<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let users: Vec<_> = (0..20).map(|n| pen.user(&format!("user {n}"))).collect();
    let mut last = None;
    for n in 0..100 {
        last = Some(pen.reply(&users[n % 20], RoomId::LOBBY, "hello", last));
    }
    pen.flush().await;
    let store = bench.store();
    let mut counts = Vec::new();
    for limit in [1, 50] {
        let before = store.reads();
        store
            .message_pages(&[RoomId::LOBBY], &first(limit))
            .await
            .unwrap();
        store.events(Seq::ZERO, limit).await.unwrap();
        counts.push(store.reads() - before);
    }
    assert_eq!(counts[0], counts[1]);
    assert!(counts[0] > 0);
}
