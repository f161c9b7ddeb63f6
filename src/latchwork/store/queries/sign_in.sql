-- Signing in: accounts, sessions, one-time links, and guesses.

-- name: account
SELECT id, organisation, email, name, role, password, app, app_last, recovery, recovery_used, created_at, alarms, language,
    coalesce(app_at, created_at) AS app_at, coalesce(recovery_at, created_at) AS recovery_at,
    EXISTS (SELECT FROM passkeys p WHERE p.account = a.id) AS passkeys
FROM accounts a WHERE id = $1

-- name: account_by_email
SELECT id, organisation, email, name, role, password, app, app_last, recovery, recovery_used, created_at, alarms, language,
    coalesce(app_at, created_at) AS app_at, coalesce(recovery_at, created_at) AS recovery_at,
    EXISTS (SELECT FROM passkeys p WHERE p.account = a.id) AS passkeys
FROM accounts a WHERE email = $1 AND password IS NOT NULL

-- name: reads
UPDATE accounts SET language = $2 WHERE id = $1 AND language <> $2

-- name: team
SELECT id, email, name, role,
    (SELECT max(s.used_at) FROM sessions s WHERE s.account = a.id) AS used_at, created_at
FROM accounts a WHERE organisation = $1 ORDER BY name, id LIMIT $2

-- name: set_password
-- Not where another account has this address and a password.
UPDATE accounts a SET password = $2, password_at = $3 WHERE id = $1 AND ($2::text IS NULL OR NOT EXISTS (
    SELECT FROM accounts o WHERE o.email = a.email AND o.password IS NOT NULL AND o.id <> a.id
))
RETURNING true

-- name: set_app
-- With the step of the code that proved it, so that this code is used up.
UPDATE accounts SET app = $2, app_last = $2, app_step = $3, app_at = $4 WHERE id = $1

-- name: app_code_used
-- Whether this step's code was still unused.
UPDATE accounts SET app_step = $2 WHERE id = $1 AND app_step < $2 RETURNING true

-- name: set_recovery
UPDATE accounts SET recovery = coalesce(recovery, 0) + 1, recovery_used = '{}', recovery_at = $2
WHERE id = $1 RETURNING recovery

-- name: recovery_code_used
UPDATE accounts SET recovery_used = recovery_used || $3::int
WHERE id = $1 AND recovery = $2 AND NOT recovery_used @> ARRAY[$3::int] RETURNING true

-- name: forget_factors
-- New numbers only: what was given out before proves nothing any more. The passkeys that went.
WITH changed AS (
    UPDATE accounts SET app = NULL, recovery = recovery + 1, recovery_used = '{0,1,2,3,4,5,6,7,8,9}', recovery_at = $2
    WHERE id = $1
)
DELETE FROM passkeys WHERE account = $1 RETURNING id

-- name: password_gone
-- After a restore, one that was replaced since ($2) fits nobody's; a new one comes by mail.
UPDATE accounts SET password = 'replaced' WHERE id = $1 AND password <> 'replaced' AND coalesce(password_at, created_at) < $2
RETURNING true

-- name: app_gone
UPDATE accounts SET app = NULL WHERE id = $1 AND app IS NOT NULL AND coalesce(app_at, created_at) < $2 RETURNING true

-- name: recovery_gone
UPDATE accounts SET recovery = recovery + 1, recovery_used = '{0,1,2,3,4,5,6,7,8,9}', recovery_at = $2
WHERE id = $1 AND recovery IS NOT NULL AND coalesce(recovery_at, created_at) < $2 RETURNING true

-- name: passkey_gone
DELETE FROM passkeys WHERE id = $1 AND created_at < $2 RETURNING true

-- name: role_gone
UPDATE accounts SET role = $2 WHERE id = $1 AND role <> $2 RETURNING true

-- name: session_gone
DELETE FROM sessions WHERE id = $1 RETURNING true

-- name: visits_gone
DELETE FROM visits WHERE person = $1 AND created_at < $2 RETURNING true

-- name: end_all_sessions
-- Whoever signed in before a restore signs in again.
WITH a AS (DELETE FROM visits) DELETE FROM sessions

-- name: set_role
-- The last owner stays one. Owners are locked in order, so that the last two cannot go at once.
WITH owners AS (
    SELECT id FROM accounts WHERE organisation = $1 AND role = 'owner' ORDER BY id FOR UPDATE
)
UPDATE accounts SET role = $3
WHERE organisation = $1 AND id = $2
    AND ($3 = 'owner' OR role <> 'owner' OR EXISTS (SELECT FROM owners o WHERE o.id <> $2))
RETURNING true

-- name: remove_account
WITH owners AS (
    SELECT id FROM accounts WHERE organisation = $1 AND role = 'owner' ORDER BY id FOR UPDATE
)
DELETE FROM accounts
WHERE organisation = $1 AND id = $2 AND (role <> 'owner' OR EXISTS (SELECT FROM owners o WHERE o.id <> $2))
RETURNING true

-- name: begin_session
INSERT INTO sessions (id, secret, organisation, account, token, stage, how, device, created_at, used_at, ends_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)

-- name: session
-- Whose cookie this is, if it was used since $3 and has not ended.
SELECT s.id, s.stage, s.how, s.device, s.created_at, s.used_at, s.account, s.organisation,
    coalesce(s.account, s.token) AS speaker, coalesce(a.name, t.name) AS name, coalesce(a.role, t.role) AS role,
    coalesce(t.root, false) AS root, t.party
FROM sessions s LEFT JOIN accounts a ON a.id = s.account LEFT JOIN tokens t ON t.id = s.token
WHERE s.secret = $1 AND s.ends_at > $2 AND s.used_at > $3 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2)

-- name: session_used
UPDATE sessions SET used_at = $2 WHERE id = $1

-- name: sessions
SELECT id, how, device, created_at, used_at FROM sessions
WHERE coalesce(account, token) = $1 AND stage = 'full' AND ends_at > $2 AND used_at > $3
ORDER BY used_at DESC, id LIMIT $4

-- name: end_session
DELETE FROM sessions WHERE id = $1 AND coalesce(account, token) = $2 RETURNING true

-- name: end_sessions
-- All of an account, or all but one.
DELETE FROM sessions WHERE coalesce(account, token) = $1 AND ($2::text IS NULL OR id <> $2) RETURNING id

-- name: make_link
INSERT INTO links (
    id, purpose, organisation, account, token, email, role, made_by, created_at, expires_at, due_at, language
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, CASE WHEN $11::bool THEN $9::timestamptz END, $12)

-- name: make_news
-- A mail about what happened: there is nothing to use.
INSERT INTO links (id, purpose, organisation, account, about, created_at, expires_at, due_at)
VALUES ($1, 'news', $2, $3, $4, $5, $6, $5)

-- name: make_reset
-- One statement whether there is such an account or not: it takes as long.
INSERT INTO links (id, purpose, organisation, account, email, created_at, expires_at, due_at)
SELECT $1, 'reset', organisation, id, email, $3, $4, $3 FROM accounts WHERE email = $2 AND password IS NOT NULL

-- name: link
SELECT l.id, l.purpose, l.organisation, o.name AS organisation_name, l.account, l.token,
    coalesce(l.email, a.email) AS email, l.role, l.about, a.name, l.created_at, l.expires_at,
    coalesce(a.language, l.language) AS language
FROM links l JOIN organisations o ON o.id = l.organisation LEFT JOIN accounts a ON a.id = l.account
LEFT JOIN tokens t ON t.id = l.token
WHERE l.id = $1 AND l.used_at IS NULL AND l.expires_at > $2 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2)

-- name: use_link
UPDATE links SET used_at = $2 WHERE id = $1 AND used_at IS NULL AND expires_at > $2 RETURNING true

-- name: use_link_for_account
-- An account, made by using up a link: both or neither. Nothing where the address has an account already.
WITH used AS (
    UPDATE links SET used_at = $2 WHERE id = $1 AND used_at IS NULL AND expires_at > $2
        AND NOT EXISTS (SELECT FROM accounts WHERE email = $4 AND password IS NOT NULL)
    RETURNING organisation, coalesce(role, 'owner') AS role
)
INSERT INTO accounts (id, organisation, email, name, role, password, created_at)
SELECT $3, organisation, $4, $5, role, $6, $2 FROM used
RETURNING id, organisation, email, name, role, password, app, app_last, recovery, recovery_used, created_at, alarms, language,
    created_at AS app_at, created_at AS recovery_at, false AS passkeys

-- name: forget_links
-- Older ones of the same kind for the same account or address lose their worth.
UPDATE links SET used_at = $5
WHERE organisation = $1 AND purpose = $2 AND used_at IS NULL
    AND ($3::text IS NULL OR account = $3) AND ($4::text IS NULL OR email = $4)
RETURNING id

-- name: invitations
SELECT id, purpose, email, role, created_at, expires_at, sent_at, last_error FROM links
WHERE organisation = $1 AND purpose = 'invitation' AND used_at IS NULL AND expires_at > $2
ORDER BY created_at DESC, id LIMIT $3

-- name: withdraw_invitation
UPDATE links SET used_at = $3 WHERE organisation = $1 AND id = $2 AND purpose = 'invitation' AND used_at IS NULL
RETURNING true

-- name: ownerless
-- The organisation of the first start, as long as nobody owns it.
SELECT t.organisation FROM tokens t
WHERE t.root AND NOT EXISTS (SELECT FROM accounts a WHERE a.organisation = t.organisation AND a.role = 'owner')
ORDER BY t.created_at LIMIT 1

-- name: claim_links
-- Takes some mails for a while: whoever dies with them lets them come due again.
UPDATE links l SET tries = l.tries + 1, due_at = $2
FROM (
    SELECT id, due_at FROM links WHERE sent_at IS NULL AND due_at <= $1 ORDER BY due_at, id LIMIT $3
    FOR UPDATE SKIP LOCKED
) due
WHERE l.id = due.id
RETURNING l.id, l.purpose AS kind, l.tries

-- name: links_sent
UPDATE links SET sent_at = $2, last_error = NULL WHERE id = ANY ($1::text[])

-- name: link_failed
-- To be tried again at $3, or given up.
UPDATE links SET last_error = $2, due_at = CASE WHEN NOT $4 THEN $3::timestamptz END WHERE id = $1

-- name: guess
-- Counts a guess before it is looked at; nothing comes back where it has to wait. ($3: how many are free of delay,
-- $4: the longest delay in seconds, $5: a count older than this is forgotten)
INSERT INTO guesses AS g (key, count, last_at, free_at) VALUES ($1, 1, $2, $2)
ON CONFLICT (key) DO UPDATE SET
    count = CASE WHEN g.last_at < $5 THEN 1 ELSE g.count + 1 END,
    last_at = $2,
    free_at = $2 + make_interval(secs => CASE
        WHEN g.last_at < $5 OR g.count + 1 < $3 THEN 0 ELSE least($4, 2 ^ least(g.count + 1 - $3, 20)) END)
WHERE g.free_at <= $2
RETURNING true

-- name: guess_free_at
SELECT free_at FROM guesses WHERE key = $1

-- name: guess_was_right
DELETE FROM guesses WHERE key = $1

-- name: guess_was_not_one
UPDATE guesses SET count = greatest(count - 1, 0) WHERE key = $1

-- name: spend_ceremony
INSERT INTO spent_ceremonies (id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true

-- name: passkeys
SELECT id, name, created_at, used_at FROM passkeys WHERE account = $1 ORDER BY created_at, id

-- name: passkey
SELECT account AS holder, public_key, sign_count FROM passkeys WHERE id = $1 AND account IS NOT NULL

-- name: make_passkey
-- Up to $8 of an account.
INSERT INTO passkeys (id, organisation, account, public_key, sign_count, name, created_at)
SELECT $1, $2, $3, $4, $5, $6, $7 WHERE (SELECT count(*) FROM passkeys WHERE account = $3) < $8
ON CONFLICT DO NOTHING RETURNING true

-- name: passkey_used
-- Where it counts, its count only grows: two that show the same count are two.
UPDATE passkeys SET sign_count = $2, used_at = $3 WHERE id = $1 AND (sign_count < $2 OR $2 = 0) RETURNING true

-- name: remove_passkey
DELETE FROM passkeys WHERE id = $1 AND account = $2 RETURNING true

-- name: note_event
INSERT INTO sign_in_events (id, organisation, account, at, what, how, device) VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: note_wrong_password
-- One row whether anybody has this address or not: it takes as long.
INSERT INTO sign_in_events (id, organisation, account, at, what, how, device)
SELECT $1, a.organisation, a.id, $3, $4, '', $5
FROM (SELECT $2::text AS email) tried LEFT JOIN accounts a ON a.email = tried.email AND a.password IS NOT NULL

-- name: events
SELECT at, what, how, device FROM sign_in_events WHERE account = $1 ORDER BY at DESC, id LIMIT $2

-- name: sweep_events
WITH old AS (DELETE FROM sign_in_events WHERE at < $1)
DELETE FROM sign_in_events WHERE account IS NULL AND at < $2

-- name: sweep_sign_in
-- What nobody needs any more: sessions that ended, links long used up or expired, answers and guesses of the past.
WITH a AS (DELETE FROM sessions WHERE ends_at < $1), b AS (DELETE FROM links WHERE expires_at < $2),
    c AS (DELETE FROM spent_ceremonies WHERE expires_at < $1)
DELETE FROM guesses WHERE last_at < $2
