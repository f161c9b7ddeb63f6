-- Recipients who look at all of their parcels: without an account, by a mailed code or a passkey.

-- One row for each person whose mailbox was proven: several may share one. Erasing a person ends their part.
CREATE TABLE visits (
    -- SHA-256 of what the cookie holds.
    secret       bytea NOT NULL,
    person       text COLLATE "C" NOT NULL REFERENCES people ON DELETE CASCADE,
    organisation text COLLATE "C" NOT NULL REFERENCES organisations,
    created_at   timestamptz NOT NULL,
    used_at      timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL,
    PRIMARY KEY (secret, person)
);
CREATE INDEX ON visits (person);
CREATE INDEX ON visits (ends_at);
SELECT keep_apart('visits', 'organisation = (SELECT tenant())');

-- A passkey is an account's or a recipient's.
ALTER TABLE passkeys ALTER COLUMN account DROP NOT NULL;
ALTER TABLE passkeys ADD COLUMN person text COLLATE "C" REFERENCES people ON DELETE CASCADE;
CREATE INDEX ON passkeys (person) WHERE person IS NOT NULL;
