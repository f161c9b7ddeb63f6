-- Identity providers, and who is who at them. A provider reaches accounts of its own organisation only.

-- name: providers
SELECT id, organisation, name, issuer, client, secret, adds_as FROM providers
WHERE organisation = $1 ORDER BY name, id LIMIT $2

-- name: provider
SELECT id, organisation, name, issuer, client, secret, adds_as FROM providers WHERE id = $1

-- name: offered_providers
-- Of the organisation $1; without one, of the only organisation that has any.
SELECT id, name FROM providers p
WHERE organisation = $1
    OR ($1::text IS NULL AND NOT EXISTS (SELECT FROM providers o WHERE o.organisation <> p.organisation))
ORDER BY name, id LIMIT 20

-- name: add_provider
INSERT INTO providers (id, organisation, name, issuer, client, secret, adds_as, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: remove_provider
-- And the sessions of everybody who is somebody at it.
WITH gone AS (
    DELETE FROM sessions WHERE account IN (
        SELECT i.account FROM identities i JOIN providers p ON p.id = i.provider
        WHERE p.id = $2 AND p.organisation = $1
    )
)
DELETE FROM providers WHERE organisation = $1 AND id = $2 RETURNING true

-- name: provider_gone
WITH gone AS (DELETE FROM sessions WHERE account IN (SELECT account FROM identities WHERE provider = $1))
DELETE FROM providers WHERE id = $1 RETURNING true

-- name: identity
SELECT i.account AS value FROM identities i
JOIN providers p ON p.id = i.provider JOIN accounts a ON a.id = i.account AND a.organisation = p.organisation
WHERE i.provider = $1 AND i.subject = $2

-- name: connect_identity
INSERT INTO identities (provider, subject, organisation, account, created_at)
SELECT p.id, $2, a.organisation, a.id, $4 FROM providers p JOIN accounts a ON a.organisation = p.organisation
WHERE p.id = $1 AND a.id = $3
ON CONFLICT DO NOTHING

-- name: invited_identity
-- An account for whoever was invited to the provider's organisation under this address; the invitation is used up.
WITH used AS (
    UPDATE links l SET used_at = $6 FROM providers p
    WHERE p.id = $1 AND l.organisation = p.organisation AND l.email = $4 AND l.purpose = 'invitation'
        AND l.used_at IS NULL AND l.expires_at > $6
    RETURNING l.id, l.organisation, l.role
), made AS (
    INSERT INTO accounts (id, organisation, email, name, role, created_at)
    SELECT $3, organisation, $4, $5, role, $6 FROM used LIMIT 1
    RETURNING id, organisation
), known AS (
    INSERT INTO identities (provider, subject, organisation, account, created_at)
    SELECT $1, $2, organisation, id, $6 FROM made
    RETURNING account
)
SELECT known.account, used.id AS link FROM known, used

-- name: added_identity
WITH made AS (
    INSERT INTO accounts (id, organisation, email, name, role, created_at)
    SELECT $3, organisation, $4, $5, $7, $6 FROM providers WHERE id = $1
    RETURNING id, organisation
)
INSERT INTO identities (provider, subject, organisation, account, created_at)
SELECT $1, $2, organisation, id, $6 FROM made
RETURNING account AS value
