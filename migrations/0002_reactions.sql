-- One emoji under one message, while anyone reacts with it.
CREATE TABLE reactions (
    message INTEGER NOT NULL REFERENCES messages (seq),
    emoji   TEXT NOT NULL,
    count   INTEGER NOT NULL CHECK (count > 0),
    since   INTEGER NOT NULL, -- the place of its first use: the order under the message
    PRIMARY KEY (message, emoji)
) STRICT, WITHOUT ROWID;

CREATE TABLE reactors (
    message INTEGER NOT NULL REFERENCES messages (seq),
    emoji   TEXT NOT NULL,
    user    TEXT NOT NULL REFERENCES users (id),
    seq     INTEGER NOT NULL,
    PRIMARY KEY (message, emoji, user)
) STRICT, WITHOUT ROWID;

-- Who reacts, first to react first.
CREATE INDEX reactors_by_place ON reactors (message, emoji, seq);

-- The log again, for two more kinds: 12 reaction added, 13 reaction removed. By kinds 8 to 11 someone lost the room.
CREATE TABLE events_2 (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    room    BLOB NOT NULL REFERENCES rooms (id),
    kind    INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 13),
    actor   TEXT NOT NULL REFERENCES users (id),
    message BLOB, -- kinds 1 to 3, 12, 13
    member  BLOB, -- kinds 6 to 8
    emoji   TEXT  -- kinds 12, 13
) STRICT;

INSERT INTO events_2 (seq, at, room, kind, actor, message, member)
SELECT seq, at, room, kind, actor, message, member FROM events ORDER BY seq;

DROP TABLE events;
ALTER TABLE events_2 RENAME TO events;

-- In the order (room, seq).
CREATE INDEX events_by_room ON events (room);
-- Where a member lost its room, and where others did.
CREATE INDEX events_leaving ON events (member) WHERE kind = 8;
CREATE INDEX events_closing ON events (room) WHERE kind IN (9, 10, 11);
