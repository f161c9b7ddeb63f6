-- What finds no room goes elsewhere, and its recipient is told where.

ALTER TABLE redirects
    -- A compartment is reserved for it there so long; NULL: none.
    ADD COLUMN reserve_until timestamptz,
    ADD COLUMN told_at timestamptz;
CREATE INDEX redirects_untold ON redirects (ended_at) WHERE told_at IS NULL AND refusal IS NULL;

-- What looks for another place, one way or the other.
CREATE INDEX stays_turned_away ON stays (bank) WHERE seq IS NULL AND state = 'exception' AND fallback IS NULL;
CREATE INDEX stays_overflowing ON stays (bank) WHERE fallback = 'neighbour' AND state = 'expected';
