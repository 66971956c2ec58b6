//! How SQLite means to run the statements: by index, never through a whole table.

use std::path::Path;

use sqlx::{ConnectOptions, Row};

use super::super::sql;
use super::super::unread::UNREAD;
use super::Folder;
use crate::store::contract::Bench;

/// Those that go with every batch, page and subscription.
const HOT: &[&str] = &[
    sql::BEGIN,
    sql::BEGIN_SHORT,
    sql::COMMIT,
    sql::BOUNDS,
    sql::READY,
    sql::DENYLIST_VERSION,
    sql::ROOMS,
    sql::MESSAGES,
    sql::REACTED,
    sql::REACTORS,
    sql::MEMBERS,
    sql::USERS,
    sql::LAST_SEEN,
    sql::ATTENDANCE,
    sql::PROFILE,
    sql::ROOMS_PUBLIC[0],
    sql::ROOMS_PUBLIC[1],
    sql::ROOMS_OF[0],
    sql::ROOMS_OF[1],
    sql::ROOMS_SHARED[0],
    sql::ROOMS_SHARED[1],
    sql::MESSAGE_PAGES[0],
    sql::MESSAGE_PAGES[1],
    sql::MEMBER_PAGES[0],
    sql::MEMBER_PAGES[1],
    sql::ACCESS_MINE,
    sql::ACCESS_NAMED,
    sql::REPLAY_MINE,
    sql::REPLAY_NAMED,
    sql::SHOW,
    UNREAD,
];

/// The others: what starts, stops and administers; what is walked on purpose; and the writing by trigger, whose plan is not told.
const OTHERS: &[&str] = &[
    "LEAD",
    "EPOCHS",
    "DENYLIST",
    "REVOKE",
    "ALLOW",
    "VISITABLE",
    "PLACE_BEFORE",
    "EVENTS",
    "CHECKPOINT",
    "PLAIN",
    "COMMIT_SHORT",
];

/// A step that walks through what is not bounded by the question: a table or an index from one end to the other, or the
/// log from a place on.
fn walks(step: &str) -> bool {
    if step.contains("USING INTEGER PRIMARY KEY (rowid>?") {
        return true;
    }
    let Some(what) = step.strip_prefix("SCAN ") else {
        return false;
    };
    let bounded = [
        "CONSTANT ROW",
        "readable",
        "asked",
        "merged",
        "(subquery",
        "pruned",
        "list",
    ];
    // Holds only rooms that the batch itself filled.
    let filled = what.contains("INDEX rooms_full");
    !what.contains("VIRTUAL TABLE") && !filled && !bounded.iter().any(|name| what.starts_with(name))
}

/// Sorting is for what is small or cut already, never for a list in the order of an index.
fn sorts(step: &str) -> bool {
    step.contains("TEMP B-TREE FOR ORDER BY") || step.contains("TEMP B-TREE FOR LAST")
}

async fn plan(bench: &Folder, statement: &str) -> Vec<String> {
    // With foreign keys on, the plan of an INSERT into a parent table names a walk through its children, which is only
    // taken while a violation is outstanding.
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(bench.store().path())
        .foreign_keys(false);
    let mut conn = options.connect().await.unwrap();
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let rows = sqlx::query(explain).fetch_all(&mut conn).await.unwrap();
    rows.iter().map(|row| row.get(3)).collect()
}

#[tokio::test]
async fn no_hot_statement_walks_through_a_table() {
    let bench = Folder::fresh().await;
    for text in HOT {
        for statement in text.split(';').map(str::trim) {
            let control = ["", "BEGIN", "BEGIN IMMEDIATE", "COMMIT"].contains(&statement);
            if control {
                continue;
            }
            let plan = plan(&bench, statement).await;
            assert!(
                !plan.iter().any(|step| walks(step)),
                "{statement}\n{plan:#?}"
            );
        }
    }
}

/// The names of the constants in a file or a folder of them.
fn constants(path: &Path) -> Vec<String> {
    if path.is_dir() {
        let files = path.read_dir().unwrap();
        let paths = files.map(|file| file.unwrap().path());
        return paths.flat_map(|path| constants(&path)).collect();
    }
    let text = std::fs::read_to_string(path).unwrap();
    let declared = text.lines().filter(|line| line.starts_with("pub("));
    let names = declared.filter_map(|line| line.split_once(" const ")?.1.split_once(':'));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn no_statement_is_forgotten_here() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sqlite");
    let names = ["sql.rs", "sql"].map(|place| constants(&here.join(place)));
    let names = names.concat();
    assert!(names.len() > OTHERS.len());
    let looked_at = include_str!("plans.rs");
    for name in names {
        let is_hot = [",", "["].map(|end| looked_at.contains(&format!("    sql::{name}{end}")));
        let known = is_hot.contains(&true) || OTHERS.contains(&name.as_str());
        assert!(known, "{name} is neither looked at nor among the others");
    }
}

#[tokio::test]
async fn lists_come_in_the_order_of_an_index() {
    let bench = Folder::fresh().await;
    for statement in [
        sql::ROOMS_PUBLIC[0],
        sql::ROOMS_PUBLIC[1],
        sql::MESSAGE_PAGES[0],
        sql::MESSAGE_PAGES[1],
        sql::MEMBER_PAGES[0],
        sql::MEMBER_PAGES[1],
    ] {
        let plan = plan(&bench, statement).await;
        assert!(
            !plan.iter().any(|step| sorts(step)),
            "{statement}\n{plan:#?}"
        );
    }
}

#[tokio::test]
async fn a_walk_would_be_seen() {
    let bench = Folder::fresh().await;
    let plan = plan(&bench, "SELECT seq FROM events WHERE at > 5").await;
    assert!(plan.iter().any(|step| walks(step)), "{plan:#?}");
    // Everyone's events are meant to be walked, from a place on.
    let events = sql::EVENTS.split(';').nth(1).unwrap();
    let plan = self::plan(&bench, events).await;
    assert!(
        plan.iter()
            .all(|step| walks(step) && !step.starts_with("SCAN")),
        "{plan:#?}"
    );
}
