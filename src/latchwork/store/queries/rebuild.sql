-- `latchwork reproject`: rows are made once more from entries, in temporary tables, and held against those that are there.
-- Here `public.` is what is there, and `pg_temp.` what entries say.

-- name: make_room
-- Before the first bank. As in functions.sql the planner is told to look rows up by key, until rows are compared.
SET search_path = pg_temp, public;
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
CREATE TEMP TABLE stays (LIKE public.stays INCLUDING DEFAULTS, PRIMARY KEY (id));
CREATE TEMP TABLE stay_entries (LIKE public.stay_entries, PRIMARY KEY (stay, bank, epoch, seq));
CREATE TEMP TABLE compartments (LIKE public.compartments INCLUDING DEFAULTS, PRIMARY KEY (bank, id));
CREATE TEMP TABLE openings (LIKE public.openings INCLUDING DEFAULTS, PRIMARY KEY (id));
CREATE TEMP TABLE passes (LIKE public.passes INCLUDING DEFAULTS, PRIMARY KEY (id));
CREATE TEMP TABLE tasks (LIKE public.tasks INCLUDING DEFAULTS, PRIMARY KEY (id));
CREATE UNIQUE INDEX ON pg_temp.tasks (bank, kind, about) WHERE closed_at IS NULL;
CREATE TEMP TABLE answers (said answer_row);
CREATE TEMP TABLE notices (said notice_row);
-- `was` and `shall`: the columns that entries decide, NULL for a row that is not there or should not be.
CREATE TEMP TABLE differences (what text, id text, was jsonb, shall jsonb);
CREATE TEMP TABLE suspects (what text, id text);
-- Rows are changed and never made anew, so that whoever waits for one finds it.
CREATE FUNCTION pg_temp.mend(_table text, _bank text, _all_read boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    _columns text := (
        SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
        WHERE attrelid = ('public.' || _table)::regclass AND attnum > 0 AND NOT attisdropped
    );
BEGIN
    EXECUTE format('
        UPDATE public.%1$I t SET (%2$s) = (SELECT %2$s FROM jsonb_populate_record(t, d.shall))
        FROM pg_temp.differences d WHERE d.what = %1$L AND d.id = t.id AND t.bank = %3$L AND d.shall IS NOT NULL
    ', _table, _columns, _bank);
    EXECUTE format('
        DELETE FROM public.%1$I t USING pg_temp.differences d
        WHERE d.what = %1$L AND d.id = t.id AND t.bank = %2$L AND d.shall IS NULL AND %3$L
    ', _table, _bank, _all_read);
    EXECUTE format('
        INSERT INTO public.%1$I
        SELECT r.* FROM pg_temp.differences d, jsonb_populate_record(NULL::public.%1$I, d.shall) r
        WHERE d.what = %1$L AND d.was IS NULL
        ON CONFLICT DO NOTHING
    ', _table);
END
$$

-- name: clear_room
-- Before each bank.
TRUNCATE pg_temp.stays, pg_temp.stay_entries, pg_temp.compartments, pg_temp.openings, pg_temp.passes, pg_temp.tasks,
    pg_temp.answers, pg_temp.notices, pg_temp.differences, pg_temp.suspects

-- name: banks
SELECT id FROM banks WHERE ($1::text IS NULL OR id = $1) AND ($2::text IS NULL OR organisation = $2) ORDER BY id

-- name: head
SELECT organisation, epoch, size FROM public.banks WHERE id = $1

-- name: lock_head
-- What the bank says now has to wait.
SELECT organisation, epoch, size FROM public.banks WHERE id = $1 FOR NO KEY UPDATE

-- name: entries
SELECT epoch, seq, kind, raw FROM public.entries WHERE bank = $1 AND (epoch, seq) > ($2, $3) ORDER BY epoch, seq LIMIT $4

-- name: ask_stays
-- What was announced, as it was asked: its wall speaks of it or does not.
INSERT INTO pg_temp.stays (
    id, organisation, bank, service, party, thing, recipient, label, width_mm, height_mm, depth_mm, state, announced,
    drop_off_pass, in_reach
)
SELECT id, organisation, bank, service, party, thing, recipient, label, width_mm, height_mm, depth_mm, 'expected', true,
    drop_off_pass, in_reach
FROM public.stays WHERE bank = $1 AND asked_at IS NOT NULL
ON CONFLICT DO NOTHING

-- name: ask_passes
INSERT INTO pg_temp.passes (id, bank, role, party, valid_until, state, stay, recipient, daily)
SELECT id, bank, role, party, valid_until, 'asked', stay, recipient, daily
FROM public.passes WHERE bank = $1 AND asked_at IS NOT NULL
ON CONFLICT DO NOTHING

-- name: open_tasks
-- Another of the same kind is not opened beside them. Entries that cannot be read raise theirs anew.
INSERT INTO pg_temp.tasks SELECT * FROM public.tasks
WHERE bank = $1 AND closed_at IS NULL AND kind <> 'unreadable_entry'
ON CONFLICT DO NOTHING

-- name: unread
-- The kinds of entries that could not be read, and since when.
SELECT about AS kind, epoch, seq FROM public.tasks
WHERE bank = $1 AND kind = 'unreadable_entry' AND closed_at IS NULL

-- name: project
SELECT project_rows(NULL, $1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: keep_answers
INSERT INTO pg_temp.answers SELECT a FROM unnest($1::answer_row[]) a

-- name: keep_notices
INSERT INTO pg_temp.notices SELECT a FROM unnest($1::notice_row[]) a

-- name: suspect
-- While the bank waits, only rows are compared that differed before, and those of which entries spoke since. ($2, $3)
INSERT INTO pg_temp.suspects SELECT what, id FROM pg_temp.differences

-- name: compare_anew
-- By whatever plan is best for all rows at once.
SET LOCAL enable_seqscan = on;
SET LOCAL enable_hashjoin = on;
SET LOCAL enable_mergejoin = on;
DELETE FROM pg_temp.differences

-- name: differ_banks
INSERT INTO pg_temp.differences
SELECT 'banks', id, was, shall
FROM public.banks b, LATERAL (
    SELECT jsonb_build_object('policy_version', policy_version, 'orders_last', orders_last) AS was,
        jsonb_build_object('policy_version', $2::int, 'orders_last', greatest(orders_last, $3::int)) AS shall
) x
WHERE b.id = $1 AND was <> shall

-- name: differ_stays
-- Administration's are the columns left out, what no wall has spoken of yet, and how a redirection ended. A stay of the
-- same id at another bank was there first.
INSERT INTO pg_temp.differences
SELECT 'stays', coalesce(s.id, m.id), was, shall
FROM pg_temp.stays m FULL JOIN (SELECT * FROM public.stays WHERE bank = $1) s ON s.id = m.id, LATERAL (
    SELECT to_jsonb(s) - ARRAY['tracking', 'asked_at', 'linked_to', 'reminded_to'] AS was,
        to_jsonb(m) - ARRAY['tracking', 'asked_at', 'linked_to', 'reminded_to']
        || CASE WHEN m.fallback IS NULL OR s.fallback = 'none' OR s.linked_to IS NOT NULL
            THEN jsonb_build_object('fallback', s.fallback) ELSE '{}' END
        || CASE WHEN m.state = 'cancelled' AND s.state = 'exception'
                AND EXISTS (SELECT FROM public.redirects r WHERE r.stay = m.id)
            THEN jsonb_build_object('state', s.state, 'reason', s.reason) ELSE '{}' END AS shall
) x
WHERE ($2::int IS NULL OR (m.epoch, m.seq) > ($2, $3::bigint) OR coalesce(s.id, m.id) IN (
        SELECT suspects.id FROM pg_temp.suspects WHERE what = 'stays'
    ))
    AND was IS DISTINCT FROM shall AND (m.seq IS NOT NULL OR s.seq IS NOT NULL)
    AND (s.id IS NOT NULL OR NOT EXISTS (SELECT FROM public.stays other WHERE other.id = m.id))

-- name: differ_stay_entries
INSERT INTO pg_temp.differences
SELECT 'stay_entries', concat_ws('/', coalesce(s.stay, m.stay), coalesce(s.epoch, m.epoch), coalesce(s.seq, m.seq)),
    to_jsonb(s), to_jsonb(m)
FROM pg_temp.stay_entries m FULL JOIN (SELECT * FROM public.stay_entries WHERE bank = $1) s
    ON (s.stay, s.epoch, s.seq) = (m.stay, m.epoch, m.seq)
WHERE s.stay IS NULL OR m.stay IS NULL

-- name: differ_compartments
INSERT INTO pg_temp.differences
SELECT 'compartments', coalesce(c.id, m.id), to_jsonb(c), to_jsonb(m)
FROM pg_temp.compartments m FULL JOIN (SELECT * FROM public.compartments WHERE bank = $1) c ON c.id = m.id
WHERE to_jsonb(c) IS DISTINCT FROM to_jsonb(m)

-- name: differ_openings
-- Of one that is missing, whoever was to be told has been told.
INSERT INTO pg_temp.differences
SELECT 'openings', coalesce(o.id, m.id), was, shall
FROM pg_temp.openings m FULL JOIN (SELECT * FROM public.openings WHERE bank = $1) o ON o.id = m.id, LATERAL (
    SELECT to_jsonb(o) - 'told_at' AS was, to_jsonb(m) - 'told_at'
        || CASE WHEN o.id IS NULL THEN jsonb_build_object('told_at', m.opened_at) ELSE '{}' END AS shall
) x
WHERE ($2::int IS NULL OR (m.epoch, m.seq) > ($2, $3::bigint) OR coalesce(o.id, m.id) IN (
        SELECT suspects.id FROM pg_temp.suspects WHERE what = 'openings'
    ))
    AND was IS DISTINCT FROM shall
    AND (o.id IS NOT NULL OR NOT EXISTS (SELECT FROM public.openings other WHERE other.id = m.id))

-- name: differ_passes
INSERT INTO pg_temp.differences
SELECT 'passes', coalesce(p.id, m.id), was, shall
FROM pg_temp.passes m FULL JOIN (SELECT * FROM public.passes WHERE bank = $1) p ON p.id = m.id, LATERAL (
    SELECT to_jsonb(p) - ARRAY['holder', 'asked_at'] AS was, to_jsonb(m) - ARRAY['holder', 'asked_at'] AS shall
) x
WHERE was IS DISTINCT FROM shall AND (m.seq IS NOT NULL OR p.seq IS NOT NULL)
    AND (p.id IS NOT NULL OR NOT EXISTS (SELECT FROM public.passes other WHERE other.id = m.id))

-- name: differ_instructions
-- What the wall has answered last, and what is kept of it. A number that another instruction has stays that one's.
INSERT INTO pg_temp.differences
SELECT 'instructions', r.id, was, shall
FROM (
    SELECT DISTINCT ON ((said).id) (said).* FROM pg_temp.answers ORDER BY (said).id, (said).epoch DESC, (said).seq DESC
) r
LEFT JOIN public.instructions i ON i.id = r.id, LATERAL (
    SELECT CASE WHEN i.id IS NOT NULL
        THEN jsonb_build_object('state', i.state, 'refusal', i.refusal, 'answered_at', i.answered_at) END AS was,
    jsonb_build_object(
        'state', CASE WHEN i.state = 'void' THEN 'void' WHEN r.refusal IS NULL THEN 'done' ELSE 'refused' END,
        'refusal', r.refusal, 'answered_at', r.at
    ) AS shall
) x
WHERE ($2::int IS NULL OR (r.epoch, r.seq) > ($2, $3::bigint) OR r.id IN (
        SELECT suspects.id FROM pg_temp.suspects WHERE what = 'instructions'
    ))
    AND was IS DISTINCT FROM shall AND coalesce(i.bank, $1) = $1 AND (
    i.id IS NOT NULL
    OR NOT EXISTS (SELECT FROM public.instructions other WHERE other.bank = $1 AND other.number = r.number)
)

-- name: differ_tasks
-- A task that was closed stays closed. One that entries open is new only where nothing like it is open, and where nobody
-- closed its like since the entry.
INSERT INTO pg_temp.differences
SELECT 'tasks', t.id, '{"closed_at": null}'::jsonb, jsonb_build_object('closed_at', coalesce(m.closed_at, $2::timestamptz))
FROM public.tasks t LEFT JOIN pg_temp.tasks m ON m.id = t.id
WHERE t.bank = $1 AND t.closed_at IS NULL AND (
    m.closed_at IS NOT NULL
    OR (t.kind = 'unreadable_entry' AND NOT EXISTS (
        SELECT FROM pg_temp.tasks x WHERE x.kind = t.kind AND x.about = t.about AND x.closed_at IS NULL
    ))
)
UNION ALL
SELECT 'tasks', m.id, NULL, to_jsonb(m)
FROM pg_temp.tasks m JOIN public.entries e ON e.bank = m.bank AND e.epoch = m.epoch AND e.seq = m.seq
WHERE m.closed_at IS NULL AND NOT EXISTS (
    SELECT FROM public.tasks t WHERE t.id = m.id OR (
        t.bank = m.bank AND t.kind = m.kind AND t.about = m.about
        AND (t.closed_at IS NULL OR (t.closed_by IS NOT NULL AND t.closed_at >= e.at))
    )
)

-- name: counts
SELECT what, count(*) AS rows FROM pg_temp.differences GROUP BY what ORDER BY what

-- name: differences
SELECT what, id, was::text AS was, shall::text AS shall FROM pg_temp.differences ORDER BY what, id LIMIT $1

-- name: hold_stays
-- Nobody else changes, until we are done, what is about to be written.
SELECT FROM public.stays s JOIN pg_temp.differences d ON d.what = 'stays' AND d.id = s.id FOR UPDATE OF s

-- name: mend_banks
UPDATE public.banks b SET policy_version = (d.shall ->> 'policy_version')::int, orders_last = (d.shall ->> 'orders_last')::int
FROM pg_temp.differences d WHERE d.what = 'banks' AND d.id = b.id

-- name: mend
-- With their other columns as they are at this moment. $3: also without those that no entry explains.
SELECT pg_temp.mend($1, $2, $3)

-- name: mend_stay_entries
WITH gone AS (
    DELETE FROM public.stay_entries s USING pg_temp.differences d
    WHERE s.bank = $1 AND d.what = 'stay_entries' AND d.shall IS NULL AND $2
        AND s.stay = d.was ->> 'stay' AND s.epoch = (d.was ->> 'epoch')::int AND s.seq = (d.was ->> 'seq')::bigint
)
INSERT INTO public.stay_entries
SELECT r.* FROM pg_temp.differences d, LATERAL jsonb_populate_record(NULL::public.stay_entries, d.shall) r
WHERE d.what = 'stay_entries' AND d.shall IS NOT NULL

-- name: mend_tasks
WITH closed AS (
    UPDATE public.tasks t SET closed_at = (d.shall ->> 'closed_at')::timestamptz
    FROM pg_temp.differences d WHERE d.what = 'tasks' AND d.was IS NOT NULL AND d.id = t.id AND t.closed_at IS NULL
)
INSERT INTO public.tasks
SELECT r.* FROM pg_temp.differences d, LATERAL jsonb_populate_record(NULL::public.tasks, d.shall) r
WHERE d.what = 'tasks' AND d.was IS NULL
ON CONFLICT DO NOTHING

-- name: mend_instructions
-- Those that were answered before: what followed from the answer has followed.
UPDATE public.instructions i SET
    state = d.shall ->> 'state', refusal = d.shall ->> 'refusal', answered_at = (d.shall ->> 'answered_at')::timestamptz
FROM pg_temp.differences d
WHERE d.what = 'instructions' AND d.id = i.id AND i.answered_at IS NOT NULL

-- name: look_at_what_is_there
SET LOCAL search_path = public, pg_temp

-- name: follow
-- What was not heard before follows now. Who was erased is told nothing.
SELECT follow_rows(
    NULL,
    ARRAY(
        SELECT said FROM (
            SELECT DISTINCT ON ((said).id) said FROM pg_temp.answers
            ORDER BY (said).id, (said).epoch DESC, (said).seq DESC
        ) a
        JOIN pg_temp.differences d ON d.what = 'instructions' AND d.id = (said).id
        LEFT JOIN public.instructions i ON i.id = (said).id
        WHERE i.answered_at IS NULL
    ),
    ARRAY(
        SELECT said FROM pg_temp.notices
        JOIN public.stays s ON s.id = (said).stay JOIN public.people p ON p.id = s.recipient
    )
)
