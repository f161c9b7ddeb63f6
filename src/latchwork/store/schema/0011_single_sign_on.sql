-- Identity providers of organisations, and who is who at them.

CREATE TABLE providers (
    id           text COLLATE "C" PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL REFERENCES organisations,
    name         text NOT NULL,
    issuer       text NOT NULL,
    client       text NOT NULL,
    -- Encrypted under the master secret.
    secret       bytea NOT NULL,
    -- The role of people whom it adds by itself; NULL: only who was invited.
    adds_as      text,
    created_at   timestamptz NOT NULL
);
CREATE INDEX ON providers (organisation);

CREATE TABLE identities (
    provider     text COLLATE "C" NOT NULL REFERENCES providers ON DELETE CASCADE,
    subject      text NOT NULL,
    organisation text COLLATE "C" NOT NULL,
    account      text COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (provider, subject)
);
CREATE INDEX ON identities (account);

SELECT keep_apart(name::regclass, 'organisation = (SELECT tenant())') FROM unnest(ARRAY['providers', 'identities']) name;
