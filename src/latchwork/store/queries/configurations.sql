-- What is asked of walls' controllers, and what they say that they run.

-- name: configuration
SELECT b.configuration AS said, c.version AS asked, c.text, c.asked_at
FROM banks b
LEFT JOIN LATERAL (
    SELECT version, text, asked_at FROM configurations WHERE bank = b.id ORDER BY version DESC LIMIT 1
) c ON true
WHERE b.id = $1

-- name: ask_configuration
-- Newer than all that we know of: a restored server is behind its walls, and a wall may be configured on the spot.
WITH next AS (
    SELECT b.id, 1 + greatest(
        nullif(least((b.documents ->> 'configuration')::int, 1000000000), 1000000000),
        nullif(least((b.configuration ->> 'version')::int, 1000000000), 1000000000),
        (SELECT max(c.version) FROM configurations c WHERE c.bank = b.id),
        0
    ) AS version
    FROM banks b WHERE b.id = $1 AND b.organisation = $2 FOR NO KEY UPDATE
), kept AS (
    INSERT INTO configurations (bank, version, text, asked_at, asked_by) SELECT id, version, $3, $4, $5 FROM next
)
INSERT INTO documents (bank, name, version, body)
SELECT id, 'configuration', version, convert_to($3, 'UTF8') FROM next
ON CONFLICT (bank, name) DO UPDATE SET version = excluded.version, body = excluded.body
RETURNING version
