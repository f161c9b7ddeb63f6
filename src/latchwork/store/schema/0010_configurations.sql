-- What each wall's controller runs, as it says, and what was asked of it.

-- As in the exchange: version, sha256, standing, asked, refused. Null: it has never said.
ALTER TABLE banks ADD COLUMN configuration jsonb;

-- The newest of a bank is also its document "configuration", which is how it gets to the wall.
CREATE TABLE configurations (
    bank     text COLLATE "C" NOT NULL REFERENCES banks,
    version  int NOT NULL,
    text     text NOT NULL,
    asked_at timestamptz NOT NULL,
    asked_by text NOT NULL,
    PRIMARY KEY (bank, version)
);
SELECT keep_apart(
    'configurations', 'EXISTS (SELECT FROM banks b WHERE b.id = bank AND b.organisation = (SELECT tenant()))',
    'SELECT, INSERT'
);
