-- What is asked twice is asked once; who waits for room keeps a place; what could not be told is told once.

-- Before then nothing is offered again to whoever waits: the wall had no room although it looked so.
ALTER TABLE waiting ADD COLUMN again_at timestamptz NOT NULL DEFAULT '-infinity';

-- Counts the soft reservations ever made, so that two that race for the last room cannot both have it.
ALTER TABLE banks ADD COLUMN softs int NOT NULL DEFAULT 0;

-- Up to when the recipient was reminded: of several reminders the last one that was due.
ALTER TABLE stays ADD COLUMN reminded_to timestamptz;
CREATE INDEX stays_deadline ON stays (deadline) WHERE ended_at IS NULL AND state = 'deposited';

ALTER TABLE delegates ADD COLUMN told_at timestamptz;
CREATE INDEX delegates_untold ON delegates (until) WHERE told_at IS NULL AND email IS NOT NULL;

-- Asks something of a stay's bank, or finds the same question: of the same id, or with no answer yet. Nothing where the
-- stay is another organisation's.
CREATE FUNCTION ask_once(
    _id text, _organisation text, _stay text, _kind text, _body bytea, _sha256 text, _at timestamptz, _by text
) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    _bank  text;
    _asked text;
BEGIN
    -- Of two that ask at once the second waits here, and then sees what the first one asked.
    SELECT s.bank INTO _bank FROM stays s WHERE s.id = _stay AND s.organisation = _organisation FOR NO KEY UPDATE;
    SELECT i.id INTO _asked FROM instructions i
    WHERE i.id = _id OR (i.about = _stay AND i.bank = _bank AND i.sha256 = _sha256 AND i.answered_at IS NULL)
    LIMIT 1;
    IF _asked IS NULL AND _bank IS NOT NULL THEN
        INSERT INTO instructions (id, organisation, bank, kind, body, sha256, about, asked_at, asked_by)
        VALUES (_id, _organisation, _bank, _kind, _body, _sha256, _stay, _at, _by)
        RETURNING id INTO _asked;
    END IF;
    RETURN _asked;
END
$$;

-- `wait_minutes`: with a place in the queue should there be no room; an offer is then kept so long. `reserve_until`: so
-- long the room is kept that is asked for now.
ALTER TYPE announcement ADD ATTRIBUTE in_reach bool, ADD ATTRIBUTE wait_minutes int,
    ADD ATTRIBUTE reserve_until timestamptz;

-- As in 0001, with the attributes above.
CREATE OR REPLACE FUNCTION announce_stays(
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
