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
