"""The hits of one web process on their way to the ledger: gathered in memory, written by one thread in batches.

An open waits at most `EVERY` seconds in memory; a click is in Postgres before its redirect is answered. Nobody waits alone: while one batch is written the
next one gathers, so that the cost of a commit is shared by all who came meanwhile. `close` writes what is left. A process that is killed loses at
most its last opens.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

import msgspec

from cleanmails import log
from cleanmails.errors import BusyError
from cleanmails.ledger import hits
from cleanmails.ledger.db import Database
from cleanmails.ledger.hits import NewHit
from cleanmails.mail.tokens import DECOY

EVERY: Final = 0.25
"""Seconds that an open waits for others."""

MOST: Final = 2_000
"""Hits in a batch."""

ROOM: Final = 200_000
"""Hits held while the ledger does not answer; beyond that the newest are dropped, and said so."""

PATIENCE: Final = 10.0
"""Seconds for which `close` waits for a ledger that does not answer."""

_log = log.get(__name__)


class Arrived(msgspec.Struct, frozen=True, gc=False):
    """A hit as it came in, at `when` seconds of the monotonic clock."""

    delivery_id: int
    link: int | None
    when: float
    method: str
    remote: str | None
    user_agent: str


class Click(msgspec.Struct, frozen=True, gc=False):
    """A click whose answer is waited for: where its link leads, or None."""

    hit: Arrived
    link: int
    led: Future[str | None]


class Recorder:
    """One a process. The thread starts with the first hit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._opens: list[Arrived] = []
        self._clicks: list[Click] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._dropped = 0

    def open(self, hit: Arrived) -> None:
        """A hit on a pixel; it is written within `EVERY` seconds and a batch."""
        with self._changed:
            if len(self._opens) >= ROOM:
                self._dropped += 1
                return
            self._opens.append(hit)
            self._awake(len(self._opens) == MOST)

    def click(self, hit: Arrived, link: int) -> str | None:
        """A hit on a link, written down when this returns; where the link leads (the empty text for the one nobody sees), or None if this mail has none such.

        BusyError: the ledger does not answer.
        """
        waiting = Click(hit, link, Future())
        with self._changed:
            self._clicks.append(waiting)
            self._awake(True)
        return waiting.led.result()

    def close(self) -> None:
        """Writes what is left and ends the thread. For the end of the process; it may be used again all the same."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._closing = True
            self._changed.notify_all()
        if thread is not None:
            thread.join()
        self._closing = False

    def _awake(self, at_once: bool) -> None:  # noqa: FBT001
        """Starts the thread where there is none, and wakes it where somebody waits."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
            self._thread.start()
        if at_once:
            self._changed.notify_all()

    def _run(self) -> None:
        give_up = None
        while True:
            with self._changed:
                if not (self._closing or self._clicks or len(self._opens) >= MOST):
                    self._changed.wait(EVERY)
                opens, self._opens = self._opens[:MOST], self._opens[MOST:]
                clicks, self._clicks = self._clicks[:MOST], self._clicks[MOST:]
                closing = self._closing
            if closing and give_up is None:
                give_up = time.monotonic() + PATIENCE
            if not opens and not clicks:
                if closing:
                    return
                continue
            try:
                self._write(opens, clicks)
            except BusyError as error:
                self._refuse(opens, clicks, error)
                if give_up is not None and time.monotonic() > give_up:
                    _log.error("hits.lost", opens=len(self._opens))
                    return
                time.sleep(EVERY)
            except Exception as error:  # noqa: BLE001 - logged for each hit that it holds for
                self._one_by_one(opens, clicks, error)

    def _one_by_one(self, opens: Sequence[Arrived], clicks: Sequence[Click], error: Exception) -> None:
        """One hit that cannot be written (its mail was erased this very moment) must not take the others of its batch along."""
        if len(opens) + len(clicks) == 1:
            _log.error("hit.not_written", exc_info=error)
            _fail(clicks, error)
            return
        for alone in (*(([hit], []) for hit in opens), *(([], [click]) for click in clicks)):
            try:
                self._write(*alone)
            except BusyError as busy:
                self._refuse(*alone, busy)
            except Exception as why:  # noqa: BLE001 - as above
                self._one_by_one(*alone, why)

    def _write(self, opens: Sequence[Arrived], clicks: Sequence[Click]) -> None:
        with self._database.transaction() as db:
            links = hits.links(db, {click.hit.delivery_id for click in clicks}) if clicks else {}
            led = [_leads(links.get(click.hit.delivery_id), click.link) for click in clicks]
            arrived = [*opens, *(click.hit for click, to in zip(clicks, led, strict=True) if to is not None)]
            if arrived:
                now = time.monotonic()
                hits.record(db, [_aged(hit, now) for hit in arrived])
        for click, to in zip(clicks, led, strict=True):
            click.led.set_result(to)

    def _refuse(self, opens: Sequence[Arrived], clicks: Sequence[Click], error: BusyError) -> None:
        """Opens are tried again; who clicked is told now."""
        _fail(clicks, error)
        with self._changed:
            self._opens[:0] = opens
            dropped, self._dropped = self._dropped, 0
        _log.warning("hits.wait", opens=len(opens), dropped=dropped, reason=error.message)


def _fail(clicks: Sequence[Click], error: Exception) -> None:
    for click in clicks:
        click.led.set_exception(error)


def _leads(links: Sequence[str | None] | None, number: int) -> str | None:
    if links is None:
        return None
    if number == DECOY:
        return ""
    return links[number - 1] if number <= len(links) else None


def _aged(hit: Arrived, now: float) -> NewHit:
    return NewHit(hit.delivery_id, hit.link, now - hit.when, hit.method, hit.remote, hit.user_agent)
