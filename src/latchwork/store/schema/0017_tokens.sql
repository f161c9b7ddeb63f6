-- API tokens end, and are replaced while both work for a while.
ALTER TABLE tokens ADD COLUMN expires_at timestamptz, ADD COLUMN made_by text COLLATE "C";
CREATE INDEX ON tokens (organisation);
