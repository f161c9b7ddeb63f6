-- What a replay of real reservations is reconciled from: the server's own rows, and nothing else.

-- name: stays
SELECT s.id, s.bank, s.state, s.reason, s.compartment, s.deadline, s.deposited_at, s.expired_at, s.ended_at
FROM stays s WHERE s.organisation = $1

-- name: logs
-- How far each copy of a log goes by its head, and how far by its entries.
SELECT b.id, b.epoch, b.size, b.root, b.divided,
    (SELECT count(*) FROM entries e WHERE e.bank = b.id AND e.epoch = b.epoch) AS entries,
    (SELECT count(*) FROM compartments d WHERE d.bank = b.id) AS doors,
    (SELECT count(*) FROM instructions i WHERE i.bank = b.id AND i.answered_at IS NULL) AS unanswered
FROM banks b WHERE b.organisation = $1

-- name: raws
SELECT e.raw FROM entries e WHERE e.bank = $1 AND e.epoch = $2 ORDER BY e.seq
