-- What carriers and shops say of returns.

-- name: partner_rules
SELECT id, rule::text AS rule, ask_secret FROM parties
WHERE organisation = $1 AND ($2::text IS NULL OR id = $2) AND ($2::text IS NOT NULL OR rule <> '{}') ORDER BY id

-- name: set_partner_rule
UPDATE parties SET rule = $3::jsonb, ask_secret = $4 WHERE organisation = $1 AND id = $2 RETURNING true

-- name: partner_rule_at
SELECT p.id, p.rule::text AS rule, p.ask_secret FROM parties p JOIN banks b ON b.organisation = p.organisation
WHERE b.id = $1 AND p.id = $2

-- name: signs
SELECT b.id, b.name, s.name AS site FROM banks b JOIN sites s ON s.id = b.site
WHERE b.organisation = $1 AND ($2::text IS NULL OR b.id = $2) ORDER BY b.id
