-- Stays as people see them. What they are computed from is the banks' entries.

-- name: bank_facts
-- What announcing a stay has to know of a bank; it changes rarely.
SELECT b.organisation, newest_generation(b) AS code_generation,
    ARRAY (
        SELECT (jsonb_build_object(
            'id', s.id, 'deposit_by', s.deposit_by, 'collect_by', s.collect_by, 'pickup_hours_max', s.pickup_hours_max
        ) || s.more)::text FROM services s WHERE s.bank = b.id ORDER BY s.place, s.id
    ) AS services
FROM banks b WHERE b.id = $1

-- name: stays
-- Of one organisation, or by one id for whoever holds its secret link ($1 NULL).
SELECT s.id, s.organisation, s.bank, b.name AS bank_name, t.name AS site_name, t.address, t.time_zone,
    greatest(b.heard_at, b.appended_at) AS heard_at, s.service, s.party, s.thing, s.recipient, p.name AS recipient_name,
    p.language, s.label, s.tracking,
    s.width_mm, s.height_mm, s.depth_mm, s.state, s.reason, s.compartment, s.announced, s.presumed, s.deadline,
    s.pickup_pass, s.pickup_n, s.pickup_digits, s.pickup_generation,
    s.drop_off_pass, s.drop_off_n, s.drop_off_digits, s.drop_off_generation,
    s.asked_at, s.expected_at, s.reserved_at, s.deposited_at, s.expired_at, s.ended_at, s.epoch, s.linked_to,
    s.in_reach, s.fallback, w.offered_until,
    EXISTS (SELECT FROM compartments c WHERE c.bank = s.bank AND c.id = s.compartment AND c.shelf) AS shelf,
    EXISTS (
        SELECT FROM compartments c WHERE c.bank = s.bank AND c.id = s.compartment AND c.state = 'out_of_service'
    ) AS out_of_service,
    EXISTS (
        SELECT FROM passes x WHERE x.stay = s.id AND x.state = 'live' AND x.digits = 0
    ) AS same_code,
    CASE WHEN w.stay IS NOT NULL AND s.state <> 'reserved' AND (w.instruction IS NULL OR w.again_at > '-infinity') THEN 1 + (
        SELECT count(*) FROM waiting x JOIN stays y ON y.id = x.stay AND y.state <> 'reserved'
        WHERE x.bank = w.bank AND (x.since, x.stay) < (w.since, w.stay)
    ) END AS waiting_position,
    ARRAY (
        SELECT i.kind FROM instructions i
        WHERE i.about = s.id AND i.answered_at IS NULL AND i.state IN ('asked', 'sent') AND i.kind IS NOT NULL
        ORDER BY i.ordinal
    ) AS pending,
    EXISTS (
        SELECT FROM instructions i
        WHERE i.about = s.id AND i.answered_at IS NULL AND i.state IN ('asked', 'sent') AND i.unsigned
    ) AS unsigned
FROM stays s
JOIN banks b ON b.id = s.bank
JOIN sites t ON t.id = b.site
LEFT JOIN people p ON p.id = s.recipient
LEFT JOIN waiting w ON w.stay = s.id
WHERE ($1::text IS NULL OR s.organisation = $1) AND s.id = $2

-- name: stays_of
-- The latest stays, of a bank or of all, open ones only or all, for one person or for all. One that is linked to another is not shown twice.
SELECT s.id, s.bank, b.name AS bank_name, s.service, s.recipient, p.name AS recipient_name, s.tracking, s.state,
    s.reason, s.compartment, s.deadline, s.announced, s.presumed, s.epoch IS NOT NULL AS confirmed,
    greatest(s.asked_at, s.expected_at, s.reserved_at, s.deposited_at, s.expired_at, s.ended_at) AS changed_at
FROM stays s
JOIN banks b ON b.id = s.bank
LEFT JOIN people p ON p.id = s.recipient
WHERE ($1::text IS NULL OR s.organisation = $1) AND ($2::text IS NULL OR s.bank = $2)
    AND (NOT $3 OR s.ended_at IS NULL)
    AND ($5::text IS NULL OR s.recipient = $5)
    AND s.linked_to IS NULL
ORDER BY changed_at DESC NULLS LAST, s.id LIMIT $4

-- name: entries_of_stay
-- `asked`: of an answer, what the wall was asked.
SELECT e.bank, e.epoch, e.seq, e.raw, i.kind AS asked FROM stay_entries x
JOIN entries e ON e.bank = x.bank AND e.epoch = x.epoch AND e.seq = x.seq
LEFT JOIN instructions i ON i.bank = e.bank
    AND i.id = CASE WHEN e.kind = 'Answered' THEN convert_from(e.raw, 'UTF8')::jsonb -> 6 ->> 'instruction' END
WHERE x.stay = ANY ($1) ORDER BY e.at, e.epoch, e.seq LIMIT $2

-- name: openings_of_stay
SELECT id, compartment, purpose, state, reason, why, wanted_at, unlocked_at, opened_at, closed_at
FROM openings WHERE stay = ANY ($1) ORDER BY epoch, seq LIMIT $2

-- name: instruction
SELECT i.id, i.bank, i.kind, i.state, i.refusal, i.about, i.not_after, i.asked_at, i.answered_at,
    o.state AS opening_state, o.why AS opening_why, greatest(b.heard_at, b.appended_at) AS heard_at,
    i.unsigned AND i.answered_at IS NULL AND i.state = 'asked' AS unsigned
FROM instructions i JOIN banks b ON b.id = i.bank LEFT JOIN openings o ON i.kind = 'Open' AND o.id = i.about
WHERE i.organisation = $1 AND i.id = $2

-- name: compartments
SELECT c.id, c.width_mm, c.height_mm, c.depth_mm, c.climate, c.reach_mm, c.state, c.why, c.door, c.stay,
    c.gate, c.shelf, c.looked_at
FROM compartments c WHERE c.bank = $1 ORDER BY length(c.id), c.id LIMIT $2

-- name: places
-- The wall without its contents, for whoever looks for one door.
SELECT id, width_mm, height_mm FROM compartments WHERE bank = $1 ORDER BY length(id), id LIMIT $2

-- name: openings_of_door
-- What a door did lately.
SELECT o.id, o.compartment, o.purpose, o.state, o.reason, o.why, o.wanted_at, o.unlocked_at, o.opened_at, o.closed_at
FROM openings o WHERE o.bank = $1 AND o.compartment = $2 ORDER BY o.epoch DESC, o.seq DESC LIMIT $3
