-- What banks signed of their logs, with our countersignature: the newest of each log, which proves every entry in it.

CREATE TABLE checkpoints (
    bank      text COLLATE "C" NOT NULL,
    epoch     int NOT NULL,
    size      bigint NOT NULL,
    -- The device key that signed it: the bank may have another by now.
    key       bytea NOT NULL,
    -- A signed note: the bank's signature by its device key, and the witness's, which is ours.
    note      bytea NOT NULL,
    signed_at timestamptz NOT NULL,
    PRIMARY KEY (bank, epoch)
) WITH (fillfactor = 50);
