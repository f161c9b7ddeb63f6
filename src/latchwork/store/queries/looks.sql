-- Who of the staff looked at whom.

-- name: look
INSERT INTO looks (organisation, person, by, what, day, at, by_name, role)
SELECT $1, person, $3, $4, ($5::timestamptz AT TIME ZONE 'UTC')::date, $5, $6, $7 FROM unnest($2::text[]) person
ON CONFLICT DO NOTHING

-- name: looks
-- The latest, at one person or at anybody.
SELECT l.at, l.person, p.name AS person_name, l.by_name, l.role, l.what
FROM looks l LEFT JOIN people p ON p.id = l.person
WHERE l.organisation = $1 AND ($2::text IS NULL OR l.person = $2) ORDER BY l.at DESC, l.person, l.by, l.what LIMIT $3
