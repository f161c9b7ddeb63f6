-- What the simulator asks of a database that is its own: to be empty, to know a few people, and what its checkers read.

-- name: empty
-- Every row of every table but the record of migrations. For a database that was made to be thrown away.
DO $$
DECLARE
    _table text;
BEGIN
    FOR _table IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migration' LOOP
        EXECUTE format('TRUNCATE %I CASCADE', _table);
    END LOOP;
END
$$

-- name: bank
INSERT INTO banks (id, organisation, site, name, device_key) VALUES ($1, $2, $3, left($1, 4), $4)

-- name: head
SELECT epoch, size, root, divided FROM banks WHERE id = $1

-- name: log
SELECT raw FROM entries WHERE bank = $1 AND epoch = 1 AND seq >= $2 ORDER BY seq

-- name: stay
SELECT state, pickup_pass, pickup_n, pickup_digits, drop_off_pass, drop_off_n, drop_off_digits FROM stays WHERE id = $1

-- name: stays_of
SELECT id, state FROM stays WHERE bank = $1 AND seq IS NOT NULL ORDER BY id

-- name: compartments_of
SELECT id, state FROM compartments WHERE bank = $1 ORDER BY id

-- name: code
SELECT n, digits FROM passes WHERE id = $1 AND state = 'live'

-- name: tasks
SELECT about, kind FROM tasks WHERE bank = $1 AND closed_at IS NULL ORDER BY id

-- name: instruction
SELECT id FROM instructions WHERE id = $1

-- name: waiting
SELECT kind FROM outbox WHERE sent_at IS NULL AND NOT dead ORDER BY id

-- name: given_up
SELECT id FROM outbox WHERE stay = $1 AND kind = $2 AND person = $3 AND dead
