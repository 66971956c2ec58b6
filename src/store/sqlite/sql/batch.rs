//! The texts of a batch: how it is opened and how it is written.
//!
//! The driver wakes the writer for each row and for the end of each statement, whether that had anything to do or not, and with a
//! lone send it is the waking that costs. So there are two texts of each kind: one for all that a batch may be, and a short
//! one for what most batches are, which writes it all by a trigger, in one statement.

/// Binds: user ids; [room, user] pairs; node ids; room ids; message ids twice.
macro_rules! begin {
    () => {
        concat!(
            "BEGIN IMMEDIATE;\n",
            "SELECT 0, ",
            head!(),
            ", (SELECT json_group_array(json_array(user.id, user.name, user.avatar_url, user.profile_at)) ",
            "FROM users AS user WHERE user.id IN (SELECT value FROM json_each(?))), ",
            "(SELECT ",
            member_list!(),
            " FROM jsonb_each(?) AS pair ",
            "CROSS JOIN members AS member ON member.room = unhex(pair.value ->> 0, '-') AND member.user = pair.value ->> 1), ",
            "(WITH asked (id) AS MATERIALIZED (SELECT unhex(value, '-') FROM json_each(?)) ",
            "SELECT json_group_array(hex(id)) FROM asked ",
            "WHERE EXISTS (SELECT 1 FROM messages WHERE messages.id = asked.id) ",
            "OR EXISTS (SELECT 1 FROM rooms WHERE rooms.id = asked.id) ",
            "OR EXISTS (SELECT 1 FROM members WHERE members.id = asked.id));\n",
            "SELECT 1, room.loose, ",
            room!(),
            " FROM rooms AS room WHERE room.id IN ",
            "(SELECT unhex(value, '-') FROM json_each(?) UNION SELECT room FROM messages WHERE id IN ",
            uuids!(),
            ");\n",
            "SELECT 2, ",
            message!(),
            " FROM messages AS message",
            with_reply!(),
            "WHERE message.id IN ",
            uuids!(),
            ";\n",
        )
    };
}

/// From JSON rows, as all of these.
macro_rules! users {
    ($users:literal) => {
        concat!(
            "\
INSERT INTO users (id, name, avatar_url, profile_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each(",
            $users,
            ") WHERE true
ON CONFLICT (id) DO UPDATE SET name = excluded.name, avatar_url = excluded.avatar_url, profile_at = excluded.profile_at;
",
        )
    };
}

macro_rules! rooms {
    ($rooms:literal) => {
        concat!(
            "\
INSERT INTO rooms (id, name, visibility, data, created_at, last_activity_at, last_message, member_count, owner_count, deleted, loose,
    direct, fingerprint)
SELECT unhex(value ->> 0, '-'), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
       unhex(value ->> 6, '-'), value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, unhex(value ->> 12, '-')
FROM jsonb_each(",
            $rooms,
            ") WHERE true
ON CONFLICT (id) DO UPDATE SET name = excluded.name, visibility = excluded.visibility, data = excluded.data,
    last_activity_at = excluded.last_activity_at, last_message = excluded.last_message,
    member_count = excluded.member_count, owner_count = excluded.owner_count, deleted = excluded.deleted,
    loose = rooms.loose + excluded.loose;
",
        )
    };
}

/// From the bytes of all contents, and where in them each is.
macro_rules! contents {
    ($bytes:literal, $contents:literal) => {
        concat!(
            "\
INSERT INTO contents (seq, body, data)
SELECT value ->> 0,
       CAST(substr(",
            $bytes,
            ", value ->> '$[1][0]', value ->> '$[1][1]') AS TEXT),
       CASE WHEN value ->> 2 IS NULL THEN NULL
            ELSE CAST(substr(",
            $bytes,
            ", value ->> '$[2][0]', value ->> '$[2][1]') AS TEXT) END
FROM jsonb_each(",
            $contents,
            ");
",
        )
    };
}

macro_rules! sent {
    ($sent:literal) => {
        concat!(
            "\
INSERT INTO messages (seq, id, room, author, version, created_at, edited_at, deleted_at, reply_to, fingerprint, content)
SELECT value ->> 0, unhex(value ->> 1, '-'), unhex(value ->> 2, '-'), value ->> 3, value ->> 4, value ->> 5,
       value ->> 6, value ->> 7, unhex(value ->> 8, '-'), unhex(value ->> 9, '-'), value ->> 10
FROM jsonb_each(",
            $sent,
            ");
",
        )
    };
}

macro_rules! events {
    ($events:literal) => {
        concat!(
            "\
INSERT INTO events (seq, at, room, kind, actor, message, member, emoji)
SELECT value ->> 0, value ->> 1, unhex(value ->> 2, '-'), value ->> 3, value ->> 4,
       unhex(value ->> 5, '-'), unhex(value ->> 6, '-'), value ->> 7
FROM jsonb_each(",
            $events,
            ");
",
        )
    };
}

/// Opens a batch. Binds: user ids; [room, user] pairs; node ids; room ids; message ids twice; [message, user] pairs;
/// [message, emoji, user] triples.
///
/// What there are many of in a batch comes as one JSON row each.
pub(in super::super) const BEGIN: &str = concat!(
    begin!(),
    "SELECT 3, ",
    member_list!(),
    " FROM jsonb_each(?) AS pair ",
    "CROSS JOIN messages AS message ON message.id = unhex(pair.value ->> 0, '-') ",
    "CROSS JOIN members AS member ON member.room = message.room AND member.user = pair.value ->> 1;\n",
    "SELECT 4, json_group_array(json_array(hex(message.id), reactor.emoji, reactor.user, reactor.seq)) ",
    "FROM jsonb_each(?) AS triple ",
    "CROSS JOIN messages AS message ON message.id = unhex(triple.value ->> 0, '-') ",
    "CROSS JOIN reactors AS reactor ON reactor.message = message.seq AND reactor.emoji = triple.value ->> 1 ",
    "AND reactor.user = triple.value ->> 2;",
);

/// Opens a batch that asks for nothing by message: the binds of [`BEGIN`] without the last two.
pub(in super::super) const BEGIN_SHORT: &str = begin!();

/// Writes a batch and commits. Binds: users; rooms; members; reads; changed message ids; deleted room ids; (deleted message
/// ids; deleted room ids) twice; deleted room ids three times; the bytes of all contents twice; contents; sent messages; changed
/// messages; reactors twice; reactions twice; events; users last seen; the place to prune to three times.
///
/// Old contents are wiped while the messages still point at them. Blocks are made of what the batch leaves: after its
/// messages are sent and deleted.
pub(in super::super) const COMMIT: &str = concat!(
    users!("?"),
    rooms!("?"),
    "\
INSERT INTO members (id, room, user, role, joined_at, joined_seq, standing)
SELECT unhex(value ->> 0, '-'), unhex(value ->> 1, '-'), value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
FROM jsonb_each(?) WHERE true
ON CONFLICT (room, user) DO UPDATE SET role = excluded.role, joined_at = excluded.joined_at,
    joined_seq = excluded.joined_seq, standing = excluded.standing;

UPDATE members SET read_up_to = row.value ->> 2
FROM jsonb_each(?) AS row WHERE members.room = unhex(row.value ->> 0, '-') AND members.user = row.value ->> 1;

UPDATE contents SET
    body = zeroblob(octet_length(body)),
    data = CASE WHEN data IS NULL THEN NULL ELSE zeroblob(octet_length(data)) END
WHERE seq IN (
    SELECT content FROM messages WHERE id IN (SELECT unhex(value, '-') FROM json_each(?))
    UNION ALL
    SELECT content FROM messages WHERE room IN (SELECT unhex(value, '-') FROM json_each(?))
);

DELETE FROM reactors WHERE message IN (
    SELECT seq FROM messages WHERE id IN (SELECT unhex(value, '-') FROM json_each(?))
    UNION ALL
    SELECT seq FROM messages WHERE room IN (SELECT unhex(value, '-') FROM json_each(?))
);

DELETE FROM reactions WHERE message IN (
    SELECT seq FROM messages WHERE id IN (SELECT unhex(value, '-') FROM json_each(?))
    UNION ALL
    SELECT seq FROM messages WHERE room IN (SELECT unhex(value, '-') FROM json_each(?))
);

DELETE FROM messages WHERE room IN (SELECT unhex(value, '-') FROM json_each(?));

DELETE FROM blocks WHERE room IN (SELECT unhex(value, '-') FROM json_each(?));

DELETE FROM block_authors WHERE room IN (SELECT unhex(value, '-') FROM json_each(?));

",
    contents!("?", "?"),
    sent!("?"),
    "\
UPDATE messages SET version = row.value ->> 1, edited_at = row.value ->> 2, deleted_at = row.value ->> 3,
    content = row.value ->> 4
FROM jsonb_each(?) AS row WHERE messages.id = unhex(row.value ->> 0, '-');

INSERT INTO reactors (message, emoji, user, seq)
SELECT message.seq, row.value ->> 1, row.value ->> 2, row.value ->> 3
FROM jsonb_each(?) AS row CROSS JOIN messages AS message ON message.id = unhex(row.value ->> 0, '-')
WHERE row.value ->> 3 IS NOT NULL
ON CONFLICT (message, emoji, user) DO UPDATE SET seq = excluded.seq;

DELETE FROM reactors WHERE (message, emoji, user) IN (
    SELECT message.seq, row.value ->> 1, row.value ->> 2
    FROM jsonb_each(?) AS row CROSS JOIN messages AS message ON message.id = unhex(row.value ->> 0, '-')
    WHERE row.value ->> 3 IS NULL
);

INSERT INTO reactions (message, emoji, count, since)
SELECT message.seq, row.value ->> 1, row.value ->> 2, row.value ->> 3
FROM jsonb_each(?) AS row CROSS JOIN messages AS message ON message.id = unhex(row.value ->> 0, '-')
WHERE row.value ->> 2 > 0
ON CONFLICT (message, emoji) DO UPDATE SET count = excluded.count, since = excluded.since;

DELETE FROM reactions WHERE (message, emoji) IN (
    SELECT message.seq, row.value ->> 1
    FROM jsonb_each(?) AS row CROSS JOIN messages AS message ON message.id = unhex(row.value ->> 0, '-')
    WHERE row.value ->> 2 = 0
);

INSERT INTO block_authors (room, upto, author, live)
SELECT room.id, (SELECT max(newest.seq) FROM messages AS newest WHERE newest.room = room.id), message.author,
       count(*) FILTER (WHERE message.deleted_at IS NULL)
FROM rooms AS room INDEXED BY rooms_full CROSS JOIN messages AS message ON message.room = room.id
    AND message.seq > coalesce((SELECT max(block.upto) FROM blocks AS block WHERE block.room = room.id), 0)
WHERE room.loose >= 256 GROUP BY room.id, message.author;

INSERT INTO blocks (room, upto, live)
SELECT room.id, author.upto, sum(author.live)
FROM rooms AS room INDEXED BY rooms_full CROSS JOIN block_authors AS author ON author.room = room.id
    AND author.upto = (SELECT max(newest.seq) FROM messages AS newest WHERE newest.room = room.id)
WHERE room.loose >= 256 GROUP BY room.id, author.upto;

UPDATE rooms INDEXED BY rooms_full SET loose = 0 WHERE loose >= 256;

",
    events!("?"),
    "\
UPDATE users SET last_seen_at = row.value ->> 1
FROM jsonb_each(?) AS row WHERE users.id = row.value ->> 0 AND coalesce(users.last_seen_at, 0) < row.value ->> 1;

DELETE FROM members WHERE room IN (SELECT room FROM events WHERE kind IN (9, 10, 11) AND kind <> 9 AND seq <= ?);

DELETE FROM events WHERE seq <= ?;

UPDATE meta SET value = pruned.seq FROM (SELECT ? AS seq) AS pruned WHERE key = 'floor' AND value < pruned.seq;

COMMIT;",
);

/// What a connection that writes needs for [`COMMIT_SHORT`].
pub(in super::super) const PLAIN: &str = concat!(
    "CREATE TEMP VIEW plain (users, rooms, bytes, contents, sent, events) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL;\n",
    "CREATE TEMP TRIGGER plain_written INSTEAD OF INSERT ON plain BEGIN\n",
    users!("NEW.users"),
    rooms!("NEW.rooms"),
    contents!("NEW.bytes", "NEW.contents"),
    sent!("NEW.sent"),
    events!("NEW.events"),
    "END;",
);

/// Writes a batch that holds nothing but new messages and profiles, and makes no block full: what [`COMMIT`] would do of that, as
/// one statement. Binds: users; rooms; the bytes of all contents; contents; sent messages; events.
pub(in super::super) const COMMIT_SHORT: &str =
    "INSERT INTO plain VALUES (?, ?, ?, ?, ?, ?);\nCOMMIT;";
