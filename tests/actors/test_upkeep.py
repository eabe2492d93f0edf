"""The hourly duties, as far as no other file holds them: how long events are kept."""

import msgspec

from cleanmails.actors.upkeep import upkeep

MAKE = """DO $$ DECLARE month date := (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '{n} months')::date; BEGIN
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', 'events_' || to_char(month, 'YYYYMM'),
                   month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
END $$"""


def ages(house):
    """In which of the last months there are events."""
    rows = house.all("SELECT DISTINCT (data->>'n')::integer AS n FROM events WHERE data ? 'n' ORDER BY 1")
    return [row["n"] for row in rows]


def test_events_are_kept_for_the_months_of_the_setting(work, house):
    for n in range(5):
        house.db.execute(MAKE.format(n=n))
        house.run(
            "INSERT INTO events (at, workspace_id, type, data) VALUES (date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - make_interval(months => %s), %s, 'lead.created', jsonb_build_object('n', %s::integer))",
            n, house.workspace, n,
        )  # fmt: skip
    upkeep(work)
    assert ages(house) == [0, 1, 2, 3, 4], "0 keeps all"
    kept = msgspec.structs.replace(work, settings=msgspec.structs.replace(work.settings, event_months=2))
    upkeep(kept)
    assert ages(house) == [0, 1, 2]
    upkeep(kept)
    assert ages(house) == [0, 1, 2]
    months = house.one("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass")
    assert months >= 5, "this month, those ahead, the two that are kept, and the default"
