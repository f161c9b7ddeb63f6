-- Who may speak: tokens, and what is made at the very first start.

-- name: master_mac
-- Writes the mark of our master secret if there is none yet, and returns the one that stands.
WITH made AS (
    INSERT INTO installation (master_mac) VALUES ($1) ON CONFLICT DO NOTHING RETURNING master_mac
)
SELECT master_mac AS value FROM made UNION ALL SELECT master_mac FROM installation LIMIT 1

-- name: masters
-- The marks of all master secrets, and since when each is the newest.
SELECT ARRAY[master_mac] || later_macs AS marks, ARRAY[created_at] || later_since AS since FROM installation

-- name: take_master
-- The mark of the master secret of generation $3, and word of it to every wall. Nothing where another process did so.
WITH taken AS (
    UPDATE installation SET
        later_macs = array_append(later_macs, $1::bytea), later_since = array_append(later_since, $2::timestamptz)
    WHERE cardinality(later_macs) = $3::int - 2 RETURNING true
), told AS (
    INSERT INTO documents AS d (bank, name, version, body)
    SELECT b.id, 'code-keys', $3::int, '' FROM banks b, taken
    ON CONFLICT (bank, name) DO UPDATE SET version = excluded.version
)
SELECT true AS value FROM taken

-- name: locked
-- Secrets of others, encrypted.
SELECT 'provider ' || id AS purpose, secret FROM providers
UNION ALL SELECT 'party ' || id, ask_secret FROM parties WHERE ask_secret IS NOT NULL

-- name: lock_again
WITH provider AS (
    UPDATE providers SET secret = $2 WHERE 'provider ' || id = $1 AND secret = $3
)
UPDATE parties SET ask_secret = $2 WHERE 'party ' || id = $1 AND ask_secret = $3

-- name: under_older
-- What was given out under a master secret before the newest, $1, which is so since $2.
SELECT
    (SELECT count(*) FROM passes WHERE state = 'live' AND digits > 0 AND generation < $1)
        + (SELECT count(*) FROM stays WHERE ended_at IS NULL AND least(pickup_generation, drop_off_generation) < $1) AS codes,
    (SELECT count(*) FROM documents d JOIN banks b ON b.id = d.bank
        WHERE d.name = 'code-keys' AND coalesce((b.documents ->> d.name)::int, 0) < d.version
            AND b.device_key IS NOT NULL AND b.key_revoked_at IS NULL) AS walls,
    (SELECT count(*) FROM accounts WHERE app IS NOT NULL AND coalesce(app_at, created_at) < $2) AS apps,
    (SELECT count(*) FROM accounts WHERE recovery IS NOT NULL AND cardinality(recovery_used) < 10
        AND coalesce(recovery_at, created_at) < $2) AS recovery_codes

-- name: tokens_exist
SELECT EXISTS (SELECT FROM tokens) AS value

-- name: create_organisation
-- An organisation and its first token. ($5: whether that token may create further organisations)
WITH made AS (
    INSERT INTO organisations (id, name, created_at) VALUES ($1, $2, $6)
)
INSERT INTO tokens (id, organisation, hash, name, root, created_at) VALUES ($3, $1, $4, 'first token', $5, $6)

-- name: organisation
SELECT id, name, created_at FROM organisations WHERE id = $1

-- name: token
-- Whose token has this hash.
SELECT id AS token, organisation, name, root, role, party FROM tokens
WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)

-- name: organisation_of_stay
-- For whoever proved its secret link.
SELECT organisation AS value FROM stays WHERE id = $1

-- name: tokens
SELECT id, name, role, party, created_at, expires_at, last_used_at FROM tokens
WHERE organisation = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
ORDER BY created_at, id LIMIT $3

-- name: add_token
INSERT INTO tokens (id, organisation, hash, name, role, party, created_at, expires_at, made_by)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
WHERE $6::text IS NULL OR EXISTS (SELECT FROM parties p WHERE p.id = $6 AND p.organisation = $2)
RETURNING true

-- name: rotate_token
-- A new one for as long as the old one was for; the old one ends at $6 at the latest. ($8: whether the first token may)
WITH old AS (
    SELECT * FROM tokens
    WHERE organisation = $1 AND id = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $5)
        AND (NOT root OR $8)
), ending AS (
    UPDATE tokens t SET expires_at = least(coalesce(t.expires_at, $6), $6) FROM old WHERE t.id = old.id
)
INSERT INTO tokens (id, organisation, hash, name, role, party, root, created_at, expires_at, made_by)
SELECT $3, organisation, $4, name, role, party, root, $5,
    $5 + coalesce(expires_at - created_at, interval '365 days'), $7
FROM old
RETURNING expires_at

-- name: revoke_token
UPDATE tokens SET revoked_at = $3 WHERE organisation = $1 AND id = $2 AND revoked_at IS NULL RETURNING hash

-- name: token_used
UPDATE tokens SET last_used_at = $2 WHERE id = $1

-- name: token_ends
-- After a restore, one that another took the place of ends as it was to.
UPDATE tokens SET expires_at = $2 WHERE id = $1 AND (expires_at IS NULL OR expires_at > $2) RETURNING true
