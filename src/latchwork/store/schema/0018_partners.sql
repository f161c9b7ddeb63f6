-- What carriers and shops say of returns: a rule, and where each is asked. See actions/partners.py.
ALTER TABLE parties
    ADD COLUMN rule jsonb NOT NULL DEFAULT '{}',
    -- Encrypted under the master secret.
    ADD COLUMN ask_secret bytea;
