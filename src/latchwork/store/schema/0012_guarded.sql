-- A guarded wall does what widens who can open only with a signature of a key that is kept outside the server. Such an
-- instruction waits here until it is signed.

ALTER TABLE instructions ADD COLUMN unsigned bool NOT NULL DEFAULT false;
CREATE INDEX instructions_unsigned ON instructions (organisation, bank) WHERE unsigned;
CREATE INDEX entries_guards ON entries (bank, epoch, seq) WHERE kind IN ('Guarded', 'EpochBegan');

-- The keys that a bank says guard it, as a JSON array; NULL where it has said nothing yet.
CREATE FUNCTION guards_of(_bank text) RETURNS jsonb
LANGUAGE sql STABLE
RETURN (
    SELECT CASE kind WHEN 'Guarded' THEN body -> 'keys' ELSE coalesce(body -> 'shield' -> 'guards', '[]') END
    FROM (
        SELECT kind, convert_from(raw, 'UTF8')::jsonb -> 6 AS body FROM entries
        WHERE bank = _bank AND kind IN ('Guarded', 'EpochBegan') ORDER BY epoch DESC, seq DESC LIMIT 1
    ) newest
);

-- Of those kinds that may widen, each waits; of an amendment only a new recipient and an end of blocking.
CREATE FUNCTION hold_unsigned() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    _amend jsonb := CASE WHEN NEW.kind = 'Amend' THEN convert_from(NEW.body, 'UTF8')::jsonb -> 'Amend' END;
BEGIN
    NEW.unsigned := coalesce(jsonb_array_length(guards_of(NEW.bank)), 0) > 0
        AND (_amend IS NULL OR _amend ->> 'recipient' IS NOT NULL OR _amend ->> 'blocked' = 'false');
    RETURN NEW;
END
$$;
CREATE TRIGGER hold_unsigned BEFORE INSERT ON instructions FOR EACH ROW
WHEN (NEW.kind IN ('Adopt', 'Amend', 'Check', 'GrantPass', 'Guard', 'Listen', 'Open') AND NEW.body IS NOT NULL)
EXECUTE FUNCTION hold_unsigned();

-- As in 0007, without what waits for a signature. What came too late for one goes down as void.
CREATE OR REPLACE FUNCTION send_orders(
    _organisation text, _bank text, _session bigint, _now timestamptz, _resend_before timestamptz, _limit int
) RETURNS TABLE (id text, number int, body bytea, void bool)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
    _last int;
BEGIN
    SELECT b.orders_last INTO _last FROM banks b
    WHERE b.id = _bank AND b.organisation = _organisation AND b.session = _session AND b.divided IS NULL
        AND b.key_revoked_at IS NULL
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF NOT EXISTS (
        SELECT FROM instructions i
        WHERE i.bank = _bank AND i.answered_at IS NULL AND NOT (i.unsigned AND coalesce(i.not_after > _now, true))
            AND (i.number IS NULL OR i.sent_session IS DISTINCT FROM _session OR i.sent_at < _resend_before)
    ) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH chosen AS (
        SELECT i.id AS chosen_id, i.number AS had, i.ordinal,
            row_number() OVER (PARTITION BY i.number IS NULL ORDER BY i.ordinal) AS place
        FROM instructions i
        WHERE i.bank = _bank AND i.answered_at IS NULL AND NOT (i.unsigned AND coalesce(i.not_after > _now, true))
        ORDER BY i.number NULLS LAST, i.ordinal
        LIMIT _limit
    ), sent AS (
        UPDATE instructions i SET
            number = coalesce(c.had, _last + c.place::int),
            state = CASE WHEN i.state = 'asked' AND i.not_after <= _now THEN 'void'
                WHEN i.state = 'asked' THEN 'sent' ELSE i.state END,
            sent_at = _now, sent_session = _session
        FROM chosen c
        WHERE i.id = c.chosen_id
        RETURNING i.id, i.number, i.body, i.state = 'void' AS void
    ), counted AS (
        UPDATE banks b SET orders_last = greatest(b.orders_last, (SELECT max(s.number) FROM sent s))
        WHERE b.id = _bank
    )
    SELECT s.id, s.number, s.body, s.void FROM sent s ORDER BY s.number;
END
$$;
