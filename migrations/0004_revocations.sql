-- Tokens that were withdrawn: of a user (their `sub`) all that were issued in this second since 1970 (`iat`) or before.
-- `tidings revoke` writes here while a server runs; the server looks a few times a second whether `meta.revocations` has moved.
CREATE TABLE revocations (
    user  TEXT PRIMARY KEY CHECK (length(CAST(user AS BLOB)) BETWEEN 1 AND 255),
    up_to INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta (key, value) VALUES ('revocations', 0);

-- However a row is written, the server notices.
CREATE TRIGGER revocations_made AFTER INSERT ON revocations
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'revocations'; END;
CREATE TRIGGER revocations_moved AFTER UPDATE ON revocations
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'revocations'; END;
CREATE TRIGGER revocations_lifted AFTER DELETE ON revocations
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'revocations'; END;
