-- When a user was last seen online, milliseconds since 1970 (UTC). NULL: never, or before this was kept.
ALTER TABLE users ADD COLUMN last_seen_at INTEGER;
