//! The blocks by which unread messages are counted.

use sqlx::{ConnectOptions, Executor, Row, SqliteConnection};

use super::Folder;
use crate::model::{Seq, Visibility};
use crate::store::contract::Bench;
use crate::store::contract::pen::Pen;

async fn connect(bench: &Folder) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(bench.store().path());
    options.connect().await.unwrap()
}

/// Of each block, how many messages of it are not deleted; and how many messages are in none.
async fn blocks(conn: &mut SqliteConnection) -> (Vec<i64>, i64) {
    let blocks = "SELECT live FROM blocks ORDER BY upto";
    let rows = conn.fetch_all(blocks).await.unwrap();
    let loose = conn
        .fetch_one("SELECT sum(loose) FROM rooms")
        .await
        .unwrap();
    (rows.iter().map(|row| row.get(0)).collect(), loose.get(0))
}

#[tokio::test]
async fn a_block_is_made_of_256_messages_and_what_came_with_the_last() {
    let bench = Folder::fresh().await;
    let mut conn = connect(&bench).await;
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let room = pen.create_room(&ada, &[&bob], Visibility::Private);
    for (sends, made, loose) in [
        (255, vec![], 255),
        (1, vec![256], 0),
        (255, vec![256], 255),
        (256, vec![256, 511], 0),
        (257, vec![256, 511, 257], 0),
        (3, vec![256, 511, 257], 3),
    ] {
        for n in 0..sends {
            let author = if n % 3 == 0 { &bob } else { &ada };
            pen.send(author, room, "hello");
        }
        pen.flush().await;
        assert_eq!(blocks(&mut conn).await, (made, loose));
        pen.counts_agree().await;
    }
    // Before, at and after every edge there is.
    for at in [
        0, 1, 2, 256, 257, 258, 767, 768, 769, 1_024, 1_025, 1_026, 1_027, 1_028,
    ] {
        pen.read(&bob, room, Seq(at));
        pen.flush().await;
        pen.counts_agree().await;
    }
}

#[tokio::test]
async fn a_deletion_is_taken_out_of_its_block_once() {
    let bench = Folder::fresh().await;
    let mut conn = connect(&bench).await;
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let room = pen.create_room(&ada, &[&bob], Visibility::Private);
    let sent: Vec<_> = (0..520).map(|_| pen.send(&ada, room, "hello")).collect();
    pen.delete(sent[3]);
    pen.flush().await;
    assert_eq!(blocks(&mut conn).await, (vec![519], 0));
    for id in [sent[0], sent[519], sent[0]] {
        pen.delete(id);
        pen.flush().await;
    }
    assert_eq!(blocks(&mut conn).await, (vec![517], 0));
    pen.counts_agree().await;
    pen.delete_room(&ada, room);
    pen.flush().await;
    assert_eq!(blocks(&mut conn).await, (vec![], 0));
    let authors = "SELECT count(*) FROM block_authors";
    assert_eq!(conn.fetch_one(authors).await.unwrap().get::<i64, _>(0), 0);
}

#[tokio::test]
async fn a_database_from_before_there_were_blocks_gets_them() {
    let bench = Folder::fresh().await;
    let mut conn = connect(&bench).await;
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob) = (pen.user("ada"), pen.user("bob"));
    let rooms = [255, 256, 700].map(|sends| {
        let room = pen.create_room(&ada, &[&bob], Visibility::Private);
        let sent: Vec<_> = (0..sends).map(|_| pen.send(&ada, room, "hello")).collect();
        pen.delete(sent[7]);
        pen.read(&bob, room, pen.head());
        pen.send(&ada, room, "unread");
        room
    });
    pen.flush().await;
    let emptied = "DELETE FROM blocks; DELETE FROM block_authors; UPDATE rooms SET loose = 0";
    conn.execute(emptied).await.unwrap();
    let migration = include_str!("../../../../migrations/0003_read_state.sql");
    let (_, what_was_sent_before) = migration.split_once("-- What was sent before").unwrap();
    let (_, statements) = what_was_sent_before.split_once('\n').unwrap();
    conn.execute(statements).await.unwrap();
    // One of 256 and one loose; 255 and one; two of 256.
    assert_eq!(blocks(&mut conn).await, (vec![255, 255, 255, 256], 1 + 189));
    pen.counts_agree().await;
    for room in rooms {
        pen.send(&ada, room, "after");
    }
    pen.flush().await;
    pen.counts_agree().await;
}
