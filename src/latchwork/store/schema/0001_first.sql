-- The cloud's tables, and the types in which the functions of functions.sql take their batches.
--
-- Rows of administration (organisations .. idempotency) are plain rows. `entries` is the copy of what banks wrote.
-- Everything below "Projections" is computed from entries, one entry at a time, and can be rebuilt from them.
--
-- Ids are 32 hex digits, except compartments ("07") and services ("parcel"). COLLATE "C": ids are bytes, not words.
-- Tables of the hot path carry no foreign keys: each would lock the bank's row once more for every line written.

-- Administration

CREATE TABLE organisations (
    id         text COLLATE "C" PRIMARY KEY,
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sites (
    id           text COLLATE "C" PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL REFERENCES organisations,
    name         text NOT NULL,
    address      text NOT NULL DEFAULT '',
    time_zone    text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON sites (organisation);

CREATE TABLE banks (
    id              text COLLATE "C" PRIMARY KEY,
    organisation    text COLLATE "C" NOT NULL REFERENCES organisations,
    site            text COLLATE "C" NOT NULL REFERENCES sites,
    name            text NOT NULL,
    -- Ed25519, 32 bytes; NULL until enrolled.
    device_key      bytea,
    key_revoked_at  timestamptz,
    -- How far our copy of its log goes. Compared and set under the row's lock, never read to be trusted later.
    epoch           int NOT NULL DEFAULT 0,
    size            bigint NOT NULL DEFAULT 0,
    root            bytea NOT NULL DEFAULT sha256(''),
    peaks           bytea NOT NULL DEFAULT '',
    appended_at     timestamptz,
    -- Of its hellos the last one's number: only that connection may speak.
    session         bigint NOT NULL DEFAULT 0,
    -- The highest instruction number ever given or heard of.
    orders_last     int NOT NULL DEFAULT 0,
    -- Why its log is not a continuation of ours; NULL as long as it is.
    divided         text,
    divided_at      timestamptz,
    heard_at        timestamptz,
    software        text,
    boot            text,
    code_generation int NOT NULL DEFAULT 1,
    -- The last policy that the wall said it adopted.
    policy_version  int NOT NULL DEFAULT 0,
    -- Versions of the documents that it said it holds.
    documents       jsonb NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
CREATE INDEX ON banks (organisation);

CREATE TABLE enrolments (
    -- SHA-256 of the one-time code.
    code_hash  bytea PRIMARY KEY,
    bank       text COLLATE "C" NOT NULL REFERENCES banks,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX ON enrolments (bank);

CREATE TABLE parties (
    id           text COLLATE "C" PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL REFERENCES organisations,
    name         text NOT NULL
);
CREATE INDEX ON parties (organisation);

CREATE TABLE people (
    id           text COLLATE "C" PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL REFERENCES organisations,
    site         text COLLATE "C" REFERENCES sites,
    name         text NOT NULL,
    unit         text NOT NULL DEFAULT '',
    email        text,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON people (organisation, site);

CREATE TABLE tokens (
    id           text COLLATE "C" PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL REFERENCES organisations,
    -- SHA-256 of a random token.
    hash         bytea NOT NULL UNIQUE,
    name         text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    revoked_at   timestamptz
);

CREATE TABLE idempotency (
    organisation text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    -- SHA-256 over method, path and body.
    request_hash bytea NOT NULL,
    status       int NOT NULL,
    response     bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation, key)
);

-- What goes down to the banks

CREATE TABLE instructions (
    id           text COLLATE "C" PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL,
    bank         text COLLATE "C" NOT NULL,
    -- Given at first sending, in the order of asking; what was asked first has the smaller ordinal.
    ordinal      bigint GENERATED ALWAYS AS IDENTITY,
    number       int,
    -- The name of its class in domain.commands: Expect, Cancel, Open, ...; NULL where only its answer is known.
    kind         text,
    body         bytea,
    sha256       text NOT NULL,
    not_after    timestamptz,
    state        text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'sent', 'done', 'refused', 'void')),
    refusal      text,
    -- The stay, pass, compartment or opening that it is about.
    about        text,
    asked_by     text,
    -- Words of people: erasable. The entry holds SHA-256 over salt and note.
    note         text,
    note_salt    bytea,
    asked_at     timestamptz NOT NULL DEFAULT now(),
    sent_at      timestamptz,
    -- The bank's session in which it was last sent.
    sent_session bigint,
    answered_at  timestamptz,
    UNIQUE (bank, number)
);
CREATE INDEX instructions_open ON instructions (bank, ordinal) WHERE answered_at IS NULL;
CREATE INDEX instructions_about ON instructions (about);

CREATE TABLE documents (
    bank    text COLLATE "C" NOT NULL,
    name    text NOT NULL,
    version int NOT NULL,
    body    bytea NOT NULL,
    PRIMARY KEY (bank, name)
);

-- The copy of every bank's log

CREATE TABLE entries (
    bank  text COLLATE "C" NOT NULL,
    epoch int NOT NULL,
    seq   bigint NOT NULL,
    at    timestamptz NOT NULL,
    kind  text NOT NULL,
    -- The exact bytes that the bank wrote: the leaf of the Merkle tree.
    raw   bytea NOT NULL,
    -- The roots of the complete subtrees that this entry completes, smallest first.
    nodes bytea NOT NULL,
    PRIMARY KEY (bank, epoch, seq)
);

-- Projections. (epoch, seq) is the last entry that a row was computed from.

CREATE TABLE stays (
    id                text COLLATE "C" PRIMARY KEY,
    organisation      text COLLATE "C" NOT NULL,
    bank              text COLLATE "C" NOT NULL,
    service           text NOT NULL,
    party             text COLLATE "C",
    thing             text COLLATE "C",
    recipient         text COLLATE "C",
    -- Keyed hash of what stands on the thing; the words themselves are in `tracking`, and erasable.
    label             text COLLATE "C",
    tracking          text,
    width_mm          int,
    height_mm         int,
    depth_mm          int,
    state             text NOT NULL,
    reason            text,
    compartment       text,
    announced         bool NOT NULL,
    presumed          bool NOT NULL DEFAULT false,
    deadline          timestamptz,
    pickup_pass       text COLLATE "C",
    pickup_n          int,
    pickup_digits     int,
    pickup_generation int,
    drop_off_pass     text COLLATE "C",
    drop_off_n        int,
    drop_off_digits   int,
    drop_off_generation int,
    asked_at          timestamptz,
    expected_at       timestamptz,
    reserved_at       timestamptz,
    deposited_at      timestamptz,
    expired_at        timestamptz,
    ended_at          timestamptz,
    -- NULL until the wall has spoken of it: asked, not yet expected.
    epoch             int,
    seq               bigint,
    -- The bank had the thing already, unannounced: that stay is the one to show.
    linked_to         text COLLATE "C"
) WITH (fillfactor = 70);
CREATE INDEX stays_live ON stays (bank) WHERE ended_at IS NULL;
CREATE INDEX stays_label ON stays (bank, label) WHERE label IS NOT NULL;
CREATE INDEX stays_recipient ON stays (recipient) WHERE recipient IS NOT NULL;
CREATE INDEX stays_linked_to ON stays (linked_to) WHERE linked_to IS NOT NULL;

-- Which entries name which stay: its timeline. What its doors did stands in `openings`.
CREATE TABLE stay_entries (
    stay  text COLLATE "C" NOT NULL,
    bank  text COLLATE "C" NOT NULL,
    epoch int NOT NULL,
    seq   bigint NOT NULL,
    PRIMARY KEY (stay, bank, epoch, seq)
);

CREATE TABLE compartments (
    bank      text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,
    width_mm  int NOT NULL DEFAULT 0,
    height_mm int NOT NULL DEFAULT 0,
    depth_mm  int NOT NULL DEFAULT 0,
    climate   text NOT NULL DEFAULT 'ambient',
    reach_mm  int NOT NULL DEFAULT 0,
    state     text NOT NULL DEFAULT 'vacant',
    why       text,
    door      text NOT NULL DEFAULT 'unknown',
    claim     text COLLATE "C",
    stay      text COLLATE "C",
    epoch     int NOT NULL,
    seq       bigint NOT NULL,
    PRIMARY KEY (bank, id)
) WITH (fillfactor = 50);

CREATE TABLE openings (
    id           text COLLATE "C" PRIMARY KEY,
    bank         text COLLATE "C" NOT NULL,
    compartment  text NOT NULL,
    -- NULL where the entry that wanted it is unreadable to us.
    purpose      text,
    -- wanted, unlocked, opened, shut, not_opened, unresolved, lapsed
    state        text NOT NULL,
    -- Why somebody wanted it, and why it did not come to it.
    reason       text,
    why          text,
    -- A person's id, for openings that staff asked for.
    by           text COLLATE "C",
    instruction  text COLLATE "C",
    pass         text COLLATE "C",
    claim        text COLLATE "C",
    stay         text COLLATE "C",
    attempts     int NOT NULL DEFAULT 0,
    wanted_at    timestamptz,
    unlocked_at  timestamptz,
    opened_at    timestamptz,
    closed_at    timestamptz,
    epoch        int NOT NULL,
    seq          bigint NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX openings_bank ON openings (bank, epoch, seq);
CREATE INDEX openings_stay ON openings (stay) WHERE stay IS NOT NULL;

-- Passes of couriers and staff; those of a stay stand in its row.
CREATE TABLE passes (
    id          text COLLATE "C" PRIMARY KEY,
    bank        text COLLATE "C" NOT NULL,
    role        text NOT NULL,
    party       text COLLATE "C",
    -- Words of people: whose code it is.
    holder      text,
    n           int,
    digits      int,
    generation  int,
    valid_until timestamptz,
    -- asked, live, revoked, refused
    state       text NOT NULL DEFAULT 'asked',
    asked_at    timestamptz,
    epoch       int,
    seq         bigint
);
CREATE INDEX ON passes (bank);

-- What people are to be told. The text is rendered at sending: no code and no address stands here.
CREATE TABLE outbox (
    -- notice_id(...): the same notice twice is the same row.
    id         text COLLATE "C" PRIMARY KEY,
    kind       text NOT NULL,
    stay       text COLLATE "C" NOT NULL,
    person     text COLLATE "C" NOT NULL,
    bank       text COLLATE "C" NOT NULL,
    epoch      int NOT NULL,
    seq        bigint NOT NULL,
    due_at     timestamptz NOT NULL,
    tries      int NOT NULL DEFAULT 0,
    last_error text,
    sent_at    timestamptz,
    dead       bool NOT NULL DEFAULT false
);
CREATE INDEX outbox_due ON outbox (due_at) WHERE sent_at IS NULL AND NOT dead;
CREATE INDEX outbox_stay ON outbox (stay);

-- What a person has to look at.
CREATE TABLE tasks (
    id        text COLLATE "C" PRIMARY KEY,
    bank      text COLLATE "C" NOT NULL,
    -- latchwork.store.rows.Task lists them.
    kind      text NOT NULL,
    -- The compartment, or the kind of entry.
    about     text NOT NULL DEFAULT '',
    detail    text,
    epoch     int NOT NULL,
    seq       bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz
);
CREATE UNIQUE INDEX tasks_open ON tasks (bank, kind, about) WHERE closed_at IS NULL;

-- What the batch functions take, as arrays: see functions.sql. tests/store holds these types and latchwork.store.rows to
-- each other.
--
-- Of NULL and '' in a row that changes another: NULL leaves what is there, '' empties it.

CREATE TYPE append_operation AS (
    organisation   text,
    bank           text,
    session        bigint,
    had_epoch      int,
    had_size       bigint,
    had_root       bytea,
    epoch          int,
    size           bigint,
    root           bytea,
    peaks          bytea,
    at             timestamptz,
    orders_last    int,
    policy_version int,
    software       text,
    boot           text
);

CREATE TYPE entry_row AS (
    bank  text,
    epoch int,
    seq   bigint,
    at    timestamptz,
    kind  text,
    raw   bytea,
    nodes bytea
);

-- With `service`, the whole stay as its entry states it; without, a change to one that is known.
CREATE TYPE stay_row AS (
    id                  text,
    organisation        text,
    bank                text,
    service             text,
    party               text,
    thing               text,
    recipient           text,
    label               text,
    width_mm            int,
    height_mm           int,
    depth_mm            int,
    state               text,
    reason              text,
    compartment         text,
    announced           bool,
    presumed            bool,
    deadline            timestamptz,
    pickup_pass         text,
    pickup_n            int,
    pickup_digits       int,
    pickup_generation   int,
    drop_off_pass       text,
    drop_off_n          int,
    drop_off_digits     int,
    drop_off_generation int,
    expected_at         timestamptz,
    reserved_at         timestamptz,
    deposited_at        timestamptz,
    expired_at          timestamptz,
    ended_at            timestamptz,
    epoch               int,
    seq                 bigint
);

CREATE TYPE stay_entry_row AS (
    stay  text,
    bank  text,
    epoch int,
    seq   bigint
);

CREATE TYPE fitting_row AS (
    bank      text,
    id        text,
    width_mm  int,
    height_mm int,
    depth_mm  int,
    climate   text,
    reach_mm  int,
    epoch     int,
    seq       bigint
);

-- A compartment taken off its wall.
CREATE TYPE removed_row AS (
    bank text,
    id   text
);

CREATE TYPE compartment_row AS (
    bank  text,
    id    text,
    state text,
    why   text,
    door  text,
    claim text,
    stay  text,
    epoch int,
    seq   bigint
);

-- With `purpose`, a new one; without, what became of one that is known.
CREATE TYPE opening_row AS (
    id          text,
    bank        text,
    compartment text,
    purpose     text,
    state       text,
    reason      text,
    why         text,
    by          text,
    instruction text,
    pass        text,
    claim       text,
    stay        text,
    attempts    int,
    wanted_at   timestamptz,
    unlocked_at timestamptz,
    opened_at   timestamptz,
    closed_at   timestamptz,
    epoch       int,
    seq         bigint
);

-- Without `role`, the end of one.
CREATE TYPE pass_row AS (
    id          text,
    bank        text,
    role        text,
    party       text,
    n           int,
    digits      int,
    generation  int,
    valid_until timestamptz,
    state       text,
    epoch       int,
    seq         bigint
);

CREATE TYPE answer_row AS (
    id           text,
    organisation text,
    bank         text,
    number       int,
    sha256       text,
    refusal      text,
    about        text,
    epoch        int,
    seq          bigint,
    at           timestamptz,
    heard_at     timestamptz
);

CREATE TYPE notice_row AS (
    kind   text,
    stay   text,
    bank   text,
    epoch  int,
    seq    bigint,
    due_at timestamptz
);

CREATE TYPE task_row AS (
    id        text,
    bank      text,
    kind      text,
    about     text,
    detail    text,
    epoch     int,
    seq       bigint,
    opened_at timestamptz,
    closed_at timestamptz
);

-- The earlier tasks of these kinds about a compartment are done.
CREATE TYPE checked_row AS (
    bank        text,
    compartment text,
    kinds       text[],
    epoch       int,
    seq         bigint,
    at          timestamptz
);

CREATE FUNCTION notice_id(bank text, epoch int, seq bigint, person text, kind text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN left(encode(sha256(convert_to(concat_ws('/', bank, epoch, seq, person, kind), 'UTF8')), 'hex'), 32);

CREATE TYPE announcement AS (
    organisation       text,
    -- NULL: no key, every call announces anew.
    idempotency_key    text,
    request_hash       bytea,
    response_status    int,
    response           bytea,
    bank               text,
    stay               text,
    service            text,
    party              text,
    thing              text,
    recipient          text,
    label              text,
    tracking           text,
    width_mm           int,
    height_mm          int,
    depth_mm           int,
    drop_off_pass      text,
    instruction        text,
    instruction_body   bytea,
    instruction_sha256 text,
    asked_by           text,
    at                 timestamptz
);
