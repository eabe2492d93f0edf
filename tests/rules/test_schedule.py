"""Sending windows, held against a plain reading of the wall clock minute by minute."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given as provided
from hypothesis import settings
from hypothesis import strategies as st

from cleanmails.errors import InvalidError
from cleanmails.records import Schedule
from cleanmails.rules import schedule, zones

MINUTE = timedelta(minutes=1)
EVERY_DAY = frozenset(range(7))
OFFICE = {"days": [1, 2, 3, 4, 5], "start": "09:00", "end": "17:00", "timezone": "UTC"}


def at(text):
    return datetime.fromisoformat(text).astimezone(UTC)


def window(start, end, timezone="UTC", days=EVERY_DAY):
    return schedule.parse({"days": sorted(days), "start": start, "end": end, "timezone": timezone})


# Reading


def test_a_schedule_reads_the_same_as_an_object_and_as_text():
    read = schedule.parse(OFFICE)
    assert read == Schedule(days=frozenset({1, 2, 3, 4, 5}), start=540, end=1020, timezone="UTC")
    assert schedule.parse(msgspec.json.encode(OFFICE).decode()) == read
    assert schedule.as_json(read) == OFFICE


@pytest.mark.parametrize("nothing", [None, "", "  ", "null"])
def test_nothing_means_always_open(nothing):
    assert schedule.parse(nothing) is None


def test_a_window_may_end_at_midnight_in_both_spellings():
    assert schedule.parse(OFFICE | {"end": "24:00"}).end == 1440
    assert schedule.parse(OFFICE | {"end": "00:00"}).end == 0


def faults_of(value):
    with pytest.raises(InvalidError) as caught:
        schedule.parse(value)
    return [fault.field.removeprefix("schedule_config").lstrip(".") for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"days": []}, ["days"]),
        ({"days": [7]}, ["days"]),
        ({"days": [-1]}, ["days"]),
        ({"days": [True]}, ["days"]),
        ({"days": ["1"]}, ["days"]),
        ({"days": 1}, ["days"]),
        ({"start": "9:00"}, ["start"]),
        ({"start": "24:00"}, ["start"]),
        ({"start": "12:60"}, ["start"]),
        ({"start": "١٢:00"}, ["start"]),
        ({"start": 900}, ["start"]),
        ({"end": "24:01"}, ["end"]),
        ({"end": "17:00\n"}, ["end"]),
        ({"end": "09:00"}, ["end"]),
        ({"start": "00:00", "end": "00:00"}, ["end"]),
        ({"timezone": "Mars/Olympus"}, ["timezone"]),
        ({"timezone": "../../etc/passwd"}, ["timezone"]),
        ({"timezone": "America"}, ["timezone"]),
        ({"timezone": "localtime"}, ["timezone"]),
        ({"timezone": ""}, ["timezone"]),
        ({"timezone": None}, ["timezone"]),
        ({"zone": "UTC"}, ["zone"]),
        ({"days": [9], "start": "x", "end": "y", "timezone": "z"}, ["days", "start", "end", "timezone"]),
    ],
)
def test_what_cannot_be_is_refused_with_every_field_that_is_wrong(change, fields):
    assert faults_of(OFFICE | change) == fields


@pytest.mark.parametrize("value", ["{", '"text"', "[" * 100_000, "\ud800", [], 5, True])
def test_what_is_no_object_is_refused_as_a_whole(value):
    assert faults_of(value) == [""]


def test_an_empty_object_is_not_taken_for_always_open():
    assert faults_of({}) == ["days", "start", "end", "timezone"]


def test_a_misspelt_zone_is_answered_with_the_near_one():
    with pytest.raises(InvalidError) as caught:
        schedule.parse(OFFICE | {"timezone": "europe/berlin"})
    assert "Europe/Berlin" in caught.value.faults[0].message


@settings(deadline=None)
@provided(st.frozensets(st.integers(0, 6), min_size=1), st.integers(0, 1439), st.integers(0, 1440))
def test_what_is_shown_reads_back_as_the_same(days, start, end):
    if start != end:
        given = Schedule(days=days, start=start, end=end, timezone="Asia/Tehran")
        assert schedule.parse(schedule.as_json(given)) == given


# Plain weeks


def test_without_a_schedule_it_is_always_open():
    now = at("2026-01-01T00:00Z")
    assert schedule.is_open(None, now)
    assert schedule.next_open(None, now) == now
    assert schedule.closes_at(None, now) is None


def test_the_start_is_inside_and_the_end_is_not():
    office = schedule.parse(OFFICE)
    assert not schedule.is_open(office, at("2026-03-02T08:59:59.999999Z"))
    assert schedule.is_open(office, at("2026-03-02T09:00Z"))
    assert schedule.is_open(office, at("2026-03-02T16:59:59.999999Z"))
    assert not schedule.is_open(office, at("2026-03-02T17:00Z"))


def test_the_weekend_is_passed_over():
    office = schedule.parse(OFFICE)
    assert schedule.next_open(office, at("2026-03-06T17:00Z")) == at("2026-03-09T09:00Z")
    assert schedule.closes_at(office, at("2026-03-06T10:30Z")) == at("2026-03-06T17:00Z")


def test_sunday_is_day_zero():
    assert schedule.is_open(window("09:00", "17:00", days={0}), at("2026-03-08T12:00Z"))


def test_an_overnight_window_belongs_to_the_day_on_which_it_starts():
    friday_night = window("22:00", "06:00", days={5})
    assert not schedule.is_open(friday_night, at("2026-03-06T03:00Z"))
    assert schedule.next_open(friday_night, at("2026-03-06T03:00Z")) == at("2026-03-06T22:00Z")
    assert schedule.is_open(friday_night, at("2026-03-07T03:00Z"))
    assert schedule.closes_at(friday_night, at("2026-03-06T23:00Z")) == at("2026-03-07T06:00Z")


def test_whole_days_run_into_each_other():
    weekdays = window("00:00", "24:00", days={1, 2, 3, 4, 5})
    assert schedule.closes_at(weekdays, at("2026-03-04T12:00Z")) == at("2026-03-07T00:00Z")


def test_a_window_of_every_hour_never_closes():
    assert schedule.closes_at(window("00:00", "24:00"), at("2026-03-04T12:00Z")) is None


def test_what_is_closed_closes_now():
    assert schedule.closes_at(schedule.parse(OFFICE), at("2026-03-01T12:00Z")) == at("2026-03-01T12:00Z")


# Clocks that are changed


def test_a_start_that_is_skipped_opens_at_the_first_instant_after_the_gap():
    early = window("02:30", "05:00", "Europe/Berlin")
    assert schedule.next_open(early, at("2026-03-29T00:00Z")) == at("2026-03-29T03:00+02:00")


def test_an_hour_that_is_repeated_inside_the_window_is_open_both_times():
    early = window("01:00", "05:00", "Europe/Berlin")
    assert schedule.closes_at(early, at("2026-10-25T01:00+02:00")) == at("2026-10-25T05:00+01:00")


def test_a_window_inside_the_repeated_hour_opens_twice():
    early = window("02:15", "02:45", "Europe/Berlin")
    assert schedule.closes_at(early, at("2026-10-25T02:15+02:00")) == at("2026-10-25T02:45+02:00")
    assert schedule.next_open(early, at("2026-10-25T02:45+02:00")) == at("2026-10-25T02:15+01:00")


def test_a_window_that_ends_inside_the_repeated_hour_opens_again_when_clocks_go_back():
    night = window("00:00", "02:30", "Europe/Berlin")
    assert schedule.closes_at(night, at("2026-10-25T01:00+02:00")) == at("2026-10-25T02:30+02:00")
    assert schedule.next_open(night, at("2026-10-25T02:30+02:00")) == at("2026-10-25T02:00+01:00")


def test_a_window_inside_the_gap_does_not_open_that_day():
    early = window("02:15", "02:45", "Europe/Berlin")
    assert schedule.next_open(early, at("2026-03-29T00:00Z")) == at("2026-03-30T02:15+02:00")


def test_an_end_that_is_skipped_closes_at_the_gap():
    night = window("00:00", "02:30", "Europe/Berlin")
    assert schedule.closes_at(night, at("2026-03-29T00:00Z")) == at("2026-03-29T03:00+02:00")


def test_a_skipped_midnight_opens_where_the_day_begins():
    whole_sunday = window("00:00", "24:00", "America/Santiago", days={0})
    assert schedule.next_open(whole_sunday, at("2026-09-05T12:00Z")) == at("2026-09-06T01:00-03:00")


def test_the_night_of_a_day_that_a_zone_skipped_opens_where_the_next_day_begins():
    """Samoa went from Thursday, 29 December 2011, straight to Saturday."""
    friday_night = window("22:00", "06:00", "Pacific/Apia", days={5})
    assert schedule.next_open(friday_night, at("2011-12-29T12:00-10:00")) == at("2011-12-31T00:00+14:00")
    assert schedule.closes_at(friday_night, at("2011-12-31T00:00+14:00")) == at("2011-12-31T06:00+14:00")


@pytest.mark.parametrize(
    ("timezone", "now", "began"),
    [
        ("UTC", "2026-03-01T23:59:59Z", "2026-03-01T00:00Z"),
        ("Europe/Berlin", "2026-03-29T12:00+02:00", "2026-03-29T00:00+01:00"),
        ("America/Santiago", "2026-09-06T12:00-03:00", "2026-09-06T01:00-03:00"),
        ("America/Havana", "2026-11-01T00:30-05:00", "2026-11-01T00:00-04:00"),
        ("Pacific/Apia", "2011-12-31T12:00+14:00", "2011-12-31T00:00+14:00"),
    ],
)
def test_midnight_is_where_the_day_really_begins(timezone, now, began):
    assert schedule.midnight(timezone, at(now)) == at(began)


# Every zone


def offset(name, second):
    return datetime.fromtimestamp(second, ZoneInfo(name)).utcoffset()


def changes(name, first, last):
    """When a zone changes its offset: (instant, offset before, offset after). Looked for every week, the least that lies between two."""
    grid = range(int(first.timestamp()), int(last.timestamp()), 7 * 86400)
    offsets = [offset(name, second) for second in grid]
    for (a, before), (b, after) in pairwise(zip(grid, offsets, strict=True)):
        if before != after:
            second = a + bisect_left(range(b - a), True, key=lambda s: offset(name, a + s) != before)
            yield datetime.fromtimestamp(second, UTC), before, after


@cache
def ten_years():
    """Every change of every zone from 2020 to 2029, one zone for each change that several share."""
    span = at("2020-01-01T00:00Z"), at("2030-01-01T00:00Z")
    found = {change: name for name in sorted(zones.names()) for change in changes(name, *span)}
    return sorted((change[0], *change[1:], name) for change, name in found.items())


def windows(change, before, after, timezone):
    """Windows that start, end, lie or pass where the clocks are changed, on the day of it, on its eve, and on every day."""
    old, new = (change + before).replace(tzinfo=None), (change + after).replace(tzinfo=None)
    low, high = sorted(x.hour * 60 + x.minute for x in (old, new))
    middle = (low + high) // 2
    edges = [
        (middle, middle + 360),
        (middle - 360, middle),
        (low, high),
        (low + 7, middle),
        (1320, middle),
        (middle, 480),
        (0, 1440),
    ]
    day = new.isoweekday() % 7
    for start, end in edges:
        start, end = start % 1440, end if end == 1440 else end % 1440  # noqa: PLW2901
        if start != end:
            for days in ({day}, {(day - 1) % 7}, EVERY_DAY - {(day + 1) % 7}):
                yield Schedule(days=frozenset(days), start=start, end=end, timezone=timezone)


def naively_inside(given, readings):
    """What the definition says of each reading, as literally as it can be put."""
    days, start, end = given.days, given.start, given.end
    if start < end:
        return [day in days and start <= minute < end for day, minute in readings]
    return [(day in days and minute >= start) or ((day - 1) % 7 in days and minute < end) for day, minute in readings]


def minutes_around(change, timezone, hours=7):
    instants = [change + n * MINUTE for n in range(-hours * 60, hours * 60)]
    walls = [instant.astimezone(ZoneInfo(timezone)) for instant in instants]
    return instants, [(wall.isoweekday() % 7, wall.hour * 60 + wall.minute) for wall in walls]


def hold_against_the_clock(given, instants, readings):
    """`is_open` at and just before every turn and every quarter of an hour around the change; `next_open` and `closes_at` from turn to turn."""
    inside = naively_inside(given, readings)
    near = len(instants) // 2
    turns = [0, *(n for n, (a, b) in enumerate(pairwise(inside), 1) if a is not b)]
    for n in {*turns, *(n - 1 for n in turns[1:]), *range(near - 75, near + 75, 15)}:
        assert schedule.is_open(given, instants[n]) is inside[n], (given, instants[n])
    for n, turn in pairwise(turns):
        ask = schedule.closes_at if inside[n] else schedule.next_open
        for asked in {n, (n + turn) // 2, turn - 1}:
            assert ask(given, instants[asked]) == instants[turn], (given, instants[asked])


@pytest.mark.parametrize("part", range(4))
def test_windows_agree_with_the_wall_clock_at_every_change_of_ten_years(part):
    for change, before, after, timezone in ten_years()[part::4]:
        instants, readings = minutes_around(change, timezone)
        for given in windows(change, before, after, timezone):
            hold_against_the_clock(given, instants, readings)


def test_the_changes_of_ten_years_are_all_looked_at():
    shifts = {abs(after - before) for _, before, after, _ in ten_years()}
    assert len(ten_years()) > 500
    assert {timedelta(minutes=30), timedelta(hours=1), timedelta(hours=2), timedelta(hours=3)} <= shifts


def test_windows_agree_with_the_wall_clock_where_a_day_was_skipped():
    change = at("2011-12-30T10:00Z")
    instants, readings = minutes_around(change, "Pacific/Apia", hours=40)
    for given in windows(change, timedelta(hours=-10), timedelta(hours=14), "Pacific/Apia"):
        hold_against_the_clock(given, instants, readings)


# Whatever the schedule, whatever the instant

SCHEDULES = st.builds(
    Schedule,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=st.integers(0, 1439),
    end=st.integers(0, 1440),
    timezone=st.sampled_from(sorted(zones.names())),
).filter(lambda given: given.start != given.end)
INSTANTS = st.integers(1_100_000_000, 2_200_000_000).map(lambda second: datetime.fromtimestamp(second + 0.25, UTC))


@settings(max_examples=200, deadline=None)
@provided(SCHEDULES, INSTANTS, st.floats(0, 1, exclude_max=True))
def test_it_opens_at_next_open_and_not_before(given, now, part):
    opens = schedule.next_open(given, now)
    assert schedule.is_open(given, opens)
    if opens > now:
        before = opens - timedelta(microseconds=1)
        assert not schedule.is_open(given, now + (before - now) * part)
        assert not schedule.is_open(given, before)


@settings(max_examples=200, deadline=None)
@provided(SCHEDULES, INSTANTS, st.floats(0, 1, exclude_max=True))
def test_it_stays_open_until_closes_at(given, now, part):
    opened = schedule.next_open(given, now)
    closes = schedule.closes_at(given, opened)
    if closes is None:
        assert len(given.days) == 7
        return
    assert not schedule.is_open(given, closes)
    assert schedule.is_open(given, opened + (closes - opened - timedelta(microseconds=1)) * part)
    assert schedule.is_open(given, closes - timedelta(microseconds=1))


@settings(deadline=None)
@provided(st.sampled_from(sorted(zones.names())), INSTANTS)
def test_midnight_is_the_first_instant_of_the_day(timezone, now):
    began = schedule.midnight(timezone, now)
    shown = zones.reading(now, timezone)
    assert began <= now
    assert zones.reading(began, timezone).date() == shown.date()
    assert zones.reading(began - timedelta(microseconds=1), timezone).date() < shown.date()
