//! What was acknowledged is there, once: after kill -9 at any moment, and after a power cut.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Plan, TestServer, seed};

const LOBBY: &str = "00000000-0000-7000-8000-000000000001";

const SEND: &str = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } duplicate } }";

/// What senders have been told, and how far they are.
#[derive(Default)]
struct Progress {
    acknowledged: AtomicUsize,
    more: Notify,
    stop: AtomicBool,
}

impl Progress {
    /// Waits until `more` further sends are acknowledged.
    async fn advance(&self, more: usize) {
        let target = self.acknowledged.load(Ordering::SeqCst) + more;
        loop {
            let notified = self.more.notified();
            if self.acknowledged.load(Ordering::SeqCst) >= target {
                return;
            }
            notified.await;
        }
    }

    fn acknowledge(&self) {
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        self.more.notify_waiters();
    }
}

/// Sends one message after the other, each under its own id until it is acknowledged, and returns the ids.
async fn sender(url: String, token: String, progress: Arc<Progress>) -> Vec<Uuid> {
    let client = reqwest::Client::new();
    let mut acknowledged = Vec::new();
    while !progress.stop.load(Ordering::SeqCst) {
        let id = Uuid::now_v7();
        let input = json!({ "id": id, "roomId": LOBBY, "body": format!("message {id}") });
        let request = json!({ "query": SEND, "variables": { "input": input } });
        while !progress.stop.load(Ordering::SeqCst) {
            if send(&client, &url, &token, &request).await {
                acknowledged.push(id);
                progress.acknowledge();
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    acknowledged
}

/// Whether the server said that it has the message. A refused connection, a broken one or a retryable error is a no.
async fn send(client: &reqwest::Client, url: &str, token: &str, request: &Value) -> bool {
    let response = client
        .post(url)
        .bearer_auth(token)
        .json(request)
        .send()
        .await;
    let Ok(response) = response else { return false };
    let Ok(answer) = response.json::<Value>().await else {
        return false;
    };
    if let Some(error) = answer["errors"].get(0) {
        assert_eq!(error["extensions"]["retryable"], true, "{error}");
        return false;
    }
    answer["data"]["sendMessage"]["message"]["id"].is_string()
}

/// The ids of all messages in the lobby in log order, and their number of events, read from the file itself.
async fn log_of(database: &Path) -> (Vec<Uuid>, Vec<i64>) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    let pool = sqlx::sqlite::SqlitePool::connect_with(options)
        .await
        .unwrap();
    let sent = "SELECT message FROM events WHERE kind = 1 ORDER BY seq";
    let ids = sqlx::query_scalar::<_, Vec<u8>>(sent)
        .fetch_all(&pool)
        .await
        .unwrap();
    let ids = ids.iter().map(|id| Uuid::from_slice(id).unwrap()).collect();
    let seqs = sqlx::query_scalar("SELECT seq FROM events ORDER BY seq")
        .fetch_all(&pool)
        .await
        .unwrap();
    pool.close().await;
    (ids, seqs)
}

fn assert_exactly_once(acknowledged: &[Uuid], (ids, seqs): (Vec<Uuid>, Vec<i64>)) {
    let mut times = HashMap::new();
    for id in &ids {
        *times.entry(*id).or_insert(0) += 1;
    }
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|id| !times.contains_key(id))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    assert!(
        times.values().all(|times| *times == 1),
        "a message is in the log more than once"
    );
    let gapless: Vec<i64> = (1..=i64::try_from(seqs.len()).unwrap()).collect();
    assert_eq!(seqs, gapless, "the log has a hole");
}

fn start_senders(
    senders: usize,
    server: &TestServer,
    progress: &Arc<Progress>,
) -> JoinSet<Vec<Uuid>> {
    let mut tasks = JoinSet::new();
    for n in 0..senders {
        let token = server.token(&format!("sender-{n}"));
        tasks.spawn(sender(server.url("/graphql"), token, progress.clone()));
    }
    tasks
}

async fn finish(tasks: JoinSet<Vec<Uuid>>, progress: &Progress) -> Vec<Uuid> {
    progress.stop.store(true, Ordering::SeqCst);
    tasks.join_all().await.concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_under_load_lose_and_double_nothing() {
    let mut random = StdRng::seed_from_u64(seed());
    let mut server = TestServer::start();
    let progress = Arc::new(Progress::default());
    let senders = start_senders(32, &server, &progress);
    for _ in 0..50 {
        // A random number of acknowledgements is a random moment, whatever the machine's speed.
        progress.advance(random.random_range(1..400)).await;
        // On the runtime's own threads the senders would wait for the restart.
        server = tokio::task::spawn_blocking(|| server.restart())
            .await
            .unwrap();
    }
    progress.advance(32).await;
    let acknowledged = finish(senders, &progress).await;
    server.kill();
    let distinct: HashSet<_> = acknowledged.iter().collect();
    assert_eq!(distinct.len(), acknowledged.len());
    assert_exactly_once(&acknowledged, log_of(&server.database()).await);
}

#[cfg(target_os = "linux")]
mod power {
    use super::*;

    /// Builds the disk that forgets what was not synced.
    fn forgetful_disk() -> std::path::PathBuf {
        let library = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("durable-{}.so", std::process::id()));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/durable.c");
        let cc = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let built = Command::new(&cc)
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(source)
            .status();
        assert!(
            built
                .unwrap_or_else(|error| panic!("{cc}: {error}"))
                .success()
        );
        library
    }

    /// Runs a server on the forgetful disk, cuts the power at a random moment, and counts what is lost of what was
    /// acknowledged.
    async fn lost_in_a_power_cut(disk: &Path, synchronous: &str, random: &mut StdRng) -> usize {
        let kept = tempfile::tempdir().unwrap();
        let plan = Plan::default();
        let folder = plan.folder().canonicalize().unwrap();
        let mut server = plan
            .env("TIDINGS_SYNCHRONOUS", synchronous)
            .env("LD_PRELOAD", disk.display())
            .env("DURABLE_FROM", folder.display())
            .env("DURABLE_TO", kept.path().display())
            .start();
        let progress = Arc::new(Progress::default());
        let senders = start_senders(16, &server, &progress);
        progress.advance(random.random_range(50..600)).await;
        server.kill();
        let acknowledged = finish(senders, &progress).await;
        // Opening it recovers what the write-ahead log holds, as the next start would.
        let database = kept.path().join(server.database().file_name().unwrap());
        let (ids, seqs) = log_of(&database).await;
        let there: HashSet<_> = ids.iter().copied().collect();
        let (there, lost): (Vec<_>, Vec<_>) =
            acknowledged.into_iter().partition(|id| there.contains(id));
        assert_exactly_once(&there, (ids, seqs));
        lost.len()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn twenty_power_cuts_lose_nothing_that_was_acknowledged() {
        let (disk, mut random) = (forgetful_disk(), StdRng::seed_from_u64(seed()));
        for run in 0..20 {
            let lost = lost_in_a_power_cut(&disk, "full", &mut random).await;
            assert_eq!(lost, 0, "in run {run}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn with_synchronous_normal_a_power_cut_is_seen_to_lose() {
        let (disk, mut random) = (forgetful_disk(), StdRng::seed_from_u64(seed()));
        let mut lost = 0;
        for _ in 0..3 {
            lost += lost_in_a_power_cut(&disk, "normal", &mut random).await;
        }
        assert!(
            lost > 0,
            "the forgetful disk forgot nothing, so it proves nothing"
        );
    }
}
