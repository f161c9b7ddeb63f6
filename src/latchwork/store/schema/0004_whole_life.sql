-- The whole life of a parcel: services and policy as data, passes of persons, delegates, rooms that are asked for and
-- waited for, redirections, and tasks that people take.

ALTER TABLE people ADD COLUMN language text NOT NULL DEFAULT 'en', ADD COLUMN away_until timestamptz;

-- What a service says beside the columns it is asked by: the other fields of latchwork.domain.bank.Service.
ALTER TABLE services ADD COLUMN more jsonb NOT NULL DEFAULT '{}';
-- What a bank's policy says beside its services (set_aside, in_reach_kept, fallbacks), and the bank next to it.
ALTER TABLE banks ADD COLUMN policy jsonb NOT NULL DEFAULT '{}';
ALTER TABLE banks ADD COLUMN neighbour text COLLATE "C" REFERENCES banks;

ALTER TABLE stays ADD COLUMN in_reach bool NOT NULL DEFAULT false;
-- Where it went when it could not be delivered: a word of the bank's policy.
ALTER TABLE stays ADD COLUMN fallback text;
ALTER TYPE stay_row ADD ATTRIBUTE in_reach bool, ADD ATTRIBUTE fallback text;

ALTER TABLE compartments
    ADD COLUMN gate bool NOT NULL DEFAULT false, ADD COLUMN shelf bool NOT NULL DEFAULT false, ADD COLUMN behind text,
    -- When a person last said what is inside.
    ADD COLUMN looked_at timestamptz;
ALTER TYPE fitting_row ADD ATTRIBUTE gate bool, ADD ATTRIBUTE shelf bool, ADD ATTRIBUTE behind text;
ALTER TYPE compartment_row ADD ATTRIBUTE looked_at timestamptz;

-- A person's pass is for one stay (a delegate) or for all of a recipient's (a household, a card).
ALTER TABLE passes
    ADD COLUMN stay text COLLATE "C", ADD COLUMN recipient text COLLATE "C", ADD COLUMN daily bool NOT NULL DEFAULT false;
CREATE INDEX passes_stay ON passes (stay) WHERE stay IS NOT NULL;
ALTER TYPE pass_row ADD ATTRIBUTE stay text, ADD ATTRIBUTE recipient text, ADD ATTRIBUTE daily bool;

ALTER TABLE tasks
    ADD COLUMN taken_by text, ADD COLUMN taken_at timestamptz,
    -- Set where a person closed it, and not the wall.
    ADD COLUMN closed_by text, ADD COLUMN closed_why text;

-- Whom a recipient sends. Words of people: erased with the recipient.
CREATE TABLE delegates (
    pass      text COLLATE "C" PRIMARY KEY,
    stay      text COLLATE "C" NOT NULL,
    -- The stay's recipient then: given to somebody else, the stay has no delegates any more.
    recipient text COLLATE "C",
    name      text NOT NULL,
    email     text,
    until     timestamptz NOT NULL,
    asked_at  timestamptz NOT NULL
);
CREATE INDEX ON delegates (stay);

-- Stays that wait for room at a full bank, first come first. An offer is a reservation until `offered_until`.
CREATE TABLE waiting (
    stay          text COLLATE "C" PRIMARY KEY,
    organisation  text COLLATE "C" NOT NULL,
    bank          text COLLATE "C" NOT NULL,
    since         timestamptz NOT NULL,
    -- How long an offer holds, in minutes.
    minutes       int NOT NULL,
    asked_by      text,
    -- The instruction that asks the wall for room now; NULL while it only waits.
    instruction   text COLLATE "C",
    offered_until timestamptz
);
CREATE INDEX ON waiting (bank, since);

-- Things that go to another bank as soon as the first one no longer expects them.
CREATE TABLE redirects (
    stay         text COLLATE "C" PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL,
    bank         text COLLATE "C" NOT NULL,
    instruction  text COLLATE "C" NOT NULL,
    asked_by     text,
    asked_at     timestamptz NOT NULL,
    ended_at     timestamptz,
    refusal      text
);
CREATE INDEX redirects_open ON redirects (asked_at) WHERE ended_at IS NULL;

-- Room that somebody counts on for a while: no wall knows of it.
CREATE TABLE soft_reservations (
    id           text COLLATE "C" PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL,
    bank         text COLLATE "C" NOT NULL,
    service      text NOT NULL,
    width_mm     int,
    height_mm    int,
    depth_mm     int,
    in_reach     bool NOT NULL,
    made_at      timestamptz NOT NULL,
    until        timestamptz NOT NULL
);
CREATE INDEX ON soft_reservations (bank, until);
