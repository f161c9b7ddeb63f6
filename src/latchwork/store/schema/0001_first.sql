-- The cloud's tables, and the three functions of the hot path.
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

-- The hot path. Each function takes a whole batch, as arrays of the types below, and answers per operation. An expected
-- no is a status and never an exception, which would take the rest of the batch with it. tests/store holds these types
-- and latchwork.store.rows to each other.
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

-- Appends to many banks' logs at once, at most once per bank. Statuses: ok, unknown_bank (or another organisation's),
-- divided, stale_session (a newer connection of the bank speaks), moved (the log is not where the operation thought).
--
-- The planner is told to look rows up by key: it plans while the tables are young and small, and keeps the plan.
CREATE FUNCTION append_entries(
    _operations   append_operation[],
    _entries      entry_row[],
    _stays        stay_row[],
    _stay_entries stay_entry_row[],
    _fittings     fitting_row[],
    _removed      removed_row[],
    _compartments compartment_row[],
    _openings     opening_row[],
    _passes       pass_row[],
    _answers      answer_row[],
    _notices      notice_row[],
    _tasks        task_row[],
    _checked      checked_row[]
) RETURNS text[]
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    _statuses text[];
    _good     text[];
    _all      bool;
BEGIN
    -- In the order of their ids, so that two batches never wait for each other.
    PERFORM 1 FROM banks b WHERE b.id = ANY (SELECT o.bank FROM unnest(_operations) o) ORDER BY b.id FOR NO KEY UPDATE;

    SELECT array_agg(judged.status ORDER BY judged.n), array_agg(judged.bank) FILTER (WHERE judged.status = 'ok')
    INTO _statuses, _good
    FROM (
        SELECT o.bank, o.ordinality AS n, CASE
            WHEN b.id IS NULL OR b.organisation <> o.organisation THEN 'unknown_bank'
            WHEN b.divided IS NOT NULL THEN 'divided'
            WHEN b.session <> o.session THEN 'stale_session'
            WHEN (b.epoch, b.size, b.root) IS DISTINCT FROM (o.had_epoch, o.had_size, o.had_root) THEN 'moved'
            ELSE 'ok'
        END AS status
        FROM unnest(_operations) WITH ORDINALITY o
        LEFT JOIN banks b ON b.id = o.bank
    ) judged;
    IF _good IS NULL THEN
        RETURN _statuses;
    END IF;
    _all := cardinality(_good) = cardinality(_operations);

    UPDATE banks b SET
        epoch = o.epoch, size = o.size, root = o.root, peaks = o.peaks, heard_at = o.at, appended_at = o.at,
        orders_last = greatest(b.orders_last, o.orders_last),
        policy_version = coalesce(o.policy_version, b.policy_version),
        software = coalesce(o.software, b.software), boot = coalesce(o.boot, b.boot)
    FROM unnest(_operations) o
    WHERE b.id = o.bank AND (_all OR o.bank = ANY (_good));

    INSERT INTO entries (bank, epoch, seq, at, kind, raw, nodes)
    SELECT r.bank, r.epoch, r.seq, r.at, r.kind, r.raw, r.nodes
    FROM unnest(_entries) r
    WHERE _all OR r.bank = ANY (_good);

    IF cardinality(_removed) > 0 THEN
        DELETE FROM compartments c USING unnest(_removed) r
        WHERE c.bank = r.bank AND c.id = r.id AND (_all OR r.bank = ANY (_good));
    END IF;

    IF cardinality(_fittings) > 0 THEN
        INSERT INTO compartments AS c (bank, id, width_mm, height_mm, depth_mm, climate, reach_mm, epoch, seq)
        SELECT r.bank, r.id, r.width_mm, r.height_mm, r.depth_mm, r.climate, r.reach_mm, r.epoch, r.seq
        FROM unnest(_fittings) r
        WHERE _all OR r.bank = ANY (_good)
        ON CONFLICT (bank, id) DO UPDATE SET
            width_mm = excluded.width_mm, height_mm = excluded.height_mm, depth_mm = excluded.depth_mm,
            climate = excluded.climate, reach_mm = excluded.reach_mm;
    END IF;

    IF cardinality(_stays) > 0 THEN
        INSERT INTO stays AS s (
            id, organisation, bank, service, party, thing, recipient, label, width_mm, height_mm, depth_mm,
            state, reason, compartment, announced, presumed, deadline,
            pickup_pass, pickup_n, pickup_digits, pickup_generation,
            drop_off_pass, drop_off_n, drop_off_digits, drop_off_generation,
            expected_at, reserved_at, deposited_at, expired_at, ended_at, epoch, seq
        )
        SELECT
            r.id, r.organisation, r.bank, r.service, r.party, r.thing, r.recipient, r.label,
            r.width_mm, r.height_mm, r.depth_mm,
            r.state, r.reason, r.compartment, coalesce(r.announced, false), coalesce(r.presumed, false), r.deadline,
            r.pickup_pass, r.pickup_n, r.pickup_digits, r.pickup_generation,
            r.drop_off_pass, r.drop_off_n, r.drop_off_digits, r.drop_off_generation,
            r.expected_at, r.reserved_at, r.deposited_at, r.expired_at, r.ended_at, r.epoch, r.seq
        FROM unnest(_stays) r
        WHERE r.service IS NOT NULL AND (_all OR r.bank = ANY (_good))
        -- What it is about never changes, so those columns stay.
        ON CONFLICT (id) DO UPDATE SET
            state = excluded.state,
            reason = excluded.reason,
            compartment = CASE WHEN excluded.state IN ('expected', 'cancelled') THEN NULL
                ELSE coalesce(excluded.compartment, s.compartment) END,
            presumed = excluded.presumed OR s.presumed,
            deadline = coalesce(excluded.deadline, s.deadline),
            pickup_pass = CASE WHEN excluded.state IN ('expected', 'cancelled') THEN NULL
                ELSE coalesce(excluded.pickup_pass, s.pickup_pass) END,
            pickup_n = coalesce(excluded.pickup_n, s.pickup_n),
            pickup_digits = coalesce(excluded.pickup_digits, s.pickup_digits),
            pickup_generation = coalesce(excluded.pickup_generation, s.pickup_generation),
            drop_off_pass = coalesce(excluded.drop_off_pass, s.drop_off_pass),
            drop_off_n = coalesce(excluded.drop_off_n, s.drop_off_n),
            drop_off_digits = coalesce(excluded.drop_off_digits, s.drop_off_digits),
            drop_off_generation = coalesce(excluded.drop_off_generation, s.drop_off_generation),
            expected_at = coalesce(excluded.expected_at, s.expected_at),
            reserved_at = CASE WHEN excluded.state = 'expected' THEN NULL
                ELSE coalesce(excluded.reserved_at, s.reserved_at) END,
            deposited_at = coalesce(excluded.deposited_at, s.deposited_at),
            expired_at = coalesce(excluded.expired_at, s.expired_at),
            ended_at = excluded.ended_at,
            epoch = excluded.epoch,
            seq = excluded.seq
        WHERE s.bank = excluded.bank AND (s.seq IS NULL OR (s.epoch, s.seq) < (excluded.epoch, excluded.seq));

        UPDATE stays s SET
            state = coalesce(r.state, s.state),
            reason = CASE WHEN r.state IS NULL THEN s.reason ELSE r.reason END,
            compartment = CASE WHEN r.state IN ('expected', 'cancelled') THEN NULL ELSE s.compartment END,
            pickup_pass = CASE WHEN r.state IN ('expected', 'cancelled') THEN NULL ELSE s.pickup_pass END,
            drop_off_pass = coalesce(r.drop_off_pass, s.drop_off_pass),
            drop_off_n = coalesce(r.drop_off_n, s.drop_off_n),
            drop_off_digits = coalesce(r.drop_off_digits, s.drop_off_digits),
            drop_off_generation = coalesce(r.drop_off_generation, s.drop_off_generation),
            reserved_at = CASE WHEN r.state = 'expected' THEN NULL ELSE s.reserved_at END,
            expired_at = coalesce(r.expired_at, s.expired_at),
            ended_at = CASE WHEN r.state IS NULL THEN s.ended_at ELSE r.ended_at END,
            epoch = r.epoch,
            seq = r.seq
        FROM unnest(_stays) r
        WHERE r.service IS NULL AND s.id = r.id AND s.bank = r.bank
            AND (s.seq IS NULL OR (s.epoch, s.seq) < (r.epoch, r.seq))
            AND (_all OR r.bank = ANY (_good));
    END IF;

    INSERT INTO stay_entries (stay, bank, epoch, seq)
    SELECT r.stay, r.bank, r.epoch, r.seq
    FROM unnest(_stay_entries) r
    WHERE _all OR r.bank = ANY (_good)
    ON CONFLICT DO NOTHING;

    UPDATE compartments c SET
        state = coalesce(r.state, c.state),
        why = CASE WHEN r.state IS NULL THEN c.why ELSE r.why END,
        door = coalesce(r.door, c.door),
        claim = CASE WHEN r.claim IS NULL THEN c.claim ELSE nullif(r.claim, '') END,
        stay = CASE WHEN r.stay IS NULL THEN c.stay ELSE nullif(r.stay, '') END,
        epoch = r.epoch,
        seq = r.seq
    FROM unnest(_compartments) r
    WHERE c.bank = r.bank AND c.id = r.id AND (c.epoch, c.seq) < (r.epoch, r.seq) AND (_all OR r.bank = ANY (_good));

    IF cardinality(_openings) > 0 THEN
        INSERT INTO openings (
            id, bank, compartment, purpose, state, reason, why, by, instruction, pass, claim, stay, attempts,
            wanted_at, unlocked_at, opened_at, closed_at, epoch, seq
        )
        SELECT
            r.id, r.bank, r.compartment, r.purpose, r.state, r.reason, r.why, r.by, r.instruction, r.pass, r.claim,
            r.stay, coalesce(r.attempts, 0), r.wanted_at, r.unlocked_at, r.opened_at, r.closed_at, r.epoch, r.seq
        FROM unnest(_openings) r
        WHERE r.purpose IS NOT NULL AND (_all OR r.bank = ANY (_good))
        ON CONFLICT DO NOTHING;

        UPDATE openings o SET
            state = r.state,
            why = r.why,
            attempts = coalesce(r.attempts, o.attempts),
            unlocked_at = coalesce(r.unlocked_at, o.unlocked_at),
            opened_at = coalesce(r.opened_at, o.opened_at),
            closed_at = coalesce(r.closed_at, o.closed_at),
            epoch = r.epoch,
            seq = r.seq
        FROM unnest(_openings) r
        WHERE r.purpose IS NULL AND o.id = r.id AND o.bank = r.bank AND (o.epoch, o.seq) < (r.epoch, r.seq)
            AND (_all OR r.bank = ANY (_good));
    END IF;

    IF cardinality(_passes) > 0 THEN
        INSERT INTO passes AS p (id, bank, role, party, n, digits, generation, valid_until, state, epoch, seq)
        SELECT r.id, r.bank, r.role, r.party, r.n, r.digits, r.generation, r.valid_until, r.state, r.epoch, r.seq
        FROM unnest(_passes) r
        WHERE r.role IS NOT NULL AND (_all OR r.bank = ANY (_good))
        ON CONFLICT (id) DO UPDATE SET
            n = excluded.n, digits = excluded.digits, generation = excluded.generation,
            valid_until = excluded.valid_until, state = excluded.state, epoch = excluded.epoch, seq = excluded.seq
        WHERE p.bank = excluded.bank AND (p.seq IS NULL OR (p.epoch, p.seq) < (excluded.epoch, excluded.seq));
        UPDATE passes p SET state = r.state, epoch = r.epoch, seq = r.seq
        FROM unnest(_passes) r
        WHERE r.role IS NULL AND p.id = r.id AND p.bank = r.bank
            AND (p.seq IS NULL OR (p.epoch, p.seq) < (r.epoch, r.seq))
            AND (_all OR r.bank = ANY (_good));
    END IF;

    IF cardinality(_answers) > 0 THEN
        WITH answered AS (
            UPDATE instructions i SET
                state = CASE WHEN i.state = 'void' THEN 'void' WHEN r.refusal IS NULL THEN 'done' ELSE 'refused' END,
                refusal = r.refusal,
                answered_at = r.at
            FROM unnest(_answers) r
            WHERE i.id = r.id AND i.bank = r.bank AND (_all OR r.bank = ANY (_good))
            RETURNING i.id, i.bank, i.sha256 <> r.sha256 OR i.number <> r.number AS differs, r.epoch, r.seq, r.heard_at
        )
        INSERT INTO tasks (id, bank, kind, about, epoch, seq, opened_at)
        SELECT notice_id(a.bank, a.epoch, a.seq, a.id, 'instruction_mismatch'),
            a.bank, 'instruction_mismatch', a.id, a.epoch, a.seq, a.heard_at
        FROM answered a WHERE a.differs
        ON CONFLICT DO NOTHING;

        -- A server restored from a backup learns from the answers what it had asked.
        INSERT INTO instructions (id, organisation, bank, number, sha256, state, refusal, about, asked_at, answered_at)
        SELECT
            r.id, r.organisation, r.bank, r.number, r.sha256,
            CASE WHEN r.refusal IS NULL THEN 'done' ELSE 'refused' END, r.refusal, r.about, r.at, r.at
        FROM unnest(_answers) r
        WHERE (_all OR r.bank = ANY (_good)) AND NOT EXISTS (SELECT FROM instructions i WHERE i.id = r.id)
        ON CONFLICT DO NOTHING;

        IF EXISTS (SELECT FROM unnest(_answers) r WHERE r.refusal IS NOT NULL) THEN
            -- The thing was there already, under an id of the bank's: that stay is the one to show.
            UPDATE stays s SET
                linked_to = r.about, reason = r.refusal
            FROM unnest(_answers) r JOIN instructions i ON i.id = r.id AND i.bank = r.bank
            WHERE s.id = i.about AND s.bank = r.bank AND s.seq IS NULL AND i.kind = 'Expect'
                AND r.refusal = 'already_here' AND r.about <> i.about AND (_all OR r.bank = ANY (_good));
            UPDATE stays held SET tracking = asked.tracking
            FROM unnest(_answers) r
                JOIN instructions i ON i.id = r.id AND i.bank = r.bank
                JOIN stays asked ON asked.id = i.about AND asked.bank = r.bank AND asked.linked_to = r.about
            WHERE held.id = r.about AND held.bank = r.bank AND held.tracking IS NULL
                AND (_all OR r.bank = ANY (_good));

            UPDATE stays s SET
                state = 'exception', reason = r.refusal, ended_at = r.at
            FROM unnest(_answers) r JOIN instructions i ON i.id = r.id AND i.bank = r.bank
            WHERE s.id = i.about AND s.bank = r.bank AND s.seq IS NULL AND s.linked_to IS NULL AND i.kind = 'Expect'
                AND r.refusal IS NOT NULL AND (_all OR r.bank = ANY (_good));
            UPDATE passes p SET state = 'refused'
            FROM unnest(_answers) r JOIN instructions i ON i.id = r.id AND i.bank = r.bank
            WHERE p.id = i.about AND p.bank = r.bank AND p.state = 'asked' AND i.kind = 'GrantPass'
                AND r.refusal IS NOT NULL AND (_all OR r.bank = ANY (_good));
        END IF;
    END IF;

    IF cardinality(_notices) > 0 THEN
        INSERT INTO outbox (id, kind, stay, person, bank, epoch, seq, due_at)
        SELECT
            notice_id(r.bank, r.epoch, r.seq, s.recipient, r.kind),
            r.kind, r.stay, s.recipient, r.bank, r.epoch, r.seq, r.due_at
        FROM unnest(_notices) r JOIN stays s ON s.id = r.stay AND s.bank = r.bank
        WHERE s.recipient IS NOT NULL AND (_all OR r.bank = ANY (_good))
        ON CONFLICT DO NOTHING;
    END IF;

    -- First what is settled, then what is new: a task of the same kind may follow in the same batch.
    IF cardinality(_checked) > 0 THEN
        UPDATE tasks t SET closed_at = r.at
        FROM unnest(_checked) r
        WHERE t.bank = r.bank AND t.about = r.compartment AND t.closed_at IS NULL
            AND t.kind = ANY (r.kinds) AND (t.epoch, t.seq) < (r.epoch, r.seq)
            AND (_all OR r.bank = ANY (_good));
    END IF;

    IF cardinality(_tasks) > 0 THEN
        INSERT INTO tasks (id, bank, kind, about, detail, epoch, seq, opened_at, closed_at)
        SELECT r.id, r.bank, r.kind, r.about, r.detail, r.epoch, r.seq, r.opened_at, r.closed_at
        FROM unnest(_tasks) r
        WHERE _all OR r.bank = ANY (_good)
        ON CONFLICT DO NOTHING;
    END IF;

    RETURN _statuses;
END
$$;

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

-- Announces many stays at once: each a stay that is only asked for yet, and the instruction that asks. In one call at
-- most one announcement per idempotency key. Outcomes, in the order of the operations: created; replayed, with the
-- answer given then; conflict (that key came with another request); unknown_bank, unknown_party, unknown_recipient.
CREATE FUNCTION announce_stays(
    _announcements announcement[], OUT outcomes text[], OUT statuses int[], OUT responses bytea[]
)
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
    _faults text[];
    _fresh  text[];
BEGIN
    SELECT array_agg(CASE
        WHEN b.id IS NULL THEN 'unknown_bank'
        WHEN a.party IS NOT NULL AND y.id IS NULL THEN 'unknown_party'
        WHEN a.recipient IS NOT NULL AND p.id IS NULL THEN 'unknown_recipient'
        END ORDER BY a.ordinality)
    INTO _faults
    FROM unnest(_announcements) WITH ORDINALITY a
    LEFT JOIN banks b ON b.id = a.bank AND b.organisation = a.organisation
    LEFT JOIN parties y ON y.id = a.party AND y.organisation = a.organisation
    LEFT JOIN people p ON p.id = a.recipient AND p.organisation = a.organisation;

    -- The key's row decides, by constraint: of two that race, the second waits here for the first to commit. Ordered,
    -- so that two batches never wait for each other.
    WITH taken AS (
        INSERT INTO idempotency (organisation, key, request_hash, status, response, created_at)
        SELECT a.organisation, a.idempotency_key, a.request_hash, a.response_status, a.response, a.at
        FROM unnest(_announcements) WITH ORDINALITY a
        WHERE a.idempotency_key IS NOT NULL AND _faults[a.ordinality] IS NULL
        ORDER BY a.organisation, a.idempotency_key
        ON CONFLICT DO NOTHING
        RETURNING organisation || ' ' || key AS whole
    )
    SELECT coalesce(array_agg(whole), '{}') INTO _fresh FROM taken;

    SELECT
        array_agg(judged.outcome ORDER BY judged.n),
        array_agg(CASE WHEN judged.outcome = 'replayed' THEN judged.status END ORDER BY judged.n),
        array_agg(CASE WHEN judged.outcome = 'replayed' THEN judged.response END ORDER BY judged.n)
    INTO outcomes, statuses, responses
    FROM (
        SELECT a.ordinality AS n, i.status, i.response, CASE
            WHEN _faults[a.ordinality] IS NOT NULL THEN _faults[a.ordinality]
            WHEN a.idempotency_key IS NULL OR a.organisation || ' ' || a.idempotency_key = ANY (_fresh) THEN 'created'
            WHEN i.request_hash = a.request_hash THEN 'replayed'
            ELSE 'conflict'
        END AS outcome
        FROM unnest(_announcements) WITH ORDINALITY a
        LEFT JOIN idempotency i ON i.organisation = a.organisation AND i.key = a.idempotency_key
            AND cardinality(_fresh) < cardinality(_announcements)
    ) judged;

    INSERT INTO stays (
        id, organisation, bank, service, party, thing, recipient, label, tracking, width_mm, height_mm, depth_mm,
        state, announced, drop_off_pass, asked_at
    )
    SELECT
        a.stay, a.organisation, a.bank, a.service, a.party, a.thing, a.recipient, a.label, a.tracking,
        a.width_mm, a.height_mm, a.depth_mm, 'expected', true, a.drop_off_pass, a.at
    FROM unnest(_announcements) WITH ORDINALITY a
    WHERE outcomes[a.ordinality] = 'created';

    INSERT INTO instructions (id, organisation, bank, kind, body, sha256, about, asked_by, asked_at)
    SELECT
        a.instruction, a.organisation, a.bank, 'Expect', a.instruction_body, a.instruction_sha256, a.stay, a.asked_by,
        a.at
    FROM unnest(_announcements) WITH ORDINALITY a
    WHERE outcomes[a.ordinality] = 'created';
END
$$;

-- What goes down to a bank now, in order: numbers are given here, under the bank's row lock, and never again. Nothing
-- where no instruction is due: new, last sent in another session, or unanswered since `_resend_before`.
CREATE FUNCTION send_orders(
    _bank text, _session bigint, _now timestamptz, _resend_before timestamptz, _limit int
) RETURNS TABLE (id text, number int, body bytea, void bool)
LANGUAGE plpgsql
AS $$
DECLARE
    _last int;
BEGIN
    SELECT b.orders_last INTO _last FROM banks b
    WHERE b.id = _bank AND b.session = _session AND b.divided IS NULL AND b.key_revoked_at IS NULL
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF NOT EXISTS (
        SELECT FROM instructions i
        WHERE i.bank = _bank AND i.answered_at IS NULL
            AND (i.number IS NULL OR i.sent_session IS DISTINCT FROM _session OR i.sent_at < _resend_before)
    ) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH chosen AS (
        SELECT i.id AS chosen_id, i.number AS had, i.ordinal,
            row_number() OVER (PARTITION BY i.number IS NULL ORDER BY i.ordinal) AS place
        FROM instructions i
        WHERE i.bank = _bank AND i.answered_at IS NULL
        ORDER BY i.number NULLS LAST, i.ordinal
        LIMIT _limit
    ), sent AS (
        UPDATE instructions i SET
            number = coalesce(c.had, _last + c.place::int),
            state = CASE WHEN i.state = 'asked' AND i.not_after <= _now THEN 'void'
                WHEN i.state = 'asked' THEN 'sent' ELSE i.state END,
            sent_at = _now, sent_session = _session
        FROM chosen c
        WHERE i.id = c.chosen_id
        RETURNING i.id, i.number, i.body, i.state = 'void' AS void
    ), counted AS (
        UPDATE banks b SET orders_last = greatest(b.orders_last, (SELECT max(s.number) FROM sent s))
        WHERE b.id = _bank
    )
    SELECT s.id, s.number, s.body, s.void FROM sent s ORDER BY s.number;
END
$$;
