"""Wall clocks of time zones: from a reading to an instant, through the hours that clocks skip and repeat.

An instant is an aware datetime in UTC; a reading is a naive datetime, what a wall clock of the zone shows at some instant.
"""

from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones


@cache
def names() -> frozenset[str]:
    """The IANA names that can be used. Without the files that some systems keep beside them: `localtime` means another zone on every machine."""
    return frozenset(available_timezones()) - {"localtime", "posixrules", "Factory"}


# ZoneInfo itself keeps only the eight zones used last; the others would be read from disk again and again.
@cache
def zone(name: str) -> ZoneInfo:
    """The rules of a zone, by its IANA name. Raises ZoneInfoNotFoundError for a name that is not one."""
    return ZoneInfo(name)


def reading(instant: datetime, name: str) -> datetime:
    """What the zone's wall clock shows at an instant."""
    return instant.astimezone(zone(name)).replace(tzinfo=None)


def instant(shown: datetime, name: str) -> datetime:
    """The first instant at which the zone's wall clock shows a reading; if clocks skip it, the first instant after the gap."""
    later = shown.replace(tzinfo=zone(name), fold=0).astimezone(UTC)
    if reading(later, name) == shown:
        return later
    # A skipped reading has two images, by the offset after the gap and by the one before it: the gap's end lies between them (PEP 495).
    earlier = shown.replace(tzinfo=zone(name), fold=1).astimezone(UTC)
    return elapse(earlier, later - earlier, name)


def days_later(now: datetime, days: int, name: str) -> datetime:
    """The first instant so many calendar days later at which the wall clock shows what it shows now; after the gap if clocks skip that."""
    if _is_calm(name, now.date(), days):
        return now + timedelta(days=days)
    return instant(reading(now, name) + timedelta(days=days), name)


def elapse(now: datetime, span: timedelta, name: str) -> datetime:
    """`now` plus `span`, or the instant on the way there at which the zone changes its offset, if it does."""
    there = now + span
    day = now.date()
    while day <= there.date():
        change = _change(name, day)
        if change is not None and now < change <= there:
            return change
        day += timedelta(days=1)
    return there


@lru_cache(maxsize=4096)
def _is_calm(name: str, day: date, days: int) -> bool:
    """Whether the zone keeps its offset from the day before a UTC day to the day after so many days: what its clocks show is shown once, then."""
    return all(_change(name, day + timedelta(days=n)) is None for n in range(-1, days + 2))


@lru_cache(maxsize=4096)
def _change(name: str, day: date) -> datetime | None:
    """The second of a UTC day at which the zone changes its offset, if it does. Since 2000 no zone has done so twice within seven days."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    before = _offset(start - timedelta(seconds=1), name)
    if _offset(start + timedelta(seconds=86_399), name) == before:
        return None
    changed = bisect_left(range(86_400), True, key=lambda s: _offset(start + timedelta(seconds=s), name) != before)
    return start + timedelta(seconds=changed)


def _offset(at: datetime, name: str) -> timedelta | None:
    return at.astimezone(zone(name)).utcoffset()
