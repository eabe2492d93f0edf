"""Figures that take as long as there are leads, kept for a moment: counting the walks of a campaign of a million leads takes longer than a page may.

What is small is counted anew each time. What is great is shown as it was counted last, and counted again behind the reader's back once it is older than a
second, and than twenty times what it took; one after the other, so that the ledger has a hand free for the page that asked. Each web process keeps its own.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from cleanmails import log
from cleanmails.errors import CleanmailsError

T = TypeVar("T")

GREAT: Final = 5_000
"""From so many rows on a count is kept."""

AGE: Final = 20
KEPT: Final = 10_000

_log = log.get(__name__)


class Tally(Generic[T]):
    """Figures by id; `size` says of how many rows some are made."""

    def __init__(self, size: Callable[[T], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._clock = size, clock
        self._lock = threading.Lock()
        self._known: OrderedDict[int, tuple[T, float, float]] = OrderedDict()
        self._asked: dict[int, Callable[[], T]] = {}
        self._counting = False

    def read(self, id: int, count: Callable[[], T]) -> T:
        """The figures of `id`; `count` makes them, now or later in a thread."""
        with self._lock:
            found = self._known.get(id)
        if found is None:
            return self._anew(id, count)
        figures, took, at = found
        if self._clock() - at > max(1.0, AGE * took):
            self._later(id, count)
        return figures

    def _anew(self, id: int, count: Callable[[], T]) -> T:
        begun = self._clock()
        figures = count()
        now = self._clock()
        with self._lock:
            if self._size(figures) >= GREAT:
                self._known[id] = (figures, now - begun, now)
                self._known.move_to_end(id)
            else:
                self._known.pop(id, None)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return figures

    def _later(self, id: int, count: Callable[[], T]) -> None:
        with self._lock:
            self._asked.setdefault(id, count)
            idle, self._counting = not self._counting, True
        if idle:
            threading.Thread(target=self._behind, name="tally", daemon=True).start()

    def _behind(self) -> None:
        """Counts what is asked for until nothing is."""
        while (asked := self._next()) is not None:
            try:
                self._anew(*asked)
            except CleanmailsError as error:
                _log.warning("tally.failed", id=asked[0], reason=error.message)
            except Exception:  # noqa: BLE001 - it is told, and the others are counted all the same
                _log.exception("tally.failed", id=asked[0])
            finally:
                with self._lock:
                    self._asked.pop(asked[0], None)

    def _next(self) -> tuple[int, Callable[[], T]] | None:
        with self._lock:
            self._counting = bool(self._asked)
            return next(iter(self._asked.items()), None)
