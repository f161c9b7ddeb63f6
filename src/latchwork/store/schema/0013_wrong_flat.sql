-- What was there before it was announced is looked at once more: it may have been put in for somebody else.
CREATE INDEX stays_just_linked ON stays (id) WHERE reason = 'already_here' AND seq IS NULL;
