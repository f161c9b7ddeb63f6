-- The cloud's copy of the logs, read from end to end by `latchwork verify`.

-- name: logs
-- Every log there is a trace of, or those of one bank: what its head says, and what was signed of it.
SELECT l.bank, l.epoch, b.size, b.root, b.peaks, c.key, c.note, c.size
FROM (
    SELECT DISTINCT bank, epoch FROM entries
    UNION SELECT bank, epoch FROM checkpoints
    UNION SELECT id, epoch FROM banks WHERE size > 0
) l
LEFT JOIN banks b ON b.id = l.bank AND b.epoch = l.epoch
LEFT JOIN checkpoints c ON c.bank = l.bank AND c.epoch = l.epoch
WHERE $1::text IS NULL OR l.bank = $1
ORDER BY l.bank, l.epoch

-- name: rows
-- A page of a log.
SELECT seq, raw, nodes, at, kind FROM entries
WHERE bank = $1 AND epoch = $2 AND seq > $3 ORDER BY seq LIMIT $4
