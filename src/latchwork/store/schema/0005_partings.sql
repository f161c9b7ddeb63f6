-- Controllers whose log has parted from ours: what they showed, what of it is kept, and whether somebody said to go on.

CREATE TABLE partings (
    bank          text COLLATE "C" PRIMARY KEY REFERENCES banks,
    -- The log that the controller showed last.
    epoch         int NOT NULL,
    size          bigint NOT NULL,
    root          bytea NOT NULL,
    -- So many entries of it are ours as well; what follows is kept as strays.
    fork          bigint NOT NULL,
    -- A person has said that the controller with this device key shall go on from our log.
    confirmed_key bytea,
    confirmed_at  timestamptz,
    confirmed_by  text,
    -- Why the controller would not.
    refused       text
);

-- Entries that a bank wrote and that are not of its accepted log, as bytes: evidence, never read to be projected.
CREATE TABLE strays (
    bank     text COLLATE "C" NOT NULL,
    epoch    int NOT NULL,
    seq      bigint NOT NULL,
    -- Several branches may have parted at the same place.
    sha256   bytea NOT NULL,
    at       timestamptz NOT NULL,
    raw      bytea NOT NULL,
    heard_at timestamptz NOT NULL,
    PRIMARY KEY (bank, epoch, seq, sha256)
);
