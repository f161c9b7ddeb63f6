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
