"""How soon work is taken up again: a thread that looks at the pipe ten times a second."""

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Self

import msgspec

from cleanmails.chaos import ledger
from cleanmails.chaos.ledger import InPipe
from cleanmails.errors import BusyError
from cleanmails.ledger import workers
from cleanmails.ledger.db import Database

EVERY_SECONDS = 0.1


class Wound(msgspec.Struct, kw_only=True):
    """A fault whose consequences are watched. `worker_id`: what this worker held must leave its hands; None: what stood in a queue must have left it."""

    kind: str
    begun: float
    worker_id: int | None
    seen: bool = False


class Watch:
    """Runs as a context. By kind of fault: `recoveries`, the seconds of those that left work behind; `caught`, the deliveries that were in it."""

    def __init__(self, database: Database) -> None:
        self.recoveries: defaultdict[str, list[float]] = defaultdict(list)
        self.caught: defaultdict[str, set[int]] = defaultdict(set)
        self._database = database
        self._open: list[Wound] = []
        self._by_pid: dict[int, int] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def struck(self, kind: str, *, pid: int | None = None) -> None:
        """A fault fell now, on one process or on the queues."""
        worker_id = self._by_pid.get(pid) if pid else None
        if pid is None or worker_id is not None:
            with self._lock:
                self._open.append(Wound(kind=kind, begun=time.time(), worker_id=worker_id))

    def alive(self, pid: int) -> None:
        """The process goes on: what it holds is its own again."""
        worker_id = self._by_pid.get(pid)
        with self._lock:
            self._open = [wound for wound in self._open if wound.worker_id != worker_id or worker_id is None]

    @property
    def unhealed(self) -> int:
        """How many faults have left work behind that nobody has taken up yet."""
        with self._lock:
            return sum(wound.seen for wound in self._open)

    def _keep(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            try:
                with self._database.transaction() as db:
                    pipe = ledger.pipe(db)
                    self._by_pid.update({row["pid"]: row["id"] for row in workers.all_workers(db)})
            except BusyError:
                continue
            with self._lock:
                self._open = [wound for wound in self._open if not self._healed(wound, pipe)]

    def _healed(self, wound: Wound, pipe: Sequence[InPipe]) -> bool:
        if wound.worker_id is not None:
            left = {mail.id for mail in pipe if mail.worker_id == wound.worker_id}
        else:
            begun = datetime.fromtimestamp(wound.begun, UTC)
            left = {mail.id for mail in pipe if mail.worker_id is None and mail.queued_at < begun}
        self.caught[wound.kind] |= left
        if wound.seen and not left:
            self.recoveries[wound.kind].append(time.time() - wound.begun)
        wound.seen = wound.seen or bool(left)
        return not left
