-- Months that lie behind: a history that is brought along (another tool's, or the demonstration's) needs its partitions too, for the default one is to stay empty.
CREATE FUNCTION make_past_event_months(since timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    month date := date_trunc('month', since AT TIME ZONE 'UTC')::date;
    made integer := 0;
BEGIN
    WHILE month < date_trunc('month', now() AT TIME ZONE 'UTC')::date LOOP
        IF to_regclass(format('events_%s', to_char(month, 'YYYYMM'))) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', 'events_' || to_char(month, 'YYYYMM'),
                           month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
            made := made + 1;
        END IF;
        month := (month + interval '1 month')::date;
    END LOOP;
    RETURN made;
END $$;
