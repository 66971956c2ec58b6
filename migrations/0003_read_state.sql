-- The place up to which the member has read; NULL before the first mark. Kept while it is away.
ALTER TABLE members ADD COLUMN read_up_to INTEGER;

-- Unread messages are counted by blocks. A block is a run of a room's messages, one after the other: 256 of them, and what
-- else came in the batch that made it full. It is known by the place of its last message. `live`: those not deleted.
CREATE TABLE blocks (
    room BLOB NOT NULL,
    upto INTEGER NOT NULL,
    live INTEGER NOT NULL CHECK (live >= 0),
    PRIMARY KEY (room, upto)
) STRICT, WITHOUT ROWID;

-- The same by author. In the order of the blocks, so that making one appends to the room's rows.
CREATE TABLE block_authors (
    room   BLOB NOT NULL,
    upto   INTEGER NOT NULL,
    author TEXT NOT NULL,
    live   INTEGER NOT NULL CHECK (live >= 0),
    PRIMARY KEY (room, upto, author)
) STRICT, WITHOUT ROWID;

-- How many of the room's newest messages are in no block yet.
ALTER TABLE rooms ADD COLUMN loose INTEGER NOT NULL DEFAULT 0;

-- Rooms with a block to be made: empty but within a batch.
CREATE INDEX rooms_full ON rooms (id) WHERE loose >= 256;

CREATE TRIGGER message_deleted AFTER UPDATE OF deleted_at ON messages
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
BEGIN
    UPDATE blocks SET live = live - 1
    WHERE room = NEW.room
      AND upto = (SELECT min(block.upto) FROM blocks AS block WHERE block.room = NEW.room AND block.upto >= NEW.seq);
    UPDATE block_authors SET live = live - 1
    WHERE room = NEW.room AND author = NEW.author
      AND upto = (SELECT min(block.upto) FROM blocks AS block WHERE block.room = NEW.room AND block.upto >= NEW.seq);
END;

-- What was sent before there were blocks.
INSERT INTO block_authors (room, upto, author, live)
SELECT room, upto, author, count(*) FILTER (WHERE deleted_at IS NULL)
FROM (
    SELECT room, author, deleted_at,
           max(seq) OVER (PARTITION BY room, block) AS upto,
           count(*) OVER (PARTITION BY room, block) AS size
    FROM (
        SELECT seq, room, author, deleted_at,
               (row_number() OVER (PARTITION BY room ORDER BY seq) - 1) / 256 AS block
        FROM messages
    )
)
WHERE size = 256
GROUP BY room, upto, author;

INSERT INTO blocks (room, upto, live)
SELECT room, upto, sum(live) FROM block_authors GROUP BY room, upto;

UPDATE rooms SET loose = (
    SELECT count(*) FROM messages AS message
    WHERE message.room = rooms.id
      AND message.seq > coalesce((SELECT max(block.upto) FROM blocks AS block WHERE block.room = rooms.id), 0)
);
