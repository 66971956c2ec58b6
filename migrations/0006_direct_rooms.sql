-- 1: of two users, for ever. Its id is made of theirs.
ALTER TABLE rooms ADD COLUMN direct INTEGER NOT NULL DEFAULT 0 CHECK (direct IN (0, 1));
