-- A keyed hash of what the room was made with, and by whom. NULL where that was not kept or is known otherwise: older rooms,
-- the lobby, direct rooms.
ALTER TABLE rooms ADD COLUMN fingerprint BLOB CHECK (fingerprint IS NULL OR length(fingerprint) = 16);
