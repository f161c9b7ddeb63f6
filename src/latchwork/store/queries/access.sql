-- Who may speak: tokens, and what is made at the very first start.

-- name: master_mac
-- Writes the mark of our master secret if there is none yet, and returns the one that stands.
WITH made AS (
    INSERT INTO installation (master_mac) VALUES ($1) ON CONFLICT DO NOTHING RETURNING master_mac
)
SELECT master_mac AS value FROM made UNION ALL SELECT master_mac FROM installation LIMIT 1

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
SELECT id AS token, organisation, name, root, role, party FROM tokens WHERE hash = $1 AND revoked_at IS NULL

-- name: organisation_of_stay
-- For whoever proved its secret link.
SELECT organisation AS value FROM stays WHERE id = $1

-- name: token_used
UPDATE tokens SET last_used_at = $2 WHERE id = $1
