-- The stream of events in the order in which it is read, and the end of what is older than a policy keeps.
--
-- Order is that of (xact, id). Only transactions older than every one that still runs are read (pg_snapshot_xmin), so nothing can
-- appear behind a reader: what commits late has a higher place than all that was readable before.
CREATE INDEX events_in_order ON events (workspace_id, xact, id);

-- Drops the months that ended more than `kept` months ago; returns how many. Readers of other months wait for none of it.
CREATE FUNCTION drop_event_months(kept integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    oldest text := 'events_' || to_char(date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => kept), 'YYYYMM');
    part text;
    dropped integer := 0;
BEGIN
    FOR part IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_[0-9]{6}$' AND c.relname < oldest ORDER BY 1 LOOP
        EXECUTE format('DROP TABLE %I', part);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;
