-- Carriers and shops at walls that others run. Whose rows they see is decided by the policies of 0019_parties.sql.

-- name: wall_of
-- The organisation at whose wall a party acts.
SELECT organisation AS value FROM banks WHERE id = $1
UNION ALL SELECT organisation FROM stays WHERE id = $1
UNION ALL SELECT organisation FROM instructions WHERE id = $1
LIMIT 1

-- name: admit
-- Nothing where there is no such party, or the bank is not ours.
INSERT INTO admissions (bank, party, organisation, admitted_at, admitted_by)
SELECT b.id, $2, b.organisation, $3, $4 FROM banks b WHERE b.id = $1
ON CONFLICT (bank, party) DO UPDATE SET admitted_at = admissions.admitted_at
RETURNING true

-- name: is_party
SELECT true AS value FROM parties WHERE id = $1

-- name: admissions
SELECT a.party, y.name, a.admitted_at FROM admissions a JOIN parties y ON y.id = a.party
WHERE a.bank = $1 ORDER BY y.name, y.id LIMIT $2

-- name: dismiss_party
-- Not while something of it is here or expected.
DELETE FROM admissions a WHERE a.bank = $1 AND a.party = $2
    AND NOT EXISTS (SELECT FROM stays s WHERE s.bank = $1 AND s.party = $2 AND s.ended_at IS NULL)
RETURNING true

-- name: admission_gone
DELETE FROM admissions WHERE bank = $1 AND party = $2 AND admitted_at < $3 RETURNING true

-- name: usage
-- Of a party, by month (UTC), wall and size of compartment. A thing that was moved counts where it was last.
SELECT to_char(m.since AT TIME ZONE 'UTC', 'YYYY-MM') AS month, s.bank, b.name AS bank_name, z.name AS site_name,
    coalesce(size_of(s.bank, s.compartment), 'unknown') AS size,
    count(*) FILTER (WHERE s.deposited_at >= m.since) AS deposits,
    round(sum(greatest(0, extract(
        epoch FROM least(coalesce(s.ended_at, $4), m.until) - greatest(s.deposited_at, m.since)
    )) / 3600), 2)::float8 AS compartment_hours
FROM (
    SELECT month AT TIME ZONE 'UTC' AS since, (month + interval '1 month') AT TIME ZONE 'UTC' AS until
    FROM generate_series(
        $2::timestamptz AT TIME ZONE 'UTC', $3::timestamptz AT TIME ZONE 'UTC', interval '1 month'
    ) month
) m
JOIN stays s ON s.party = $1 AND s.deposited_at < m.until
    AND (s.ended_at IS NULL OR s.ended_at > m.since)
JOIN banks b ON b.id = s.bank
JOIN sites z ON z.id = b.site
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 4, 3, 5
