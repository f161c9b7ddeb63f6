-- What a stay's receipt is made of: entries as the banks wrote them.

-- name: entries_naming
-- Those that name one of these stays.
SELECT e.bank, e.epoch, e.seq, e.raw, b.epoch AS newest_epoch
FROM stay_entries x
JOIN entries e ON e.bank = x.bank AND e.epoch = x.epoch AND e.seq = x.seq
JOIN banks b ON b.id = e.bank
WHERE x.stay = ANY ($1)
LIMIT $2

-- name: entries_of_openings
-- All entries of a bank from where these openings were asked for to what became of each last: theirs are among them.
SELECT DISTINCT e.bank, e.epoch, e.seq, e.raw, b.epoch AS newest_epoch
FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[]) AS asked (opening, bank, epoch, seq)
JOIN openings o ON o.id = asked.opening AND o.bank = asked.bank AND o.epoch = asked.epoch
JOIN entries e ON e.bank = o.bank AND e.epoch = o.epoch AND e.seq > asked.seq AND e.seq <= o.seq
JOIN banks b ON b.id = e.bank
LIMIT $5

-- name: logs_of
-- A bank's logs, the newest first, and what was signed of each.
SELECT g.epoch, coalesce(n.size, 0)::bigint AS size, coalesce(c.size, 0)::bigint AS signed, c.signed_at,
    encode(c.key, 'hex') AS key, convert_from(c.note, 'UTF8') AS checkpoint
FROM banks b
CROSS JOIN generate_series(1, b.epoch) AS g (epoch)
CROSS JOIN LATERAL (SELECT max(e.seq) + 1 AS size FROM entries e WHERE e.bank = b.id AND e.epoch = g.epoch) n
LEFT JOIN checkpoints c ON c.bank = b.id AND c.epoch = g.epoch
WHERE b.id = $1 ORDER BY g.epoch DESC

-- name: entries_of_log
SELECT raw FROM entries WHERE bank = $1 AND epoch = $2 AND seq >= $3 AND seq < $4 ORDER BY seq
