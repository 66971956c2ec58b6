-- The place up to which the member has read; NULL before the first mark. Kept while it is away.
ALTER TABLE members ADD COLUMN read_up_to INTEGER;
