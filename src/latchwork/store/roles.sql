-- The roles that Latchwork works as. They belong to the PostgreSQL server, not to one database, so no migration makes
-- them. None owns a table, and none passes by row-level security. Repeating this does no harm.

DO $$
DECLARE
    _role text;
BEGIN
    FOREACH _role IN ARRAY ARRAY['latchwork_pages', 'latchwork_lanes', 'latchwork_house', 'latchwork_batches'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = _role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I', _role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                -- Another database of this server was faster.
                NULL;
            END;
        END IF;
        IF NOT pg_has_role(current_user, _role, 'USAGE') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', _role);
        END IF;
    END LOOP;
END
$$;
