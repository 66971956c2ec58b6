//! Unread counts: asked for over HTTP, beside a count of the messages one by one on the same file.
//!
//! What is read was never sent: it is written into the server's database directly, then put into blocks by the
//! statements of the migration that does so for a database from before there were any.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Executor, Row};

use crate::http::Http;
use crate::machine::Cores;
use crate::markdown::{Table, figure};
use crate::record::Record;
use crate::server::{Server, token};
use crate::stats::{Spread, distinct};

#[derive(clap::Args)]
pub struct Options {
    /// Times that each is asked, naive counts in between; medians are printed.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Rooms of the list, with 1,000 to 100,000 messages each.
    #[arg(long, default_value_t = 200)]
    rooms: u32,
    /// Where all single runs go.
    #[arg(long, default_value = "target/bench/unread.json")]
    json: PathBuf,
}

/// One answer and one naive count of the same.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Run {
    what: String,
    unread: i64,
    /// With the counts, and without them.
    answered_millis: f64,
    without_millis: f64,
    naive_millis: f64,
}

const VIEWER: &str = "the reader";

/// The room's name, its messages, of a hundred messages those by the viewer and those deleted, and how much of it the
/// viewer has read (NULL: never marked).
const ROOMS: [(&str, u32, u32, u32, &str); 4] = [
    (
        "one room, 100,000 messages, never marked",
        100_000,
        5,
        2,
        "NULL",
    ),
    (
        "one room, 100,000 messages, half of it read",
        100_000,
        5,
        2,
        "0.5",
    ),
    (
        "one room, 100,000 messages, all read but 100",
        100_000,
        5,
        2,
        "0.999",
    ),
    (
        "one room, 100,000 messages, 90 in 100 one's own, half of all deleted, never marked",
        100_000,
        90,
        50,
        "NULL",
    ),
];

pub async fn run(options: Options) -> anyhow::Result<()> {
    let server = Server::tidings(Cores::ANY.server)?;
    let mut http = Http::connect(&server.address, token(VIEWER)?).await?;
    post(&mut http, "{ viewer { id } }", json!({})).await?;
    drop(http);
    let mut conn = SqliteConnectOptions::new()
        .filename(server.folder().join("tidings.db"))
        .foreign_keys(false)
        .connect()
        .await?;
    fill(&mut conn, options.rooms).await?;
    // The server waits for a next request for seconds only, and filling takes longer.
    let mut http = Http::connect(&server.address, token(VIEWER)?).await?;
    let mut record = Record::begin(Cores::ANY, Vec::new())?;
    for _ in 0..options.rounds {
        for (what, ..) in ROOMS {
            let one = query_one(&mut conn, what).await?;
            let run = ask(&mut http, &mut conn, what, &[one], 1).await?;
            record.runs.push(run);
        }
        let what = format!(
            "{} rooms, 1,000 to 100,000 messages, half of each read, in pages of 100",
            options.rooms
        );
        let list = pages(&mut http).await?;
        record
            .runs
            .push(ask(&mut http, &mut conn, &what, &list, options.rooms).await?);
    }
    record.write(&options.json)?;
    print!("{}", tables(&record));
    Ok(())
}

/// The table of a record, if there is one.
pub fn report(json: &Path) -> anyhow::Result<Option<String>> {
    Ok(Record::read(json)?.map(|record| tables(&record)))
}

fn tables(record: &Record<Run>) -> String {
    let mut table = Table::new([
        "",
        "unread",
        "answered in, ms",
        "least-most",
        "without the count, ms",
        "counted one by one, ms",
        "one by one against answered",
    ]);
    for what in distinct(&record.runs, |run| run.what.clone()) {
        let of = |value: fn(&Run) -> f64| {
            let own = record.runs.iter().filter(|run| run.what == what);
            own.map(value).collect::<Spread>()
        };
        let answered = of(|run| run.answered_millis);
        table.push([
            what.clone(),
            figure(of(|run| run.unread as f64).median),
            figure(answered.median),
            format!("{}-{}", figure(answered.least), figure(answered.most)),
            figure(of(|run| run.without_millis).median),
            figure(of(|run| run.naive_millis).median),
            figure(of(|run| run.naive_millis / run.answered_millis).median),
        ]);
    }
    format!("{}{table}\n", record.heading())
}

/// A request, to be made with and without the count.
struct Query {
    text: &'static str,
    variables: Value,
}

const ONE: &str =
    "query($id: ID!, $count: Boolean!) { room(id: $id) { id unreadCount @include(if: $count) } }";
const LIST: &str =
    "query($after: String, $count: Boolean!) { viewer { rooms(first: 100, after: $after) {
    nodes { id unreadCount @include(if: $count) } pageInfo { hasNextPage endCursor } } } }";

async fn query_one(conn: &mut SqliteConnection, name: &'static str) -> anyhow::Result<Query> {
    let id = sqlx::query("SELECT lower(hex(id)) FROM rooms WHERE name = ?").bind(name);
    let hex: String = id.fetch_one(&mut *conn).await?.get(0);
    let id = uuid::Uuid::parse_str(&hex)?.to_string();
    Ok(Query {
        text: ONE,
        variables: json!({ "id": id }),
    })
}

/// A query for each page of the viewer's list but for the single rooms, which come first.
async fn pages(http: &mut Http) -> anyhow::Result<Vec<Query>> {
    let singles =
        "query($first: Int) { viewer { rooms(first: $first) { pageInfo { endCursor } } } }";
    let answer = post(http, singles, json!({ "first": ROOMS.len() })).await?;
    let mut after = answer["viewer"]["rooms"]["pageInfo"]["endCursor"].clone();
    let mut pages = Vec::new();
    loop {
        let variables = json!({ "after": after, "count": false });
        let answer = post(http, LIST, variables.clone()).await?;
        pages.push(Query {
            text: LIST,
            variables,
        });
        let page = &answer["viewer"]["rooms"]["pageInfo"];
        after = page["endCursor"].clone();
        if page["hasNextPage"] != true {
            return Ok(pages);
        }
    }
}

async fn ask(
    http: &mut Http,
    conn: &mut SqliteConnection,
    what: &str,
    queries: &[Query],
    rooms: u32,
) -> anyhow::Result<Run> {
    let (without, _) = timed(http, queries, false).await?;
    let (answered, counts) = timed(http, queries, true).await?;
    anyhow::ensure!(counts.len() == rooms as usize, "{} rooms", counts.len());
    let began = Instant::now();
    let naive = naive(conn, &counts).await?;
    let naive_took = began.elapsed();
    let unread = counts.iter().map(|(_, count)| count).sum();
    anyhow::ensure!(
        naive == unread,
        "{what}: {unread} unread, {naive} one by one"
    );
    let millis = |took: Duration| took.as_secs_f64() * 1e3;
    Ok(Run {
        what: what.to_owned(),
        unread,
        answered_millis: millis(answered),
        without_millis: millis(without),
        naive_millis: millis(naive_took),
    })
}

/// The rooms with their counts, and how long the answers took.
async fn timed(
    http: &mut Http,
    queries: &[Query],
    count: bool,
) -> anyhow::Result<(Duration, Vec<(String, i64)>)> {
    let (mut took, mut counts) = (Duration::ZERO, Vec::new());
    for query in queries {
        let mut variables = query.variables.clone();
        variables["count"] = json!(count);
        let began = Instant::now();
        let answer = post(http, query.text, variables).await?;
        took += began.elapsed();
        let rooms = match &answer["room"] {
            Value::Null => answer["viewer"]["rooms"]["nodes"].as_array().cloned(),
            room => Some(vec![room.clone()]),
        };
        for room in rooms.context("no rooms")? {
            let id = room["id"].as_str().context("no id")?.to_owned();
            counts.push((id, room["unreadCount"].as_i64().unwrap_or_default()));
        }
    }
    Ok((took, counts))
}

async fn post(http: &mut Http, query: &str, variables: Value) -> anyhow::Result<Value> {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let answer = http.post(&body).await?;
    anyhow::ensure!(answer.get("errors").is_none(), "{answer}");
    Ok(answer["data"].clone())
}

/// What is unread in these rooms, message by message by the index of a room's messages; one statement for all.
async fn naive(conn: &mut SqliteConnection, rooms: &[(String, i64)]) -> anyhow::Result<i64> {
    let rooms: Vec<_> = rooms.iter().map(|(id, _)| id).collect();
    let count = sqlx::query(
        "SELECT count(*) FROM json_each(?) AS list
         CROSS JOIN members AS member ON member.room = unhex(list.value, '-') AND member.user = ?
         CROSS JOIN messages AS message ON message.room = member.room AND message.seq > coalesce(member.read_up_to, 0)
         WHERE message.author <> member.user AND message.deleted_at IS NULL",
    );
    let count = count.bind(json!(rooms).to_string()).bind(VIEWER);
    Ok(count.fetch_one(conn).await?.get(0))
}

/// The rooms, their messages in one order at random, the marks, the blocks.
async fn fill(conn: &mut SqliteConnection, rooms: u32) -> anyhow::Result<()> {
    conn.execute("PRAGMA cache_size = -1000000").await?;
    conn.execute("BEGIN").await?;
    let users = "WITH n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 49)
        INSERT INTO users (id, name, profile_at) SELECT 'user ' || n, 'user ' || n, 0 FROM n";
    conn.execute(users).await?;
    conn.execute(
        "CREATE TEMP TABLE sizes (room BLOB, name TEXT, n INT, own INT, deleted INT, read REAL)",
    )
    .await?;
    // Many short ones and a few long ones, as people have them.
    let steps = f64::from(rooms.saturating_sub(1).max(1));
    for n in 0..rooms {
        let size = 1_000.0 * 100_f64.powf((f64::from(n) / steps).powi(6));
        let room = "INSERT INTO sizes VALUES (randomblob(16), ?, ?, 5, 2, 0.5)";
        let room = sqlx::query(room)
            .bind(format!("room {n}"))
            .bind(size.round() as u32);
        room.execute(&mut *conn).await?;
    }
    for (name, n, own, deleted, read) in ROOMS {
        let one = "INSERT INTO sizes VALUES (randomblob(16), ?, ?, ?, ?, CAST(NULLIF(?, 'NULL') AS REAL))";
        let one = sqlx::query(one)
            .bind(name)
            .bind(n)
            .bind(own)
            .bind(deleted)
            .bind(read);
        one.execute(&mut *conn).await?;
    }
    let blocks = include_str!("../../migrations/0003_read_state.sql");
    let (_, blocks) = blocks
        .split_once("-- What was sent before")
        .context("no blocks")?;
    let (_, blocks) = blocks.split_once('\n').context("no blocks")?;
    let texts = [FILL, blocks];
    for text in texts {
        conn.execute(text).await?;
    }
    conn.execute("COMMIT").await?;
    Ok(())
}

/// The single rooms have the newest activity.
const FILL: &str = "
INSERT INTO rooms (id, name, visibility, created_at, last_activity_at, member_count, owner_count, deleted)
SELECT room, name, 2, 0, CASE WHEN name LIKE 'one%' THEN 2 ELSE 1 END, 1, 1, 0 FROM sizes;

WITH n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)
INSERT INTO messages (seq, id, room, author, version, created_at, deleted_at, fingerprint)
SELECT seq, CAST(printf('%016x', seq) AS BLOB), room,
       CASE WHEN abs(random()) % 100 < own THEN 'the reader' ELSE 'user ' || (abs(random()) % 50) END, 1, 0,
       CASE WHEN abs(random()) % 100 < deleted THEN 1 END, CAST(printf('%016x', seq) AS BLOB)
FROM (SELECT 1000 + row_number() OVER (ORDER BY random()) AS seq, room, own, deleted
      FROM sizes CROSS JOIN n ON n.n <= sizes.n);

INSERT INTO members (room, user, id, role, joined_at, joined_seq, standing, read_up_to)
SELECT room, 'the reader', randomblob(16), 1, 0, 1, 1,
       (SELECT seq FROM (
           SELECT seq, row_number() OVER (ORDER BY seq) AS nth FROM messages WHERE messages.room = sizes.room
       ) WHERE nth = CAST(n * read AS INTEGER))
FROM sizes;
";
