//! What a page of a replay weighs, and where it ends for that.

use super::Bench;
use super::pen::Pen;
use crate::model::{Scope, Seq, UserId, Visibility};
use crate::store::{PageLimit, Store};

pub(crate) async fn a_page_ends_where_more_would_weigh_too_much<B: Bench>(bench: B) {
    const BODY: usize = 1_000;
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let room = pen.create_room(&ada, &[], Visibility::Private);
    let body = "é".repeat(BODY / 2);
    let sent: Vec<_> = (0..4).map(|_| pen.send(&ada, room, &body)).collect();
    let reply = pen.reply(&ada, room, &body, sent.last().copied());
    pen.react(&ada, reply, "👍");
    pen.delete(sent[0]);
    pen.flush().await;
    // Each message has data as well.
    let message_bytes = BODY + 8 * r#"{"n":1000000}"#.len();
    let bytes_of = |events, messages| events * PageLimit::EVENT_BYTES + messages * message_bytes;
    let end = async |after, bytes| page_end(&pen, &ada, after, bytes).await;
    // The first is deleted and says nothing; its place, and two more.
    assert_eq!(end(1, bytes_of(3, 2)).await, 4);
    assert_eq!(end(1, bytes_of(3, 2) - 1).await, 3);
    // One at least, whatever it weighs.
    assert_eq!(end(3, 0).await, 4);
    // A reply brings what it replies to; what happens to it again brings nothing, and the deletion is the last of all.
    assert_eq!(end(5, bytes_of(3, 2)).await, pen.head().0);
    assert_eq!(end(5, bytes_of(3, 2) - 1).await, pen.head().0 - 1);
    let (mut at, mut items) = (Seq(1), Vec::new());
    while at < pen.head() {
        let limit = PageLimit {
            items: 99,
            bytes: bytes_of(2, 1),
        };
        let page = bench.store().replay(&ada, &Scope::Mine, at, limit, false);
        let page = page.await.unwrap();
        items.extend(page.items);
        at = page.end;
    }
    assert_eq!(items, pen.replay(&ada, &Scope::Mine, Seq(1)));
}

pub(crate) async fn a_room_weighs_once_in_a_page_whatever_happens_in_it<B: Bench>(bench: B) {
    const TEXT: usize = 2_000;
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let room = pen.create_room(&ada, &[], Visibility::Private);
    let text = "x".repeat(TEXT);
    pen.describe(&ada, room, serde_json::json!({ "a": text }));
    let message = pen.send(&ada, room, "");
    pen.react(&ada, message, "👍");
    let other = pen.create_room(&ada, &[], Visibility::Private);
    pen.describe(&ada, other, serde_json::json!({ "b": text }));
    pen.flush().await;
    let (room_bytes, message_bytes) = (
        8 * (TEXT + r#"{"a":""}"#.len()),
        8 * r#"{"n":1000000}"#.len(),
    );
    let bytes_of = |events, rooms| events * PageLimit::EVENT_BYTES + rooms * room_bytes;
    let end = async |after, bytes| page_end(&pen, &ada, after, bytes).await;
    // With whatever comes first of it, and not again with what comes then.
    for (after, last, events, messages) in [(1, 4, 3, 1), (2, 4, 2, 1), (0, 2, 2, 0)] {
        let bytes = bytes_of(events, 1) + messages * message_bytes;
        assert_eq!(end(after, bytes).await, last);
        assert_eq!(end(after, bytes - 1).await, last - 1);
    }
    // Another by itself.
    let bytes = bytes_of(2, 2) + message_bytes;
    assert_eq!(end(3, bytes).await, 5);
    assert_eq!(end(3, bytes - 1).await, 4);
}

/// Where a page ends that holds so many bytes.
async fn page_end<S: Store>(pen: &Pen<'_, S>, viewer: &UserId, after: u64, bytes: usize) -> u64 {
    let limit = PageLimit { items: 99, bytes };
    let page = (pen.store).replay(viewer, &Scope::Mine, Seq(after), limit, false);
    let page = page.await.unwrap();
    let last = page.items.last().map(|last| last.cursor().seq);
    assert!(last == Some(page.end) || page.end == pen.head());
    page.end.0
}
