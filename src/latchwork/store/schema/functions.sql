-- The functions of the hot path. This file is applied whole after the migrations, whenever it has changed: a function is
-- changed here, in its place, and never in a migration.
--
-- A function that takes a batch takes it as arrays of the types of 0001, which migrations extend, and answers per
-- operation. An expected no is a status and never an exception, which would take the rest of the batch with it.
--
-- The planner is told to look rows up by key: it plans while the tables are young and small, and keeps the plan.

DROP FUNCTION IF EXISTS append_entries, project_rows, follow_rows, announce_stays, send_orders, newest_generation;

-- Appends to many banks' logs at once, at most once per bank. Statuses: ok, unknown_bank (or another organisation's),
-- divided, stale_session (a newer connection of the bank speaks), moved (the log is not where the operation thought).
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
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
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

    _good := CASE WHEN NOT _all THEN _good END;
    PERFORM project_rows(
        _good, _stays, _stay_entries, _fittings, _removed, _compartments, _openings, _passes, _tasks, _checked
    );
    IF cardinality(_answers) + cardinality(_notices) > 0 THEN
        PERFORM follow_rows(_good, _answers, _notices);
    END IF;
    RETURN _statuses;
END
$$;

-- What entries make of the rows that are projections: the same rows each time, so that `latchwork reproject` calls it
-- once more, with a search path on which empty tables come first. `_good`: only these banks' rows; NULL: all.
CREATE FUNCTION project_rows(
    _good         text[],
    _stays        stay_row[],
    _stay_entries stay_entry_row[],
    _fittings     fitting_row[],
    _removed      removed_row[],
    _compartments compartment_row[],
    _openings     opening_row[],
    _passes       pass_row[],
    _tasks        task_row[],
    _checked      checked_row[]
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    _all bool := _good IS NULL;
BEGIN
    IF cardinality(_removed) > 0 THEN
        DELETE FROM compartments c USING unnest(_removed) r
        WHERE c.bank = r.bank AND c.id = r.id AND (_all OR r.bank = ANY (_good));
    END IF;

    IF cardinality(_fittings) > 0 THEN
        INSERT INTO compartments AS c (
            bank, id, width_mm, height_mm, depth_mm, climate, reach_mm, gate, shelf, behind, epoch, seq
        )
        SELECT
            r.bank, r.id, r.width_mm, r.height_mm, r.depth_mm, r.climate, r.reach_mm, r.gate, r.shelf, r.behind, r.epoch,
            r.seq
        FROM unnest(_fittings) r
        WHERE _all OR r.bank = ANY (_good)
        ON CONFLICT (bank, id) DO UPDATE SET
            width_mm = excluded.width_mm, height_mm = excluded.height_mm, depth_mm = excluded.depth_mm,
            climate = excluded.climate, reach_mm = excluded.reach_mm,
            gate = excluded.gate, shelf = excluded.shelf, behind = excluded.behind;
    END IF;

    IF cardinality(_stays) > 0 THEN
        INSERT INTO stays (
            id, organisation, bank, service, party, thing, recipient, label, width_mm, height_mm, depth_mm,
            state, reason, compartment, announced, presumed, deadline,
            pickup_pass, pickup_n, pickup_digits, pickup_generation,
            drop_off_pass, drop_off_n, drop_off_digits, drop_off_generation,
            expected_at, reserved_at, deposited_at, expired_at, ended_at, in_reach, fallback, epoch, seq
        )
        SELECT
            r.id, r.organisation, r.bank, r.service, r.party, r.thing, r.recipient, r.label,
            r.width_mm, r.height_mm, r.depth_mm, r.state, r.reason, nullif(r.compartment, ''),
            coalesce(r.announced, false), coalesce(r.presumed, false), nullif(r.deadline, '-infinity'),
            nullif(r.pickup_pass, ''), r.pickup_n, r.pickup_digits, r.pickup_generation,
            r.drop_off_pass, r.drop_off_n, r.drop_off_digits, r.drop_off_generation,
            r.expected_at, nullif(r.reserved_at, '-infinity'), r.deposited_at, r.expired_at, r.ended_at,
            coalesce(r.in_reach, false), r.fallback, r.epoch, r.seq
        FROM unnest(_stays) r
        WHERE r.service IS NOT NULL AND (_all OR r.bank = ANY (_good))
        ON CONFLICT DO NOTHING;

        -- What it is about never changes, so those columns stay; only its recipient may be put right.
        UPDATE stays s SET
            recipient = coalesce(r.recipient, s.recipient),
            state = coalesce(r.state, s.state),
            reason = CASE WHEN r.state IS NULL THEN s.reason ELSE r.reason END,
            fallback = coalesce(r.fallback, s.fallback),
            compartment = nullif(coalesce(r.compartment, s.compartment), ''),
            presumed = coalesce(r.presumed, s.presumed),
            deadline = nullif(coalesce(r.deadline, s.deadline), '-infinity'),
            pickup_pass = nullif(coalesce(r.pickup_pass, s.pickup_pass), ''),
            pickup_n = coalesce(r.pickup_n, s.pickup_n),
            pickup_digits = coalesce(r.pickup_digits, s.pickup_digits),
            pickup_generation = coalesce(r.pickup_generation, s.pickup_generation),
            drop_off_pass = coalesce(r.drop_off_pass, s.drop_off_pass),
            drop_off_n = coalesce(r.drop_off_n, s.drop_off_n),
            drop_off_digits = coalesce(r.drop_off_digits, s.drop_off_digits),
            drop_off_generation = coalesce(r.drop_off_generation, s.drop_off_generation),
            expected_at = coalesce(r.expected_at, s.expected_at),
            reserved_at = nullif(coalesce(r.reserved_at, s.reserved_at), '-infinity'),
            deposited_at = coalesce(r.deposited_at, s.deposited_at),
            expired_at = coalesce(r.expired_at, s.expired_at),
            ended_at = CASE WHEN r.state IS NULL THEN s.ended_at ELSE r.ended_at END,
            epoch = r.epoch,
            seq = r.seq
        FROM unnest(_stays) r
        WHERE s.id = r.id AND s.bank = r.bank AND (s.seq IS NULL OR (s.epoch, s.seq) < (r.epoch, r.seq))
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
        looked_at = coalesce(r.looked_at, c.looked_at),
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
        INSERT INTO passes AS p (
            id, bank, role, party, n, digits, generation, valid_until, state, stay, recipient, daily, epoch, seq
        )
        SELECT
            r.id, r.bank, r.role, r.party, r.n, r.digits, r.generation, r.valid_until, r.state, r.stay, r.recipient,
            coalesce(r.daily, false), r.epoch, r.seq
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
END
$$;

-- What follows from entries once: instructions are answered, and what was only asked for ends with them; people are to
-- be told.
CREATE FUNCTION follow_rows(_good text[], _answers answer_row[], _notices notice_row[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    _all bool := _good IS NULL;
BEGIN
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
                AND NOT EXISTS (SELECT FROM waiting w WHERE w.stay = s.id)  -- it is queued for room, and not lost
                AND r.refusal IS NOT NULL AND (_all OR r.bank = ANY (_good));
            -- Kept from somebody who had taken it out, or stood at its open door, before the wall heard of it.
            INSERT INTO tasks (id, bank, kind, about, detail, epoch, seq, opened_at)
            SELECT notice_id(i.bank, r.epoch, r.seq, i.id, 'too_late'), i.bank, 'too_late', s.id,
                CASE WHEN x.asked ->> 'recipient' IS NULL THEN 'on hold' ELSE 'for somebody else' END, r.epoch, r.seq, r.heard_at
            FROM unnest(_answers) r
                JOIN instructions i ON i.id = r.id AND i.bank = r.bank AND i.kind = 'Amend'
                JOIN stays s ON s.id = i.about AND s.bank = i.bank,
                LATERAL (SELECT convert_from(i.body, 'UTF8')::jsonb -> 'Amend' AS asked) x
            WHERE (x.asked ->> 'recipient' IS NOT NULL OR x.asked ->> 'blocked' = 'true')
                AND (r.refusal = 'busy' OR (r.refusal = 'parcel_not_available' AND s.ended_at IS NOT NULL))
                AND (_all OR r.bank = ANY (_good))
            ON CONFLICT DO NOTHING;
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
END
$$;

-- Announces many stays at once: each a stay that is only asked for yet, and the instruction that asks. In one call at
-- most one announcement per idempotency key. Outcomes, in the order of the operations: created; replayed, with the
-- answer given then; conflict (that key came with another request); unknown_bank, unknown_party, unknown_recipient.
--
-- An organisation names its own parties and those it admitted there, a party only itself, at a wall that it is admitted
-- to; and each its own people.
CREATE FUNCTION announce_stays(
    _announcements announcement[], OUT outcomes text[], OUT statuses int[], OUT responses bytea[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
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

-- What goes down to a bank now, in order: numbers are given here, under the bank's row lock, and never again. Nothing
-- where no instruction is due: new, last sent in another session, or unanswered since `_resend_before`. What waits for a
-- signature is not sent; what came too late for one goes down as void.
CREATE FUNCTION send_orders(
    _organisation text, _bank text, _session bigint, _now timestamptz, _resend_before timestamptz, _limit int
) RETURNS TABLE (id text, number int, body bytea, void bool)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
    _last int;
BEGIN
    SELECT b.orders_last INTO _last FROM banks b
    WHERE b.id = _bank AND b.organisation = _organisation AND b.session = _session AND b.divided IS NULL
        AND b.key_revoked_at IS NULL
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF NOT EXISTS (
        SELECT FROM instructions i
        WHERE i.bank = _bank AND i.answered_at IS NULL AND NOT (i.unsigned AND coalesce(i.not_after > _now, true))
            AND (i.number IS NULL OR i.sent_session IS DISTINCT FROM _session OR i.sent_at < _resend_before)
    ) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH chosen AS (
        SELECT i.id AS chosen_id, i.number AS had, i.ordinal,
            row_number() OVER (PARTITION BY i.number IS NULL ORDER BY i.ordinal) AS place
        FROM instructions i
        WHERE i.bank = _bank AND i.answered_at IS NULL AND NOT (i.unsigned AND coalesce(i.not_after > _now, true))
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

-- Of a wall's code keys the newest that it has: by its enrolment, or sent to it since.
CREATE FUNCTION newest_generation(_bank banks) RETURNS int LANGUAGE sql IMMUTABLE
AS $$ SELECT greatest(_bank.code_generation, (_bank.documents ->> 'code-keys')::int) $$;

-- They run with the rights of their owner, who owns nothing else; lanes may call them and nothing more.
REVOKE EXECUTE ON FUNCTION append_entries, project_rows, follow_rows, announce_stays, send_orders FROM PUBLIC;
GRANT EXECUTE ON FUNCTION project_rows, follow_rows TO latchwork_batches, latchwork_house;
GRANT EXECUTE ON FUNCTION append_entries, announce_stays, send_orders TO latchwork_lanes;
GRANT CREATE ON SCHEMA public TO latchwork_batches;
ALTER FUNCTION append_entries OWNER TO latchwork_batches;
ALTER FUNCTION announce_stays OWNER TO latchwork_batches;
ALTER FUNCTION send_orders OWNER TO latchwork_batches;
REVOKE CREATE ON SCHEMA public FROM latchwork_batches;
