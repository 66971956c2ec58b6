//! What was deleted is gone from the file and its write-ahead log.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};

use super::Folder;
use crate::model::{RoomId, Visibility};
use crate::store::Store;
use crate::store::contract::Bench;
use crate::store::contract::pen::Pen;

/// All bytes of the database and of what lies beside it.
///
/// The files are left open on purpose: closing one drops all locks that this process has on it, SQLite's among them.
fn bytes(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let mut file = std::fs::File::open(entry.unwrap().path()).unwrap();
        file.read_to_end(&mut all).unwrap();
        std::mem::forget(file);
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn a_deleted_body_leaves_the_file_while_the_server_runs() {
    let bench = Folder::fresh().await;
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let long = format!("a long secret {}", "x".repeat(15_000));
    let secrets = ["a short secret", &long, "a secret that was edited"];
    let ids = secrets.map(|body| pen.send(&ada, RoomId::LOBBY, body));
    pen.reply(&ada, RoomId::LOBBY, "kept", Some(ids[0]));
    pen.flush().await;
    let before = bytes(bench.dir.path());
    // The long one is spread over pages, so its beginning and its middle are looked for.
    let traces = [
        "a short secret",
        "a long secret",
        "xxxxxxxx",
        "a secret that was edited",
    ];
    for text in traces.iter().chain(&["kept"]) {
        assert!(holds(&before, text), "the test cannot see {text}");
    }
    pen.delete(ids[0]);
    pen.delete(ids[1]);
    pen.edit(ids[2], "something else");
    pen.flush().await;
    bench.store().swept().await;
    let after = bytes(bench.dir.path());
    for secret in [
        "a short secret",
        "a long secret",
        "a secret that was edited",
        "xxxxxxxx",
    ] {
        assert!(!holds(&after, secret), "{secret}");
    }
    assert!(holds(&after, "kept") && holds(&after, "something else"));
}

#[tokio::test]
async fn a_deleted_room_leaves_the_file() {
    let bench = Folder::fresh().await;
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let room = pen.create_room(&ada, &[], Visibility::Private);
    for n in 0..100 {
        pen.send(&ada, room, &format!("secret {n}"));
        pen.send(&ada, RoomId::LOBBY, &format!("kept {n}"));
    }
    pen.flush().await;
    pen.delete_room(&ada, room);
    pen.flush().await;
    bench.store().swept().await;
    let after = bytes(bench.dir.path());
    assert!(!holds(&after, "secret"));
    assert!(holds(&after, "kept 0") && holds(&after, "kept 99"));
}

/// The numbers of the secrets that can be read.
fn found(bytes: &[u8]) -> BTreeSet<u32> {
    let secret = regex::bytes::Regex::new("<secret ([0-9]+)>").unwrap();
    let numbers = secret.captures_iter(bytes);
    let number = |text: &[u8]| std::str::from_utf8(text).unwrap().parse().unwrap();
    numbers.map(|it| number(&it[1])).collect()
}

/// A row that is moved leaves a copy that `secure_delete` does not see. This is what keeps contents from moving.
#[tokio::test]
async fn nothing_that_was_deleted_stays_behind_after_many_edits() {
    let seed = rand::random::<u64>();
    let mut rng = StdRng::seed_from_u64(seed);
    let bench = Folder::fresh().await;
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let rooms: Vec<RoomId> = (0..4)
        .map(|_| pen.create_room(&ada, &[], Visibility::Private))
        .collect();
    let mut number = 0_u32;
    let mut said = BTreeMap::new();
    let mut gone: Vec<u32> = Vec::new();
    for step in 0..1_500 {
        number += 1;
        let size = [5, 50, 200, 1_000, 6_000][rng.random_range(0..5)];
        let body = format!("<secret {number}>{}", "x".repeat(size));
        let some = said.keys().choose(&mut rng).copied();
        match (rng.random_range(0..4), some) {
            (0..=1, _) | (_, None) => {
                let room = rooms[rng.random_range(0..rooms.len())];
                let id = pen.send(&ada, room, &body);
                said.insert(id, number);
            }
            (2, Some(id)) => {
                pen.edit(id, &body);
                gone.extend(said.insert(id, number));
            }
            (_, Some(id)) => {
                pen.delete(id);
                gone.extend(said.remove(&id));
            }
        }
        if step == 1_200 {
            pen.flush().await;
            let lost = pen
                .messages
                .values()
                .filter(|it| it.room == rooms[0])
                .map(|it| it.id);
            let lost: Vec<_> = lost.collect();
            gone.extend(lost.iter().filter_map(|id| said.remove(id)));
            pen.delete_room(&ada, rooms[0]);
            pen.flush().await;
            break;
        }
        if rng.random_range(0..5) == 0 {
            pen.flush().await;
        }
    }
    pen.flush().await;
    bench.store().close().await;
    let after = bytes(bench.dir.path());
    let found = found(&after);
    let left: Vec<_> = gone
        .iter()
        .filter(|number| found.contains(number))
        .collect();
    assert!(
        left.is_empty(),
        "seed {seed}: {left:?} of {} deleted",
        gone.len()
    );
    let missing: Vec<_> = said
        .values()
        .filter(|number| !found.contains(number))
        .collect();
    assert!(
        missing.is_empty(),
        "seed {seed}: {missing:?} should be there"
    );
}
