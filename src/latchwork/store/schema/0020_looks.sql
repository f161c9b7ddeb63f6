-- Staff leave a trace: whom they looked at, and that a recipient was told when they opened a door.

-- Once a day for each who, whom and where. Pages write it and cannot take it back.
CREATE TABLE looks (
    organisation text COLLATE "C" NOT NULL,
    person       text COLLATE "C" NOT NULL,
    -- An account or a token.
    by           text COLLATE "C" NOT NULL,
    -- list, person, stay or export
    what         text NOT NULL,
    day          date NOT NULL,
    at           timestamptz NOT NULL,
    by_name      text NOT NULL,
    role         text NOT NULL,
    PRIMARY KEY (organisation, person, by, what, day)
);
CREATE INDEX ON looks (organisation, at);
SELECT keep_apart('looks', 'organisation = (SELECT tenant())', 'SELECT, INSERT');

ALTER TABLE openings ADD COLUMN told_at timestamptz;
CREATE INDEX openings_untold ON openings (opened_at)
    WHERE purpose IN ('service', 'check') AND told_at IS NULL AND opened_at IS NOT NULL;
