//! What a viewer may read, and the log as it may be read: access, replays, events, and what they refer to.

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
pub(in super::super) const ACCESS_MINE: &str = concat!(
    "BEGIN;\nSELECT 0, ",
    bounds!(),
    ";\nSELECT 1, id, member FROM (",
    mine!(),
    ");\nCOMMIT;",
);

/// Binds: the viewer; room ids.
pub(in super::super) const ACCESS_NAMED: &str = concat!(
    "BEGIN;\nSELECT 0, ",
    bounds!(),
    ";\nSELECT 1, id, member FROM (",
    named!(),
    ");\nCOMMIT;",
);

/// Leaves the transaction open for [`SHOW`]. Binds: the viewer; after; after; the viewer; the viewer; after; limit.
pub(in super::super) const REPLAY_MINE: &str = concat!(
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
pub(in super::super) const REPLAY_NAMED: &str = concat!(
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
pub(in super::super) const EVENTS: &str = concat!(
    "BEGIN;\nSELECT 3, ",
    event!(),
    ", 0, 0 FROM events AS event WHERE event.seq > ? ORDER BY event.seq LIMIT ?;",
);

/// What a page of events refers to, each thing once; ends the transaction. Binds: room ids; user ids; message ids;
/// membership ids; places where rooms were made.
pub(in super::super) const SHOW: &str = concat!(
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
