-- What the conversation with the banks reads and writes. The hot path itself is in the schema's functions.

-- name: append
-- A batch of entries with their rows, for many banks in one commit; a status for each.
SELECT append_entries($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- name: announce
-- A batch of announced stays in one commit; an outcome for each.
SELECT outcomes, statuses, responses FROM announce_stays($1)

-- name: head
-- Who may speak for a bank, and how far our copy of its log goes.
SELECT
    id, organisation, device_key, key_revoked_at IS NOT NULL AS revoked, divided, epoch, size, root, peaks, session,
    orders_last, appended_at, documents, boot
FROM banks WHERE id = $1

-- name: welcome
-- A new connection of a bank that has proven itself: the older ones are over from here.
UPDATE banks SET
    session = session + 1, heard_at = $2, software = $3, boot = $4, orders_last = greatest(orders_last, $5),
    documents = $6
WHERE id = $1 AND key_revoked_at IS NULL
RETURNING
    id, organisation, device_key, false AS revoked, divided, epoch, size, root, peaks, session, orders_last,
    appended_at, documents, boot

-- name: divide
-- Its log is not a continuation of ours. Only the living session can say so; one task, however often it comes back.
WITH marked AS (
    UPDATE banks SET divided = $3, divided_at = $4
    WHERE id = $1 AND session = $2 AND divided IS NULL
    RETURNING id, epoch
)
INSERT INTO tasks (id, bank, kind, about, detail, epoch, seq, opened_at)
SELECT $5, id, 'divided', '', $3, epoch, $6, $4 FROM marked
ON CONFLICT DO NOTHING
RETURNING id

-- name: raise_task
-- About the bank as a whole; one open task of a kind is enough.
INSERT INTO tasks (id, bank, kind, epoch, seq, opened_at)
SELECT $2, id, $3, epoch, size, $4 FROM banks WHERE id = $1
ON CONFLICT DO NOTHING

-- name: overlap
-- Our copy of some entries, to hold against what the bank repeats.
SELECT raw FROM entries WHERE bank = $1 AND epoch = $2 AND seq >= $3 AND seq < $4 ORDER BY seq

-- name: send_orders
-- Numbers what is new, and marks what goes down now as sent, for many banks in one commit. The banks come sorted.
SELECT held.bank, o.id, o.number, o.body, o.void
FROM unnest($1::text[], $2::bigint[], $6::text[]) AS held (bank, session, organisation),
    send_orders(held.organisation, held.bank, held.session, $3, $4, $5) AS o

-- name: documents
-- The documents of a bank that are newer than those it holds. A version of a billion (rows.VERSION_MAX) is no
-- server's of ours, and is replaced.
SELECT name, version, body FROM documents
WHERE bank = $1 AND coalesce(($2::jsonb ->> name)::bigint, 0) NOT BETWEEN version AND 999999999 ORDER BY name

-- name: heard
-- These banks spoke. A row that is locked is about to say so itself.
WITH free AS (
    SELECT id FROM banks WHERE id = ANY ($1::text[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE banks SET heard_at = greatest(heard_at, $2) FROM free WHERE banks.id = free.id

-- name: holds
-- The versions of the documents that a bank says it holds now.
UPDATE banks SET documents = $3 WHERE id = $1 AND session = $2 AND documents <> $3

-- name: runs
-- What a bank says of the configuration that it runs.
UPDATE banks SET configuration = $3 WHERE id = $1 AND session = $2 AND configuration IS DISTINCT FROM $3
RETURNING id

-- name: work
-- Rule 12: of the banks that this process holds, those that need something. One query a second for all of them.
SELECT * FROM (
    SELECT
        held.bank, held.session,
        b.session <> held.session OR b.key_revoked_at IS NOT NULL AS over,
        b.divided IS NULL AND EXISTS (
            SELECT FROM instructions i
            WHERE i.bank = held.bank AND i.answered_at IS NULL
                AND NOT (i.unsigned AND coalesce(i.not_after > now(), true))
                AND (i.number IS NULL OR i.sent_session IS DISTINCT FROM held.session OR i.sent_at < $3)
        ) AS orders,
        EXISTS (
            SELECT FROM documents d
            WHERE d.bank = held.bank
                AND coalesce((b.documents ->> d.name)::bigint, 0) NOT BETWEEN d.version AND 999999999
        ) AS documents
    FROM unnest($1::text[], $2::bigint[]) AS held (bank, session)
    JOIN banks b ON b.id = held.bank
) found
WHERE over OR orders OR documents

-- name: instruct
-- Asks something of a bank. Its number comes at first sending. Nothing where the bank is another organisation's.
INSERT INTO instructions (
    id, organisation, bank, kind, body, sha256, asked_at, not_after, about, asked_by, note, note_salt
)
SELECT $1, organisation, id, $4, $5, $6, $7, $8, $9, $10, $11, $12 FROM banks WHERE id = $3 AND organisation = $2
RETURNING id

-- name: put_document
-- Replaced whole, and never by an older one.
INSERT INTO documents AS d (bank, name, version, body) VALUES ($1, $2, $3, $4)
ON CONFLICT (bank, name) DO UPDATE SET version = excluded.version, body = excluded.body
WHERE d.version < excluded.version

-- name: notify
-- A hint to the other processes, outside every write transaction.
SELECT pg_notify('latchwork', $1)
