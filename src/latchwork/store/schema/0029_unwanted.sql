-- What somebody does not want to be mailed, of what they need not know: see people.News.
ALTER TABLE people ADD COLUMN unwanted text[] NOT NULL DEFAULT '{}';
