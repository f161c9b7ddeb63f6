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
-- Of a party or ($1 NULL) of all, by month (UTC), wall, service and size of compartment.
SELECT month, party, party_name, bank, bank_name, site_name, service, size, sum(deposits)::int AS deposits,
    round(sum(compartment_hours), 2)::float8 AS compartment_hours
FROM used($1, $2, $3, $4) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1, 3, 2, 6, 5, 7, 8, 4

-- name: used_things
-- Of what the statement is the sum.
SELECT month, party, party_name, bank, bank_name, site_name, service, stay, tracking, compartment, size, state,
    deposited_at, ended_at, deposits, round(compartment_hours, 4)::float8 AS compartment_hours
FROM used($1, $2, $3, $4) ORDER BY 1, 3, 2, 6, 5, tracking, deposited_at, stay LIMIT $5

-- name: used_days
-- On which days (UTC) of a month how many were put in.
SELECT extract(day FROM deposited_at AT TIME ZONE 'UTC')::int AS day, sum(deposits)::int AS deposits
FROM used(NULL, $1, $1, $2) WHERE deposits > 0 GROUP BY 1
