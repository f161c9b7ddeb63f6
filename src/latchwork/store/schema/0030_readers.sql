-- Mails to an account are in the language of the page on which it last signed in.
ALTER TABLE accounts ADD COLUMN language text NOT NULL DEFAULT 'en';
