-- Ids are the 16 bytes of their UUIDs, times are milliseconds since 1970 (UTC), a place in the log is its seq.

PRAGMA application_id = 0x54696467; -- "Tidg"

-- `floor`: the last place that retention took away. `fingerprint_key`: 32 random bytes made with the database.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta (key, value) VALUES ('floor', 0);

-- Every start of a writer: who wrote the log from `first_seq` on.
CREATE TABLE epochs (
    n         INTEGER PRIMARY KEY,
    epoch     INTEGER NOT NULL,
    first_seq INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    avatar_url TEXT,
    profile_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rooms (
    id               BLOB PRIMARY KEY CHECK (length(id) = 16),
    name             TEXT NOT NULL,
    visibility       INTEGER NOT NULL CHECK (visibility IN (1, 2)), -- 1 public, 2 private
    data             TEXT,
    created_at       INTEGER NOT NULL,
    last_activity_at INTEGER NOT NULL,
    last_message     BLOB,
    member_count     INTEGER NOT NULL,
    owner_count      INTEGER NOT NULL,
    deleted          INTEGER NOT NULL CHECK (deleted IN (0, 1)) -- 1: only the id is left, so that it is not used again
) STRICT, WITHOUT ROWID;

-- The list of public rooms, newest activity first.
CREATE INDEX rooms_public ON rooms (last_activity_at, id) WHERE visibility = 1 AND deleted = 0;

CREATE TABLE members (
    room       BLOB NOT NULL REFERENCES rooms (id),
    user       TEXT NOT NULL REFERENCES users (id),
    id         BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    role       INTEGER NOT NULL CHECK (role IN (1, 2, 3)), -- 1 owner, 2 member, 3 reader
    joined_at  INTEGER NOT NULL,
    joined_seq INTEGER NOT NULL,
    standing   INTEGER NOT NULL CHECK (standing IN (1, 2, 3)), -- 1 active, 2 left, 3 removed
    PRIMARY KEY (room, user)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_by_user ON members (user, standing);
-- A room's members, first to join first.
CREATE INDEX members_by_place ON members (room, joined_seq, user) WHERE standing = 1;
-- Who came in with a room's making.
CREATE INDEX members_by_joining ON members (joined_seq);

-- A message is known by the place where it was sent. What it says is in `contents`.
CREATE TABLE messages (
    seq         INTEGER PRIMARY KEY,
    id          BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    room        BLOB NOT NULL REFERENCES rooms (id),
    author      TEXT NOT NULL REFERENCES users (id),
    version     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    edited_at   INTEGER,
    deleted_at  INTEGER,
    reply_to    BLOB,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 16),
    content     INTEGER -- contents.seq; NULL once deleted
) STRICT;

-- SQLite ends every index entry with the row's seq, so this one is in the order (room, seq).
CREATE INDEX messages_by_room ON messages (room);

-- What messages say, by the place of the event that said it (sent or edited).
--
-- Rows are appended in order, and wiped by writing as many zero bytes over them: never deleted, never another size.
-- That is what makes a deleted body leave the file. `secure_delete` wipes the row that is deleted, but when SQLite
-- rebuilds a page because rows change size or go, it leaves stale copies of the rows beside them in the page's unused
-- middle, and nothing ever wipes those. Rows that never move have no such copies. (VACUUM is safe: it writes anew.)
CREATE TABLE contents (
    seq  INTEGER PRIMARY KEY,
    body ANY NOT NULL, -- TEXT, or a BLOB of zeros
    data ANY           -- compact JSON as TEXT, or a BLOB of zeros
) STRICT;

-- The log. Kinds: 1 message sent, 2 message edited, 3 message deleted, 4 room created, 5 room updated, 6 member joined,
-- 7 member updated, 8 member left, 9 room updated from public to private, 10 public room deleted, 11 private room deleted.
-- From 8 on, someone lost the room by it.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    room    BLOB NOT NULL REFERENCES rooms (id),
    kind    INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 11),
    actor   TEXT NOT NULL REFERENCES users (id),
    message BLOB, -- kinds 1 to 3
    member  BLOB  -- kinds 6 to 8
) STRICT;

-- In the order (room, seq), as above.
CREATE INDEX events_by_room ON events (room);
-- Where a member lost its room, and where others did.
CREATE INDEX events_leaving ON events (member) WHERE kind = 8;
CREATE INDEX events_closing ON events (room) WHERE kind >= 9;

-- The public room that every database begins with.
INSERT INTO rooms (id, name, visibility, created_at, last_activity_at, member_count, owner_count, deleted)
SELECT x'00000000000070008000000000000001', 'lobby', 1, now, now, 0, 0, 0
FROM (SELECT CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER) AS now);
