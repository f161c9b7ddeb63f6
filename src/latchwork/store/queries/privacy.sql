-- Erasing, exporting and forgetting. What banks wrote has no word about anybody, so nothing of it goes.

-- name: photos_of
-- The pictures taken of what came for a person, by the hash that stands in the entry.
SELECT DISTINCT e.bank, convert_from(e.raw, 'UTF8')::json -> 6 ->> 'photo_sha256' AS sha256
FROM stays s
JOIN stay_entries x ON x.stay = s.id
JOIN entries e ON e.bank = x.bank AND e.epoch = x.epoch AND e.seq = x.seq
WHERE s.organisation = $1 AND s.recipient = $2 AND e.kind = 'Stored'
    AND convert_from(e.raw, 'UTF8')::json -> 6 ->> 'photo_sha256' IS NOT NULL

-- name: late_photos
-- As above, of whoever was erased lately, and not asked for yet. ($2: how many days a wall keeps a picture)
SELECT DISTINCT e.bank, convert_from(e.raw, 'UTF8')::json -> 6 ->> 'photo_sha256' AS sha256
FROM erasures r
JOIN stays s ON s.recipient = r.person AND s.organisation = r.organisation
JOIN stay_entries x ON x.stay = s.id
JOIN entries e ON e.bank = x.bank AND e.epoch = x.epoch AND e.seq = x.seq
WHERE r.at > $1::timestamptz - make_interval(days => 2 * $2) AND e.kind = 'Stored'
    AND e.at > $1::timestamptz - make_interval(days => $2)
    AND convert_from(e.raw, 'UTF8')::json -> 6 ->> 'photo_sha256' IS NOT NULL
    AND NOT EXISTS (
        SELECT FROM erased_photos p
        WHERE p.bank = e.bank AND p.sha256 = convert_from(e.raw, 'UTF8')::json -> 6 ->> 'photo_sha256'
    )

-- name: erase_person
-- Everything at once, with what staff wrote about opening the door while their thing was behind it (as exactly as two
-- clocks tell). The id stays where the log has it: nothing says any more whose it was.
WITH person AS (
    DELETE FROM people WHERE organisation = $1 AND id = $2 RETURNING id, email
), mailed AS (
    DELETE FROM links l USING person
    WHERE l.organisation = $1 AND l.purpose = 'code' AND l.email = lower(person.email) RETURNING 1
), theirs AS (
    SELECT id, bank, compartment, deposited_at, ended_at FROM stays WHERE organisation = $1 AND recipient = $2
), delegates AS (
    DELETE FROM delegates d USING theirs WHERE d.stay = theirs.id AND d.recipient = $2 RETURNING 1
), numbers AS (
    UPDATE stays s SET tracking = NULL FROM theirs WHERE s.id = theirs.id AND s.tracking IS NOT NULL RETURNING 1
), replies AS (
    DELETE FROM idempotency
    WHERE organisation = $1 AND (position(convert_to($2, 'UTF8') IN response) > 0 OR EXISTS (
        SELECT FROM theirs WHERE position(convert_to(theirs.id, 'UTF8') IN response) > 0
    ))
    RETURNING 1
), notices AS (
    DELETE FROM outbox o USING banks b
    WHERE b.id = o.bank AND b.organisation = $1
        AND (o.person = $2 OR EXISTS (SELECT FROM theirs WHERE theirs.id = o.stay))
    RETURNING 1
), holders AS (
    UPDATE passes p SET holder = NULL FROM banks b
    WHERE b.id = p.bank AND b.organisation = $1 AND p.recipient = $2 AND p.holder IS NOT NULL RETURNING 1
), words AS (
    UPDATE instructions i SET note = NULL, note_salt = NULL FROM theirs
    WHERE i.organisation = $1 AND i.bank = theirs.bank AND i.note IS NOT NULL AND (
        i.about = theirs.id OR i.asked_at BETWEEN theirs.deposited_at - interval '1 hour' AND coalesce(theirs.ended_at, 'infinity')
        AND position(convert_to(format('"compartment":"%s"', theirs.compartment), 'UTF8') IN i.body) > 0
    )
    RETURNING 1
)
SELECT jsonb_build_object(
    'person', (SELECT count(*) FROM person), 'sent by them', (SELECT count(*) FROM delegates),
    'tracking numbers', (SELECT count(*) FROM numbers), 'stored answers', (SELECT count(*) FROM replies),
    'notices', (SELECT count(*) FROM notices), 'names on passes', (SELECT count(*) FROM holders),
    'mailed codes', (SELECT count(*) FROM mailed),
    'notes', (SELECT count(*) FROM words)
)::text AS value

-- name: erase_photos
INSERT INTO erased_photos (bank, sha256, at) SELECT $1, x, $3 FROM unnest($2::text[]) x ON CONFLICT DO NOTHING

-- name: erased_photos
SELECT sha256 FROM erased_photos WHERE bank = $1 ORDER BY sha256

-- name: note_erasure
WITH noted AS (
    INSERT INTO erasures (id, organisation, person, at, asked_by, rows) VALUES ($1, $2, $3, $4, $5, $6::jsonb)
    RETURNING id
)
INSERT INTO erasure_banks (erasure, organisation, bank, documents)
SELECT noted.id, $2, b.id, coalesce((
    SELECT jsonb_object_agg(d.name, d.version) FROM documents d WHERE d.bank = b.id AND d.name IN ('directory', 'erased')
), '{}')
FROM noted, banks b WHERE b.organisation = $2

-- name: erasures
SELECT id, person, at, asked_by, rows::text AS rows FROM erasures
WHERE organisation = $1 AND ($2::text IS NULL OR id = $2) ORDER BY at DESC, id LIMIT $3

-- name: erasure_banks
-- Whether each bank has said that it holds what came after the erasure.
SELECT b.id AS bank, b.name, greatest(b.heard_at, b.appended_at) AS heard_at, NOT EXISTS (
    SELECT FROM jsonb_each_text(x.documents) needed
    WHERE coalesce((b.documents ->> needed.key)::int, 0) < needed.value::int
) AS done
FROM erasure_banks x JOIN banks b ON b.id = x.bank
WHERE x.erasure = $1 AND x.organisation = $2 ORDER BY b.name, b.id

-- name: stays_for
SELECT s.id, s.bank, s.service, s.tracking, s.state, s.reason, s.compartment, s.announced, s.asked_at, s.deposited_at,
    s.deadline, s.ended_at
FROM stays s WHERE s.organisation = $1 AND s.recipient = $2 ORDER BY coalesce(s.asked_at, s.deposited_at), s.id

-- name: openings_for
-- Of doors for a person's things, and the staff's while their thing was behind the door.
WITH theirs AS (
    SELECT id, bank, compartment, deposited_at, ended_at FROM stays WHERE organisation = $1 AND recipient = $2
), found AS (
    SELECT o.id, s.id AS stay FROM theirs s JOIN openings o ON o.stay = s.id
    UNION
    SELECT o.id, s.id FROM theirs s
    JOIN openings o ON o.bank = s.bank AND o.compartment = s.compartment AND o.purpose IN ('service', 'check')
        AND s.deposited_at < o.opened_at AND (s.ended_at IS NULL OR s.ended_at >= o.opened_at)
)
SELECT f.stay, b.name AS bank_name, z.time_zone, o.compartment, o.purpose, o.opened_at, o.closed_at
FROM found f JOIN openings o ON o.id = f.id JOIN banks b ON b.id = o.bank JOIN sites z ON z.id = b.site
WHERE o.opened_at IS NOT NULL ORDER BY o.opened_at, o.id

-- name: contact_for
SELECT name FROM people WHERE organisation = $1 AND contact = $2 ORDER BY name, id

-- name: sent_by
SELECT d.stay, d.name, d.email, d.until, d.asked_at FROM delegates d JOIN stays s ON s.id = d.stay
WHERE s.organisation = $1 AND d.recipient = $2 ORDER BY d.asked_at, d.pass

-- name: notices_to
SELECT o.kind, o.stay, b.name AS bank_name, z.time_zone, o.due_at, o.sent_at
FROM outbox o JOIN banks b ON b.id = o.bank JOIN sites z ON z.id = b.site
WHERE b.organisation = $1 AND o.person = $2 ORDER BY o.due_at, o.id

-- name: passes_for
SELECT p.id, p.bank, p.holder, p.state, p.valid_until, p.asked_at FROM passes p JOIN banks b ON b.id = p.bank
WHERE b.organisation = $1 AND p.recipient = $2 ORDER BY p.asked_at, p.id

-- name: visits_of
SELECT created_at, used_at, ends_at FROM visits WHERE organisation = $1 AND person = $2 ORDER BY created_at, secret

-- name: retention
SELECT retention::text AS value FROM organisations WHERE id = $1

-- name: set_retention
UPDATE organisations SET retention = $2::jsonb WHERE id = $1 RETURNING true

-- name: time_to_forget
UPDATE installation SET forgot_at = $1 WHERE forgot_at IS NULL OR forgot_at < $1::timestamptz - make_interval(hours => $2)
RETURNING true

-- name: forget
-- What nobody needs any more, by each organisation's own days or by ours.
WITH days AS (
    SELECT id, coalesce((retention ->> 'tracking_days')::int, $2) AS tracking,
        coalesce((retention ->> 'notice_days')::int, $3) AS notice
    FROM organisations
), numbers AS (
    UPDATE stays s SET tracking = NULL FROM days
    WHERE days.id = s.organisation AND s.tracking IS NOT NULL AND s.ended_at < $1::timestamptz - make_interval(days => days.tracking)
    RETURNING 1
), notices AS (
    DELETE FROM outbox o USING banks b, days
    WHERE b.id = o.bank AND days.id = b.organisation AND (o.sent_at IS NOT NULL OR o.dead)
        AND o.due_at < $1::timestamptz - make_interval(days => days.notice)
    RETURNING 1
), words AS (
    UPDATE instructions i SET note = NULL, note_salt = NULL FROM days
    WHERE days.id = i.organisation AND i.note IS NOT NULL
        AND i.asked_at < $1::timestamptz - make_interval(days => days.tracking)
    RETURNING 1
), looks AS (
    DELETE FROM looks WHERE at < $1::timestamptz - interval '365 days' RETURNING 1
), replies AS (
    DELETE FROM idempotency WHERE created_at < $1::timestamptz - make_interval(days => $4) RETURNING 1
), photos AS (
    DELETE FROM erased_photos p USING banks b, documents d
    WHERE b.id = p.bank AND d.bank = p.bank AND d.name = 'erased' AND p.at < $1::timestamptz - make_interval(days => $5)
        AND (b.documents ->> 'erased')::int BETWEEN d.version AND 999999999
    RETURNING 1
)
SELECT jsonb_build_object(
    'tracking numbers', (SELECT count(*) FROM numbers), 'notices', (SELECT count(*) FROM notices),
    'notes', (SELECT count(*) FROM words), 'looks', (SELECT count(*) FROM looks), 'stored answers', (SELECT count(*) FROM replies),
    'pictures', (SELECT count(*) FROM photos)
)::text AS value

-- name: organisation_name
SELECT name FROM organisations WHERE id = $1
