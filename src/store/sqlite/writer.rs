//! The one connection that writes: two trips a batch, and no transaction left open whatever goes wrong.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions, Connection, Error, Executor};
use tokio::sync::Mutex;

use super::batch::{Rows, array};
use super::reader::Statement;
use super::rows::{Columns, Result, number};
use super::sql;
use crate::model::{Epochs, Member, RoomId, Seq, UserId};
use crate::store::{Bounds, Facts, Needs};

/// Messages that make a block (`sql::COMMIT`).
const BLOCK_MESSAGES: u32 = 256;

/// The writing connection and how it stands.
pub(super) struct Writer {
    options: SqliteConnectOptions,
    state: Mutex<State>,
    /// The end of the log as far as this process knows: moved before a commit is told.
    head: AtomicU64,
}

enum State {
    /// Nothing is open. Without a connection after one was given up; the next batch makes a new one.
    Idle(Option<SqliteConnection>),
    /// Between `begin` and `commit`.
    Open(SqliteConnection, Found),
    /// Shut for good.
    Closed,
}

/// What an open batch found.
struct Found {
    /// The log's end.
    head: Seq,
    /// Of each room that was asked for, the messages that are in no block yet.
    loose: Loose,
}

type Loose = HashMap<RoomId, u32>;

impl State {
    /// Takes the connection out for a trip. If the trip is dropped half-way the connection goes with it: SQLite rolls
    /// back what it had open, and the state left behind is `Idle` without a connection.
    fn take(&mut self) -> Self {
        match self {
            Self::Closed => Self::Closed,
            _ => std::mem::replace(self, Self::Idle(None)),
        }
    }
}

impl Writer {
    pub(super) fn new(options: SqliteConnectOptions, conn: SqliteConnection) -> Self {
        Self {
            options,
            state: Mutex::new(State::Idle(Some(conn))),
            head: AtomicU64::new(0),
        }
    }

    pub(super) fn head(&self) -> Seq {
        Seq(self.head.load(Ordering::Acquire))
    }

    fn reach(&self, head: Seq) {
        self.head.fetch_max(head.0, Ordering::Release);
    }

    pub(super) async fn begin(&self, needs: &Needs, epochs: &Arc<Epochs>) -> Result<Facts> {
        let statement = begin(needs)?;
        let mut state = self.state.lock().await;
        let mut conn = self.idle(&mut state).await?;
        let facts = match statement.fetch_all(&mut conn).await {
            Ok(rows) => facts(needs, &rows, epochs),
            Err(error) => Err(error),
        };
        match facts {
            Ok((facts, loose)) => {
                let head = facts.head;
                *state = State::Open(conn, Found { head, loose });
                Ok(facts)
            }
            Err(error) => {
                *state = State::Idle(given_up(conn).await);
                Err(error)
            }
        }
    }

    pub(super) async fn commit(&self, rows: Rows) -> Result<()> {
        let mut state = self.state.lock().await;
        let State::Open(mut conn, found) = state.take() else {
            return Err(Error::Protocol("commit without begin".into()));
        };
        let places = rows.places;
        let written = match rows.follows(found.head) {
            // To its end: see `sql`.
            true => commit(rows, &found.loose)
                .execute(&mut conn)
                .await
                .map(drop),
            false => Err(Error::Protocol("the batch leaves a hole in the log".into())),
        };
        *state = State::Idle(match written {
            Ok(()) => Some(conn),
            Err(_) => given_up(conn).await,
        });
        written?;
        if let Some((_, last)) = places {
            self.reach(last);
        }
        Ok(())
    }

    pub(super) async fn rollback(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        match state.take() {
            State::Open(conn, _) => *state = State::Idle(given_up(conn).await),
            other => *state = other,
        }
        Ok(())
    }

    /// Records an epoch that begins after the log's end.
    pub(super) async fn lead(&self, epoch: i64) -> Result<Bounds> {
        let mut state = self.state.lock().await;
        let mut conn = self.idle(&mut state).await?;
        let rows = sqlx::query(sql::LEAD)
            .bind(epoch)
            .fetch_all(&mut conn)
            .await;
        match rows {
            Ok(rows) => {
                *state = State::Idle(Some(conn));
                let bounds = bounds(&rows)?;
                self.reach(bounds.head);
                Ok(bounds)
            }
            Err(error) => {
                *state = State::Idle(given_up(conn).await);
                Err(error)
            }
        }
    }

    /// Gives up what is open and ends the connection, which puts what was committed into the file.
    pub(super) async fn close(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        match std::mem::replace(&mut *state, State::Closed) {
            State::Idle(Some(conn)) => conn.close().await,
            State::Open(conn, _) => match given_up(conn).await {
                Some(conn) => conn.close().await,
                None => Ok(()),
            },
            State::Idle(None) | State::Closed => Ok(()),
        }
    }

    /// The connection with nothing open, for a trip.
    async fn idle(&self, state: &mut State) -> Result<SqliteConnection> {
        let conn = match state.take() {
            State::Idle(conn) => conn,
            // A batch was begun and forgotten.
            State::Open(conn, _) => given_up(conn).await,
            State::Closed => return Err(Error::PoolClosed),
        };
        match conn {
            Some(conn) => Ok(conn),
            None => {
                let mut conn = self.options.connect().await?;
                equip(&mut conn).await?;
                Ok(conn)
            }
        }
    }
}

/// Makes ready to write: [`sql::PLAIN`].
pub(super) async fn equip(conn: &mut SqliteConnection) -> Result<()> {
    sqlx::raw_sql(sql::PLAIN).execute(conn).await.map(drop)
}

/// Rolls back what may be open. `None`, and the connection closed, where that cannot be known to have worked.
async fn given_up(mut conn: SqliteConnection) -> Option<SqliteConnection> {
    match conn.execute("ROLLBACK").await {
        Ok(_) => Some(conn),
        // SQLite has rolled back by itself (disk full, I/O error), or BEGIN failed.
        Err(Error::Database(error)) if error.message().contains("no transaction is active") => {
            Some(conn)
        }
        Err(_) => None,
    }
}

fn begin(needs: &Needs) -> Result<Statement> {
    let messages = array(needs.messages.iter().map(|id| id.uuid()))?;
    let members = needs.members.iter();
    let viewers = needs.viewers_of_messages.iter();
    let reactions = needs.reactions.iter();
    // Members come without their users, so those are asked for as well.
    let users: HashSet<&UserId> = (needs.users.iter())
        .chain(members.clone().map(|(_, user)| user))
        .chain(viewers.clone().map(|(_, user)| user))
        .collect();
    let is_short = viewers.len() + reactions.len() == 0;
    let text = if is_short {
        sql::BEGIN_SHORT
    } else {
        sql::BEGIN
    };
    let statement = sqlx::query(text)
        .bind(array(users.iter().map(|id| id.as_str()))?)
        .bind(array(
            members.map(|(room, user)| (room.uuid(), user.as_str())),
        )?)
        .bind(array(&needs.nodes)?)
        .bind(array(needs.rooms.iter().map(|id| id.uuid()))?)
        .bind(messages.clone())
        .bind(messages);
    if is_short {
        return Ok(statement);
    }
    Ok(statement
        .bind(array(viewers.map(|(id, user)| (id.uuid(), user.as_str())))?)
        .bind(array(reactions.map(|it| {
            (it.message.uuid(), it.emoji.as_str(), it.user.as_str())
        }))?))
}

fn commit(rows: Rows, loose: &Loose) -> Statement {
    if rows.is_plain && !rows.may_fill_a_block(loose) {
        return sqlx::query(sql::COMMIT_SHORT)
            .bind(rows.users)
            .bind(rows.rooms)
            .bind(rows.bytes)
            .bind(rows.contents)
            .bind(rows.sent)
            .bind(rows.events);
    }
    sqlx::query(sql::COMMIT)
        .bind(rows.users)
        .bind(rows.rooms)
        .bind(rows.members)
        .bind(rows.reads)
        .bind(rows.wiped)
        .bind(rows.deleted_rooms.clone())
        .bind(rows.deleted_messages.clone())
        .bind(rows.deleted_rooms.clone())
        .bind(rows.deleted_messages)
        .bind(rows.deleted_rooms.clone())
        .bind(rows.deleted_rooms.clone())
        .bind(rows.deleted_rooms.clone())
        .bind(rows.deleted_rooms)
        .bind(rows.bytes.clone())
        .bind(rows.bytes)
        .bind(rows.contents)
        .bind(rows.sent)
        .bind(rows.changed)
        .bind(rows.reactors.clone())
        .bind(rows.reactors)
        .bind(rows.reactions.clone())
        .bind(rows.reactions)
        .bind(rows.events)
        .bind(rows.seen)
        .bind(rows.prune_to)
        .bind(rows.prune_to)
        .bind(rows.prune_to)
}

fn facts(needs: &Needs, rows: &[SqliteRow], epochs: &Arc<Epochs>) -> Result<(Facts, Loose)> {
    let mut facts = Facts {
        epochs: epochs.clone(),
        ..Facts::default()
    };
    let mut loose = Loose::new();
    for row in rows {
        let mut row = Columns::of(row);
        match row.int()? {
            0 => {
                facts.head = row.seq()?;
                facts.users = row.user_list()?;
                facts.put_members(row.member_list(&facts.users)?);
                facts.taken = row.json()?;
            }
            1 => {
                let in_no_block = number(row.int()?)?;
                let room = row.room()?;
                loose.insert(room.id, in_no_block);
                facts.rooms.insert(room.id, room);
            }
            2 => {
                let message = row.message(epochs)?;
                facts.messages.insert(message.id, message);
            }
            3 => facts.put_members(row.member_list(&facts.users)?),
            _ => facts.reactions = row.reactor_list()?,
        }
    }
    facts.users.retain(|id, _| needs.users.contains(id));
    Ok((facts, loose))
}

impl Facts {
    fn put_members(&mut self, members: Vec<Arc<Member>>) {
        let members = members.into_iter();
        let keyed = members.map(|member| ((member.room, member.user.id.clone()), member));
        self.members.extend(keyed);
    }
}

/// The log's ends, from the one row that says them.
pub(super) fn bounds(rows: &[SqliteRow]) -> Result<Bounds> {
    let mut row = Columns::of(rows.first().ok_or(Error::RowNotFound)?);
    Ok(Bounds {
        floor: row.seq()?,
        head: row.seq()?,
    })
}

impl Rows {
    /// Whether these events come right after the log's end.
    fn follows(&self, head: Seq) -> bool {
        self.places.is_none_or(|(first, _)| first == head.next())
    }

    /// Whether some room may have a block's worth of messages with those that are sent.
    fn may_fill_a_block(&self, loose: &Loose) -> bool {
        self.sent_in.iter().any(|(room, sent)| {
            let before = loose.get(room);
            before.is_none_or(|before| before.saturating_add(*sent) >= BLOCK_MESSAGES)
        })
    }
}

#[cfg(test)]
impl Writer {
    /// A number that the connection says about itself.
    pub(super) async fn pragma(&self, text: &'static str) -> i64 {
        let mut state = self.state.lock().await;
        let mut conn = self.idle(&mut state).await.unwrap();
        let row = sqlx::query(text).fetch_one(&mut conn).await.unwrap();
        *state = State::Idle(Some(conn));
        Columns::of(&row).int().unwrap()
    }
}
