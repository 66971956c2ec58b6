use super::Folder;
use crate::model::*;
use crate::store::contract::Bench;
use crate::store::contract::pen::Pen;
use crate::store::*;
use std::time::Instant;

fn needs(pen: &Pen<'_, super::SqliteStore>, changes: &Changes) -> Needs {
    let _ = pen;
    let mut n = Needs::default();
    for m in &changes.sent {
        n.rooms.insert(m.room);
        n.members.insert((m.room, m.author.id.clone()));
        n.messages.insert(m.id);
        n.nodes.insert(m.id.uuid());
        n.users.insert(m.author.id.clone());
    }
    n
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore]
async fn speed() {
    let bench = Folder::fresh().await;
    let store = bench.store();
    let mut pen = Pen::new(store).await;
    let users: Vec<_> = (0..128).map(|n| pen.user(&format!("user {n}"))).collect();
    let refs: Vec<_> = users.iter().collect();
    let rooms: Vec<_> = (0..8)
        .map(|_| pen.create_room(&users[0], &refs[1..], Visibility::Private))
        .collect();
    pen.flush().await;
    for size in [1, 16, 128, 256] {
        let (mut b, mut c) = (0.0, 0.0);
        let count = 60_000usize.min(size * 2000);
        let mut done = 0;
        while done < count {
            for n in 0..size {
                pen.send(&users[n % 128], rooms[n % 8], "hello, this is a message of ordinary length, about a hundred bytes, as people write them all day");
            }
            let changes = pen.changes();
            let needs = needs(&pen, &changes);
            let t = Instant::now();
            store.begin(&needs).await.unwrap();
            b += t.elapsed().as_secs_f64();
            let t = Instant::now();
            store.commit(&changes).await.unwrap();
            c += t.elapsed().as_secs_f64();
            pen.flushed();
            pen.messages.clear();
            done += size;
        }
        println!(
            "{size}: begin {:.1} us, commit {:.1} us a batch; {:.0} sends/s",
            b / (done / size) as f64 * 1e6,
            c / (done / size) as f64 * 1e6,
            done as f64 / (b + c)
        );
    }
    // quiet room
    let quiet = pen.create_room(&users[0], &[], Visibility::Private);
    let eve = pen.user("eve");
    let q2 = pen.create_room(&eve, &[], Visibility::Private);
    pen.flush().await;
    let _ = quiet;
    let start = pen.head();
    for _ in 0..800 {
        for n in 0..250 {
            pen.send(&users[n % 128], rooms[n % 8], "x");
        }
        pen.flush().await;
        pen.messages.clear();
    }
    pen.send(&eve, q2, "here");
    pen.flush().await;
    println!("head {}", pen.head());
    for _ in 0..3 {
        let t = Instant::now();
        let page = store
            .replay(&eve, &Scope::Mine, start, 500, true)
            .await
            .unwrap();
        println!("quiet: {:?} {}", t.elapsed(), page.items.len());
        let t = Instant::now();
        let page = store
            .replay(&users[1], &Scope::Mine, start, 500, true)
            .await
            .unwrap();
        println!("busy 8 rooms: {:?} {}", t.elapsed(), page.items.len());
        let t = Instant::now();
        let page = store.events(start, 500).await.unwrap();
        println!("events: {:?} {}", t.elapsed(), page.len());
        let t = Instant::now();
        let p = store
            .message_pages(
                &rooms[..1],
                &PageArgs {
                    after: None,
                    before: None,
                    limit: 50,
                    backwards: true,
                },
            )
            .await
            .unwrap();
        println!("page 50: {:?} {}", t.elapsed(), p[0].items.len());
        let t = Instant::now();
        store.access(&eve, &Scope::Mine).await.unwrap();
        println!("access: {:?}", t.elapsed());
    }
    // many rooms
    let many: Vec<_> = (0..300)
        .map(|_| pen.create_room(&eve, &[], Visibility::Private))
        .collect();
    pen.flush().await;
    let start = pen.head();
    for k in 0..200 {
        for n in 0..200 {
            pen.send(&eve, many[(n * 7 + k) % 300], "x");
        }
        pen.flush().await;
        pen.messages.clear();
    }
    for _ in 0..3 {
        let t = Instant::now();
        let page = store
            .replay(&eve, &Scope::Mine, start, 500, true)
            .await
            .unwrap();
        println!("300 rooms: {:?} {}", t.elapsed(), page.items.len());
        let t = Instant::now();
        let page = store
            .replay(&eve, &Scope::Rooms(many.clone().into()), start, 500, true)
            .await
            .unwrap();
        println!("300 named rooms: {:?} {}", t.elapsed(), page.items.len());
    }
}
