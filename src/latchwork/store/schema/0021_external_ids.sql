-- What somebody is called in the list that an organisation keeps of them elsewhere.
ALTER TABLE people ADD COLUMN external_id text COLLATE "C";
CREATE UNIQUE INDEX people_external_id ON people (organisation, external_id) WHERE external_id IS NOT NULL AND party IS NULL;
