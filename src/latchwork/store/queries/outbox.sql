-- What people are to be told, and what became of it.

-- name: claim
-- Takes some due notices for a while: whoever dies with them lets them come due again.
UPDATE outbox SET tries = tries + 1, due_at = $2
WHERE id IN (
    SELECT id FROM outbox
    WHERE sent_at IS NULL AND NOT dead AND due_at <= $1
    ORDER BY due_at
    LIMIT $3
    FOR UPDATE SKIP LOCKED
)
RETURNING id, kind, stay, person, bank, epoch, seq, tries

-- name: sent
UPDATE outbox SET sent_at = $2, last_error = NULL WHERE id = ANY ($1::text[]) AND sent_at IS NULL

-- name: failed
-- To be tried again at $3, or given up.
UPDATE outbox SET last_error = $2, due_at = $3, dead = $4 WHERE id = $1 AND sent_at IS NULL
