-- Room at a bank: as its wall told it, less what is counted on and waited for.

-- name: fittings
-- A bank's compartments as the wall's own rule for choosing one needs them.
SELECT id, width_mm, height_mm, depth_mm, climate, reach_mm, gate, shelf, state, door FROM compartments WHERE bank = $1

-- name: counted_on
-- Soft reservations, and the compartments that the wall was asked for and has not answered; the first come first.
SELECT service, width_mm, height_mm, depth_mm, in_reach FROM (
    SELECT service, width_mm, height_mm, depth_mm, in_reach, made_at AS since FROM soft_reservations
    WHERE bank = $1 AND until > $2
    UNION ALL
    SELECT s.service, s.width_mm, s.height_mm, s.depth_mm, s.in_reach, coalesce(w.since, i.asked_at)
    FROM (  -- what was asked last of each stay
        SELECT DISTINCT ON (about) about, asked_at, kind, body FROM instructions
        WHERE bank = $1 AND answered_at IS NULL AND kind IN ('Expect', 'Reserve', 'Cancel') ORDER BY about, ordinal DESC
    ) i JOIN stays s ON s.id = i.about LEFT JOIN waiting w ON w.stay = s.id
    WHERE s.compartment IS NULL AND (convert_from(i.body, 'UTF8')::json -> i.kind ->> 'until')::timestamptz > $2
) x ORDER BY since

-- name: soft_reservation
SELECT id, bank, service, until FROM soft_reservations WHERE id = $1 AND organisation = $2

-- name: softs
-- How many soft reservations were ever made here.
SELECT softs AS value FROM banks WHERE id = $1

-- name: reserve_softly
-- Nothing where somebody was faster: the room that was seen ($11) may be theirs.
WITH counted AS (
    UPDATE banks SET softs = softs + 1 WHERE id = $3 AND organisation = $2 AND softs = $11 RETURNING id
), forgotten AS (
    DELETE FROM soft_reservations WHERE bank = $3 AND until < $9
)
INSERT INTO soft_reservations (id, organisation, bank, service, width_mm, height_mm, depth_mm, in_reach, made_at, until)
SELECT $1, $2, id, $4, $5, $6, $7, $8, $9, $10 FROM counted
ON CONFLICT DO NOTHING
RETURNING true

-- name: release_softly
DELETE FROM soft_reservations WHERE id = $1 AND organisation = $2 RETURNING true

-- name: wait
-- A place in the queue; with $11 the wall is asked for room now. Nothing for who waits already.
WITH placed AS (
    INSERT INTO waiting (stay, organisation, bank, since, minutes, asked_by, instruction, offered_until)
    SELECT s.id, s.organisation, s.bank, $7, $9, $8, CASE WHEN $11 THEN $1 END, CASE WHEN $11 THEN $10::timestamptz END
    FROM stays s WHERE s.id = $3 AND s.organisation = $2
    ON CONFLICT (stay) DO NOTHING
    RETURNING stay
), revived AS (
    UPDATE stays s SET state = 'expected', reason = NULL, ended_at = NULL, fallback = NULL FROM placed
    WHERE s.id = placed.stay AND s.seq IS NULL AND s.state = 'exception'
)
SELECT CASE WHEN $11 THEN ask_once($1, $2, $3, $4, $5, $6, $7, $8) END FROM placed

-- name: was_answered
-- Whether an announcement with this key was answered before.
SELECT EXISTS (SELECT FROM idempotency WHERE organisation = $1 AND key = $2) AS value

-- name: stop_waiting
-- What no wall expects is refused for want of room, as it was before it waited.
WITH gone AS (
    DELETE FROM waiting WHERE stay = $1 AND organisation = $2 RETURNING stay
)
UPDATE stays s SET state = 'exception', reason = 'no_suitable_compartment', ended_at = $3 FROM gone
WHERE s.id = gone.stay AND s.seq IS NULL AND s.state = 'expected'
    AND NOT EXISTS (SELECT FROM instructions i WHERE i.about = s.id AND i.kind = 'Expect' AND i.answered_at IS NULL)
RETURNING true

-- name: cancel_waiting
-- What no wall expects yet is called off at once.
WITH gone AS (
    DELETE FROM waiting WHERE stay = $1 AND organisation = $2 RETURNING stay
)
UPDATE stays s SET state = 'cancelled', ended_at = $3 FROM gone
WHERE s.id = gone.stay AND s.seq IS NULL
    AND NOT EXISTS (SELECT FROM instructions i WHERE i.about = s.id AND i.kind = 'Expect' AND i.answered_at IS NULL)
RETURNING true

-- name: settled
-- What became of those who asked: a stay that came, ended, or let its offer pass has no place any more. Nor has one
-- that its wall will not expect for another reason.
WITH over AS (
    SELECT w.stay, i.refusal FROM waiting w JOIN stays s ON s.id = w.stay LEFT JOIN instructions i ON i.id = w.instruction
    WHERE s.state NOT IN ('expected', 'reserved', 'exception')
        OR (i.state = 'done' AND s.state = 'expected' AND w.offered_until <= $1)
        OR (
            i.answered_at IS NOT NULL AND i.state <> 'done'
            AND coalesce(i.refusal, '') NOT IN ('no_suitable_compartment', 'none_in_reach', 'expired')
        )
), gone AS (
    DELETE FROM waiting w USING over WHERE w.stay = over.stay RETURNING w.stay, over.refusal
)
UPDATE stays s SET state = 'exception', reason = gone.refusal, ended_at = $1 FROM gone
WHERE s.id = gone.stay AND s.seq IS NULL AND s.state = 'expected' AND s.linked_to IS NULL

-- name: back_in_line
-- The wall had no room after all, heard of it too late, was not asked for any yet, or took its compartment out of
-- service: it waits on, in its old place.
UPDATE waiting w SET instruction = NULL, offered_until = NULL, again_at = $1
FROM instructions i, stays s
WHERE i.id = w.instruction AND i.answered_at IS NOT NULL AND s.id = w.stay AND s.state = 'expected' AND (
    i.refusal IN ('no_suitable_compartment', 'none_in_reach', 'expired')
    OR (i.state = 'done' AND (w.offered_until IS NULL OR s.reason = 'withdrawn'))
)

-- name: queue
-- Who waits, at one bank or bank by bank, first come first.
SELECT w.stay, w.organisation, w.bank, w.minutes, w.asked_by, w.again_at <= $1 AS due, s.service, s.party, s.thing,
    s.recipient, s.label, s.width_mm, s.height_mm, s.depth_mm, s.in_reach, s.drop_off_pass, s.epoch
FROM waiting w JOIN stays s ON s.id = w.stay
WHERE w.instruction IS NULL AND ($2::text IS NULL OR w.bank = $2) ORDER BY w.bank, w.since, w.stay LIMIT 1000

-- name: offer
-- Asks the wall once more; nothing where another process did so just now.
WITH offered AS (
    UPDATE waiting SET instruction = $1, offered_until = $8 WHERE stay = $3 AND instruction IS NULL
    RETURNING stay, organisation, bank, asked_by
)
INSERT INTO instructions (id, organisation, bank, kind, body, sha256, about, asked_at, asked_by)
SELECT $1, organisation, bank, $4, $5, $6, stay, $7, asked_by FROM offered WHERE organisation = $2
RETURNING true

-- name: tell_offers
-- Once for each offer: a compartment is kept for somebody who waited.
INSERT INTO outbox (id, kind, stay, person, bank, epoch, seq, due_at)
SELECT notice_id(s.bank, s.epoch, s.seq, s.recipient, 'offer ' || w.instruction),
    'offer', s.id, s.recipient, s.bank, s.epoch, s.seq, $1
FROM waiting w JOIN stays s ON s.id = w.stay JOIN instructions i ON i.id = w.instruction
WHERE i.state = 'done' AND s.state = 'reserved' AND s.recipient IS NOT NULL AND w.offered_until > $1
ON CONFLICT DO NOTHING
