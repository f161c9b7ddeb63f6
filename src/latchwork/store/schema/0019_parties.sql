-- Carriers and shops at walls that others run: a party sees its own stays on the walls it is admitted to, nothing else.
-- At the walls of the organisation that keeps it, a party is admitted anyway.

ALTER TABLE banks ADD UNIQUE (id, organisation);

CREATE TABLE admissions (
    bank         text COLLATE "C" NOT NULL,
    party        text COLLATE "C" NOT NULL REFERENCES parties,
    -- Whose bank it is.
    organisation text COLLATE "C" NOT NULL,
    admitted_at  timestamptz NOT NULL,
    admitted_by  text NOT NULL,
    PRIMARY KEY (bank, party),
    FOREIGN KEY (bank, organisation) REFERENCES banks (id, organisation)
);
CREATE INDEX ON admissions (party);

-- A party's own customers: nobody else's directory names them.
ALTER TABLE people ADD COLUMN party text COLLATE "C" REFERENCES parties;
CREATE INDEX people_party ON people (party) WHERE party IS NOT NULL;
CREATE INDEX stays_party ON stays (party) WHERE party IS NOT NULL;

-- The party that the transaction acts as; then it acts for no organisation (see tenant).
CREATE FUNCTION acting_party() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('latchwork.party', true), '');

SELECT keep_apart('admissions', 'organisation = (SELECT tenant())');
CREATE POLICY party ON admissions FOR SELECT TO latchwork_pages USING (party = (SELECT acting_party()));

-- An organisation also sees which parties it has admitted.
CREATE POLICY admitted ON parties FOR SELECT TO latchwork_pages
    USING (EXISTS (SELECT FROM admissions a WHERE a.party = parties.id AND a.organisation = (SELECT tenant())));
CREATE POLICY party ON parties FOR SELECT TO latchwork_pages USING (id = (SELECT acting_party()));

CREATE POLICY party ON banks FOR SELECT TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND (
        organisation = (SELECT y.organisation FROM parties y WHERE y.id = acting_party())
        OR EXISTS (SELECT FROM admissions a WHERE a.bank = banks.id AND a.party = (SELECT acting_party()))
    )
);
CREATE POLICY party ON sites FOR SELECT TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND EXISTS (SELECT FROM banks b WHERE b.site = sites.id)
);
CREATE POLICY party ON services FOR SELECT TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND EXISTS (SELECT FROM banks b WHERE b.id = services.bank)
);
CREATE POLICY party ON people TO latchwork_pages USING (party = (SELECT acting_party()));
CREATE POLICY party ON stays TO latchwork_pages USING (
    party = (SELECT acting_party()) AND EXISTS (SELECT FROM banks b WHERE b.id = stays.bank)
);
-- What is of a stay is the party's as the stay is.
CREATE POLICY party ON stay_entries FOR SELECT TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND EXISTS (SELECT FROM stays s WHERE s.id = stay_entries.stay)
);
CREATE POLICY party ON openings FOR SELECT TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND EXISTS (SELECT FROM stays s WHERE s.id = openings.stay)
);
CREATE POLICY party ON entries FOR SELECT TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND EXISTS (
        SELECT FROM stay_entries x WHERE (x.bank, x.epoch, x.seq) = (entries.bank, entries.epoch, entries.seq)
    )
);
CREATE INDEX stay_entries_entry ON stay_entries (bank, epoch, seq);
CREATE POLICY party ON instructions TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND EXISTS (SELECT FROM stays s WHERE s.id = instructions.about)
);
CREATE POLICY party ON waiting TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND EXISTS (SELECT FROM stays s WHERE s.id = waiting.stay)
);

-- For a usage statement: how large a compartment is, and nothing of what is in it.
CREATE FUNCTION size_of(_bank text, _compartment text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    SELECT concat_ws(' x ', width_mm, height_mm, depth_mm) || ' mm' FROM compartments
    WHERE bank = _bank AND id = _compartment
$$;
REVOKE EXECUTE ON FUNCTION size_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION size_of TO latchwork_pages;
GRANT CREATE ON SCHEMA public TO latchwork_batches;
ALTER FUNCTION size_of OWNER TO latchwork_batches;
REVOKE CREATE ON SCHEMA public FROM latchwork_batches;

-- `as_party`: who asks is this party, and nobody of the organisation.
ALTER TYPE announcement ADD ATTRIBUTE as_party text;

-- As in 0006: an organisation names its own parties and those it admitted there, a party only itself, at a wall that it
-- is admitted to; and each its own people.
CREATE OR REPLACE FUNCTION announce_stays(
    _announcements announcement[], OUT outcomes text[], OUT statuses int[], OUT responses bytea[]
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    _faults text[];
    _fresh  text[];
BEGIN
    SELECT array_agg(CASE
        WHEN b.id IS NULL THEN 'unknown_bank'
        WHEN coalesce(a.party, a.as_party) IS NOT NULL AND y.id IS NULL THEN 'unknown_party'
        WHEN a.recipient IS NOT NULL AND p.id IS NULL THEN 'unknown_recipient'
        END ORDER BY a.ordinality)
    INTO _faults
    FROM unnest(_announcements) WITH ORDINALITY a
    LEFT JOIN banks b ON b.id = a.bank AND b.organisation = a.organisation
    LEFT JOIN parties y ON y.id = a.party AND (a.as_party IS NULL OR a.as_party = y.id)
        AND (y.organisation = a.organisation OR EXISTS (
            SELECT FROM admissions x WHERE x.bank = a.bank AND x.party = y.id
        ))
    LEFT JOIN people p ON p.id = a.recipient
        AND (p.party = a.as_party OR (a.as_party IS NULL AND p.organisation = a.organisation));

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
        state, announced, drop_off_pass, asked_at, in_reach
    )
    SELECT
        a.stay, a.organisation, a.bank, a.service, a.party, a.thing, a.recipient, a.label, a.tracking,
        a.width_mm, a.height_mm, a.depth_mm, 'expected', true, a.drop_off_pass, a.at, coalesce(a.in_reach, false)
    FROM unnest(_announcements) WITH ORDINALITY a
    WHERE outcomes[a.ordinality] = 'created';

    INSERT INTO instructions (id, organisation, bank, kind, body, sha256, about, asked_by, asked_at)
    SELECT
        a.instruction, a.organisation, a.bank, 'Expect', a.instruction_body, a.instruction_sha256, a.stay, a.asked_by,
        a.at
    FROM unnest(_announcements) WITH ORDINALITY a
    WHERE outcomes[a.ordinality] = 'created';

    IF EXISTS (SELECT FROM unnest(_announcements) a WHERE a.wait_minutes IS NOT NULL) THEN
        INSERT INTO waiting (stay, organisation, bank, since, minutes, asked_by, instruction, offered_until)
        SELECT a.stay, a.organisation, a.bank, a.at, a.wait_minutes, a.asked_by, a.instruction, a.reserve_until
        FROM unnest(_announcements) WITH ORDINALITY a
        WHERE outcomes[a.ordinality] = 'created' AND a.wait_minutes IS NOT NULL;
    END IF;
END
$$;
