"""Waits between steps: calendar days and elapsed hours."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanmails.rules import waits, zones


def at(text):
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("settled", "days", "hours", "timezone", "due"),
    [
        ("2026-03-02T10:00Z", 0, 0, "UTC", "2026-03-02T10:00Z"),
        ("2026-03-02T10:00Z", 3, 0, "UTC", "2026-03-05T10:00Z"),
        ("2026-03-02T10:00Z", 1, 12, "UTC", "2026-03-03T22:00Z"),
        # the same wall clock on both sides of a change
        ("2026-03-28T12:00+01:00", 1, 0, "Europe/Berlin", "2026-03-29T12:00+02:00"),
        ("2026-10-24T12:00+02:00", 1, 0, "Europe/Berlin", "2026-10-25T12:00+01:00"),
        # hours are sixty minutes each
        ("2026-03-28T12:00+01:00", 0, 24, "Europe/Berlin", "2026-03-29T13:00+02:00"),
        ("2026-03-27T12:00+01:00", 1, 24, "Europe/Berlin", "2026-03-29T13:00+02:00"),
        # a reading that is skipped, a reading that is shown twice
        ("2026-03-28T02:30+01:00", 1, 0, "Europe/Berlin", "2026-03-29T03:00+02:00"),
        ("2026-10-24T02:30+02:00", 1, 0, "Europe/Berlin", "2026-10-25T02:30+02:00"),
        ("2026-03-28T02:30:00.5+01:00", 1, 0, "Europe/Berlin", "2026-03-29T03:00+02:00"),
        # from the second showing on
        ("2026-10-25T02:30+01:00", 0, 1, "Europe/Berlin", "2026-10-25T03:30+01:00"),
        ("2026-10-25T02:30+01:00", 1, 0, "Europe/Berlin", "2026-10-26T02:30+01:00"),
        # a midnight and a whole day that are skipped
        ("2026-09-05T00:00-04:00", 1, 0, "America/Santiago", "2026-09-06T01:00-03:00"),
        ("2011-12-29T09:00-10:00", 1, 0, "Pacific/Apia", "2011-12-31T00:00+14:00"),
        ("2011-12-29T09:00-10:00", 2, 0, "Pacific/Apia", "2011-12-31T09:00+14:00"),
    ],
)
def test_days_go_by_the_calendar_and_hours_by_the_watch(settled, days, hours, timezone, due):
    assert waits.due_at(at(settled), days, hours, timezone) == at(due)


@settings(deadline=None)
@given(
    st.integers(1_300_000_000, 2_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC)),
    st.integers(0, 400),
    st.integers(0, 72),
    st.sampled_from(sorted(zones.names())),
)
def test_a_longer_wait_is_never_over_sooner(settled, days, hours, timezone):
    due = waits.due_at(settled, days, hours, timezone)
    assert settled <= due <= waits.due_at(settled, days + 1, hours, timezone)
    assert due + timedelta(hours=1) == waits.due_at(settled, days, hours + 1, timezone)
    dated = zones.reading(waits.due_at(settled, days, 0, timezone), timezone).date()
    assert dated >= zones.reading(settled, timezone).date() + timedelta(days=days)
