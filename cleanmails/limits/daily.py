"""What each sender has left of its daily limit (product rule: per UTC day, never exceeded, whatever crashes or is flushed).

The ledger's figures go in by `rebuild` and `replace`, and must hold whatever was reserved so far: read them where nobody stands between a
`reserve` and the commit that writes down what came of it, that is under the lock that planning holds. What slips through all the same is
caught by the ledger itself, before a mail goes out.
"""

from collections.abc import Iterable, Mapping
from datetime import date

import msgspec
from redis import Redis

from cleanmails.limits.connect import Script


class Reserved(msgspec.Struct, frozen=True):
    """Mails granted, by sender id, 0 included, and the epoch of the counters they were taken from (None: there were none)."""

    counts: dict[int, int]
    epoch: str | None


class Daily:
    """The counters of all senders. `day` is the UTC day by the database's clock; every call is atomic and raises BusyError without Redis."""

    def __init__(self, redis: Redis) -> None:
        self._script = Script(redis, "daily.lua")

    def used(self, senders: Iterable[int], day: date) -> dict[int, int | None]:
        """Mails reserved by each sender. None: unknown, because Redis was flushed, restarted, or never told; `rebuild` it."""
        return self._run("used", day, dict.fromkeys(senders, (0, 0)))[1]

    def room(self, limits: Mapping[int, int], day: date) -> dict[int, int | None]:
        """What is left to each sender of its limit. None: unknown, so nothing until it is rebuilt."""
        used = self.used(limits, day)
        return {sender: None if (count := used[sender]) is None else max(0, limits[sender] - count) for sender in used}

    def reserve(self, wanted: Mapping[int, int], limits: Mapping[int, int], day: date) -> Reserved:
        """Take up to `wanted` mails for each sender, never beyond its limit, and none where the counter is missing."""
        epoch, granted = self._run("reserve", day, {sender: (n, limits[sender]) for sender, n in wanted.items()})
        return Reserved({sender: count or 0 for sender, count in granted.items()}, epoch)

    def epoch(self, day: date) -> str | None:
        """What `release` must be shown; new whenever the ledger's figures come in. None: there are no counters for that day."""
        return self._run("used", day, {})[0]

    def release(self, counts: Mapping[int, int], day: date, epoch: str | None) -> None:
        """Give back what will not be sent after all. Never below 0, never makes a counter, and nothing if another epoch has begun.

        `epoch` is that of the `Reserved`; or, for mails that the ledger has already taken in, the one read before the transaction
        that gave them up. Otherwise a mail could be given back that figures from the ledger had left out already.
        """
        self._run("release", day, {sender: (n, 0) for sender, n in counts.items()}, epoch)

    def rebuild(self, counts: Mapping[int, int], day: date) -> None:
        """Set the counters that are missing, and only those, to the ledger's figures."""
        self._run("rebuild", day, {sender: (n, 0) for sender, n in counts.items()})

    def replace(self, counts: Mapping[int, int], day: date) -> None:
        """Set the counters to the ledger's figures, as upkeep does: so what was reserved and lost in a crash comes back."""
        self._run("replace", day, {sender: (n, 0) for sender, n in counts.items()})

    def _run(
        self, verb: str, day: date, senders: Mapping[int, tuple[int, int]], epoch: str | None = None
    ) -> tuple[str | None, dict[int, int | None]]:
        rows = [value for sender, figures in senders.items() for value in (sender, *figures)]
        found, values = self._script([f"cm:day:{day:%Y%m%d}"], [verb, epoch or "", *rows])
        return found.decode() if found else None, dict(zip(senders, values, strict=True))
