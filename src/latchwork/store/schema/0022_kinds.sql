-- Whom a place knows: people, and departments and households that somebody looks after.
ALTER TABLE people
    ADD COLUMN kind text NOT NULL DEFAULT 'resident'
        CHECK (kind IN ('resident', 'student', 'employee', 'department', 'household')),
    -- Beside the e-mail address that notices go to; the best first.
    ADD COLUMN other_emails text[] NOT NULL DEFAULT '{}',
    -- E.164, the best first.
    ADD COLUMN phones text[] NOT NULL DEFAULT '{}',
    -- Who is told instead: of a department or household its key contact.
    ADD COLUMN contact text COLLATE "C" REFERENCES people ON DELETE SET NULL;
CREATE INDEX people_contact ON people (contact) WHERE contact IS NOT NULL;
