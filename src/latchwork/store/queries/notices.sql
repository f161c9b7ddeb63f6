-- Notices as people look at them; how they go out is in outbox.sql.

-- name: address
SELECT name, email FROM people WHERE id = $1

-- name: notices
-- The latest notices of an organisation, or only the dead letters: what was given up, and is somebody's business.
SELECT o.id, o.kind, o.stay, o.bank, o.due_at, o.tries, o.last_error, o.sent_at, o.dead
FROM outbox o JOIN banks b ON b.id = o.bank
WHERE b.organisation = $1 AND (NOT $2 OR (o.dead AND coalesce(o.last_error, '') NOT IN ('outdated', 'no_address')))
ORDER BY o.due_at DESC LIMIT $3
