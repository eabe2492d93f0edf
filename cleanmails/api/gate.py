"""Slows down who guesses passwords: after a few misses each further one costs twice the wait, per account and per address."""

import ipaddress
import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

import msgspec

from cleanmails.api.problems import TOO_MANY
from cleanmails.errors import BusyError

_KEYS: Final = 50_000
_MEMORY: Final = timedelta(hours=1)
_LONGEST: Final = {"account": 15 * 60, "address": 60}
"""Seconds. Shorter for an address: behind a proxy that hides its clients all of them seem to have the same one."""


class _Misses(msgspec.Struct):
    count: int
    last: datetime


class Gate:
    """Counts misses in memory, each web process for itself: a restart forgives, and N processes allow N times as many guesses, which
    is still a handful a minute against 47 MiB of work each. What was not missed for an hour is forgotten.

    A locked account is a person locked out by a stranger; so the account's wait is capped, and a right password during it is refused too.
    """

    def __init__(self, *, free: int = 5, free_per_address: int = 20) -> None:
        """`free` misses cost nothing; an address has more of them, for the office behind one router."""
        self._free = {"account": free, "address": free_per_address}
        self._misses: OrderedDict[tuple[str, str], _Misses] = OrderedDict()
        self._lock = threading.Lock()

    def enter(self, account: str, address: str, now: datetime) -> None:
        """BusyError (429, with the seconds to wait) while an account or an address has to wait."""
        with self._lock:
            wait = max(self._wait("account", account, now), self._wait("address", _network(address), now))
        if wait > 0:
            raise BusyError("Too many failed sign-ins; wait before the next try.", code=TOO_MANY, retry_after=wait)

    def missed(self, account: str, address: str, now: datetime) -> None:
        """Counts a wrong password."""
        with self._lock:
            for key in (("account", account), ("address", _network(address))):
                known = self._misses.pop(key, None)
                count = known.count if known and now - known.last < _MEMORY else 0
                self._misses[key] = _Misses(count + 1, now)
            while len(self._misses) > _KEYS:
                self._misses.popitem(last=False)

    def passed(self, account: str) -> None:
        """Forgets an account's misses after a right password. An address keeps its own: one good account must not buy guesses at others."""
        with self._lock:
            self._misses.pop(("account", account), None)

    def _wait(self, kind: str, name: str, now: datetime) -> int:
        """Whole seconds until the next try, 0 if now."""
        known = self._misses.get((kind, name))
        if known is None or known.count < self._free[kind]:
            return 0
        pause = min(2 ** min(known.count - self._free[kind], 20), _LONGEST[kind])
        return max(0, -int(-(pause - (now - known.last).total_seconds()) // 1))


def _network(address: str) -> str:
    """Who holds one IPv6 address holds the 2**64 beside it (RFC 6177), and counts as one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
