//! Every statement, as constant text.
//!
//! Sets and rows come in as JSON arrays, one bind for a whole batch, so that text is never built and a batch costs one
//! trip to the driver's thread. Rows go through `jsonb_each`, which hands each on as parsed; `json_each` would write it
//! out as text, to be parsed again, for every column. Only anonymous `?`: in a text of several statements sqlx silently binds NULL to sparse
//! numbered ones. Texts that end in COMMIT are run to their end (`execute`, `fetch_all`), never with a `fetch_one`,
//! which would stop before it. Those of a batch are in `batch`, of lists in `pages`, of the log in `replay`.

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
mod pages;
mod replay;

pub(super) use self::batch::*;
pub(super) use self::pages::*;
pub(super) use self::replay::*;

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

/// Puts what was committed into the database file and empties the write-ahead log.
pub(super) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
