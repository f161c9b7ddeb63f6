-- A mailed link is told in a language: of the recipient, or of the page on which it was asked for.
ALTER TABLE links ADD COLUMN language text NOT NULL DEFAULT 'en';
