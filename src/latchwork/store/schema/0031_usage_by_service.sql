-- What was used, thing by thing and month by month (UTC): by one party, or ($1 NULL) by all of whom the reader may know,
-- and by nobody's party at the reader's own walls. It is told to the party itself, to the organisation that keeps it,
-- and to whoever runs the wall, whether or not it is still admitted there. A thing that was moved counts where it was last.
DROP FUNCTION used;
CREATE FUNCTION used(_party text, _since timestamptz, _until timestamptz, _now timestamptz) RETURNS TABLE (
    month text, party text, party_name text, bank text, bank_name text, site_name text, service text, stay text,
    tracking text, compartment text, size text, state text, deposited_at timestamptz, ended_at timestamptz,
    deposits int, compartment_hours numeric
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    SELECT to_char(m.since AT TIME ZONE 'UTC', 'YYYY-MM'), s.party, y.name, s.bank, b.name, z.name, s.service, s.id,
        s.tracking, s.compartment, coalesce(concat_ws(' x ', c.width_mm, c.height_mm, c.depth_mm) || ' mm', 'unknown'),
        s.state, s.deposited_at, s.ended_at, (s.deposited_at >= m.since)::int,
        greatest(0, extract(
            epoch FROM least(coalesce(s.ended_at, _now), m.until) - greatest(s.deposited_at, m.since)
        )) / 3600
    FROM (
        SELECT month AT TIME ZONE 'UTC' AS since, (month + interval '1 month') AT TIME ZONE 'UTC' AS until
        FROM generate_series(_since AT TIME ZONE 'UTC', _until AT TIME ZONE 'UTC', interval '1 month') month
    ) m
    JOIN stays s ON s.deposited_at < m.until AND (s.ended_at IS NULL OR s.ended_at > m.since)
    JOIN banks b ON b.id = s.bank
    JOIN sites z ON z.id = b.site
    LEFT JOIN parties y ON y.id = s.party
    LEFT JOIN compartments c ON c.bank = s.bank AND c.id = s.compartment
    WHERE s.deposited_at < _until + interval '32 days' AND (s.ended_at IS NULL OR s.ended_at > _since)
        AND (_party IS NULL OR s.party = _party)
        AND (s.party = acting_party() OR b.organisation = tenant() OR y.organisation = tenant())
$$;
REVOKE EXECUTE ON FUNCTION used FROM PUBLIC;
GRANT EXECUTE ON FUNCTION used TO latchwork_pages;
GRANT CREATE ON SCHEMA public TO latchwork_batches;
ALTER FUNCTION used OWNER TO latchwork_batches;
REVOKE CREATE ON SCHEMA public FROM latchwork_batches;
-- A month's statement reads the stays of about that month: what is deposited together lies together, and indexes that
-- sum up ranges of the table cost writers next to nothing.
CREATE INDEX stays_deposited_around ON stays USING brin (deposited_at);
CREATE INDEX stays_ended_around ON stays USING brin (ended_at);
