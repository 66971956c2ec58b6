//! The log as the database file has it, and who may see what at each of its places: the oracle. It shares no line with
//! the server.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqliteRow};
use uuid::Uuid;

use super::director::Record;
use super::stream::{Kind, Millis, Nonce, Scope, Seq, User, number};

/// One event.
pub(super) struct Entry {
    pub(super) at: Millis,
    pub(super) room: Uuid,
    /// `None` for the deletion of a room, which no one is shown as an event.
    pub(super) kind: Option<Kind>,
    pub(super) message: Option<Uuid>,
    pub(super) user: Option<User>,
    /// What it said, unless that was wiped.
    pub(super) said: Option<Nonce>,
}

/// Something that is so from one place on until another.
#[derive(Default)]
struct Timeline(Vec<(Seq, bool)>);

impl Timeline {
    fn at(&self, seq: Seq) -> bool {
        let after = self.0.partition_point(|(since, _)| *since <= seq);
        after > 0 && self.0[after - 1].1
    }

    fn set(&mut self, seq: Seq, is: bool) {
        self.0.push((seq, is));
    }
}

/// What became of a message, event by event.
#[derive(Default)]
pub(super) struct History {
    pub(super) versions: Vec<Seq>,
    pub(super) deleted: Option<Seq>,
}

#[derive(Default)]
pub(super) struct Log {
    entries: Vec<Entry>,
    /// About what the log takes in the server's memory, through each place.
    bytes: Vec<usize>,
    rooms: HashMap<Uuid, Vec<Seq>>,
    members: HashMap<(User, Uuid), Timeline>,
    public: HashMap<Uuid, Timeline>,
    deleted: HashMap<Uuid, Seq>,
    messages: HashMap<Uuid, History>,
}

const EVENTS: &str = "SELECT event.seq, event.at, event.room, event.kind, event.message, member.user, \
     CASE typeof(content.body) WHEN 'text' THEN content.body END, coalesce(length(content.body), 0) \
     FROM events AS event LEFT JOIN members AS member ON member.id = event.member \
     LEFT JOIN contents AS content ON content.seq = event.seq ORDER BY event.seq";

impl Log {
    /// Reads it from the file; the server is gone.
    pub(super) async fn read(database: &Path, record: &Record) -> Self {
        let options = SqliteConnectOptions::new().filename(database);
        let pool = SqlitePool::connect_with(options).await.unwrap();
        let rows = sqlx::query(EVENTS).fetch_all(&pool).await.unwrap();
        pool.close().await;
        let mut log = Self::default();
        for row in rows {
            log.take(&row, record);
        }
        log
    }

    fn take(&mut self, row: &SqliteRow, record: &Record) {
        let seq = u64::try_from(row.get::<i64, _>(0)).unwrap();
        assert_eq!(seq, self.head() + 1, "the log has a hole");
        let uuid = |bytes: Vec<u8>| Uuid::from_slice(&bytes).unwrap();
        let (room, user) = (uuid(row.get(2)), row.get::<Option<&str>, _>(5).map(number));
        let message = row.get::<Option<Vec<u8>>, _>(4).map(uuid);
        let kind = match row.get::<i64, _>(3) {
            1 => Some(Kind::MessageSent),
            2 => Some(Kind::MessageEdited),
            3 => Some(Kind::MessageDeleted),
            4 => Some(Kind::RoomCreated),
            5 | 9 => Some(Kind::RoomUpdated),
            6 => Some(Kind::MemberJoined),
            7 => Some(Kind::MemberUpdated),
            8 => Some(Kind::MemberLeft),
            _ => None,
        };
        let history = message.map(|message| self.messages.entry(message).or_default());
        match kind {
            Some(Kind::MessageSent | Kind::MessageEdited) => history.unwrap().versions.push(seq),
            Some(Kind::MessageDeleted) => {
                let history = history.unwrap();
                history.versions.push(seq);
                history.deleted = Some(seq);
            }
            Some(Kind::RoomCreated) => {
                let (members, public) = &record.created[&room];
                for user in members.iter().chain([&User::MAX]) {
                    self.members
                        .entry((*user, room))
                        .or_default()
                        .set(seq, true);
                }
                self.public.entry(room).or_default().set(seq, *public);
            }
            // A private room changes in nothing but by being opened; a public one by its name or, kind 9, by being closed.
            Some(Kind::RoomUpdated) => {
                let is_closed = row.get::<i64, _>(3) == 9;
                self.public.get_mut(&room).unwrap().set(seq, !is_closed);
            }
            Some(Kind::MemberJoined | Kind::MemberLeft) => {
                let is_in = kind == Some(Kind::MemberJoined);
                self.members
                    .entry((user.unwrap(), room))
                    .or_default()
                    .set(seq, is_in);
            }
            Some(Kind::MemberUpdated) => {}
            None => {
                self.deleted.insert(room, seq);
            }
        }
        self.rooms.entry(room).or_default().push(seq);
        self.entries.push(Entry {
            at: u64::try_from(row.get::<i64, _>(1)).unwrap(),
            room,
            kind,
            message,
            user,
            said: row.get::<Option<&str>, _>(6).map(Nonce::of),
        });
        let before = self.bytes.last().copied().unwrap_or(0);
        let said = usize::try_from(row.get::<i64, _>(7)).unwrap();
        self.bytes.push(before + said + 1_000);
    }

    pub(super) fn head(&self) -> Seq {
        self.entries.len() as Seq
    }

    /// The end of the log as it may have been by then: nothing later was known to anyone.
    pub(super) fn head_by(&self, at: Millis) -> Seq {
        self.entries.partition_point(|entry| entry.at <= at) as Seq
    }

    pub(super) fn entry(&self, seq: Seq) -> &Entry {
        let at = usize::try_from(seq).unwrap().checked_sub(1).unwrap();
        self.entries
            .get(at)
            .unwrap_or_else(|| panic!("the log has no {seq}"))
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What lies between two places takes in the server's memory.
    pub(super) fn bytes_between(&self, after: Seq, through: Seq) -> usize {
        let bytes = |seq: Seq| self.bytes[usize::try_from(seq).unwrap() - 1];
        bytes(through) - bytes(after)
    }

    pub(super) fn history(&self, message: Uuid) -> Option<&History> {
        self.messages.get(&message)
    }

    pub(super) fn deletion_of(&self, room: Uuid) -> Option<Seq> {
        self.deleted.get(&room).copied()
    }

    /// The events of a room after one place through another.
    pub(super) fn of_room(&self, room: Uuid, after: Seq, through: Seq) -> &[Seq] {
        let seqs = self.rooms.get(&room).map_or(&[][..], Vec::as_slice);
        let from = seqs.partition_point(|seq| *seq <= after);
        let to = seqs.partition_point(|seq| *seq <= through);
        &seqs[from..to.max(from)]
    }

    /// Rooms that a user was ever in.
    pub(super) fn rooms_of(&self, user: User) -> BTreeSet<Uuid> {
        let theirs = self.members.keys().filter(|(other, _)| *other == user);
        theirs.map(|(_, room)| *room).collect()
    }

    fn exists(&self, room: Uuid, seq: Seq) -> bool {
        self.deleted.get(&room).is_none_or(|deleted| seq < *deleted)
    }

    pub(super) fn is_member(&self, user: User, room: Uuid, seq: Seq) -> bool {
        let members = self.members.get(&(user, room));
        self.exists(room, seq) && members.is_some_and(|members| members.at(seq))
    }

    /// Whether a room is one that a stream of this kind may follow, once that event has happened.
    pub(super) fn may_follow(&self, user: User, scope: &Scope, room: Uuid, seq: Seq) -> bool {
        let is_public = || self.public.get(&room).is_some_and(|public| public.at(seq));
        self.is_member(user, room, seq)
            || (!matches!(scope, Scope::Mine) && self.exists(room, seq) && is_public())
    }

    /// The first place after this one, known by then, from which on the room may be followed (or may not).
    pub(super) fn turn(
        &self,
        user: User,
        scope: &Scope,
        room: Uuid,
        after: Seq,
        by: Millis,
        may: bool,
    ) -> Option<Seq> {
        let known = self.of_room(room, after, self.head_by(by));
        let mut changes = known
            .iter()
            .copied()
            .filter(|seq| self.is_change(user, *seq));
        changes.find(|seq| self.may_follow(user, scope, room, *seq) == may)
    }

    /// Whether it may have changed what this user can see.
    fn is_change(&self, user: User, seq: Seq) -> bool {
        let entry = self.entry(seq);
        match entry.kind {
            Some(Kind::RoomCreated | Kind::RoomUpdated) | None => true,
            Some(Kind::MemberJoined | Kind::MemberLeft) => entry.user == Some(user),
            Some(_) => false,
        }
    }
}
