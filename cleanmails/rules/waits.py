"""How long a step waits: days by the calendar of the campaign's zone, hours as elapsed time."""

from datetime import datetime, timedelta

from cleanmails.rules import zones


def due_at(settled_at: datetime, wait_days: int, wait_hours: int, timezone: str) -> datetime:
    """When a step falls due whose predecessor settled at `settled_at`.

    First the days: the same reading of the wall clock, so many calendar days later; the first instant after the gap if clocks skip that reading,
    its first showing if they repeat it. Then the hours, each of sixty minutes whatever the clocks do. A wait of no days leaves the instant as it is.
    Instants are aware datetimes in UTC.
    """
    if wait_days:
        settled_at = zones.days_later(settled_at, wait_days, timezone)
    return settled_at + timedelta(hours=wait_hours) if wait_hours else settled_at
