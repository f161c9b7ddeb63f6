-- What waits for a signature of a key that is kept outside the server.

-- name: guards
-- The keys that guard a bank.
SELECT coalesce(guards_of(id), '[]')::text AS value FROM banks WHERE organisation = $1 AND id = $2

-- name: unsigned
-- What waits, of a bank or of all, in the order of asking.
SELECT i.id, i.bank, b.name AS bank_name, i.kind, i.body, i.asked_at, i.asked_by, i.not_after,
    coalesce(guards_of(i.bank), '[]')::text AS guards
FROM instructions i JOIN banks b ON b.id = i.bank
WHERE i.organisation = $1 AND i.unsigned AND i.answered_at IS NULL AND i.state = 'asked'
    AND ($2::text IS NULL OR i.bank = $2) AND ($3::text IS NULL OR i.id = $3)
    AND (i.not_after IS NULL OR i.not_after > $4)
ORDER BY i.ordinal LIMIT $5

-- name: sign
-- Its bytes with what was signed over them; $5: one more signature is to come. Nothing where the bytes have changed.
UPDATE instructions SET body = $3, sha256 = $4, unsigned = $5
WHERE organisation = $1 AND id = $2 AND unsigned AND state = 'asked' AND body = $6
RETURNING bank AS value

-- name: forestall_grant
-- A pass that is taken back before anybody signed for it is not granted any more.
UPDATE instructions SET not_after = $4
WHERE organisation = $1 AND bank = $2 AND about = $3 AND kind = 'GrantPass' AND unsigned AND state = 'asked'
RETURNING true

-- name: to_second
-- An opening that takes two, which somebody else asked for just now.
SELECT i.asked_by, i.body FROM instructions i
WHERE i.organisation = $1 AND i.bank = $2 AND i.id = $3 AND i.kind = 'Open' AND i.refusal = 'second_person'
    AND i.asked_by <> $4 AND i.asked_at > $5
