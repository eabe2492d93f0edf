"""When the next mail may go to a provider (product rule: no sliding second at its server holds more mails than the rate plus one)."""

import math
import time
from collections.abc import Callable
from typing import Final

import msgspec
from redis import Redis

from cleanmails.limits.connect import Script

MARGIN: Final = 0.05
"""An interval is this much longer than one over the rate: 95 % of the rate is used, and mails may arrive a little unevenly."""

TOLERANCE: Final = 0.01
"""Seconds by which a slot may be taken early or late without moving those after it, so that late wake-ups cost no throughput."""


class Slot(msgspec.Struct, frozen=True):
    """`granted`: send now. Otherwise ask again in `wait` seconds; nothing is kept for you until then."""

    granted: bool
    wait: float


class Pace(msgspec.Struct, frozen=True):
    """A rate in terms of GCRA, all in seconds.

    With slots taken an `interval` apart, each up to `tolerance` early, and mails that arrive up to j seconds late, a second holds at most
    floor((1 + tolerance + j) / interval) + 1 of them. `spare` is the j up to which that is no more than the rate plus one. For 2/s it is
    0.565, for 5/s 0.25, for 100/s 0.055; the least, 0.04, is for rates just below a whole number.
    """

    interval: float
    tolerance: float
    spare: float


def pace(per_second: float) -> Pace:
    """What a rate (mails a second, fractions too) means for the limiter. ValueError: not above 0."""
    if not per_second > 0:
        raise ValueError(f"A rate must be above 0, not {per_second}.")
    interval = (1 + MARGIN) / per_second
    tolerance = min(TOLERANCE, interval / 2)
    return Pace(interval, tolerance, interval * (math.floor(per_second) + 1) - 1 - tolerance)


class Rate:
    """The limiter that all workers share. Both calls raise BusyError without Redis; no mail may go then."""

    def __init__(
        self,
        redis: Redis,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._script = Script(redis, "rate.lua")
        self._clock = clock
        self._sleep = sleep

    def take(self, name: str, per_second: float, *, burst: int = 1) -> Slot:
        """Take the slot that is free now, if one is. `name` is a provider or a domain; up to `burst` slots may be taken at once after a rest.

        An answer that comes later than half of what the pace can spare is not used: the mail would arrive among those of later slots.
        (The other half is for the way from here to the mail server.) So Redis must be nearer than that.
        """
        to_keep = pace(per_second)
        tolerance = to_keep.tolerance + (burst - 1) * to_keep.interval
        asked = self._clock()
        wait: int = self._script(
            [f"cm:rate:{name}", "cm:rate-since"], [math.ceil(to_keep.interval * 1e6), math.floor(tolerance * 1e6)]
        )
        in_time = self._clock() - asked <= to_keep.spare / 2
        return Slot(granted=wait == 0 and in_time, wait=wait / 1e6)

    def turn(self, name: str, per_second: float, *, horizon: float = 1.0) -> Slot:
        """Wait for a slot and take it, sleeping no longer than `horizon` seconds in all; not granted if none comes free by then.

        Call it last before the mail goes out, on a connection that stands.
        """
        deadline = self._clock() + horizon
        while True:
            slot = self.take(name, per_second)
            if slot.granted or self._clock() + slot.wait > deadline:
                return slot
            self._sleep(slot.wait)
