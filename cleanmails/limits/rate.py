"""When the next mail may go to a provider (product rule: no sliding second at its server holds more mails than the rate plus one)."""

import math
import time
from collections.abc import Callable
from typing import Final

import msgspec
from redis import Redis

from cleanmails.limits.connect import Script

MARGIN: Final = 0.05
"""An interval is this much longer than one over the rate: 95 % of the rate is used, and there is room for mails that are late."""


class Slot(msgspec.Struct, frozen=True):
    """`granted`: send now. Otherwise ask again in `wait` seconds; nothing is kept for you until then."""

    granted: bool
    wait: float


class Pace(msgspec.Struct, frozen=True):
    """A rate in terms of GCRA, in seconds.

    With slots an `interval` apart, taken up to `tolerance` early, and mails that arrive up to j late, a second holds at most
    floor((1 + tolerance + j) / interval) + 1 of them. What may be spent until that is more than the rate plus one (0.575 s for 2/s, 0.26
    for 5/s, never under 0.05) goes in three equal shares to whoever may be late: workers that wake up (`tolerance`, which lets them catch
    up), answers of Redis (`hearing`), and mails on their way to the server (no field: nobody here can hold that).
    """

    interval: float
    tolerance: float
    hearing: float


def pace(per_second: float) -> Pace:
    """What a rate (mails a second, fractions too) means for the limiter. ValueError: not above 0."""
    if not per_second > 0:
        raise ValueError(f"A rate must be above 0, not {per_second}.")
    interval = (1 + MARGIN) / per_second
    share = (interval * (math.floor(per_second) + 1) - 1) / 3
    return Pace(interval, tolerance=min(share, interval / 2), hearing=share)


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

        An answer that took longer than the pace allows for hearing (0.19 s at 2/s, 0.09 s at 5/s) is not used: the mail would arrive
        among those of later slots. So Redis must be nearer than that.
        """
        to_keep = pace(per_second)
        tolerance = to_keep.tolerance + (burst - 1) * to_keep.interval
        asked = self._clock()
        wait: int = self._script(
            [f"cm:rate:{name}", "cm:rate-since"], [math.ceil(to_keep.interval * 1e6), math.floor(tolerance * 1e6)]
        )
        in_time = self._clock() - asked <= to_keep.hearing
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
