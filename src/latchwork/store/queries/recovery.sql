-- Banks whose log has parted from ours, and their way back.

-- name: lengths
-- How long our log of each epoch of a bank is.
SELECT epoch, max(seq) + 1 AS size FROM entries WHERE bank = $1 GROUP BY epoch

-- name: parting
SELECT p.bank, p.epoch, p.size, p.root, p.fork, coalesce(p.confirmed_key = b.device_key, false) AS confirmed
FROM partings p JOIN banks b ON b.id = p.bank WHERE p.bank = $1

-- name: keep_parting
-- What a controller shows now; a confirmation stands.
INSERT INTO partings (bank, epoch, size, root, fork) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (bank) DO UPDATE SET
    epoch = excluded.epoch, size = excluded.size, root = excluded.root, fork = excluded.fork, refused = NULL

-- name: keep_strays
INSERT INTO strays (bank, epoch, seq, sha256, at, raw, heard_at)
SELECT $1, $2, s.seq, sha256(s.raw), s.at, s.raw, $6
FROM unnest($3::bigint[], $4::timestamptz[], $5::bytea[]) AS s (seq, at, raw)
ON CONFLICT DO NOTHING

-- name: refuse_recovery
UPDATE partings SET refused = $2, confirmed_key = NULL WHERE bank = $1

-- name: lift
-- Its new epoch begins upon our log as it stands, and somebody said so: it is divided no more.
WITH over AS (
    DELETE FROM partings p USING banks b
    WHERE p.bank = $1 AND p.confirmed_key = b.device_key
        AND b.id = $1 AND b.session = $2 AND b.epoch = $3 AND b.size = $4 AND b.divided IS NOT NULL
    RETURNING p.bank
)
UPDATE banks SET divided = NULL, divided_at = NULL FROM over WHERE banks.id = over.bank
RETURNING banks.id

-- name: recovery
-- For the person who decides: what the controller lacks of our log, and what it has written on its own.
SELECT
    coalesce(p.confirmed_key = b.device_key, false) AS confirmed, p.refused, p.size - p.fork AS own,
    (
        SELECT min(s.at) FROM strays s
        WHERE s.bank = p.bank AND s.epoch = p.epoch AND s.seq >= p.fork AND s.seq < p.size
    ) AS own_since,
    lost.entries AS lost, lost.since AS lost_since
FROM partings p
JOIN banks b ON b.id = p.bank AND b.divided IS NOT NULL,
    LATERAL (
        SELECT count(*) AS entries, min(e.at) AS since FROM entries e
        WHERE e.bank = p.bank AND (e.epoch, e.seq) >= (p.epoch, p.fork)
    ) lost
WHERE p.bank = $1

-- name: confirm_recovery
UPDATE partings p SET confirmed_key = b.device_key, confirmed_at = $3, confirmed_by = $4, refused = NULL
FROM banks b
WHERE p.bank = $1 AND b.id = p.bank AND b.organisation = $2 AND b.divided IS NOT NULL AND b.key_revoked_at IS NULL
RETURNING true
