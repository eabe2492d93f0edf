"""When the next mail may go to a provider (product rule: no sliding second at its server holds more mails than the rate plus one)."""

import math
import threading
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
    up), answers of Redis (`hearing`), and mails on their way to the server (no field: nobody here can hold that). At high rates the workers'
    share is more than they need; what is left of it lets one question take a `handful` of slots (one below 73/s, 32 at 2,000/s).
    """

    interval: float
    tolerance: float
    hearing: float
    handful: int


def pace(per_second: float) -> Pace:
    """What a rate (mails a second, fractions too) means for the limiter. ValueError: not above 0."""
    if not per_second > 0:
        raise ValueError(f"A rate must be above 0, not {per_second}.")
    interval = (1 + MARGIN) / per_second
    share = (interval * (math.floor(per_second) + 1) - 1) / 3
    tolerance = min(share, interval / 2)
    return Pace(interval, tolerance, hearing=share, handful=1 + math.floor((share - tolerance) / interval))


class Hand:
    """What a process holds of a handful: slots that may be used until a moment, and how many it asks for next time.

    It asks for one more than it could use last time, or for twice as many if it used them all, because slots that nobody uses are lost.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.left, self.used, self.until = 0, 0, 0.0

    def draw(self, now: float) -> bool:
        """Whether there was a slot left."""
        if not self.left or now > self.until:
            return False
        self.left, self.used = self.left - 1, self.used + 1
        return True

    @property
    def wanted(self) -> int:
        """How many to ask for."""
        return self.used + 1 if self.left else 2 * self.used or 1

    def take(self, slots: int, until: float) -> None:
        """New slots, of which one is used at once. None: the next question is for one."""
        self.left, self.used, self.until = max(slots - 1, 0), min(slots, 1), until


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
        self._hands: dict[tuple[str, float], Hand] = {}

    def take(self, name: str, per_second: float, *, burst: int = 1) -> Slot:
        """Take the slot that is free now, if one is. `name` is a provider or a domain; up to `burst` slots may be taken at once after a rest.

        An answer that took longer than the pace allows for hearing (0.19 s at 2/s, 0.09 s at 5/s) is not used: the mail would arrive
        among those of later slots. So Redis must be nearer than that.
        """
        to_keep = pace(per_second)
        if to_keep.handful == 1:
            return self._ask(name, to_keep, burst)[0]
        hand = self._hands.setdefault((name, per_second), Hand())
        with hand.lock:
            if hand.draw(self._clock()):
                return Slot(granted=True, wait=0.0)
            until = self._clock() + to_keep.hearing
            slot, slots = self._ask(name, to_keep, burst, min(hand.wanted, to_keep.handful))
            hand.take(slots, until)
            return slot

    def _ask(self, name: str, to_keep: Pace, burst: int, wanted: int = 1) -> tuple[Slot, int]:
        """The slot that is free now, if one is, and with it up to `wanted` at once: how many were taken and may be used."""
        tolerance = to_keep.tolerance + (burst + to_keep.handful - 2) * to_keep.interval
        asked = self._clock()
        answer: int = self._script(
            [f"cm:rate:{name}", "cm:rate-since"],
            [math.ceil(to_keep.interval * 1e6), math.floor(tolerance * 1e6), wanted],
        )
        in_time = self._clock() - asked <= to_keep.hearing
        granted = answer <= 0 and in_time
        return Slot(granted=granted, wait=max(answer, 0) / 1e6), 1 - answer if granted else 0

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
