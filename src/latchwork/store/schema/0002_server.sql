-- What the server's own pages and interfaces need beside the log: services as asked for, a first token, dead letters.

-- One row: tells another installation's master secret from ours before a wrong code is ever mailed.
CREATE TABLE installation (
    single     bool PRIMARY KEY DEFAULT true CHECK (single),
    -- A keyed hash under the master secret, which itself is never in a row.
    master_mac bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Made at the first start; may create organisations.
ALTER TABLE tokens ADD COLUMN root bool NOT NULL DEFAULT false;

-- The version of the policy asked for last; `policy_version` is what the wall said it adopted.
ALTER TABLE banks ADD COLUMN policy_asked int NOT NULL DEFAULT 0;

CREATE TABLE services (
    bank             text COLLATE "C" NOT NULL REFERENCES banks,
    id               text COLLATE "C" NOT NULL,
    deposit_by       text NOT NULL,
    collect_by       text NOT NULL,
    pickup_hours_max int NOT NULL,
    PRIMARY KEY (bank, id)
);
