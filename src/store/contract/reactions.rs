//! Reactions: under which message, how many, and whose.

use std::collections::HashSet;

use super::Bench;
use super::pen::Pen;
use crate::model::{Emoji, MessageId, ReactionKey, RoomId, UserId, Visibility};
use crate::store::{Needs, Store};

fn emoji(text: &str) -> Emoji {
    Emoji::parse(text).unwrap()
}

pub(crate) async fn a_message_comes_with_its_reactions_by_first_use<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let first = pen.send(&ada, RoomId::LOBBY, "first");
    let reply = pen.reply(&bob, RoomId::LOBBY, "reply", Some(first));
    let uses = [
        (&bob, "👍"),
        (&bob, "🎉"),
        (&ada, "👍🏽"),
        (&ada, "👍"),
        (&ada, "❤️"),
    ];
    for (user, emoji) in uses {
        pen.react(user, first, emoji);
    }
    pen.flush().await;
    pen.unreact(&bob, first, "👍");
    pen.unreact(&bob, first, "🎉");
    pen.flush().await;
    pen.react(&bob, first, "🎉");
    pen.flush().await;
    let bench = bench.reopened().await;
    let mut read = bench.store().messages(&[first, reply]).await.unwrap();
    read.sort_by_key(|message| message.cursor.seq);
    let under = |message: &crate::model::Message| -> Vec<_> {
        let each = message.reactions.iter();
        each.map(|it| (it.emoji.as_str().to_owned(), it.count))
            .collect()
    };
    let expected = [("👍", 1), ("👍🏽", 1), ("❤️", 1), ("🎉", 1)];
    let expected = expected.map(|(emoji, count)| (emoji.to_owned(), count));
    assert_eq!(under(&read[0]), expected);
    let quoted = read[1].reply_to.as_ref().unwrap().message.as_ref().unwrap();
    assert_eq!(under(quoted), expected);
    let page = super::pages::first(10);
    let pages = bench.store().message_pages(&[RoomId::LOBBY], &page).await;
    assert_eq!(pages.unwrap()[0].items, read);
}

pub(crate) async fn those_who_react_are_told_first_to_react_first<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let users: Vec<_> = (0..30).map(|n| pen.user(&format!("user {n}"))).collect();
    let messages = [(); 2].map(|()| pen.send(&users[0], RoomId::LOBBY, "hello"));
    for user in users.iter().rev() {
        pen.react(user, messages[0], "👍");
    }
    pen.react(&users[3], messages[1], "🎉");
    pen.flush().await;
    pen.unreact(&users[29], messages[0], "👍");
    pen.flush().await;
    pen.react(&users[29], messages[0], "👍");
    pen.flush().await;
    let under = [
        (messages[0], emoji("👍")),
        (messages[0], emoji("🎉")),
        (messages[1], emoji("🎉")),
        (MessageId::generate(), emoji("👍")),
    ];
    let before = bench.store().reads();
    let lists = bench.store().reactors(&under, 5).await.unwrap();
    assert_eq!(bench.store().reads(), before + 1);
    let ids = |n: usize| -> Vec<UserId> { lists[n].iter().map(|it| it.id.clone()).collect() };
    assert_eq!(ids(0), [28, 27, 26, 25, 24].map(|n| users[n].clone()));
    assert_eq!(ids(2), [users[3].clone()]);
    assert!(lists[1].is_empty() && lists[3].is_empty());
    let all = bench.store().reactors(&under, 100).await.unwrap();
    assert_eq!(all[0].len(), 30);
    assert_eq!(all[0][29].id, users[29]);
}

pub(crate) async fn what_a_viewer_reacts_with_is_told_for_many_messages_at_once<B: Bench>(
    bench: B,
) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let ids: Vec<_> = (0..3)
        .map(|_| pen.send(&ada, RoomId::LOBBY, "hello"))
        .collect();
    pen.react(&ada, ids[0], "👍");
    pen.react(&bob, ids[0], "🎉");
    pen.react(&bob, ids[1], "👍");
    pen.react(&ada, ids[2], "👍");
    pen.react(&ada, ids[2], "❤️");
    pen.flush().await;
    let before = bench.store().reads();
    let reacted = bench.store().reacted(&ada, &ids).await.unwrap();
    assert_eq!(bench.store().reads(), before + 1);
    let expected: HashSet<_> = [(ids[0], "👍"), (ids[2], "👍"), (ids[2], "❤️")]
        .map(|(id, text)| (id, emoji(text)))
        .into();
    assert_eq!(reacted, expected);
}

pub(crate) async fn facts_say_which_reactions_are_there<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let id = pen.send(&ada, RoomId::LOBBY, "hello");
    pen.react(&ada, id, "👍");
    pen.react(&bob, id, "🎉");
    pen.flush().await;
    let key = |message, text, user: &UserId| ReactionKey {
        message,
        emoji: emoji(text),
        user: user.clone(),
    };
    let there = [key(id, "👍", &ada), key(id, "🎉", &bob)];
    let absent = [
        key(id, "👍", &bob),
        key(id, "👍🏽", &ada),
        key(MessageId::generate(), "👍", &ada),
    ];
    let needs = Needs {
        reactions: there.iter().chain(&absent).cloned().collect(),
        messages: [id].into(),
        ..Needs::default()
    };
    let facts = bench.store().begin(&needs).await.unwrap();
    bench.store().rollback().await.unwrap();
    let keys: HashSet<_> = facts.reactions.keys().cloned().collect();
    assert_eq!(keys, there.iter().cloned().collect());
    assert_eq!(facts.reactions[&there[0]], crate::model::Seq(2));
    assert_eq!(facts.messages[&id], pen.shown(id));
}

pub(crate) async fn reactions_go_with_their_message_and_their_room<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let room = pen.create_room(&ada, &[], Visibility::Private);
    let deleted = pen.send(&ada, RoomId::LOBBY, "hello");
    let kept = pen.send(&ada, RoomId::LOBBY, "hello");
    let with_room = pen.send(&ada, room, "hello");
    for id in [deleted, kept, with_room] {
        pen.react(&ada, id, "👍");
    }
    pen.flush().await;
    // And one that comes and goes within a batch.
    pen.react(&ada, deleted, "🎉");
    pen.react(&ada, with_room, "🎉");
    pen.delete(deleted);
    pen.delete_room(&ada, room);
    pen.flush().await;
    let ids = [deleted, kept, with_room];
    let reacted = bench.store().reacted(&ada, &ids).await.unwrap();
    assert_eq!(reacted, [(kept, emoji("👍"))].into());
    let under = ids.map(|id| (id, emoji("👍")));
    let lists = bench.store().reactors(&under, 10).await.unwrap();
    assert_eq!(lists.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1, 0]);
    let read = bench.store().messages(&[deleted]).await.unwrap();
    assert_eq!(read, [pen.shown(deleted)]);
    assert!(read[0].reactions.is_empty());
}
