"""Figures that take as long as there are leads, kept for a moment: counting the walks of a campaign of a million leads takes longer than a page may.

What was quick to count is counted anew each time. What was slow is shown as it was counted last, and counted again behind the reader's back once it is
older than twenty times what it took. Each web process keeps its own.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from cleanmails import log
from cleanmails.errors import CleanmailsError

T = TypeVar("T")

QUICK_SECONDS: Final = 0.008
AGE: Final = 20
KEPT: Final = 10_000

_log = log.get(__name__)


class Tally(Generic[T]):
    """Figures by id. `count` makes the figures of one."""

    def __init__(self, count: Callable[[int], T], clock: Callable[[], float] = time.monotonic) -> None:
        self._count, self._clock = count, clock
        self._lock = threading.Lock()
        self._known: OrderedDict[int, tuple[T, float, float]] = OrderedDict()
        self._asked: set[int] = set()

    def read(self, ids: Iterable[int]) -> dict[int, T]:
        """The figures of these. What was never counted is counted now."""
        return {id: self._read(id) for id in ids}

    def _read(self, id: int) -> T:
        with self._lock:
            found = self._known.get(id)
        if found is None or found[1] < QUICK_SECONDS:
            return self._anew(id)
        figures, took, at = found
        if self._clock() - at > AGE * took:
            self._later(id)
        return figures

    def _anew(self, id: int) -> T:
        begun = self._clock()
        figures = self._count(id)
        now = self._clock()
        with self._lock:
            self._known[id] = (figures, now - begun, now)
            self._known.move_to_end(id)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return figures

    def _later(self, id: int) -> None:
        with self._lock:
            if id in self._asked:
                return
            self._asked.add(id)
        threading.Thread(target=self._behind, args=(id,), name="tally", daemon=True).start()

    def _behind(self, id: int) -> None:
        try:
            self._anew(id)
        except CleanmailsError as error:
            _log.warning("tally.failed", id=id, reason=error.message)
        finally:
            with self._lock:
                self._asked.discard(id)
