-- Carriers and shops at walls that others run: a party sees its own stays on the walls it is admitted to, nothing else.
-- At the walls of the organisation that keeps it, a party is admitted anyway.

ALTER TABLE banks ADD UNIQUE (id, organisation);

CREATE TABLE admissions (
    bank         text COLLATE "C" NOT NULL,
    party        text COLLATE "C" NOT NULL REFERENCES parties,
    -- Whose bank it is.
    organisation text COLLATE "C" NOT NULL,
    admitted_at  timestamptz NOT NULL,
    admitted_by  text NOT NULL,
    PRIMARY KEY (bank, party),
    FOREIGN KEY (bank, organisation) REFERENCES banks (id, organisation)
);
CREATE INDEX ON admissions (party);

-- A party's own customers: nobody else's directory names them.
ALTER TABLE people ADD COLUMN party text COLLATE "C" REFERENCES parties;
CREATE INDEX people_party ON people (party) WHERE party IS NOT NULL;
CREATE INDEX stays_party ON stays (party) WHERE party IS NOT NULL;

-- The party that the transaction acts as; then it acts for no organisation (see tenant).
CREATE FUNCTION acting_party() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('latchwork.party', true), '');

SELECT keep_apart('admissions', 'organisation = (SELECT tenant())');
CREATE POLICY party ON admissions FOR SELECT TO latchwork_pages USING (party = (SELECT acting_party()));

-- An organisation also sees which parties it has admitted.
CREATE POLICY admitted ON parties FOR SELECT TO latchwork_pages
    USING (EXISTS (SELECT FROM admissions a WHERE a.party = parties.id AND a.organisation = (SELECT tenant())));
CREATE POLICY party ON parties FOR SELECT TO latchwork_pages USING (id = (SELECT acting_party()));

CREATE POLICY party ON banks FOR SELECT TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND (
        organisation = (SELECT y.organisation FROM parties y WHERE y.id = acting_party())
        OR EXISTS (SELECT FROM admissions a WHERE a.bank = banks.id AND a.party = (SELECT acting_party()))
    )
);
CREATE POLICY party ON sites FOR SELECT TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND EXISTS (SELECT FROM banks b WHERE b.site = sites.id)
);
CREATE POLICY party ON services FOR SELECT TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND EXISTS (SELECT FROM banks b WHERE b.id = services.bank)
);
CREATE POLICY party ON people TO latchwork_pages USING (party = (SELECT acting_party()));
CREATE POLICY party ON stays TO latchwork_pages USING (
    party = (SELECT acting_party()) AND EXISTS (SELECT FROM banks b WHERE b.id = stays.bank)
);
-- What is of a stay is the party's as the stay is.
CREATE POLICY party ON stay_entries FOR SELECT TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND EXISTS (SELECT FROM stays s WHERE s.id = stay_entries.stay)
);
CREATE POLICY party ON openings FOR SELECT TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND EXISTS (SELECT FROM stays s WHERE s.id = openings.stay)
);
CREATE POLICY party ON entries FOR SELECT TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND EXISTS (
        SELECT FROM stay_entries x WHERE (x.bank, x.epoch, x.seq) = (entries.bank, entries.epoch, entries.seq)
    )
);
CREATE INDEX stay_entries_entry ON stay_entries (bank, epoch, seq);
CREATE POLICY party ON instructions TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND EXISTS (SELECT FROM stays s WHERE s.id = instructions.about)
);
CREATE POLICY party ON waiting TO latchwork_pages USING (
    (SELECT acting_party()) IS NOT NULL AND EXISTS (SELECT FROM stays s WHERE s.id = waiting.stay)
);

-- For a usage statement: how large a compartment is, and nothing of what is in it.
CREATE FUNCTION size_of(_bank text, _compartment text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    SELECT concat_ws(' x ', width_mm, height_mm, depth_mm) || ' mm' FROM compartments
    WHERE bank = _bank AND id = _compartment
$$;
REVOKE EXECUTE ON FUNCTION size_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION size_of TO latchwork_pages;
GRANT CREATE ON SCHEMA public TO latchwork_batches;
ALTER FUNCTION size_of OWNER TO latchwork_batches;
REVOKE CREATE ON SCHEMA public FROM latchwork_batches;

-- `as_party`: who asks is this party, and nobody of the organisation.
ALTER TYPE announcement ADD ATTRIBUTE as_party text;
