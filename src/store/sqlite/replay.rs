//! Pieces of the log: everyone's, and a viewer's.
//!
//! A page is read in one transaction and two trips: first places and what they refer to, by id; then each thing that is
//! referred to, once.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::batch::array;
use super::reader::{Lease, Statement};
use super::rows::{Columns, Result, unreadable};
use super::sql;
use crate::model::{
    Access, Cursor, Emoji, Event, Fingerprint, Member, MemberId, Message, MessageId, Room, RoomId,
    Scope, Seq, Timestamp, User, UserId, Visibility, What,
};
use crate::store::{Bounds, PageLimit, ReplayPage, Replayed};

/// An event as its row says it.
struct Line {
    seq: Seq,
    at: Timestamp,
    room: RoomId,
    kind: i64,
    actor: UserId,
    message: Option<MessageId>,
    member: Option<MemberId>,
    emoji: Option<Emoji>,
    /// What its message and its room say, in bytes: see [`PageLimit`].
    message_bytes: usize,
    room_bytes: usize,
}

/// What the first trip of a replay found.
struct Found {
    bounds: Bounds,
    rooms: HashMap<RoomId, bool>,
    /// Rooms that are not readable, and where they were lost (0: not after the place).
    lost: Vec<(RoomId, Seq)>,
    lines: Vec<Line>,
}

/// What lines refer to.
#[derive(Default)]
struct Shown {
    rooms: HashMap<RoomId, Arc<Room>>,
    users: HashMap<UserId, Arc<User>>,
    messages: HashMap<MessageId, Arc<Message>>,
    members: HashMap<MemberId, Arc<Member>>,
    joined: HashMap<Seq, Vec<UserId>>,
}

impl SqliteStore {
    pub(super) async fn read_events(&self, after: Seq, limit: usize) -> Result<Vec<Arc<Event>>> {
        let statement = sqlx::query(sql::EVENTS)
            .bind(after.0.cast_signed())
            .bind(count(limit));
        let mut lease = self.readers.lease().await?;
        let found = Found::of(&lease.fetch(statement).await?)?;
        let events = self.show(&mut lease, &found.lines).await?;
        lease.end();
        Ok(events)
    }

    pub(super) async fn read_access(
        &self,
        viewer: &UserId,
        scope: &Scope,
    ) -> Result<(Bounds, Access)> {
        let viewer_id = viewer.as_str().to_owned();
        let statement = match scope {
            Scope::Mine => sqlx::query(sql::ACCESS_MINE).bind(viewer_id),
            Scope::Rooms(rooms) => (sqlx::query(sql::ACCESS_NAMED).bind(viewer_id))
                .bind(array(rooms.iter().map(|id| id.uuid()))?),
        };
        let found = Found::of(&self.readers.fetch(statement).await?)?;
        Ok((found.bounds, access(viewer, scope, found.rooms)))
    }

    pub(super) async fn read_replay(
        &self,
        viewer: &UserId,
        scope: &Scope,
        after: Seq,
        limit: PageLimit,
        opening: bool,
    ) -> Result<ReplayPage> {
        let statement = match scope {
            Scope::Mine => mine(viewer, after, limit.items),
            Scope::Rooms(rooms) => named(viewer, rooms, after, limit.items)?,
        };
        let mut lease = self.readers.lease().await?;
        let mut found = Found::of(&lease.fetch(statement).await?)?;
        let (revoked, is_cut) = found.fit(limit);
        let events = self.show(&mut lease, &found.lines).await?;
        lease.end();

        let mut items: Vec<Replayed> = (events.into_iter().map(Replayed::Event))
            .chain(
                revoked
                    .into_iter()
                    .map(|(room, seq)| self.revoked(room, seq)),
            )
            .collect();
        items.sort_by_key(|item| item.cursor().seq);
        let end = match items.last() {
            Some(last) if is_cut || items.len() >= limit.items => last.cursor().seq,
            None if limit.items == 0 => after,
            _ => found.bounds.head,
        };
        if opening {
            let never = found.lost.iter().filter(|(_, seq)| *seq == Seq::ZERO);
            let first = never.map(|(room, _)| self.revoked(*room, after));
            items.splice(0..0, first.collect::<Vec<_>>());
        }
        Ok(ReplayPage {
            items,
            end,
            bounds: found.bounds,
            access: access(viewer, scope, found.rooms),
        })
    }

    fn revoked(&self, room: RoomId, seq: Seq) -> Replayed {
        Replayed::Revoked {
            cursor: self.epochs.cursor(seq),
            room,
        }
    }

    /// The second trip: ends the transaction.
    async fn show(&self, lease: &mut Lease<'_>, lines: &[Line]) -> Result<Vec<Arc<Event>>> {
        let rows = lease.fetch(show(lines)?).await?;
        let shown = Shown::of(&rows, self)?;
        lines
            .iter()
            .map(|line| self.event(line, &shown).map(Arc::new))
            .collect()
    }

    fn event(&self, line: &Line, shown: &Shown) -> Result<Event> {
        let cursor = self.epochs.cursor(line.seq);
        let missing = || unreadable(format!("event {} refers to what is not there", line.seq));
        let room = shown.rooms.get(&line.room).cloned().ok_or_else(missing)?;
        let actor = shown.users.get(&line.actor).cloned().ok_or_else(missing)?;
        let message = || -> Result<_> {
            let id = line.message.ok_or_else(missing)?;
            let there = shown.messages.get(&id).cloned();
            Ok(there.unwrap_or_else(|| Arc::new(gone(id, line, cursor, &actor))))
        };
        let member = || {
            let there = line.member.and_then(|id| shown.members.get(&id));
            there.cloned().ok_or_else(missing)
        };
        let members = || {
            shown
                .joined
                .get(&line.seq)
                .map_or_else(Arc::default, |it| it.as_slice().into())
        };
        let what = match line.kind {
            1 => What::MessageSent(message()?),
            2 => What::MessageEdited(message()?),
            3 => What::MessageDeleted(message()?),
            4 => What::RoomCreated { members: members() },
            5 => What::RoomUpdated {
                made_private: false,
            },
            6 => What::MemberJoined(member()?),
            7 => What::MemberUpdated(member()?),
            8 => What::MemberLeft(member()?),
            9 => What::RoomUpdated { made_private: true },
            10 => What::RoomDeleted {
                was: Visibility::Public,
            },
            11 => What::RoomDeleted {
                was: Visibility::Private,
            },
            12 => What::ReactionAdded(message()?, line.emoji.clone().ok_or_else(missing)?),
            13 => What::ReactionRemoved(message()?, line.emoji.clone().ok_or_else(missing)?),
            kind => return Err(unreadable(format!("event {} has kind {kind}", line.seq))),
        };
        Ok(Event {
            cursor,
            at: line.at,
            room,
            actor,
            what,
        })
    }
}

/// What is left of a message that went with its room: an empty place, so that the log has no hole. Who wrote it is not
/// known any more; the actor stands in.
fn gone(id: MessageId, line: &Line, cursor: Cursor, actor: &Arc<User>) -> Message {
    Message {
        id,
        room: line.room,
        author: actor.clone(),
        body: None,
        data: None,
        version: 1,
        created_at: line.at,
        edited_at: None,
        deleted_at: Some(line.at),
        reply_to: None,
        cursor,
        fingerprint: Fingerprint([0; 16]),
        reactions: Arc::default(),
    }
}

fn access(viewer: &UserId, scope: &Scope, rooms: HashMap<RoomId, bool>) -> Access {
    Access {
        viewer: viewer.clone(),
        scope: scope.clone(),
        rooms,
    }
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn mine(viewer: &UserId, after: Seq, limit: usize) -> Statement {
    let viewer = viewer.as_str();
    let after = after.0.cast_signed();
    sqlx::query(sql::REPLAY_MINE)
        .bind(viewer.to_owned())
        .bind(after)
        .bind(after)
        .bind(viewer.to_owned())
        .bind(viewer.to_owned())
        .bind(after)
        .bind(count(limit))
}

fn named(viewer: &UserId, rooms: &[RoomId], after: Seq, limit: usize) -> Result<Statement> {
    let viewer = viewer.as_str();
    let rooms = array(rooms.iter().map(|id| id.uuid()))?;
    let after = after.0.cast_signed();
    Ok(sqlx::query(sql::REPLAY_NAMED)
        .bind(viewer.to_owned())
        .bind(rooms.clone())
        .bind(after)
        .bind(after)
        .bind(rooms.clone())
        .bind(viewer.to_owned())
        .bind(viewer.to_owned())
        .bind(rooms)
        .bind(after)
        .bind(count(limit)))
}

fn show(lines: &[Line]) -> Result<Statement> {
    let rooms: BTreeSet<_> = lines.iter().map(|line| line.room.uuid()).collect();
    let users: BTreeSet<_> = lines.iter().map(|line| line.actor.as_str()).collect();
    let messages: BTreeSet<_> = (lines.iter()).filter_map(|line| line.message).collect();
    let members: BTreeSet<_> = lines.iter().filter_map(|line| line.member).collect();
    let made = lines.iter().filter(|line| line.kind == 4);
    Ok(sqlx::query(sql::SHOW)
        .bind(array(rooms)?)
        .bind(array(users)?)
        .bind(array(messages.iter().map(|id| id.uuid()))?)
        .bind(array(members.iter().map(|id| id.uuid()))?)
        .bind(array(made.map(|line| line.seq.0))?))
}

impl Found {
    fn of(rows: &[SqliteRow]) -> Result<Self> {
        let mut found = Self {
            bounds: Bounds {
                floor: Seq::ZERO,
                head: Seq::ZERO,
            },
            rooms: HashMap::new(),
            lost: Vec::new(),
            lines: Vec::new(),
        };
        for row in rows {
            let mut row = Columns::of(row);
            match row.int()? {
                0 => {
                    found.bounds.floor = row.seq()?;
                    found.bounds.head = row.seq()?;
                }
                1 => {
                    found.rooms.insert(row.room_id()?, row.flag()?);
                }
                2 => found.lost.push((row.room_id()?, row.seq()?)),
                _ => found.lines.push(Line::of(&mut row)?),
            }
        }
        Ok(found)
    }

    /// Keeps as many lines as fit beside the revocations that come before them, and gives those; true where something was
    /// left out.
    fn fit(&mut self, limit: PageLimit) -> (Vec<(RoomId, Seq)>, bool) {
        let lost = self.lost.iter().filter(|(_, seq)| *seq != Seq::ZERO);
        let mut revoked: Vec<_> = lost.copied().collect();
        let mut places: Vec<Seq> = (revoked.iter().map(|(_, seq)| *seq))
            .chain(self.lines.iter().map(|line| line.seq))
            .collect();
        places.sort_unstable();
        let too_many = places.get(limit.items).copied();
        let beyond = too_many.into_iter().chain(self.too_much(limit.bytes)).min();
        if let Some(beyond) = beyond {
            revoked.retain(|(_, seq)| *seq < beyond);
            self.lines.retain(|line| line.seq < beyond);
        }
        (revoked, beyond.is_some())
    }

    /// The first line, but for the first of all, with which there are more than so many bytes.
    fn too_much(&mut self, bytes_max: usize) -> Option<Seq> {
        self.lines.sort_unstable_by_key(|line| line.seq);
        let (mut bytes, mut rooms, mut messages) = (0, HashSet::new(), HashSet::new());
        let mut lines = self.lines.iter().enumerate();
        let beyond = lines.find(|(n, line)| {
            bytes += PageLimit::EVENT_BYTES;
            if rooms.insert(line.room) {
                bytes += line.room_bytes;
            }
            if line.message.is_some_and(|message| messages.insert(message)) {
                bytes += line.message_bytes;
            }
            *n > 0 && bytes > bytes_max
        });
        beyond.map(|(_, line)| line.seq)
    }
}

impl Line {
    fn of(row: &mut Columns<'_>) -> Result<Self> {
        Ok(Self {
            seq: row.seq()?,
            at: row.time()?,
            room: row.room_id()?,
            kind: row.int()?,
            actor: row.user_id()?,
            message: row.maybe_uuid()?.map(MessageId::from_uuid),
            member: row.maybe_uuid()?.map(MemberId::from_uuid),
            emoji: row.maybe_emoji()?,
            message_bytes: row.int()?.try_into().unwrap_or(0),
            room_bytes: row.int()?.try_into().unwrap_or(0),
        })
    }
}

impl Shown {
    fn of(rows: &[SqliteRow], store: &SqliteStore) -> Result<Self> {
        let mut shown = Self::default();
        for row in rows {
            let mut row = Columns::of(row);
            match row.int()? {
                0 => {
                    let room = row.room()?;
                    shown.rooms.insert(room.id, room);
                }
                1 => {
                    let user = row.user()?;
                    shown.users.insert(user.id.clone(), user);
                }
                2 => {
                    let message = row.message(&store.epochs)?;
                    shown.messages.insert(message.id, message);
                }
                3 => {
                    let member = row.member()?;
                    shown.members.insert(member.id, member);
                }
                _ => {
                    let seq = row.seq()?;
                    shown.joined.entry(seq).or_default().push(row.user_id()?);
                }
            }
        }
        Ok(shown)
    }
}
