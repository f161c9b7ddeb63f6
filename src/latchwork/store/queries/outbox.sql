-- What people are to be told goes out from here. Rows hold ids; what is said, and to which address, is found at sending.

-- name: claim
-- Takes some due notices for a while: whoever dies with them lets them come due again.
UPDATE outbox o SET tries = o.tries + 1, due_at = $2
FROM (
    SELECT id, due_at FROM outbox
    WHERE sent_at IS NULL AND NOT dead AND due_at <= $1
    ORDER BY due_at, id LIMIT $3
    FOR UPDATE SKIP LOCKED
) due
WHERE o.id = due.id
RETURNING o.id, o.kind, o.stay, o.person, o.bank, o.tries

-- name: sent
UPDATE outbox SET sent_at = $2, last_error = NULL WHERE id = ANY ($1::text[]) AND sent_at IS NULL

-- name: failed
-- To be tried again at $3, or given up.
UPDATE outbox SET last_error = $2, due_at = $3, dead = $4 WHERE id = $1 AND sent_at IS NULL
