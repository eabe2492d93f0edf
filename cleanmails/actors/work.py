"""What every worker process has at hand, and the lease that says it is alive."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from cleanmails import log
from cleanmails.actors.broker import Queues
from cleanmails.actors.marks import Marks
from cleanmails.errors import BusyError
from cleanmails.ledger import workers
from cleanmails.ledger.db import Connection, Database
from cleanmails.limits.daily import Daily
from cleanmails.limits.rate import Rate
from cleanmails.mail.tokens import Tokens
from cleanmails.settings import Settings
from cleanmails.vault import Vault

logger = log.get(__name__)

T = TypeVar("T")

Progress = Callable[[str, Sequence[int]], None]
"""Told a named point of the way and the deliveries that passed it."""

BEAT_SECONDS = 2.0


class Lease:
    """A worker's sign of life in the ledger, renewed every two seconds by a thread of its own. Use as a context manager.

    While the ledger is out of reach nothing is renewed: the worker's marks are refused, and what it holds may be taken over.
    """

    def __init__(self, database: Database, kind: str) -> None:
        self._database = database
        self._kind = kind
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self.worker_id = self._register()

    def _register(self) -> int:
        with self._database.transaction() as db:
            return workers.register(db, self._kind, socket.gethostname(), os.getpid())

    def _keep(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            try:
                with self._database.transaction() as db:
                    alive = workers.beat(db, self.worker_id)
                if not alive:
                    self.worker_id = self._register()
            except BusyError as error:
                logger.warning("lease.not_renewed", worker=self.worker_id, reason=error.message)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        try:
            with self._database.transaction() as db:
                workers.leave(db, self.worker_id)
        except BusyError:
            logger.warning("lease.not_returned", worker=self.worker_id)


class Kit(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What a mail is made with, by a worker and for a preview alike."""

    settings: Settings
    database: Database
    vault: Vault

    @cached_property
    def tokens(self) -> Tokens:
        """What links in mails are signed with."""
        return Tokens(self.vault.derive_all("tokens"), self.vault.current)

    @cached_property
    def message_key(self) -> bytes:
        """What Message-IDs are drawn from."""
        return self.vault.derive("message-ids")


class Work(Kit, frozen=True, kw_only=True, dict=True):
    """What the bodies of the actors work with."""

    queues: Queues
    daily: Daily
    rate: Rate
    lease: Lease
    stop: threading.Event
    progress: Progress | None = None
    """Told the named points of each mail's way (`after_claim`, `before_dot` ...); the chaos test kills the process there."""

    @property
    def worker_id(self) -> int:
        """Under whose name deliveries are taken."""
        return self.lease.worker_id

    @cached_property
    def marks(self) -> Marks:
        """The last words of the process' send threads."""
        return Marks(self.database.own())

    @property
    def journals(self) -> Path:
        """Where the send workers of this machine keep their journals."""
        return self.settings.state_dir / "journal"

    def clock(self, db: Connection) -> datetime:
        """The ledger's time."""
        return workers.now(db)

    def told(self, point: str, ids: Sequence[int]) -> None:
        """These deliveries passed a named point of their way."""
        if self.progress is not None:
            self.progress(point, ids)

    def until_done(self, act: Callable[[], T]) -> T:
        """Tries once a second until the ledger takes it. BusyError: the process must stop; the rest is for its journal and the sweep."""
        while True:
            try:
                return act()
            except BusyError as error:
                logger.warning("ledger.awaited", worker=self.worker_id, reason=error.message)
                if self.stop.wait(1.0):
                    raise

    @contextmanager
    def finishing(self, release: Callable[[Connection], None]) -> Iterator[None]:
        """What a message took and cannot finish is given up, also where the answer to the taking itself was lost: a living worker's hands are not swept."""

        def give_up() -> None:
            with self.database.transaction() as db:
                release(db)

        try:
            yield
        except Exception:
            self.until_done(give_up)
            raise


def stopwatch() -> float:
    """Seconds for measuring how long something took; no time of day."""
    return time.perf_counter()
