-- Sites and banks, and how a bank becomes one of ours.

-- name: create_site
INSERT INTO sites (id, organisation, name, address, time_zone, created_at) VALUES ($1, $2, $3, $4, $5, $6)

-- name: sites
SELECT id, name, address, time_zone, created_at FROM sites WHERE organisation = $1 ORDER BY name, id LIMIT $2

-- name: site
SELECT id, name, address, time_zone, created_at FROM sites WHERE organisation = $1 AND id = $2

-- name: create_bank
-- A bank with its first policy; nothing if the site is not of this organisation.
WITH bank AS (
    INSERT INTO banks (id, organisation, site, name, policy_asked, created_at)
    SELECT $1, $2, s.id, $4, 1, $5 FROM sites s WHERE s.id = $3 AND s.organisation = $2
    RETURNING id
)
INSERT INTO instructions (id, organisation, bank, kind, body, sha256, asked_at, asked_by)
SELECT $6, $2, bank.id, 'Adopt', $7, $8, $5, $9 FROM bank
RETURNING true

-- name: offer_services
INSERT INTO services (bank, id, deposit_by, collect_by, pickup_hours_max, more, place)
SELECT $1, s.* FROM unnest($2::text[], $3::text[], $4::text[], $5::int[], $6::jsonb[]) WITH ORDINALITY s

-- name: banks
SELECT b.id, b.name, b.site, s.name AS site_name, s.address, s.time_zone, b.device_key IS NOT NULL AS enrolled,
    b.key_revoked_at IS NOT NULL AS key_revoked, b.divided, greatest(b.heard_at, b.appended_at) AS heard_at, b.size AS entries, b.software, b.created_at,
    newest_generation(b) AS code_generation, b.policy_asked, b.policy_version, encode(b.device_key, 'hex') AS device_key
FROM banks b JOIN sites s ON s.id = b.site
WHERE ($1::text IS NULL OR b.organisation = $1) AND ($2::text IS NULL OR b.id = $2)
ORDER BY s.name, b.name, b.id LIMIT $3

-- name: counts
-- How much room each wall has, and how much waits there.
SELECT b.id AS bank, c.doors, c.vacant, s.waiting, s.overdue
FROM banks b CROSS JOIN LATERAL (
    SELECT count(*) AS doors, count(*) FILTER (WHERE state = 'vacant' AND door = 'closed') AS vacant
    FROM compartments WHERE bank = b.id AND NOT gate AND NOT shelf
) c CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'deposited') AS waiting, count(*) FILTER (WHERE state = 'expired') AS overdue
    FROM stays WHERE bank = b.id AND ended_at IS NULL AND linked_to IS NULL
) s
WHERE ($1::text IS NULL OR b.organisation = $1) AND c.doors > 0

-- name: heard_at
SELECT greatest(heard_at, appended_at) AS value FROM banks WHERE id = $1

-- name: services
SELECT jsonb_build_object(
    'id', id, 'deposit_by', deposit_by, 'collect_by', collect_by, 'pickup_hours_max', pickup_hours_max
) || more AS said
FROM services WHERE bank = $1 ORDER BY place, id

-- name: rules
SELECT policy, neighbour FROM banks WHERE id = $1

-- name: replace_policy
-- Other services and rules from now on; nothing unless this is the next policy after those the caller saw.
WITH bank AS (
    UPDATE banks SET policy_asked = $14, policy_asked_at = $12, policy = $15, neighbour = $16
    WHERE id = $1 AND organisation = $2 AND policy_asked = $3 AND policy_version < $14
    RETURNING id
), gone AS (
    DELETE FROM services s USING bank WHERE s.bank = bank.id AND s.id <> ALL ($4::text[])
), offered AS (
    INSERT INTO services (bank, id, deposit_by, collect_by, pickup_hours_max, more, place)
    SELECT bank.id, s.* FROM bank, unnest($4::text[], $5::text[], $6::text[], $7::int[], $8::jsonb[]) WITH ORDINALITY s
    ON CONFLICT (bank, id) DO UPDATE SET
        deposit_by = excluded.deposit_by, collect_by = excluded.collect_by,
        pickup_hours_max = excluded.pickup_hours_max, more = excluded.more, place = excluded.place
)
INSERT INTO instructions (id, organisation, bank, kind, body, sha256, asked_at, asked_by)
SELECT $9, $2, bank.id, 'Adopt', $10, $11, $12, $13 FROM bank
RETURNING true

-- name: policies_due
-- Last told before $1.
SELECT id AS bank, organisation FROM banks WHERE policy_asked_at < $1 ORDER BY id LIMIT 50

-- name: invite
-- A further one-time code; the earlier ones end.
WITH bank AS (
    SELECT id FROM banks WHERE id = $1 AND organisation = $2
), ended AS (
    UPDATE enrolments e SET expires_at = $5 FROM bank WHERE e.bank = bank.id AND e.expires_at > $5
)
INSERT INTO enrolments (code_hash, bank, expires_at) SELECT $3, bank.id, $4 FROM bank

-- name: enrol
-- Takes a code once: a repeat with the same key finds the same bank, anything else finds nothing.
WITH fresh AS (
    UPDATE enrolments SET used_at = $3
    WHERE code_hash = $1 AND used_at IS NULL AND expires_at > $3
    RETURNING bank
), keyed AS (
    UPDATE banks b SET device_key = $2, key_revoked_at = NULL, session = session + 1, code_generation = $4
    FROM fresh WHERE b.id = fresh.bank
    RETURNING b.id, b.name, b.site, b.code_generation
), again AS (
    SELECT b.id, b.name, b.site, b.code_generation
    FROM enrolments e JOIN banks b ON b.id = e.bank
    WHERE e.code_hash = $1 AND e.used_at IS NOT NULL AND e.expires_at > $3
        AND b.device_key = $2 AND b.key_revoked_at IS NULL
)
SELECT k.id, k.name, s.name AS site, k.code_generation
FROM (SELECT * FROM keyed UNION ALL SELECT * FROM again) k JOIN sites s ON s.id = k.site

-- name: revoke_again
-- After a restore, by the key itself: the controller that came after it stays.
UPDATE banks SET key_revoked_at = $2, session = session + 1
WHERE device_key = decode($1, 'hex') AND key_revoked_at IS NULL
RETURNING true

-- name: rotate_key
-- Its next key ($3) for its present one ($2); also where that has been done. The session counts up: it greets anew.
WITH rotated AS (
    UPDATE banks SET device_key = $3, session = session + 1
    WHERE id = $1 AND device_key = $2 AND key_revoked_at IS NULL RETURNING true AS value
)
SELECT value FROM rotated
UNION ALL SELECT true FROM banks WHERE id = $1 AND device_key = $3 AND key_revoked_at IS NULL

-- name: revoke_key
-- The session counts up, so that a connection that is open now may not go on either.
UPDATE banks SET key_revoked_at = $3, session = session + 1
WHERE id = $1 AND organisation = $2 AND device_key IS NOT NULL
RETURNING true
