"""Sending windows: whether one is open at an instant, when it opens, when it closes.

One definition carries all: an instant is inside a window exactly if the wall clock of the schedule's zone, read to the minute, is inside it.
An overnight window belongs to the day on which it starts: its hours after midnight are inside if the day before, by the calendar, is one of
`days`. From this follows what happens when clocks are changed. Where they are put forward over `start`, the window opens at the first instant
after the gap; where they are put back, an hour that is repeated inside the window is open both times, and one outside it is closed both times.

No schedule (None) is always open. Instants are aware datetimes in UTC, in and out.
"""

import re
from datetime import datetime, time, timedelta
from difflib import get_close_matches

import msgspec

from cleanmails.errors import Fault, InvalidError
from cleanmails.records import Schedule
from cleanmails.rules import zones

DAY = 24 * 60
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_FIELDS = ("days", "start", "end", "timezone")


def is_open(schedule: Schedule | None, now: datetime) -> bool:
    """Whether mail may be sent at this instant."""
    return schedule is None or _inside(schedule, zones.reading(now, schedule.timezone))


def next_open(schedule: Schedule | None, now: datetime) -> datetime:
    """The first instant from `now` on at which the window is open: `now` itself if it is."""
    if schedule is None:
        return now
    while not _inside(schedule, shown := zones.reading(now, schedule.timezone)):
        now = zones.elapse(now, _until(schedule.start, shown), schedule.timezone)
    return now


def closes_at(schedule: Schedule | None, now: datetime) -> datetime | None:
    """The first instant from `now` on at which the window is closed: `now` itself if it is, None if it is always open."""
    if schedule is None or _always(schedule):
        return None
    while _inside(schedule, shown := zones.reading(now, schedule.timezone)):
        now = zones.elapse(now, _until(schedule.end, shown), schedule.timezone)
    return now


def midnight(timezone: str, now: datetime) -> datetime:
    """The instant at which the zone's present calendar day began; not 00:00 where clocks skip that."""
    return zones.instant(datetime.combine(zones.reading(now, timezone), time()), timezone)


def as_json(schedule: Schedule) -> dict[str, object]:
    """The schedule as the API shows it, in the form that `parse` takes."""
    return {
        "days": sorted(schedule.days),
        "start": _clock(schedule.start),
        "end": _clock(schedule.end),
        "timezone": schedule.timezone,
    }


def parse(value: object, field: str = "schedule_config") -> Schedule | None:
    """Read `{"days": [0..6], "start": "HH:MM", "end": "HH:MM", "timezone": "IANA name"}`, as an object or as JSON text; Sunday is 0.

    None, an empty text and JSON's null mean no schedule. Raises InvalidError with every fault, each named by its path under `field`.
    """
    given = _decode(value, field)
    if given is None:
        return None
    faults = [
        Fault(f"{field}.{name}", "unknown", f"A schedule has only {', '.join(_FIELDS)}.")
        for name in given
        if name not in _FIELDS
    ]
    days = _days(given.get("days"), f"{field}.days", faults)
    start = _minutes(given.get("start"), f"{field}.start", faults)
    end = DAY if given.get("end") == "24:00" else _minutes(given.get("end"), f"{field}.end", faults)
    timezone = _timezone(given.get("timezone"), f"{field}.timezone", faults)
    if start == end and start is not None:
        faults.append(
            Fault(f"{field}.end", "equal", "The end is the same as the start; 00:00 to 24:00 is the whole day.")
        )
    if faults or start is None or end is None:
        raise InvalidError(faults)
    return Schedule(days=days, start=start, end=end, timezone=timezone)


def _inside(schedule: Schedule, shown: datetime) -> bool:
    minute = shown.hour * 60 + shown.minute
    today = shown.isoweekday() % 7 in schedule.days
    if schedule.start < schedule.end:
        return today and schedule.start <= minute < schedule.end
    yesterday = (shown.isoweekday() - 1) % 7 in schedule.days
    return (today and minute >= schedule.start) or (yesterday and minute < schedule.end)


def _until(minute: int, shown: datetime) -> timedelta:
    """How long a clock that is not changed takes from a reading to the next time it shows `minute`: more than nothing, a day at most."""
    past = timedelta(hours=shown.hour, minutes=shown.minute, seconds=shown.second, microseconds=shown.microsecond)
    ahead = timedelta(minutes=minute) - past
    return ahead if ahead > timedelta() else ahead + timedelta(days=1)


def _always(schedule: Schedule) -> bool:
    return len(schedule.days) == 7 and (schedule.start, schedule.end) == (0, DAY)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _decode(value: object, field: str) -> dict[str, object] | None:
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value) if value.strip() else None
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise InvalidError([Fault(field, "json", "This text is not JSON.")]) from None
    if value is None or isinstance(value, dict):
        return value
    raise InvalidError([Fault(field, "type", f"Give an object with {', '.join(_FIELDS)}, or null for always open.")])


def _days(value: object, field: str, faults: list[Fault]) -> frozenset[int]:
    if isinstance(value, list | tuple) and value and all(type(day) is int and 0 <= day <= 6 for day in value):
        return frozenset(value)
    faults.append(Fault(field, "days", "Give at least one day, each a whole number from 0 (Sunday) to 6 (Saturday)."))
    return frozenset()


def _minutes(value: object, field: str, faults: list[Fault]) -> int | None:
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found:
        return int(found[1]) * 60 + int(found[2])
    faults.append(Fault(field, "time", 'Give a time of day as "HH:MM", from 00:00 to 23:59; an end may be 24:00.'))
    return None


def _timezone(value: object, field: str, faults: list[Fault]) -> str:
    if isinstance(value, str) and value in zones.names():
        return value
    near = get_close_matches(value[:40], zones.names(), n=1) if isinstance(value, str) else []
    hint = f" Did you mean {near[0]}?" if near else ""
    faults.append(Fault(field, "timezone", f"Give the IANA name of a time zone, such as Europe/Berlin or UTC.{hint}"))
    return ""
