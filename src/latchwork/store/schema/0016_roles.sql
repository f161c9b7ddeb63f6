-- What a token may do stands in server/access.py, by its role; for a carrier's or a shop's system also whose it is.
ALTER TABLE tokens ADD COLUMN role text NOT NULL DEFAULT 'owner', ADD COLUMN party text COLLATE "C" REFERENCES parties;
ALTER TABLE tokens ADD CHECK ((role IN ('carrier', 'shop')) = (party IS NOT NULL));
