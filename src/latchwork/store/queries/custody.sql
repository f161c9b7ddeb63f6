-- Checkpoints that banks signed and we countersigned, and what proofs are made of.

-- name: checkpoints
-- The newest of these logs.
SELECT c.bank, c.epoch, c.size, c.key, c.note, c.signed_at
FROM unnest($1::text[], $2::int[]) AS asked (bank, epoch)
JOIN checkpoints c ON c.bank = asked.bank AND c.epoch = asked.epoch

-- name: keep_checkpoints
-- Newer ones in the place of older ones, for many logs in one commit.
INSERT INTO checkpoints AS c (bank, epoch, size, key, note, signed_at)
SELECT r.* FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bytea[], $5::bytea[], $6::timestamptz[]) AS r
ORDER BY 1, 2
ON CONFLICT (bank, epoch) DO UPDATE SET
    size = excluded.size, key = excluded.key, note = excluded.note, signed_at = excluded.signed_at
WHERE c.size < excluded.size

-- name: nodes
-- What lies beside these entries of some logs: the hashes of the subtrees that each completes.
SELECT e.bank, e.epoch, e.seq, e.nodes
FROM unnest($1::text[], $2::int[], $3::bigint[]) AS asked (bank, epoch, seq)
JOIN entries e ON e.bank = asked.bank AND e.epoch = asked.epoch AND e.seq = asked.seq
