//! Opening the file, and what a file may be instead.

use std::path::Path;

use sqlx::{ConnectOptions, Connection, Executor};

use super::super::{OpenError, SqliteOptions, SqliteStore, Synchronous};
use super::{Folder, url};
use crate::model::{Resync, RoomId, Seq};
use crate::store::contract::Bench;
use crate::store::contract::pen::Pen;
use crate::store::{Needs, PageLimit, Store};

async fn refusal(url: &str) -> OpenError {
    match SqliteStore::open(url).await {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error,
    }
}

/// One line that names the path.
fn names(error: &OpenError, path: &Path) {
    let text = error.to_string();
    assert!(text.contains(&*path.to_string_lossy()), "{text}");
    assert!(!text.contains('\n'), "{text}");
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_refused() {
    let bench = Folder::fresh().await;
    let path = bench.store().path().to_owned();
    let link = bench.dir.path().join("other name.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for name in [&path, &link] {
        let error = refusal(&format!("sqlite://{}", name.display())).await;
        assert!(matches!(error, OpenError::InUse { .. }), "{error}");
        names(&error, &path);
    }
    // The first goes on as if nothing had been.
    bench.store().lead().await.unwrap();
    bench.reopened().await.store().ready().await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_dropped_lets_go_of_its_file() {
    let Folder { dir, store } = Folder::fresh().await;
    store.begin(&Needs::default()).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&url(dir.path())).await.unwrap();
    store.lead().await.unwrap();
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tidings.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let mut conn = options.connect().await.unwrap();
    let all = sqlx::migrate!();
    let first = all.iter().take(1).cloned().collect();
    let first = sqlx::migrate::Migrator::with_migrations(first);
    first.run_direct(None, &mut conn, false).await.unwrap();
    let written = "INSERT INTO users VALUES ('ada', 'Ada', NULL, 1);
        INSERT INTO epochs (epoch, first_seq) VALUES (7, 1);
        INSERT INTO contents VALUES (1, 'hello', NULL);
        INSERT INTO messages SELECT 1, x'01890a5dac96774bbcceb302099a8057', id, 'ada', 1, 5, NULL, NULL, NULL,
            zeroblob(16), 1 FROM rooms;
        INSERT INTO events SELECT 1, 5, room, 1, 'ada', id, NULL FROM messages;
        INSERT INTO events SELECT 2, 6, id, 9, 'ada', NULL, NULL FROM rooms;";
    conn.execute(written).await.unwrap();
    conn.close().await.unwrap();
    let store = SqliteStore::open(&url(dir.path())).await.unwrap();
    assert_eq!(store.lead().await.unwrap().head, Seq(2));
    let events = store.events(Seq::ZERO, 10).await.unwrap();
    let message = events[0].message().unwrap();
    assert_eq!(message.body.as_ref().unwrap().as_str(), "hello");
    assert!(message.reactions.is_empty());
    let room = &events[1].room;
    assert_eq!((room.direct, room.fingerprint), (false, None));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("absent");
    let error = refusal(&url(&folder)).await;
    assert!(matches!(error, OpenError::NoFolder { .. }), "{error}");
    names(&error, &folder);
}

#[tokio::test]
async fn a_folder_in_the_files_place_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tidings.db");
    std::fs::create_dir(&path).unwrap();
    let error = refusal(&url(dir.path())).await;
    assert!(matches!(error, OpenError::Unwritable { .. }), "{error}");
    names(&error, &path);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    // Nobody, not even root, makes files there.
    let error = refusal("sqlite:///proc/tidings.db").await;
    assert!(matches!(error, OpenError::Unwritable { .. }), "{error}");
    names(&error, Path::new("/proc/tidings.db"));
}

#[tokio::test]
async fn another_kind_of_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tidings.db");
    let text = "Dear diary, ".repeat(1_000);
    std::fs::write(&path, &text).unwrap();
    let error = refusal(&url(dir.path())).await;
    assert!(matches!(error, OpenError::NotOurs { .. }), "{error}");
    names(&error, &path);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn another_programs_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tidings.db");
    run(&path, "CREATE TABLE notes (text)").await;
    let error = refusal(&url(dir.path())).await;
    assert!(matches!(error, OpenError::NotOurs { .. }), "{error}");
    names(&error, &path);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let Folder { dir, store } = Folder::fresh().await;
    store.close().await;
    drop(store);
    let path = dir.path().join("tidings.db");
    let newer = "INSERT INTO _sqlx_migrations VALUES (9999, 'later', 0, true, x'00', 0)";
    run(&path, newer).await;
    let error = refusal(&url(dir.path())).await;
    assert!(
        matches!(error, OpenError::Newer { version: 9999, .. }),
        "{error}"
    );
    names(&error, &path);
}

async fn run(path: &Path, sql: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    let mut conn = options.connect().await.unwrap();
    conn.execute(sql).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test]
async fn what_is_no_database_file_is_no_address() {
    for url in [
        "",
        "tidings.db",
        "postgres://localhost/tidings",
        "sqlite::memory:",
        "sqlite://",
    ] {
        let error = refusal(url).await;
        assert!(matches!(error, OpenError::Url { .. }), "{url}: {error}");
        assert!(error.to_string().contains(url));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Folder::fresh().await;
    bench.store().lead().await.unwrap();
    for entry in std::fs::read_dir(bench.dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

#[tokio::test]
async fn commits_are_synchronous_unless_said_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    for (synchronous, level) in [(Synchronous::Full, 2), (Synchronous::Normal, 1)] {
        let options = SqliteOptions {
            synchronous,
            ..SqliteOptions::default()
        };
        let store = SqliteStore::open_with(&url(dir.path()), &options)
            .await
            .unwrap();
        assert_eq!(store.writer.pragma("PRAGMA synchronous").await, level);
        assert_eq!(store.writer.pragma("PRAGMA secure_delete").await, 1);
        assert_eq!(store.writer.pragma("PRAGMA foreign_keys").await, 1);
        assert_eq!(
            store.writer.pragma("PRAGMA wal_autocheckpoint").await,
            1_000
        );
        store.close().await;
    }
}

#[tokio::test]
async fn a_backup_copied_back_by_hand_is_told_by_the_cursors() {
    let Folder { dir, store } = Folder::fresh().await;
    let (db, backup) = (dir.path().join("tidings.db"), dir.path().join("backup"));
    let mut pen = Pen::new(&store).await;
    let ada = pen.user("ada");
    let kept = pen.send(&ada, RoomId::LOBBY, "kept");
    pen.flush().await;
    let kept = pen.shown(kept).cursor;
    store.close().await;
    drop(store);
    std::fs::copy(&db, &backup).unwrap();

    let store = SqliteStore::open(&url(dir.path())).await.unwrap();
    store.lead().await.unwrap();
    let lost = store.epochs().cursor(Seq(2));
    store.close().await;
    drop(store);
    std::fs::copy(&backup, &db).unwrap();

    let store = SqliteStore::open(&url(dir.path())).await.unwrap();
    let bounds = store.lead().await.unwrap();
    let honour = |cursor, head| store.epochs().honour(cursor, bounds.floor, head);
    assert_eq!(bounds.head, Seq(1));
    assert_eq!(honour(kept, bounds.head), Ok(Seq(1)));
    assert_eq!(honour(lost, bounds.head), Err(Resync::EpochChanged));
    // Also once this history has the same number.
    assert_eq!(honour(lost, Seq(5)), Err(Resync::EpochChanged));
}

/// Readers may go away at any moment; a connection whose transaction is open is not lent again.
#[tokio::test]
async fn a_replay_that_is_dropped_holds_nothing_back() {
    let bench = Folder::fresh().await;
    let mut pen = Pen::new(bench.store()).await;
    let ada = pen.user("ada");
    let scope = crate::model::Scope::Mine;
    for n in 0..60 {
        pen.send(&ada, RoomId::LOBBY, "hello");
        pen.flush().await;
        let replay = bench
            .store()
            .replay(&ada, &scope, Seq(0), PageLimit::of(10), true);
        tokio::select! {
            biased;
            () = async { for _ in 0..n % 12 { tokio::task::yield_now().await } } => {}
            page = replay => drop(page.unwrap()),
        }
        let bounds = bench.store().bounds().await.unwrap();
        assert_eq!(bounds.head, pen.head(), "a reader sees the newest commit");
    }
}
