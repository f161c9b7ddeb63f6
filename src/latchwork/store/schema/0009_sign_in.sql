-- Signing in: the people who run walls, what they prove themselves with, their sessions, and one-time links.
--
-- No secret stands here that opens anything: links, recovery codes and the secrets of authenticator apps are computed
-- from the ids below and the master secret, passwords are argon2id, cookies are SHA-256.

CREATE TABLE accounts (
    id            text COLLATE "C" PRIMARY KEY,
    organisation  text COLLATE "C" NOT NULL REFERENCES organisations,
    -- In small letters.
    email         text NOT NULL,
    name          text NOT NULL,
    role          text NOT NULL,
    -- NULL: signs in otherwise.
    password      text,
    -- Which secret of the account its authenticator app has, and the last time step whose code was used.
    app           int,
    app_step      bigint NOT NULL DEFAULT 0,
    -- Which set of recovery codes is out, and which of it are used up.
    recovery      int,
    recovery_used int[] NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL
);
CREATE INDEX ON accounts (organisation);
-- An address and a password name one account; without a password an address is only where mails go.
CREATE UNIQUE INDEX accounts_email ON accounts (email) WHERE password IS NOT NULL;

CREATE TABLE sessions (
    -- Names it on the page where it can be ended.
    id           text COLLATE "C" PRIMARY KEY,
    -- SHA-256 of what the cookie holds.
    secret       bytea NOT NULL UNIQUE,
    organisation text COLLATE "C" NOT NULL REFERENCES organisations,
    account      text COLLATE "C" REFERENCES accounts ON DELETE CASCADE,
    -- In place of an account: entered by a link that this API token asked for.
    token        text COLLATE "C" REFERENCES tokens,
    -- second: a password was right; setup: a second factor has to be added; full.
    stage        text NOT NULL,
    how          text NOT NULL,
    device       text NOT NULL,
    created_at   timestamptz NOT NULL,
    used_at      timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL
);
CREATE INDEX ON sessions (account);
CREATE INDEX ON sessions (ends_at);

-- One-time links, and the queue of the mails that carry them.
CREATE TABLE links (
    id           text COLLATE "C" PRIMARY KEY,
    -- owner: makes the first account of an organisation; invitation: another; reset: a new password, by mail;
    -- recovery: a new password and new factors, when another owner has asked; sign_in: a session of a token.
    purpose      text NOT NULL,
    organisation text COLLATE "C" NOT NULL REFERENCES organisations,
    account      text COLLATE "C" REFERENCES accounts ON DELETE CASCADE,
    token        text COLLATE "C" REFERENCES tokens,
    email        text,
    role         text,
    -- Who asked for it: an account or a token.
    made_by      text COLLATE "C",
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz,
    -- NULL: not to be mailed.
    due_at       timestamptz,
    tries        int NOT NULL DEFAULT 0,
    last_error   text,
    sent_at      timestamptz
);
CREATE INDEX ON links (organisation) WHERE used_at IS NULL;
CREATE INDEX links_due ON links (due_at) WHERE due_at IS NOT NULL AND sent_at IS NULL;

-- How often somebody guessed wrong: by account, by browser, by range of addresses, each under a keyed hash.
CREATE TABLE guesses (
    key     text COLLATE "C" PRIMARY KEY,
    count   int NOT NULL,
    last_at timestamptz NOT NULL,
    free_at timestamptz NOT NULL
);

SELECT keep_apart(name::regclass, 'organisation = (SELECT tenant())') FROM unnest(ARRAY[
    'accounts', 'sessions', 'links'
]) name;
-- Counted before anybody knows who it is.
SELECT keep_apart('guesses', NULL);
-- Passkeys, and questions that were answered.

CREATE TABLE passkeys (
    -- As the browser names it, in base64url.
    id           text COLLATE "C" PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL REFERENCES organisations,
    account      text COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
    -- COSE.
    public_key   bytea NOT NULL,
    sign_count   bigint NOT NULL,
    name         text NOT NULL,
    created_at   timestamptz NOT NULL,
    used_at      timestamptz
);
CREATE INDEX ON passkeys (account);
SELECT keep_apart('passkeys', 'organisation = (SELECT tenant())');

-- Each question is answered once; what is older than its time needs no row.
CREATE TABLE spent_ceremonies (
    id         text COLLATE "C" PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
SELECT keep_apart('spent_ceremonies', NULL);
