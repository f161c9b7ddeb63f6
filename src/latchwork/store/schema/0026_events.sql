-- What happened to accounts: signed in, tried in vain, changed how they sign in.

CREATE TABLE sign_in_events (
    id           text COLLATE "C" PRIMARY KEY,
    -- Both NULL where somebody tried an address that has no account: it costs as much, so that nobody can tell.
    organisation text COLLATE "C",
    account      text COLLATE "C" REFERENCES accounts ON DELETE CASCADE,
    at           timestamptz NOT NULL,
    what         text NOT NULL,
    -- By what it was proved, or what was changed; and in which browser.
    how          text NOT NULL,
    device       text NOT NULL
);
CREATE INDEX ON sign_in_events (account, at);
CREATE INDEX ON sign_in_events (at);
SELECT keep_apart('sign_in_events', 'organisation = (SELECT tenant())', 'SELECT, INSERT');

-- Of a mail that opens nothing: what it tells.
ALTER TABLE links ADD COLUMN about text;
