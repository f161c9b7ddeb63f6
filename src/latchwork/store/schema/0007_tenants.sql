-- Organisations are kept apart by the database itself. The roles stand in store/roles.sql, and what they are for in
-- store/roles.py.
--
-- Every table says here whose its rows are, once: SELECT keep_apart('table', 'condition').

-- Who the transaction acts for: pages and API set it locally. Nobody, unless they did; for a party see acting_party.
CREATE FUNCTION tenant() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN coalesce(current_setting('latchwork.party', true), '') = ''
    THEN nullif(current_setting('latchwork.organisation', true), '') END;

-- Pages and API see the rows for which `_whose` holds, and may do `_verbs` to them; without `_whose` they see nothing.
-- What the server does for all organisations, and the batch functions, see every row.
CREATE FUNCTION keep_apart(
    _table regclass, _whose text, _verbs text DEFAULT 'SELECT, INSERT, UPDATE, DELETE'
) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', _table);
    EXECUTE format('CREATE POLICY house ON %s TO latchwork_house, latchwork_batches USING (true)', _table);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO latchwork_house, latchwork_batches', _table);
    IF _whose IS NOT NULL THEN
        EXECUTE format('CREATE POLICY tenant ON %s TO latchwork_pages USING (%s)', _table, _whose);
        EXECUTE format('GRANT %s ON %s TO latchwork_pages', _verbs, _table);
    END IF;
END
$$;

-- Says which mark our master secret leaves: no tenant's, and only the server itself reads it.
SELECT keep_apart('installation', NULL);
-- Made with their first token by somebody who is not of them yet: the server itself does it.
SELECT keep_apart('organisations', 'id = (SELECT tenant())', 'SELECT, UPDATE');

SELECT keep_apart(name::regclass, 'organisation = (SELECT tenant())') FROM unnest(ARRAY[
    'sites', 'banks', 'parties', 'people', 'tokens', 'idempotency', 'instructions', 'stays', 'waiting', 'redirects',
    'soft_reservations'
]) name;

-- A bank's things are its organisation's.
SELECT keep_apart(
    name::regclass, 'EXISTS (SELECT FROM banks b WHERE b.id = bank AND b.organisation = (SELECT tenant()))'
) FROM unnest(ARRAY['enrolments', 'services', 'documents', 'passes', 'outbox', 'tasks', 'partings']) name;

-- Of what banks wrote, and of what is computed from it, pages change nothing.
SELECT keep_apart(
    name::regclass, 'EXISTS (SELECT FROM banks b WHERE b.id = bank AND b.organisation = (SELECT tenant()))', 'SELECT'
) FROM unnest(ARRAY['entries', 'stay_entries', 'compartments', 'openings', 'checkpoints', 'strays']) name;

SELECT keep_apart(
    'delegates', 'EXISTS (SELECT FROM stays s WHERE s.id = stay AND s.organisation = (SELECT tenant()))'
);

-- As in 0001, and only for the organisation whose bank it is.
DROP FUNCTION send_orders(text, bigint, timestamptz, timestamptz, int);
CREATE FUNCTION send_orders(
    _organisation text, _bank text, _session bigint, _now timestamptz, _resend_before timestamptz, _limit int
) RETURNS TABLE (id text, number int, body bytea, void bool)
LANGUAGE plpgsql
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

-- The batch functions run with the rights of their owner, who owns nothing else; lanes may call them and nothing more.
GRANT CREATE ON SCHEMA public TO latchwork_batches;
DO $$
DECLARE
    _function regprocedure;
BEGIN
    FOR _function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proname IN ('append_entries', 'announce_stays', 'send_orders')
    LOOP
        EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = public, pg_temp', _function);
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', _function);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO latchwork_lanes', _function);
        EXECUTE format('ALTER FUNCTION %s OWNER TO latchwork_batches', _function);
    END LOOP;
END
$$;
REVOKE CREATE ON SCHEMA public FROM latchwork_batches;
