"""When something that was refused by an outlet (a webhook, a CRM) is tried again, and when the outlet is switched off. Product page, section 7."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

GAPS: Final = (5, 60, 300, 1_800, 7_200, 18_000, 36_000)
"""Seconds before the second, third ... attempt; after these each LAST_GAP."""

LAST_GAP: Final = 43_200
PATIENCE: Final = timedelta(days=3)
"""An event is given up, and stays for a replay, when its next attempt would come later than this after its first."""

JITTER: Final = 0.1
"""Each gap is up to a tenth longer or shorter, so that what failed together does not come back together."""

OFF_AFTER: Final = 10
"""Failures in a row, of whichever events, that switch an outlet off."""

FREE_FAILURES: Final = 2
"""Failures in a row that hold up nothing but their own events; from the next on the whole outlet rests."""

LONGEST_ASKED: Final = 3_600
"""Seconds of a Retry-After that are granted."""


class Outcome(StrEnum):
    """What an attempt came to. `busy`: it answered, and asks for patience; that is no failure. `gone`: it wants nothing any more."""

    DELIVERED = "delivered"
    FAILED = "failed"
    BUSY = "busy"
    GONE = "gone"


def outcome(status: int | None) -> Outcome:
    """What an HTTP status means (None: there was no answer). A redirect is a failure: it is not followed."""
    if status is None:
        return Outcome.FAILED
    if 200 <= status < 300:
        return Outcome.DELIVERED
    return {410: Outcome.GONE, 429: Outcome.BUSY}.get(status, Outcome.FAILED)


def gap(failures: int, dice: float) -> timedelta:
    """How long after the `failures`th failure (from 1) the next attempt comes; `dice` in [0, 1) is the jitter's."""
    seconds = GAPS[failures - 1] if failures <= len(GAPS) else LAST_GAP
    return timedelta(seconds=seconds * (1 - JITTER + 2 * JITTER * dice))


def next_attempt(
    attempts: int, first_at: datetime, now: datetime, dice: float, asked: float | None = None
) -> datetime | None:
    """When an event that failed for the `attempts`th time is due again, not before what the server `asked` for (seconds); None: given up."""
    due = now + max(gap(attempts, dice), timedelta(seconds=min(asked or 0, LONGEST_ASKED)))
    return due if due - first_at <= PATIENCE else None


def rest(failures_in_row: int, now: datetime, dice: float) -> datetime | None:
    """Until when an outlet rests after so many failures in a row; None: not at all."""
    return now + gap(failures_in_row - FREE_FAILURES, dice) if failures_in_row > FREE_FAILURES else None


def retry_after(header: str | None) -> float | None:
    """The seconds of a Retry-After header (RFC 9110, 10.2.3); dates are not granted, since clocks differ."""
    return float(header) if header is not None and header.isascii() and header.isdigit() and len(header) < 10 else None
