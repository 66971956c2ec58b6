//! A batch as JSON: one array for each statement of [`super::sql::BEGIN`] and [`super::sql::COMMIT`].
//!
//! What messages say travels beside the JSON as plain bytes, cut out again by offset: neither escaped nor parsed, so it
//! is kept byte for byte.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use sqlx::Error;
use uuid::Uuid;

use super::rows::{Result, role_code, standing_code, unreadable, visibility_code};
use crate::model::{
    Emoji, Event, Member, Message, MessageId, Reaction, ReactionKey, Room, RoomId, Seq, Timestamp,
    User, Visibility, What,
};
use crate::store::Changes;

/// A JSON array.
pub(super) fn array<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Result<String> {
    let rows: Vec<T> = rows.into_iter().collect();
    serde_json::to_string(&rows).map_err(|source| Error::Encode(source.into()))
}

/// The binds of a COMMIT.
pub(super) struct Rows {
    pub(super) users: String,
    pub(super) rooms: String,
    pub(super) members: String,
    pub(super) reads: String,
    pub(super) wiped: String,
    pub(super) deleted_rooms: String,
    pub(super) deleted_messages: String,
    pub(super) bytes: Vec<u8>,
    pub(super) contents: String,
    pub(super) sent: String,
    pub(super) changed: String,
    pub(super) reactors: String,
    pub(super) reactions: String,
    pub(super) events: String,
    pub(super) seen: String,
    pub(super) prune_to: Option<i64>,
    /// The first and the last event's place, if there are any.
    pub(super) places: Option<(Seq, Seq)>,
    /// Something that was said is gone.
    pub(super) wipes: bool,
    /// Nothing but messages that are sent, with their rooms and events, and profiles.
    pub(super) is_plain: bool,
    /// Messages that are sent, by room.
    pub(super) sent_in: HashMap<RoomId, u32>,
}

impl Rows {
    pub(super) fn of(changes: &Changes) -> Result<Self> {
        if !gapless(&changes.events) {
            return Err(unreadable(
                "the batch's events are not in order, each after the other",
            ));
        }
        let deleted: HashSet<RoomId> = gone(&changes.rooms);
        let sent = || changes.sent.iter().filter(|it| !deleted.contains(&it.room));
        let changed = || (changes.changed.iter()).filter(|it| !deleted.contains(&it.room));
        let edits = edits(&changes.events);
        let mut sent_in: HashMap<RoomId, u32> = HashMap::new();
        for message in sent() {
            *sent_in.entry(message.room).or_default() += 1;
        }
        let sends = |room| sent_in.get(&room).copied().unwrap_or_default();

        let mut said: Vec<(Seq, &Message)> = sent().map(|it| (it.cursor.seq, &**it)).collect();
        for message in changed().filter(|it| it.body.is_some()) {
            said.push((edited_at(message, &edits)?, message));
        }
        // In log order, so that contents are only ever appended.
        said.sort_unstable_by_key(|(seq, _)| *seq);
        let mut contents = Contents::default();
        for (seq, message) in said {
            contents.add(seq, message);
        }

        Ok(Self {
            users: array(changes.users.iter().map(|it| user_row(it)))?,
            rooms: array(changes.rooms.iter().map(|it| room_row(it, sends(it.id))))?,
            members: array(changes.members.iter().map(|it| member_row(it)))?,
            reads: array(changes.reads.iter().map(|it| read_row(&it.member)))?,
            wiped: array(changed().map(|it| it.id.uuid()))?,
            wipes: !deleted.is_empty() || changed().next().is_some(),
            deleted_rooms: array(deleted.iter().map(|id| id.uuid()))?,
            deleted_messages: array(
                (changed().filter(|it| it.deleted_at.is_some())).map(|it| it.id.uuid()),
            )?,
            bytes: contents.bytes,
            contents: array(contents.rows)?,
            sent: array(sent().map(|it| sent_row(it)))?,
            changed: array(changed().map(|it| changed_row(it, &edits)))?,
            reactors: array(changes.reactors.iter().map(reactor_row))?,
            reactions: array(changes.reactions.iter().map(reaction_row))?,
            events: array(changes.events.iter().map(|it| event_row(it)))?,
            seen: array(changes.seen.iter().map(|(user, at)| (user.as_str(), at.0)))?,
            prune_to: changes.prune_to.map(|seq| seq.0.cast_signed()),
            places: places(&changes.events),
            is_plain: deleted.is_empty() && is_plain(changes),
            sent_in,
        })
    }
}

/// See [`Rows::is_plain`]; of rooms that are deleted it does not know.
fn is_plain(changes: &Changes) -> bool {
    let Changes {
        events: _,
        users: _,
        rooms: _,
        sent: _,
        members,
        reads,
        changed,
        reactors,
        reactions,
        seen,
        prune_to,
    } = changes;
    let of_members = members.len() + reads.len() + seen.len();
    let of_messages = changed.len() + reactors.len() + reactions.len();
    of_members + of_messages == 0 && prune_to.is_none()
}

fn places(events: &[Arc<Event>]) -> Option<(Seq, Seq)> {
    let (first, last) = (events.first()?, events.last()?);
    Some((first.cursor.seq, last.cursor.seq))
}

fn gapless(events: &[Arc<Event>]) -> bool {
    (events.windows(2)).all(|pair| pair[1].cursor.seq == pair[0].cursor.seq.next())
}

fn gone(rooms: &[Arc<Room>]) -> HashSet<RoomId> {
    rooms
        .iter()
        .filter(|it| it.deleted)
        .map(|it| it.id)
        .collect()
}

/// The last place where each message was edited: the key of what it says now.
fn edits(events: &[Arc<Event>]) -> HashMap<MessageId, Seq> {
    let edit = |event: &Arc<Event>| match &event.what {
        What::MessageEdited(message) => Some((message.id, event.cursor.seq)),
        _ => None,
    };
    events.iter().filter_map(edit).collect()
}

fn edited_at(message: &Message, edits: &HashMap<MessageId, Seq>) -> Result<Seq> {
    let seq = edits.get(&message.id).copied();
    seq.ok_or_else(|| unreadable(format!("no event edits the changed message {}", message.id)))
}

/// Offset (from 1) and length of a piece of the bytes.
type Piece = (usize, usize);

/// What was said in a batch.
struct Contents {
    bytes: Vec<u8>,
    /// The place, the body, the data.
    rows: Vec<(u64, Piece, Option<Piece>)>,
}

/// Begins with a byte that nothing points at: SQLite cuts a piece of an empty value to NULL, not to an empty one.
impl Default for Contents {
    fn default() -> Self {
        Self {
            bytes: vec![0],
            rows: Vec::new(),
        }
    }
}

impl Contents {
    fn add(&mut self, seq: Seq, message: &Message) {
        let Some(body) = &message.body else { return };
        let body = self.piece(body.as_str());
        let data = (message.data.as_ref()).map(|data| self.piece(&data.to_string()));
        self.rows.push((seq.0, body, data));
    }

    fn piece(&mut self, text: &str) -> Piece {
        let at = self.bytes.len() + 1;
        self.bytes.extend_from_slice(text.as_bytes());
        (at, text.len())
    }
}

fn user_row(user: &User) -> impl Serialize {
    (
        user.id.as_str(),
        &*user.name,
        user.avatar_url.as_deref(),
        user.profile_at.0,
    )
}

fn room_row(room: &Room, sends: u32) -> impl Serialize {
    (
        room.id.uuid(),
        if room.deleted { "" } else { room.name.as_str() },
        visibility_code(room.visibility),
        room.data
            .as_ref()
            .filter(|_| !room.deleted)
            .map(ToString::to_string),
        room.created_at.0,
        room.last_activity_at.0,
        room.last_message.map(MessageId::uuid),
        room.member_count,
        room.owner_count,
        u8::from(room.deleted),
        sends,
        u8::from(room.direct),
        // Only for its text, as below.
        room.fingerprint.map(|it| Uuid::from_bytes(it.0)),
    )
}

fn member_row(member: &Member) -> impl Serialize {
    (
        member.id.uuid(),
        member.room.uuid(),
        member.user.id.as_str(),
        role_code(member.role),
        member.joined_at.0,
        member.joined_seq.0,
        standing_code(member.standing),
    )
}

fn read_row(member: &Member) -> impl Serialize {
    let read_up_to = member.read_up_to.map(|seq| seq.0);
    (member.room.uuid(), member.user.id.as_str(), read_up_to)
}

fn sent_row(message: &Message) -> impl Serialize {
    let seq = message.cursor.seq.0;
    (
        seq,
        message.id.uuid(),
        message.room.uuid(),
        message.author.id.as_str(),
        message.version,
        message.created_at.0,
        millis(message.edited_at),
        millis(message.deleted_at),
        message.reply_to.as_ref().map(|reply| reply.id.uuid()),
        // Only for its text: 32 hex digits.
        Uuid::from_bytes(message.fingerprint.0),
        message.body.as_ref().map(|_| seq),
    )
}

fn changed_row(message: &Message, edits: &HashMap<MessageId, Seq>) -> impl Serialize {
    let content = edits.get(&message.id).filter(|_| message.body.is_some());
    (
        message.id.uuid(),
        message.version,
        millis(message.edited_at),
        millis(message.deleted_at),
        content.map(|seq| seq.0),
    )
}

fn reactor_row((key, place): &(ReactionKey, Option<Seq>)) -> impl Serialize {
    (
        key.message.uuid(),
        key.emoji.as_str().to_owned(),
        key.user.as_str().to_owned(),
        place.map(|place| place.0),
    )
}

fn reaction_row((id, emoji, now): &(MessageId, Emoji, Option<Reaction>)) -> impl Serialize {
    let (count, since) = now.as_ref().map_or((0, 0), |it| (it.count, it.since.0));
    (id.uuid(), emoji.as_str().to_owned(), count, since)
}

fn event_row(event: &Event) -> impl Serialize {
    let member = match &event.what {
        What::MemberJoined(member) | What::MemberUpdated(member) | What::MemberLeft(member) => {
            Some(member.id.uuid())
        }
        _ => None,
    };
    (
        event.cursor.seq.0,
        event.at.0,
        event.room.id.uuid(),
        kind(&event.what),
        event.actor.id.as_str(),
        event.message().map(|message| message.id.uuid()),
        member,
        event.emoji().map(|emoji| emoji.as_str()),
    )
}

fn millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(|at| at.0)
}

/// The codes are listed in the migrations.
const fn kind(what: &What) -> u8 {
    match what {
        What::MessageSent(_) => 1,
        What::MessageEdited(_) => 2,
        What::MessageDeleted(_) => 3,
        What::RoomCreated { .. } => 4,
        What::RoomUpdated {
            made_private: false,
        } => 5,
        What::MemberJoined(_) => 6,
        What::MemberUpdated(_) => 7,
        What::MemberLeft(_) => 8,
        What::RoomUpdated { made_private: true } => 9,
        What::RoomDeleted {
            was: Visibility::Public,
        } => 10,
        What::RoomDeleted {
            was: Visibility::Private,
        } => 11,
        What::ReactionAdded(..) => 12,
        What::ReactionRemoved(..) => 13,
    }
}
