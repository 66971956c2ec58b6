//! The peer of group commit: a transaction for each send, with the same SQLite, driver and settings, and the same two
//! rows. Each send is one hop to the driver, so what is measured is the commit and not the binding.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::task::JoinSet;

use crate::machine::cpu_of;
use crate::stats::Outcome;

const SCHEMA: &str = "
    CREATE TABLE messages (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, room BLOB NOT NULL, author TEXT NOT NULL,
        body TEXT NOT NULL, created_at INTEGER NOT NULL);
    CREATE INDEX messages_room ON messages (room, seq);
    CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, room BLOB NOT NULL, kind INTEGER NOT NULL,
        actor TEXT NOT NULL, message BLOB);
    CREATE INDEX events_room ON events (room, seq);
";

const SEND: &str = "
    BEGIN IMMEDIATE;
    INSERT INTO messages (id, room, author, body, created_at) VALUES (?, ?, 'ada', ?, 0);
    INSERT INTO events (at, room, kind, actor, message) VALUES (0, ?, 1, 'ada', ?);
    COMMIT;
";

/// `senders` tasks share the one writing connection for `length`.
pub async fn run(
    folder: &Path,
    senders: usize,
    length: Duration,
    body: Arc<str>,
) -> anyhow::Result<Outcome> {
    let pool = open(folder).await?;
    let room = new_id();
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..senders {
        let (pool, body) = (pool.clone(), body.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while began.elapsed() < length {
                let sent = Instant::now();
                send(&pool, room, &body).await?;
                latencies.push(sent.elapsed());
            }
            Ok::<_, sqlx::Error>(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(finished) = tasks.join_next().await {
        latencies.extend(finished??);
    }
    let took = began.elapsed();
    pool.close().await;
    latencies.sort_unstable();
    Ok(Outcome {
        sends: latencies.len() as u64,
        took,
        latencies,
        cpu: None,
    })
}

/// One commit each `interval`, as lone sends come: the CPU of this process for each, in microseconds, with waiting for
/// the next one.
pub async fn paced(
    folder: &Path,
    interval: Duration,
    count: u32,
    body: &str,
) -> anyhow::Result<f64> {
    let (pool, room) = (open(folder).await?, new_id());
    send(&pool, room, body).await?;
    let mut turn = tokio::time::interval(interval);
    let before = cpu_of(std::process::id())?;
    for _ in 0..count {
        turn.tick().await;
        send(&pool, room, body).await?;
    }
    let spent = cpu_of(std::process::id())? - before;
    pool.close().await;
    Ok(spent.as_secs_f64() * 1e6 / f64::from(count))
}

async fn open(folder: &Path) -> anyhow::Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("one-commit.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("secure_delete", "ON");
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect_with(options).await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;
    Ok(pool)
}

async fn send(pool: &SqlitePool, room: [u8; 16], body: &str) -> Result<(), sqlx::Error> {
    let id = new_id();
    let statement = sqlx::query(SEND)
        .bind(id.as_slice())
        .bind(room.as_slice())
        .bind(body)
        .bind(room.as_slice())
        .bind(id.as_slice());
    statement.execute(pool).await.map(drop)
}

fn new_id() -> [u8; 16] {
    uuid::Uuid::now_v7().into_bytes()
}
