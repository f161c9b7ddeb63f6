-- What is asked twice is asked once; who waits for room keeps a place; what could not be told is told once.

-- Before then nothing is offered again to whoever waits: the wall had no room although it looked so.
ALTER TABLE waiting ADD COLUMN again_at timestamptz NOT NULL DEFAULT '-infinity';

-- Counts the soft reservations ever made, so that two that race for the last room cannot both have it.
ALTER TABLE banks ADD COLUMN softs int NOT NULL DEFAULT 0;

-- Up to when the recipient was reminded: of several reminders the last one that was due.
ALTER TABLE stays ADD COLUMN reminded_to timestamptz;
CREATE INDEX stays_deadline ON stays (deadline) WHERE ended_at IS NULL AND state = 'deposited';

ALTER TABLE delegates ADD COLUMN told_at timestamptz;
CREATE INDEX delegates_untold ON delegates (until) WHERE told_at IS NULL AND email IS NOT NULL;

-- Asks something of a stay's bank, or finds the same question: of the same id, or with no answer yet. Nothing where the
-- stay is another organisation's.
CREATE FUNCTION ask_once(
    _id text, _organisation text, _stay text, _kind text, _body bytea, _sha256 text, _at timestamptz, _by text
) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    _bank  text;
    _asked text;
BEGIN
    -- Of two that ask at once the second waits here, and then sees what the first one asked.
    SELECT s.bank INTO _bank FROM stays s WHERE s.id = _stay AND s.organisation = _organisation FOR NO KEY UPDATE;
    SELECT i.id INTO _asked FROM instructions i
    WHERE i.id = _id OR (i.about = _stay AND i.bank = _bank AND i.sha256 = _sha256 AND i.answered_at IS NULL)
    LIMIT 1;
    IF _asked IS NULL AND _bank IS NOT NULL THEN
        INSERT INTO instructions (id, organisation, bank, kind, body, sha256, about, asked_at, asked_by)
        VALUES (_id, _organisation, _bank, _kind, _body, _sha256, _stay, _at, _by)
        RETURNING id INTO _asked;
    END IF;
    RETURN _asked;
END
$$;

-- `wait_minutes`: with a place in the queue should there be no room; an offer is then kept so long. `reserve_until`: so
-- long the room is kept that is asked for now.
ALTER TYPE announcement ADD ATTRIBUTE in_reach bool, ADD ATTRIBUTE wait_minutes int,
    ADD ATTRIBUTE reserve_until timestamptz;
