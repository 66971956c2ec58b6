//! Every statement, as constant text.
//!
//! Sets and rows come in as JSON arrays, one bind for a whole batch, so that text is never built and a batch costs one
//! trip to the driver's thread. Rows go through `jsonb_each`, which hands each on as parsed; `json_each` would write it
//! out as text, to be parsed again, for every column. Only anonymous `?`: in a text of several statements sqlx silently binds NULL to sparse
//! numbered ones. Texts that end in COMMIT are run to their end (`execute`, `fetch_all`), never with a `fetch_one`,
//! which would stop before it. Those of a batch are in `batch`.

macro_rules! head {
    () => {
        "max(coalesce((SELECT max(seq) FROM events), 0), (SELECT value FROM meta WHERE key = 'floor'))"
    };
}

macro_rules! bounds {
    () => {
        concat!("(SELECT value FROM meta WHERE key = 'floor'), ", head!())
    };
}

/// The set of UUIDs in a JSON array of text.
macro_rules! uuids {
    () => {
        "(SELECT unhex(value, '-') FROM json_each(?))"
    };
}

/// Of `users AS user`.
macro_rules! user {
    () => {
        "user.id, user.name, user.avatar_url, user.profile_at"
    };
}

/// Of `rooms AS room`.
macro_rules! room {
    () => {
        "room.id, room.name, room.visibility, room.data, room.created_at, room.last_activity_at, room.last_message, \
         room.member_count, room.owner_count, room.deleted, room.direct, room.fingerprint"
    };
}

/// Of `members AS member` and `users AS user`.
macro_rules! member {
    () => {
        concat!(
            "member.id, member.room, member.role, member.joined_at, member.joined_seq, member.standing, member.read_up_to, ",
            user!()
        )
    };
}

/// The reactions under a message as a JSON array, in any order.
macro_rules! reactions {
    ($message:literal) => {
        concat!(
            "(SELECT json_group_array(json_array(reaction.emoji, reaction.count, reaction.since)) ",
            "FROM reactions AS reaction WHERE reaction.message = ",
            $message,
            ")",
        )
    };
}

/// Of `messages AS message`, with [`with_reply`].
macro_rules! message {
    () => {
        concat!(
            "message.seq, message.id, message.room, message.version, message.created_at, message.edited_at, ",
            "message.deleted_at, message.fingerprint, message.reply_to, content.body, content.data, ",
            "author.id, author.name, author.avatar_url, author.profile_at, ",
            reactions!("message.seq"), ", ",
            "reply.seq, reply.id, reply.room, reply.version, reply.created_at, reply.edited_at, ",
            "reply.deleted_at, reply.fingerprint, reply.reply_to, reply_content.body, reply_content.data, ",
            "reply_author.id, reply_author.name, reply_author.avatar_url, reply_author.profile_at, ",
            reactions!("reply.seq"),
        )
    };
}

/// What a message comes with: its content, its author, and the same of the message it replies to.
macro_rules! with_reply {
    () => {
        " CROSS JOIN users AS author ON author.id = message.author \
          LEFT JOIN contents AS content ON content.seq = message.content \
          LEFT JOIN messages AS reply ON reply.id = message.reply_to \
          LEFT JOIN contents AS reply_content ON reply_content.seq = reply.content \
          LEFT JOIN users AS reply_author ON reply_author.id = reply.author "
    };
}

/// A membership as a JSON array, without its user. Of `members AS member`.
macro_rules! member_list {
    () => {
        "json_group_array(json_array(hex(member.id), hex(member.room), member.user, member.role, member.joined_at, \
         member.joined_seq, member.standing, member.read_up_to))"
    };
}

mod batch;

pub(super) use batch::*;

/// Begins an epoch. Binds: its bits.
pub(super) const LEAD: &str = concat!(
    "BEGIN IMMEDIATE;\n",
    "INSERT INTO epochs (epoch, first_seq) SELECT ?, 1 + ",
    head!(),
    ";\n",
    "SELECT ",
    bounds!(),
    ";\n",
    "COMMIT;",
);

pub(super) const EPOCHS: &str = "SELECT epoch, first_seq FROM epochs ORDER BY n";
pub(super) const BOUNDS: &str = concat!("SELECT ", bounds!());
pub(super) const READY: &str = "SELECT value FROM meta WHERE key = 'floor'";

pub(super) const DENYLIST_VERSION: &str = "SELECT value FROM meta WHERE key = 'revocations'";
/// The version, whether there is a user, the user, up to when. One row at least.
pub(super) const DENYLIST: &str = "SELECT meta.value, revoked.user IS NOT NULL, revoked.user, revoked.up_to \
     FROM meta LEFT JOIN revocations AS revoked ON TRUE WHERE meta.key = 'revocations'";
/// Binds: a user, a second.
pub(super) const REVOKE: &str = "INSERT INTO revocations (user, up_to) VALUES (?, ?) \
     ON CONFLICT (user) DO UPDATE SET up_to = max(revocations.up_to, excluded.up_to)";
/// Binds: a user.
pub(super) const ALLOW: &str = "DELETE FROM revocations WHERE user = ?";
/// Whether the tables that a visit writes are there.
pub(super) const VISITABLE: &str = "SELECT count(*) FROM sqlite_schema WHERE name = 'revocations'";

/// Binds: an instant. Stops at the first event that is not older.
pub(super) const PLACE_BEFORE: &str = concat!(
    "SELECT coalesce((SELECT seq - 1 FROM events WHERE at >= ? ORDER BY seq LIMIT 1), ",
    head!(),
    ")",
);

/// Binds: the viewer; room ids.
pub(super) const ROOMS: &str = concat!(
    "SELECT ",
    room!(),
    ", member.role, member.read_up_to FROM rooms AS room ",
    "LEFT JOIN members AS member ON member.room = room.id AND member.user = ? AND member.standing = 1 ",
    "WHERE room.id IN ",
    uuids!(),
    " AND room.deleted = 0",
);

/// Binds: message ids.
pub(super) const MESSAGES: &str = concat!(
    "SELECT ",
    message!(),
    " FROM messages AS message",
    with_reply!(),
    "WHERE message.id IN ",
    uuids!(),
);

/// Binds: message ids; the viewer.
pub(super) const REACTED: &str = concat!(
    "SELECT message.id, reactor.emoji FROM json_each(?) AS list ",
    "CROSS JOIN messages AS message ON message.id = unhex(list.value, '-') ",
    "CROSS JOIN reactions AS reaction ON reaction.message = message.seq ",
    "CROSS JOIN reactors AS reactor ON reactor.message = message.seq AND reactor.emoji = reaction.emoji ",
    "AND reactor.user = ?",
);

/// Binds: [message, emoji] pairs; limit.
pub(super) const REACTORS: &str = concat!(
    "SELECT list.key, reactor.seq, ",
    user!(),
    " FROM jsonb_each(?) AS list CROSS JOIN messages AS message ON message.id = unhex(list.value ->> 0, '-') ",
    "CROSS JOIN reactors AS reactor ON reactor.message = message.seq AND reactor.emoji = list.value ->> 1 ",
    "AND reactor.seq IN (SELECT piece.seq FROM reactors AS piece WHERE piece.message = message.seq ",
    "AND piece.emoji = list.value ->> 1 ORDER BY piece.seq LIMIT ?) ",
    "CROSS JOIN users AS user ON user.id = reactor.user",
);

/// Binds: membership ids.
pub(super) const MEMBERS: &str = concat!(
    "SELECT ",
    member!(),
    " FROM members AS member CROSS JOIN users AS user ON user.id = member.user ",
    "WHERE member.id IN ",
    uuids!(),
    " AND member.standing = 1",
);

/// Binds: user ids; the viewer twice.
pub(super) const USERS: &str = concat!(
    "SELECT ",
    user!(),
    " FROM users AS user WHERE user.id IN (SELECT value FROM json_each(?)) AND (user.id = ? ",
    "OR EXISTS (SELECT 1 FROM members AS theirs CROSS JOIN rooms AS room ON room.id = theirs.room ",
    "WHERE theirs.user = user.id AND theirs.standing = 1 AND room.deleted = 0 AND (room.visibility = 1 ",
    "OR EXISTS (SELECT 1 FROM members AS mine WHERE mine.room = theirs.room AND mine.user = ? AND mine.standing = 1))))",
);

/// Binds: a room's id in an array.
pub(super) const ATTENDANCE: &str = concat!(
    "SELECT ",
    bounds!(),
    ", ",
    room!(),
    ", (SELECT json_group_array(json_array(member.user, member.role)) FROM members AS member WHERE member.room = room.id AND member.standing = 1) ",
    "FROM rooms AS room WHERE room.deleted = 0 AND room.id IN ",
    uuids!(),
);

/// Binds: user ids; the viewer twice.
pub(super) const LAST_SEEN: &str = "\
SELECT user.id, user.last_seen_at FROM users AS user
WHERE user.id IN (SELECT value FROM json_each(?)) AND (user.id = ?
OR EXISTS (SELECT 1 FROM members AS theirs
    CROSS JOIN members AS mine ON mine.room = theirs.room AND mine.user = ? AND mine.standing = 1
    CROSS JOIN rooms AS room ON room.id = theirs.room AND room.deleted = 0
    WHERE theirs.user = user.id AND theirs.standing = 1))";

/// Binds: a user id.
pub(super) const PROFILE: &str =
    concat!("SELECT ", user!(), " FROM users AS user WHERE user.id = ?");

/// Rooms between two places, in one direction. Binds of the list first, then `after` and `before` as (at, id) each,
/// then the limit. The list runs downwards, so what comes after a place is less than it.
macro_rules! room_page {
    ($from:literal, $direction:literal) => {
        concat!(
            "SELECT ", room!(), " FROM ", $from,
            " AND (room.last_activity_at, room.id) < (?, ?) AND (room.last_activity_at, room.id) > (?, ?) ",
            "ORDER BY room.last_activity_at ", $direction, ", room.id ", $direction, " LIMIT ?",
        )
    };
}

macro_rules! public_rooms {
    ($direction:literal) => {
        room_page!(
            "rooms AS room WHERE room.visibility = 1 AND room.deleted = 0",
            $direction
        )
    };
}

macro_rules! rooms_of {
    ($direction:literal) => {
        room_page!(
            "members AS member CROSS JOIN rooms AS room ON room.id = member.room \
             WHERE member.user = ? AND member.standing = 1 AND room.deleted = 0",
            $direction
        )
    };
}

/// For each pair of users a piece of the rooms that both are in. Binds: pairs of user ids; then as above.
macro_rules! rooms_shared {
    ($direction:literal) => {
        concat!(
            "SELECT list.key, ", room!(), " FROM json_each(?) AS list CROSS JOIN rooms AS room ON room.id IN (",
            "SELECT piece.id FROM members AS member CROSS JOIN members AS other ON other.room = member.room ",
            "CROSS JOIN rooms AS piece ON piece.id = member.room WHERE member.user = list.value ->> 0 AND member.standing = 1 ",
            "AND other.user = list.value ->> 1 AND other.standing = 1 AND piece.deleted = 0 ",
            "AND (piece.last_activity_at, piece.id) < (?, ?) AND (piece.last_activity_at, piece.id) > (?, ?) ",
            "ORDER BY piece.last_activity_at ", $direction, ", piece.id ", $direction, " LIMIT ?)",
        )
    };
}

pub(super) const ROOMS_PUBLIC: [&str; 2] = [public_rooms!("DESC"), public_rooms!("ASC")];
pub(super) const ROOMS_OF: [&str; 2] = [rooms_of!("DESC"), rooms_of!("ASC")];
pub(super) const ROOMS_SHARED: [&str; 2] = [rooms_shared!("DESC"), rooms_shared!("ASC")];

/// For each room a piece of its messages. Binds: room ids; after; before; limit.
macro_rules! message_pages {
    ($direction:literal) => {
        concat!(
            "SELECT list.key, ", message!(), " FROM json_each(?) AS list CROSS JOIN messages AS message ",
            "ON message.seq IN (SELECT piece.seq FROM messages AS piece WHERE piece.room = unhex(list.value, '-') ",
            "AND piece.seq > ? AND piece.seq < ? ORDER BY piece.seq ", $direction, " LIMIT ?)",
            with_reply!(),
        )
    };
}

pub(super) const MESSAGE_PAGES: [&str; 2] = [message_pages!("ASC"), message_pages!("DESC")];

/// For each room a piece of its active members. Binds: room ids; after as (seq, user); before as (seq, user); limit.
macro_rules! member_pages {
    ($direction:literal) => {
        concat!(
            "SELECT list.key, ", member!(), " FROM json_each(?) AS list CROSS JOIN members AS member ",
            "ON member.room = unhex(list.value, '-') AND member.user IN (SELECT piece.user FROM members AS piece ",
            "WHERE piece.room = unhex(list.value, '-') AND piece.standing = 1 ",
            "AND (piece.joined_seq, piece.user) > (?, ?) AND (piece.joined_seq, piece.user) < (?, ?) ",
            "ORDER BY piece.joined_seq ", $direction, ", piece.user ", $direction, " LIMIT ?) ",
            "CROSS JOIN users AS user ON user.id = member.user",
        )
    };
}

pub(super) const MEMBER_PAGES: [&str; 2] = [member_pages!("ASC"), member_pages!("DESC")];

/// The rooms that a viewer is in. Binds: the viewer.
macro_rules! mine {
    () => {
        "SELECT room.id AS id, 1 AS member FROM members AS member CROSS JOIN rooms AS room ON room.id = member.room \
         WHERE member.user = ? AND member.standing = 1 AND room.deleted = 0"
    };
}

/// Those of the named rooms that a viewer may read. Binds: the viewer; room ids.
macro_rules! named {
    () => {
        concat!(
            "SELECT room.id AS id, member.user IS NOT NULL AS member FROM rooms AS room ",
            "LEFT JOIN members AS member ON member.room = room.id AND member.user = ? AND member.standing = 1 ",
            "WHERE room.id IN ", uuids!(), " AND room.deleted = 0 AND (room.visibility = 1 OR member.user IS NOT NULL)",
        )
    };
}

/// The newest leaving of `member` after a place. Binds: the place.
macro_rules! left_at {
    () => {
        "coalesce((SELECT event.seq FROM events AS event WHERE event.member = member.id AND event.kind = 8 \
         AND event.seq > ? ORDER BY event.seq DESC LIMIT 1), 0)"
    };
}

/// Where the viewer lost the rooms it was in and is not in now. Binds: after; after; the viewer.
///
/// A membership of a deleted room stays as it stood at the deletion.
macro_rules! mine_lost {
    () => {
        concat!(
            "SELECT member.room AS id, max(", left_at!(), ", CASE WHEN member.standing = 1 THEN ",
            "coalesce((SELECT event.seq FROM events AS event WHERE event.room = member.room AND event.kind IN (9, 10, 11) ",
            "AND event.kind <> 9 AND event.seq > ? ORDER BY event.seq DESC LIMIT 1), 0) ELSE 0 END) AS seq ",
            "FROM members AS member CROSS JOIN rooms AS room ON room.id = member.room ",
            "WHERE member.user = ? AND (member.standing <> 1 OR room.deleted = 1)",
        )
    };
}

/// The named rooms that the viewer may not read, and where it lost them (0: not after that place). Binds: after; after;
/// room ids; the viewer.
///
/// That a private room was deleted is told only to those who were in it.
macro_rules! named_lost {
    () => {
        concat!(
            "SELECT list.id AS id, max(", left_at!(), ", ",
            "coalesce((SELECT event.seq FROM events AS event WHERE event.room = list.id AND event.kind IN (9, 10, 11) ",
            "AND (event.kind <> 11 OR member.standing = 1) AND event.seq > ? ORDER BY event.seq DESC LIMIT 1), 0)) AS seq ",
            "FROM ", uuids_as_list!(), " ",
            "LEFT JOIN rooms AS room ON room.id = list.id ",
            "LEFT JOIN members AS member ON member.room = list.id AND member.user = ? ",
            "WHERE room.id IS NULL OR room.deleted = 1 OR (room.visibility = 2 AND member.standing IS NOT 1)",
        )
    };
}

macro_rules! uuids_as_list {
    () => {
        "(SELECT DISTINCT unhex(value, '-') AS id FROM json_each(?)) AS list"
    };
}

/// The events of the readable rooms, merged in log order: one look into the index a room, and one an event. The
/// recursion's queue is the merge's heap, so a quiet room costs nothing however much happened elsewhere. Binds: those of
/// the rooms; after; limit.
macro_rules! merged {
    ($rooms:expr) => {
        concat!(
            "WITH RECURSIVE readable (id, member) AS MATERIALIZED (", $rooms, "), merged (seq, room) AS (",
            "SELECT event.seq, readable.id FROM readable CROSS JOIN events AS event ON event.seq = ",
            "(SELECT next.seq FROM events AS next WHERE next.room = readable.id AND next.seq > ? ORDER BY next.seq LIMIT 1) ",
            "UNION ALL ",
            "SELECT event.seq, merged.room FROM merged CROSS JOIN events AS event ON event.seq = ",
            "(SELECT next.seq FROM events AS next WHERE next.room = merged.room AND next.seq > merged.seq ",
            "ORDER BY next.seq LIMIT 1) ",
            "ORDER BY 1 LIMIT ?) ",
            "SELECT 3, ", event!(), ", ", message_weight!(), ", ", room_weight!(), " FROM merged CROSS JOIN events AS event ON event.seq = merged.seq;",
        )
    };
}

macro_rules! event {
    () => {
        "event.seq, event.at, event.room, event.kind, event.actor, event.message, event.member, event.emoji"
    };
}

/// What the message of `event` and the one it replies to say, in bytes: as of [`PageLimit`](crate::store::PageLimit). Lengths
/// are in the rows' headers; what lies on overflow pages is not read for them.
macro_rules! message_weight {
    () => {
        "coalesce((SELECT coalesce(octet_length(content.body) + 8 * coalesce(octet_length(content.data), 0), 0) \
         + coalesce(octet_length(quoted.body) + 8 * coalesce(octet_length(quoted.data), 0), 0) \
         FROM messages AS message LEFT JOIN contents AS content ON content.seq = message.content \
         LEFT JOIN messages AS reply ON reply.id = message.reply_to \
         LEFT JOIN contents AS quoted ON quoted.seq = reply.content WHERE message.id = event.message), 0)"
    };
}

/// The same of its room.
macro_rules! room_weight {
    () => {
        "coalesce((SELECT 8 * octet_length(room.data) FROM rooms AS room WHERE room.id = event.room), 0)"
    };
}

/// Binds: the viewer.
pub(super) const ACCESS_MINE: &str = concat!(
    "BEGIN;\nSELECT 0, ",
    bounds!(),
    ";\nSELECT 1, id, member FROM (",
    mine!(),
    ");\nCOMMIT;",
);

/// Binds: the viewer; room ids.
pub(super) const ACCESS_NAMED: &str = concat!(
    "BEGIN;\nSELECT 0, ",
    bounds!(),
    ";\nSELECT 1, id, member FROM (",
    named!(),
    ");\nCOMMIT;",
);

/// Leaves the transaction open for [`SHOW`]. Binds: the viewer; after; after; the viewer; the viewer; after; limit.
pub(super) const REPLAY_MINE: &str = concat!(
    "BEGIN;\n",
    "SELECT 0, ",
    bounds!(),
    ";\n",
    "SELECT 1, id, member FROM (",
    mine!(),
    ");\n",
    "SELECT 2, id, seq FROM (",
    mine_lost!(),
    ") WHERE seq > 0;\n",
    merged!(mine!()),
);

/// Leaves the transaction open for [`SHOW`]. Binds: the viewer; room ids; after; after; room ids; the viewer; the viewer;
/// room ids; after; limit.
pub(super) const REPLAY_NAMED: &str = concat!(
    "BEGIN;\n",
    "SELECT 0, ",
    bounds!(),
    ";\n",
    "SELECT 1, id, member FROM (",
    named!(),
    ");\n",
    "SELECT 2, id, seq FROM (",
    named_lost!(),
    ");\n",
    merged!(named!()),
);

/// Everyone's events. Leaves the transaction open for [`SHOW`]. Binds: after; limit.
pub(super) const EVENTS: &str = concat!(
    "BEGIN;\nSELECT 3, ",
    event!(),
    ", 0, 0 FROM events AS event WHERE event.seq > ? ORDER BY event.seq LIMIT ?;",
);

/// What a page of events refers to, each thing once; ends the transaction. Binds: room ids; user ids; message ids;
/// membership ids; places where rooms were made.
pub(super) const SHOW: &str = concat!(
    "SELECT 0, ",
    room!(),
    " FROM rooms AS room WHERE room.id IN ",
    uuids!(),
    ";\n",
    "SELECT 1, ",
    user!(),
    " FROM users AS user WHERE user.id IN (SELECT value FROM json_each(?));\n",
    "SELECT 2, ",
    message!(),
    " FROM messages AS message",
    with_reply!(),
    "WHERE message.id IN ",
    uuids!(),
    ";\n",
    "SELECT 3, ",
    member!(),
    " FROM members AS member CROSS JOIN users AS user ON user.id = member.user ",
    "WHERE member.id IN ",
    uuids!(),
    ";\n",
    "SELECT 4, member.joined_seq, member.user FROM members AS member ",
    "WHERE member.joined_seq IN (SELECT value FROM json_each(?)) ORDER BY member.user;\n",
    "COMMIT;",
);

/// Puts what was committed into the database file and empties the write-ahead log.
pub(super) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
