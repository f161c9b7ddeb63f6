-- Since when somebody has what they prove themselves with: after a restore, what was replaced since is not believed.

ALTER TABLE accounts
    ADD COLUMN password_at timestamptz,
    -- The highest secret of an authenticator app that was ever given out: none is given out twice.
    ADD COLUMN app_last int NOT NULL DEFAULT 0,
    ADD COLUMN app_at timestamptz,
    ADD COLUMN recovery_at timestamptz;
UPDATE accounts SET app_last = coalesce(app, 0);
