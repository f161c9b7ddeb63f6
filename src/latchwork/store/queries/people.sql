-- Recipients, carriers, and the passes of those who work at a wall.

-- name: create_person
INSERT INTO people (
    id, organisation, party, created_at, name, email, unit, site, language, external_id, kind, other_emails, phones,
    contact, unwanted
)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15
WHERE $8::text IS NULL OR EXISTS (SELECT FROM sites WHERE id = $8 AND organisation = $2)
ON CONFLICT (organisation, external_id) WHERE external_id IS NOT NULL AND party IS NULL DO NOTHING
RETURNING true

-- name: change_person
UPDATE people SET name = $3, email = $4, unit = $5, site = $6, language = $7, external_id = $8, kind = $9,
    other_emails = $10, phones = $11, contact = $12, unwanted = $13
WHERE organisation = $1 AND id = $2
    AND ($6::text IS NULL OR EXISTS (SELECT FROM sites WHERE id = $6 AND organisation = $1))
    AND NOT EXISTS (
        SELECT FROM people x WHERE x.organisation = $1 AND x.external_id = $8 AND x.party IS NULL AND x.id <> $2
    )
RETURNING true

-- name: person
-- Of an organisation, or ($1 NULL) of the party that asks.
SELECT id, name, email, unit, site, language, external_id, kind, other_emails, phones, contact, unwanted, created_at, away_until
FROM people WHERE ($1::text IS NULL OR organisation = $1) AND id = $2

-- name: people
-- Of whom each word (as sync.names.plain has it) is a part of something, after whom the last page ended with. An umlaut
-- is found as its letter, too, and as two.
SELECT id, name, email, unit, site, language, external_id, kind, other_emails, phones, contact, unwanted, created_at, away_until
FROM people p WHERE p.organisation = $1
    AND NOT EXISTS (
        SELECT FROM unnest($3::text[]) word
        WHERE strpos(plain(concat_ws(
            ' ', p.name, p.unit, p.external_id, p.email, array_to_string(p.other_emails, ' '),
            replace(replace(replace(lower(p.name), 'ä', 'ae'), 'ö', 'oe'), 'ü', 'ue')
        )), word) = 0
    )
    AND ($4::text IS NULL OR (plain(p.name), p.name, p.id) > (SELECT plain(x.name), x.name, x.id FROM people x WHERE x.id = $4))
ORDER BY plain(p.name), p.name, p.id LIMIT $2

-- name: looked_after
SELECT id, name, email, unit, site, language, external_id, kind, other_emails, phones, contact, unwanted, created_at, away_until
FROM people WHERE organisation = $1 AND contact = $2 ORDER BY name, id

-- name: set_away
UPDATE people SET away_until = $3 WHERE organisation = $1 AND id = $2 RETURNING true

-- name: one_import_at_a_time
-- Who compares a list with the people of an organisation has them to themselves.
SELECT true FROM organisations WHERE id = $1 FOR NO KEY UPDATE

-- name: roster
SELECT id, name, email, unit, site, language, external_id, kind, other_emails, phones, contact, unwanted
FROM people WHERE organisation = $1 AND party IS NULL ORDER BY name, unit, id

-- name: add_people
INSERT INTO people (
    id, organisation, created_at, name, email, unit, site, language, external_id, kind, other_emails, phones, contact,
    unwanted
)
SELECT x.id, $1, $3, x.name, x.email, x.unit, x.site, x.language, x.external_id, x.kind, x.other_emails, x.phones, x.contact,
    x.unwanted
FROM jsonb_to_recordset($2::jsonb) x (
    id text, name text, email text, unit text, site text, language text, external_id text, kind text,
    other_emails text[], phones text[], contact text, unwanted text[]
)

-- name: change_people
UPDATE people p SET name = x.name, email = x.email, unit = x.unit, site = x.site, language = x.language,
    external_id = x.external_id, kind = x.kind, other_emails = x.other_emails, phones = x.phones, contact = x.contact,
    unwanted = x.unwanted
FROM jsonb_to_recordset($2::jsonb) x (
    id text, name text, email text, unit text, site text, language text, external_id text, kind text,
    other_emails text[], phones text[], contact text, unwanted text[]
)
WHERE p.id = x.id AND p.organisation = $1

-- name: create_party
INSERT INTO parties (id, organisation, name) VALUES ($1, $2, $3)

-- name: parties
-- Of an organisation, or ($1 NULL) whichever whoever asks may see: also those that it has admitted.
SELECT id, name FROM parties
WHERE ($1::text IS NULL OR organisation = $1) AND ($2::text IS NULL OR id = $2) ORDER BY name, id LIMIT $3

-- name: directory
-- Whom a courier at this bank may pick.
SELECT p.id, p.name, p.unit, p.kind, coalesce(b.policy ->> 'directory', 'initials') AS shown
FROM people p JOIN banks b ON b.organisation = p.organisation
WHERE b.id = $1 AND p.party IS NULL AND (p.site IS NULL OR p.site = b.site) ORDER BY p.unit, p.name, p.id LIMIT $2

-- name: shown
-- What this bank's screen shows of people.
SELECT coalesce(policy ->> 'directory', 'initials') AS value FROM banks WHERE id = $1

-- name: put_document
-- Newer than ours and than what the wall says it holds: a restored server is behind its walls.
INSERT INTO documents AS d (bank, name, version, body)
SELECT b.id, $2::text, coalesce(nullif(least((b.documents ->> $2::text)::int, 1000000000), 1000000000), 0) + 1, $3
FROM banks b WHERE b.id = $1
ON CONFLICT (bank, name) DO UPDATE SET
    version = greatest(d.version + 1, excluded.version), body = excluded.body
WHERE d.body <> excluded.body OR d.version < excluded.version - 1
RETURNING true

-- name: ask_pass
-- Of a courier, of staff, of everybody who may fetch a recipient's things, or of one whom they send for one ($16). A
-- pass that was asked for already is not asked for again.
WITH bank AS (
    SELECT b.id FROM banks b
    WHERE b.id = $3 AND b.organisation = $2
        AND ($5::text IS NULL OR EXISTS (
            SELECT FROM parties p WHERE p.id = $5
                AND (p.organisation = $2 OR EXISTS (SELECT FROM admissions a WHERE a.bank = b.id AND a.party = p.id))
        ))
        AND ($14::text IS NULL OR EXISTS (SELECT FROM people p WHERE p.id = $14 AND p.organisation = $2))
), noted AS (
    INSERT INTO passes (id, bank, role, party, holder, valid_until, state, asked_at, stay, recipient, daily)
    SELECT $1, bank.id, $4, $5, $6, $7, 'asked', $8, $13, $14, $15 FROM bank
    ON CONFLICT (id) DO NOTHING
    RETURNING bank
), sent AS (
    INSERT INTO delegates (pass, stay, recipient, name, email, until, asked_at)
    SELECT $1, s.id, s.recipient, $16, $17, $7, $8 FROM noted, stays s WHERE $16::text IS NOT NULL AND s.id = $13
), asked AS (
    INSERT INTO instructions (id, organisation, bank, kind, body, sha256, about, asked_at, asked_by)
    SELECT $9, $2, noted.bank, 'GrantPass', $10, $11, $1, $8, $12 FROM noted
)
SELECT true FROM bank

-- name: passes
-- Without those of people who are sent for one stay: they stand with it.
SELECT p.id, p.bank, p.role, p.party, p.recipient, p.holder, p.state, p.valid_until, p.daily, p.asked_at,
    greatest(b.heard_at, b.appended_at) AS heard_at, p.n, p.digits, p.generation,
    newest_generation(b) AS newest, t.time_zone,
    coalesce(a.pending, '{}') AS pending, coalesce(a.unsigned, false) AS unsigned
FROM passes p JOIN banks b ON b.id = p.bank JOIN sites t ON t.id = b.site, LATERAL (
    SELECT array_agg(i.kind ORDER BY i.ordinal) AS pending, bool_or(i.unsigned) AS unsigned FROM instructions i
    WHERE i.about = p.id AND i.answered_at IS NULL AND i.kind IS NOT NULL AND i.not_after IS NULL
) a
WHERE b.organisation = $1 AND ($2::text IS NULL OR p.id = $2) AND ($3::text IS NULL OR p.bank = $3)
    AND (p.stay IS NULL OR p.id = $2)
ORDER BY p.asked_at DESC NULLS LAST, p.id LIMIT $4

-- name: bank_ids
SELECT id FROM banks WHERE organisation = $1 ORDER BY id
