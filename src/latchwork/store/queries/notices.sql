-- Notices as people look at them; how they go out is in outbox.sql.

-- name: address
-- Of a department or household the key contact's.
SELECT CASE WHEN c.email IS NULL THEN p.name ELSE concat(c.name, ' (', p.name, ')') END AS name,
    coalesce(c.email, p.email) AS email, CASE WHEN c.email IS NULL THEN p.language ELSE c.language END AS language,
    CASE WHEN c.email IS NULL THEN p.unwanted ELSE c.unwanted END AS unwanted
FROM people p LEFT JOIN people c ON c.id = p.contact WHERE p.id = $1

-- name: notices
-- The latest notices of an organisation, or only the dead letters: what was given up, and is somebody's business.
SELECT o.id, o.kind, o.stay, o.bank, o.due_at, o.tries, o.last_error, o.sent_at, o.dead
FROM outbox o JOIN banks b ON b.id = o.bank
WHERE b.organisation = $1 AND (NOT $2 OR (o.dead AND coalesce(o.last_error, '') NOT IN ('outdated', 'no_address')))
ORDER BY o.due_at DESC LIMIT $3

-- name: tell_opened
-- Staff opened a door, at the wall or from afar: once, to everybody whose thing was behind it then.
WITH opened AS (
    UPDATE openings SET told_at = $1
    WHERE purpose IN ('service', 'check') AND told_at IS NULL AND opened_at IS NOT NULL
    RETURNING id, bank, compartment, opened_at, epoch, seq
)
INSERT INTO outbox (id, kind, stay, person, bank, epoch, seq, due_at)
SELECT notice_id(o.bank, o.epoch, 0, s.recipient, concat_ws(' ', 'opened', s.id, o.id)), 'opened', s.id, s.recipient,
    o.bank, o.epoch, o.seq, $1
FROM opened o
JOIN stays s ON s.bank = o.bank AND s.compartment = o.compartment AND s.recipient IS NOT NULL
    AND s.deposited_at < o.opened_at AND (s.ended_at IS NULL OR s.ended_at >= o.opened_at)
ON CONFLICT DO NOTHING

-- name: untold_behind
-- Whether something is behind this door that nobody can be told of.
SELECT true AS value FROM stays s LEFT JOIN people p ON p.id = s.recipient LEFT JOIN people c ON c.id = p.contact
WHERE s.bank = $1 AND s.compartment = $2 AND s.ended_at IS NULL AND s.deposited_at IS NOT NULL AND coalesce(c.email, p.email) IS NULL
LIMIT 1

-- name: remind
-- Of several that are due only the last, and none that was due before the thing came.
WITH due AS (
    SELECT s.id, max(s.deadline - make_interval(hours => h.hours)) AS at
    FROM stays s
    JOIN services v ON v.bank = s.bank AND v.id = s.service
    CROSS JOIN LATERAL (SELECT x::int AS hours FROM jsonb_array_elements_text(v.more -> 'reminder_hours') x) h
    WHERE s.ended_at IS NULL AND s.state = 'deposited' AND s.recipient IS NOT NULL
        AND s.deadline > $1 AND s.deadline <= $1 + make_interval(hours => h.hours)
        AND s.deposited_at <= s.deadline - make_interval(hours => h.hours)
        AND (s.reminded_to IS NULL OR s.reminded_to < s.deadline - make_interval(hours => h.hours))
    GROUP BY s.id LIMIT $2
), noted AS (
    UPDATE stays s SET reminded_to = due.at FROM due
    WHERE s.id = due.id AND (s.reminded_to IS NULL OR s.reminded_to < due.at)
    RETURNING s.id, s.recipient, s.bank, s.epoch, s.seq, due.at
)
INSERT INTO outbox (id, kind, stay, person, bank, epoch, seq, due_at)
SELECT notice_id(bank, epoch, 0, recipient, concat_ws(' ', 'reminder', id, at)), 'reminder', id, recipient, bank, epoch,
    seq, $1
FROM noted
ON CONFLICT DO NOTHING
RETURNING true

-- name: tell_delegates
-- Once each, as soon as their code opens something. The delegate's pass stands for the person.
WITH noted AS (
    UPDATE delegates d SET told_at = $1
    FROM passes p, stays s
    WHERE d.told_at IS NULL AND d.email IS NOT NULL AND d.until > $1 AND p.id = d.pass AND p.state = 'live'
        AND s.id = d.stay AND s.recipient IS NOT DISTINCT FROM d.recipient AND s.state IN ('deposited', 'expired')
    RETURNING s.id, p.id AS pass, s.bank, s.epoch, s.seq, p.epoch AS granted_epoch, p.seq AS granted_seq
)
INSERT INTO outbox (id, kind, stay, person, bank, epoch, seq, due_at)
SELECT notice_id(bank, granted_epoch, granted_seq, pass, 'delegated'), 'delegated', id, pass, bank, epoch, seq, $1
FROM noted
ON CONFLICT DO NOTHING
RETURNING true

-- name: tell_unheard
-- Those of whom the wall has not heard since $2: by a QR code alone, once; their code follows.
INSERT INTO outbox (id, kind, stay, person, bank, epoch, seq, due_at)
SELECT notice_id(s.bank, 0, 0, p.id, 'unheard'), 'delegated', s.id, p.id, s.bank, s.epoch, s.seq, $1
FROM delegates d
JOIN passes p ON p.id = d.pass AND p.state = 'asked'
JOIN stays s ON s.id = d.stay AND s.recipient IS NOT DISTINCT FROM d.recipient AND s.state IN ('deposited', 'expired')
WHERE d.told_at IS NULL AND d.email IS NOT NULL AND d.until > $1 AND d.asked_at <= $2
ON CONFLICT DO NOTHING
RETURNING true

-- name: tell_redirected
-- That it comes to another bank, once that bank expects it.
WITH noted AS (
    UPDATE redirects r SET told_at = $1 FROM stays was, stays s
    WHERE r.told_at IS NULL AND r.refusal IS NULL AND r.ended_at IS NOT NULL
        AND was.id = r.stay AND s.id = was.linked_to AND s.seq IS NOT NULL
    RETURNING s.id, s.recipient, s.bank, s.epoch, s.seq, s.state
)
INSERT INTO outbox (id, kind, stay, person, bank, epoch, seq, due_at)
SELECT notice_id(bank, 0, 0, recipient, 'redirected ' || id), 'redirected', id, recipient, bank, epoch, seq, $1
FROM noted WHERE recipient IS NOT NULL AND state IN ('expected', 'reserved')
ON CONFLICT DO NOTHING

-- name: forget_delegates
-- Words of people who could fetch something until a month ago.
DELETE FROM delegates WHERE until < $1

-- name: tell_alarms
-- What cannot wait and nobody was told of, is older than $2 and not over: a mail for each wall, to everybody whose role it
-- is and who wants it. Where the last of its kind was told after $3, it waits. Rebuilt tasks make no second mail, for it
-- is named by the latest of them.
WITH loud AS (
    SELECT DISTINCT bank, kind FROM tasks WHERE told_at > $3
), news AS (
    UPDATE tasks t SET told_at = $1 FROM banks b
    WHERE t.kind = ANY ($4::text[]) AND t.told_at IS NULL AND t.closed_at IS NULL AND t.opened_at <= $2
        AND b.id = t.bank AND (t.bank, t.kind) NOT IN (SELECT bank, kind FROM loud)
    RETURNING t.bank, b.organisation, t.epoch, t.seq, t.id
), walls AS (
    SELECT DISTINCT ON (bank) bank, organisation, epoch, seq, id FROM news ORDER BY bank, epoch DESC, seq DESC, id
)
INSERT INTO outbox (id, kind, stay, person, bank, epoch, seq, due_at)
SELECT notice_id(w.bank, w.epoch, w.seq, a.id, w.id), 'alarm', '', a.id, w.bank, w.epoch, w.seq, $1
FROM walls w JOIN accounts a ON a.organisation = w.organisation AND a.alarms AND a.role = ANY ($5::text[])
ON CONFLICT DO NOTHING

-- name: alarm_reader
SELECT a.name, a.email, a.role, a.language, o.id AS organisation, o.name AS organisation_name
FROM accounts a JOIN organisations o ON o.id = a.organisation WHERE a.id = $1 AND a.alarms

-- name: want_alarms
UPDATE accounts SET alarms = $2 WHERE id = $1
