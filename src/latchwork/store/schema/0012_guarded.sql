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
