-- What is changed of stays that are expected or here: asked of their walls, and done when those say so.

-- name: ask_once
SELECT ask_once($1, $2, $3, $4, $5, $6, $7, $8) AS value

-- name: delegates
-- Whom the recipient of a stay sends, or ($2) one of them by pass; nobody once it was given to somebody else.
-- `own_pass` lets them in before their wall has heard of them; not once they are called off.
SELECT d.pass AS id, d.name, d.email, d.until, d.asked_at, s.bank, p.n, p.digits, p.generation,
    CASE WHEN s.ended_at IS NOT NULL AND EXISTS (
        SELECT FROM openings o WHERE o.stay = s.id AND o.pass = p.id AND o.opened_at IS NOT NULL
    ) THEN 'used' ELSE p.state END AS state,
    CASE WHEN s.ended_at IS NULL AND coalesce(guards_of(s.bank)::text, '[]') = '[]' AND NOT EXISTS (
        SELECT FROM instructions i WHERE i.about = p.id AND i.kind = 'RevokePass'
    ) THEN s.pickup_pass END AS own_pass
FROM delegates d
JOIN passes p ON p.id = d.pass
JOIN stays s ON s.id = d.stay AND s.recipient IS NOT DISTINCT FROM d.recipient
WHERE ($1::text IS NULL OR d.stay = $1) AND ($2::text IS NULL OR d.pass = $2) ORDER BY d.asked_at, d.pass

-- name: redirect
-- Calls it off here, and notes where it goes ($9) when that is done. Nothing where it is on its way already.
WITH noted AS (
    INSERT INTO redirects (stay, organisation, bank, instruction, asked_by, asked_at, reserve_until)
    SELECT s.id, s.organisation, $9, $1, $8, $7, $10 FROM stays s WHERE s.id = $3 AND s.organisation = $2
    ON CONFLICT (stay) DO UPDATE SET
        bank = excluded.bank, instruction = excluded.instruction, asked_by = excluded.asked_by,
        asked_at = excluded.asked_at, reserve_until = excluded.reserve_until, ended_at = NULL, refusal = NULL
    WHERE redirects.ended_at IS NOT NULL
    RETURNING stay
)
SELECT ask_once($1, $2, $3, $4, $5, $6, $7, $8) AS value FROM noted

-- name: redirect_adrift
-- The last wall has refused to expect it or has let it go, so nothing is to be called off there.
INSERT INTO redirects (stay, organisation, bank, instruction, asked_by, asked_at, reserve_until)
SELECT s.id, s.organisation, $3, i.id, $4, $5, $6 FROM stays s JOIN instructions i ON i.about = s.id
WHERE s.id = $1 AND s.organisation = $2 AND (i.kind, i.state) IN (('Expect', 'refused'), ('Cancel', 'done'))
ORDER BY i.ordinal DESC LIMIT 1
ON CONFLICT (stay) DO UPDATE SET
    bank = excluded.bank, instruction = excluded.instruction, asked_by = excluded.asked_by,
    asked_at = excluded.asked_at, reserve_until = excluded.reserve_until, ended_at = NULL, refusal = NULL
WHERE redirects.ended_at IS NOT NULL
RETURNING instruction AS value

-- name: redirects_due
-- Whose first wall has answered.
SELECT r.stay, r.organisation, r.bank, r.instruction, r.asked_by, r.reserve_until, i.state = 'done' OR i.kind = 'Expect' AS let_go,
    coalesce(i.refusal, i.state) AS refusal
FROM redirects r JOIN instructions i ON i.id = r.instruction
WHERE r.ended_at IS NULL AND i.answered_at IS NOT NULL ORDER BY r.asked_at LIMIT 50

-- name: redirected
-- It is the stay $2 now; or, where the second bank does not take it ($4), no bank has it.
WITH ended AS (
    UPDATE redirects SET ended_at = $3, refusal = $4 WHERE stay = $1 AND ended_at IS NULL RETURNING stay
)
UPDATE stays s SET
    linked_to = coalesce($2, s.linked_to),
    state = CASE WHEN s.state = 'cancelled' AND $2 IS NULL THEN 'exception' ELSE s.state END,
    reason = CASE WHEN s.state = 'cancelled' AND $2 IS NULL THEN $4 ELSE s.reason END,
    fallback = nullif(s.fallback, CASE WHEN $2 IS NOT NULL THEN 'none' END)
FROM ended WHERE s.id = ended.stay
RETURNING true

-- name: overflowing
-- Given up on the way to a bank whose neighbour takes them. What has come from elsewhere itself goes no further.
SELECT s.id AS stay, s.organisation, b.neighbour AS bank
FROM stays s JOIN banks b ON b.id = s.bank
WHERE s.fallback = 'neighbour' AND s.state = 'expected' AND b.neighbour IS NOT NULL
    AND NOT EXISTS (SELECT FROM redirects r WHERE r.stay = s.id)
    AND NOT EXISTS (SELECT FROM stays x WHERE x.linked_to = s.id)
LIMIT 50

-- name: turned_away
-- There was no room to reserve, they do not wait for any, and their banks have places for such things; or they were sent
-- there from another bank, which does not expect them, for whatever reason; or the time to reserve for was over before
-- the wall heard of it.
SELECT s.id AS stay, s.organisation, s.bank, m.moved
FROM stays s JOIN banks b ON b.id = s.bank, LATERAL (SELECT EXISTS (SELECT FROM stays x WHERE x.linked_to = s.id) AS moved) m
WHERE s.seq IS NULL AND s.state = 'exception' AND s.fallback IS NULL AND s.linked_to IS NULL
    AND (
        m.moved OR s.reason = 'expired'
        OR (s.reason IN ('no_suitable_compartment', 'none_in_reach') AND b.policy -> 'fallbacks' <> '[]')
    )
    AND NOT EXISTS (SELECT FROM waiting w WHERE w.stay = s.id)
    AND NOT EXISTS (SELECT FROM redirects r WHERE r.stay = s.id AND r.ended_at IS NULL)
LIMIT 50

-- name: overflowed
-- Where it goes instead ($2), and its recipient is told so; NULL: nowhere else. With $5 its wall is asked to expect it
-- after all.
WITH placed AS (
    UPDATE stays SET
        fallback = $2, reason = CASE WHEN $2::text IS NOT NULL THEN reason END, state = CASE WHEN $5::text IS NULL THEN state ELSE 'expected' END,
        ended_at = CASE WHEN $5::text IS NULL THEN ended_at END
    WHERE id = $1 AND organisation = $3 AND fallback IS NULL AND seq IS NULL
    RETURNING id, organisation, bank, recipient
), asked AS (
    INSERT INTO instructions (id, organisation, bank, kind, body, sha256, about, asked_at)
    SELECT $5, organisation, bank, 'Expect', $6, $7, id, $4 FROM placed WHERE $5::text IS NOT NULL
)
INSERT INTO outbox (id, kind, stay, person, bank, epoch, seq, due_at)
SELECT notice_id(bank, 0, 0, recipient, 'overflow ' || id), 'overflow', id, recipient, bank, 0, 0, $4
FROM placed WHERE recipient IS NOT NULL AND $2 IS NOT NULL
ON CONFLICT DO NOTHING

-- name: nowhere
-- No bank takes it: a person has to find a place for it, and its recipient is told.
WITH lost AS (
    UPDATE stays SET fallback = 'none' WHERE id = $1 AND organisation = $2 AND state IN ('expected', 'exception')
    RETURNING id, bank, recipient, reason, coalesce(epoch, 0) AS epoch, coalesce(seq, 0) AS seq
), task AS (
    INSERT INTO tasks (id, bank, kind, about, detail, epoch, seq, opened_at)
    SELECT notice_id(bank, epoch, seq, id, concat_ws(' ', 'no_place', $3::timestamptz)), bank, 'no_place', id, reason, epoch, seq, $3 FROM lost
    ON CONFLICT DO NOTHING
)
INSERT INTO outbox (id, kind, stay, person, bank, epoch, seq, due_at)
SELECT notice_id(bank, 0, 0, recipient, 'overflow ' || id), 'overflow', id, recipient, bank, epoch, seq, $3
FROM lost WHERE recipient IS NOT NULL
ON CONFLICT DO NOTHING

-- name: placed
-- A place was found after all.
UPDATE tasks t SET closed_at = $1 FROM stays s
WHERE t.kind = 'no_place' AND t.closed_at IS NULL AND s.id = t.about AND (
    s.fallback IS DISTINCT FROM 'none' OR s.linked_to IS NOT NULL OR s.state NOT IN ('expected', 'exception')
)

-- name: code_at
-- With which code a recipient collects something at a bank now.
SELECT pickup_pass, pickup_n, pickup_digits, pickup_generation FROM stays
WHERE recipient = $1 AND bank = $2 AND organisation = $3 AND state IN ('deposited', 'expired')
    AND pickup_pass IS NOT NULL AND pickup_n IS NOT NULL
ORDER BY deposited_at DESC, id LIMIT 1

-- name: away
-- Here for somebody on holiday, and over before they are back. Asked again after a while where the wall was busy.
SELECT s.id AS stay, s.organisation, p.away_until AS until
FROM people p JOIN stays s ON s.recipient = p.id AND s.organisation = p.organisation
WHERE p.away_until > $1 AND s.ended_at IS NULL AND s.state IN ('deposited', 'expired') AND s.deadline < p.away_until
    AND NOT EXISTS (
        SELECT FROM instructions i
        WHERE i.about = s.id AND i.kind = 'Amend' AND (i.answered_at IS NULL OR i.asked_at > $2)
    )
LIMIT 100

-- name: collections
-- What carriers take out: past its time, refused or damaged, and what people put in for them. Of one wall ($2), of those
-- at one site ($3), or of all.
SELECT s.id, s.bank, b.name AS bank_name, t.name AS site_name, greatest(b.heard_at, b.appended_at) AS heard_at,
    s.compartment, s.state, s.reason, s.service, s.party, y.name AS party_name, s.tracking, s.deadline,
    s.width_mm, s.height_mm, s.depth_mm
FROM stays s JOIN services v ON v.bank = s.bank AND v.id = s.service
JOIN banks b ON b.id = s.bank JOIN sites t ON t.id = b.site LEFT JOIN parties y ON y.id = s.party
WHERE ($1::text IS NULL OR b.organisation = $1) AND ($2::text IS NULL OR b.id = $2) AND ($3::text IS NULL OR t.id = $3)
    AND ($4::text IS NULL OR s.party = $4) AND s.ended_at IS NULL AND s.linked_to IS NULL AND (
        (s.state = 'exception' AND s.reason IN ('refused', 'damaged'))
        OR (v.collect_by = 'courier' AND s.state IN ('deposited', 'expired'))
        OR (v.collect_by = 'person' AND s.state = 'expired' AND coalesce(v.more ->> 'at_end', 'courier') = 'courier')
    ) AND NOT EXISTS (  -- only staff takes that out
        SELECT FROM compartments c WHERE c.bank = s.bank AND c.id = s.compartment AND c.state = 'out_of_service'
    )
ORDER BY t.name, b.name, b.id, length(s.compartment), s.compartment, s.id LIMIT $5
