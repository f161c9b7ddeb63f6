-- What a person has to look at; most of it is closed by what happens at the wall.

-- name: tasks
-- Open ones, of a bank or of all, the oldest first.
SELECT t.id, t.bank, b.name AS bank_name, t.kind, t.about, t.detail, t.opened_at, t.taken_by, t.taken_at,
    s.id AS stay, CASE WHEN s.id IS NOT NULL THEN coalesce(s.tracking, left(s.id, 8)) END AS stay_label,
    z.time_zone, greatest(b.heard_at, b.appended_at) AS heard_at
FROM tasks t JOIN banks b ON b.id = t.bank JOIN sites z ON z.id = b.site
LEFT JOIN stays s ON s.id IN (t.about, t.detail) AND s.bank = t.bank
WHERE b.organisation = $1 AND ($2::text IS NULL OR t.bank = $2) AND ($3::text IS NULL OR t.id = $3)
    AND t.closed_at IS NULL
ORDER BY t.opened_at, t.id LIMIT $4

-- name: take_task
UPDATE tasks t SET taken_by = $3, taken_at = $4 FROM banks b
WHERE b.id = t.bank AND b.organisation = $1 AND t.id = $2 AND t.closed_at IS NULL
RETURNING true

-- name: close_task
UPDATE tasks t SET closed_at = $5, closed_by = $3, closed_why = $4 FROM banks b
WHERE b.id = t.bank AND b.organisation = $1 AND t.id = $2 AND t.closed_at IS NULL
RETURNING true

-- name: stranded
-- What lies in a compartment that is out of service, which only staff can take out; until it is out, or the compartment
-- is back in service.
WITH over AS (
    UPDATE tasks t SET closed_at = $1
    FROM stays s LEFT JOIN compartments c ON c.bank = s.bank AND c.id = s.compartment
    WHERE t.kind = 'stranded' AND t.closed_at IS NULL AND s.id = t.about
        AND (s.ended_at IS NOT NULL OR c.state IS DISTINCT FROM 'out_of_service')
)
INSERT INTO tasks (id, bank, kind, about, detail, epoch, seq, opened_at)
SELECT notice_id(s.bank, s.epoch, s.seq, s.id, concat_ws(' ', 'stranded', $1::timestamptz)), s.bank, 'stranded', s.id,
    c.id, s.epoch, s.seq, $1
FROM compartments c JOIN stays s ON s.bank = c.bank AND s.compartment = c.id AND s.ended_at IS NULL
    AND s.state IN ('deposited', 'expired', 'blocked', 'exception')
WHERE c.state = 'out_of_service'
ON CONFLICT DO NOTHING

-- name: blocked_too_long
-- On hold beyond its time, until it is free or out.
WITH over AS (
    UPDATE tasks t SET closed_at = $1 FROM stays s
    WHERE t.kind = 'blocked' AND t.closed_at IS NULL AND s.id = t.about AND (s.state <> 'blocked' OR s.deadline > $1)
)
INSERT INTO tasks (id, bank, kind, about, epoch, seq, opened_at)
SELECT notice_id(s.bank, s.epoch, s.seq, s.id, 'blocked'), s.bank, 'blocked', s.id, s.epoch, s.seq, $1
FROM stays s WHERE s.state = 'blocked' AND s.ended_at IS NULL AND s.deadline <= $1
ON CONFLICT DO NOTHING

-- name: unheard
-- Banks that should speak, and were not heard since $1.
SELECT coalesce(array_agg(id), '{}') AS value FROM banks
WHERE device_key IS NOT NULL AND key_revoked_at IS NULL AND divided IS NULL AND greatest(heard_at, appended_at) < $1

-- name: silent
-- Those of $2 are unheard, and those of $3 for so long that somebody has to look; since when they were last heard.
WITH over AS (
    UPDATE tasks SET closed_at = $1 WHERE kind = 'silent' AND closed_at IS NULL AND bank <> ALL ($2::text[])
)
INSERT INTO tasks (id, bank, kind, epoch, seq, opened_at)
SELECT notice_id(id, epoch, size, '', concat_ws(' ', 'silent', heard_at)), id, 'silent', epoch, size, heard_at
FROM (SELECT id, epoch, size, greatest(heard_at, appended_at) AS heard_at FROM banks WHERE id = ANY ($3::text[])) b
ON CONFLICT DO NOTHING

-- name: wrong_flats
-- Things that were announced for another recipient than the one they were put in for, while they are still here.
WITH linked AS (
    UPDATE stays asked SET reason = NULL FROM stays held
    WHERE asked.reason = 'already_here' AND asked.seq IS NULL AND held.id = asked.linked_to AND held.bank = asked.bank
    RETURNING held.id, held.bank, held.epoch, held.seq, held.ended_at, held.recipient, asked.recipient AS meant
)
INSERT INTO tasks (id, bank, kind, about, detail, epoch, seq, opened_at)
SELECT notice_id(bank, epoch, seq, id, 'wrong_flat'), bank, 'wrong_recipient', id, 'announced for somebody else', epoch,
    seq, $1
FROM linked WHERE ended_at IS NULL AND meant IS NOT NULL AND recipient IS DISTINCT FROM meant
ON CONFLICT DO NOTHING
