-- Recipients who look at all of their parcels.

-- name: make_code
-- One statement whether anybody has this address or not: it takes as long. ($2: in small letters)
INSERT INTO links (id, purpose, organisation, email, created_at, expires_at, due_at, language)
SELECT $1, 'code', organisation, $2, $3, $4, $3, language FROM people WHERE lower(email) = $2 LIMIT 1

-- name: begin_visits
-- For everybody who has the address that this code was mailed to; the code is used up.
WITH used AS (
    UPDATE links SET used_at = $2 WHERE id = $1 AND purpose = 'code' AND used_at IS NULL AND expires_at > $2
    RETURNING email
)
INSERT INTO visits (secret, person, organisation, created_at, used_at, ends_at)
SELECT $3, p.id, p.organisation, $2, $2, $4 FROM people p JOIN used ON lower(p.email) = used.email
RETURNING true

-- name: begin_visit
INSERT INTO visits (secret, person, organisation, created_at, used_at, ends_at)
SELECT $3, id, organisation, $2, $2, $4 FROM people WHERE id = $1
RETURNING true

-- name: visitors
-- Whose visit this cookie is, the one with the longest history first.
SELECT p.id, p.name, p.email, p.language, p.unwanted, p.away_until, v.organisation, v.created_at, v.used_at
FROM visits v JOIN people p ON p.id = v.person
WHERE v.secret = $1 AND v.ends_at > $2 AND v.used_at > $3
ORDER BY p.created_at, p.id

-- name: prefer
UPDATE people SET language = $2, unwanted = $3 WHERE id = ANY ($1::text[])

-- name: visit_used
UPDATE visits SET used_at = $2 WHERE secret = $1

-- name: end_visits
-- This one, or with $2 every one of the people in it.
DELETE FROM visits
WHERE secret = $1 OR ($2::bool AND person IN (SELECT v.person FROM visits v WHERE v.secret = $1))

-- name: visited_stays
-- What is on its way to them, waits, or ended of late.
SELECT s.id, s.state, s.deadline, s.tracking, b.name AS bank_name, si.name AS site_name, si.time_zone
FROM stays s JOIN banks b ON b.id = s.bank JOIN sites si ON si.id = b.site
WHERE s.recipient = ANY ($1::text[]) AND s.linked_to IS NULL AND (s.ended_at IS NULL OR s.ended_at > $2)
ORDER BY s.ended_at DESC NULLS FIRST, s.deposited_at DESC NULLS LAST, s.id LIMIT $3

-- name: person_passkeys
SELECT id, name, created_at, used_at FROM passkeys WHERE person = $1 ORDER BY created_at, id

-- name: person_passkey
SELECT person AS holder, public_key, sign_count FROM passkeys WHERE id = $1 AND person IS NOT NULL

-- name: make_person_passkey
-- Up to $8 of a person.
INSERT INTO passkeys (id, organisation, person, public_key, sign_count, name, created_at)
SELECT $1, $2, $3, $4, $5, $6, $7 WHERE (SELECT count(*) FROM passkeys WHERE person = $3) < $8
ON CONFLICT DO NOTHING RETURNING true

-- name: remove_person_passkeys
DELETE FROM passkeys WHERE person = ANY ($1::text[])

-- name: sweep_visits
DELETE FROM visits WHERE ends_at < $1
