-- What cannot wait is mailed to those who look after walls.
ALTER TABLE tasks
    -- When it was first put into a mail.
    ADD COLUMN told_at timestamptz;
UPDATE tasks SET told_at = opened_at;
CREATE INDEX tasks_told ON tasks (told_at);
CREATE INDEX tasks_untold ON tasks (kind) WHERE told_at IS NULL AND closed_at IS NULL;
ALTER TABLE accounts
    -- Whether they want such mails.
    ADD COLUMN alarms bool NOT NULL DEFAULT true;
