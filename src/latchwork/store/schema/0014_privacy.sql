-- What was erased, told without the words that are gone; and how long an organisation keeps what it need not keep.

ALTER TABLE organisations ADD COLUMN retention jsonb NOT NULL DEFAULT '{}';
-- When what is too old was last forgotten.
ALTER TABLE installation ADD COLUMN forgot_at timestamptz;

-- The receipt of an erasure. `person` is an id that means nothing any more; `rows` counts what went, by kind.
CREATE TABLE erasures (
    id           text COLLATE "C" PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL,
    person       text COLLATE "C" NOT NULL,
    at           timestamptz NOT NULL,
    asked_by     text NOT NULL,
    rows         jsonb NOT NULL
);
CREATE INDEX ON erasures (organisation, at);
SELECT keep_apart('erasures', 'organisation = (SELECT tenant())');

-- From which versions of its documents on a bank has no word of the person any more.
CREATE TABLE erasure_banks (
    erasure      text COLLATE "C" NOT NULL REFERENCES erasures ON DELETE CASCADE,
    organisation text COLLATE "C" NOT NULL,
    bank         text COLLATE "C" NOT NULL,
    documents    jsonb NOT NULL,
    PRIMARY KEY (erasure, bank)
);
SELECT keep_apart('erasure_banks', 'organisation = (SELECT tenant())');

-- Pictures that a bank is to erase: its document `erased`, until it has said that it holds that version.
CREATE TABLE erased_photos (
    bank   text COLLATE "C" NOT NULL,
    sha256 text COLLATE "C" NOT NULL,
    at     timestamptz NOT NULL,
    PRIMARY KEY (bank, sha256)
);
SELECT keep_apart(
    'erased_photos', 'EXISTS (SELECT FROM banks b WHERE b.id = bank AND b.organisation = (SELECT tenant()))'
);
