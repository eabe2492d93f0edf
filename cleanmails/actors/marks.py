"""marks: the last words before the dots of all threads of a process, asked for together.

A mark is a transaction, and most of its price is the asking and the disk's word. So threads that have mails in hand wait for each other for a moment before their
dots; one of them asks for all, and each writes its own dot once its own mail is granted. A thread that is alone waits for nobody.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cleanmails.ledger import deliveries
from cleanmails.ledger.db import Own
from cleanmails.ledger.deliveries import Mark

LINGER = 0.02
"""Seconds at most that a mark waits for those of other threads: little beside what a mail takes with a real server, and enough for all threads to come round with
a near one."""


class Turn:
    """A mark that waits for its answer, or for its turn to ask."""

    def __init__(self, mark: Mark, thread: int | None) -> None:
        self.mark = mark
        self.thread = thread
        self.called = threading.Event()
        self.granted: bool | None = None
        self.error: BaseException | None = None

    @property
    def answered(self) -> bool:
        """Whether somebody asked for it."""
        return self.granted is not None or self.error is not None


class Marks:
    """The marks of a process. `coming()` around each mail, `ask()` before its dot."""

    def __init__(self, ledger: Own) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._waiting: list[Turn] = []
        self._asking = False
        self._coming: set[int] = set()
        self._all_here = threading.Event()

    @contextmanager
    def coming(self) -> Iterator[None]:
        """The calling thread is on its way to a dot: others may wait a moment for its mark."""
        with self._lock:
            self._coming.add(threading.get_ident())
        try:
            yield
        finally:
            with self._lock:
                self._here()

    def _here(self) -> None:
        self._coming.discard(threading.get_ident())
        if not self._coming:
            self._all_here.set()

    def ask(self, mark: Mark) -> bool:
        """Whether the dot may be written: then that is committed. BusyError: the ledger does not answer; whether it was granted, nobody knows, so no dot."""
        me = threading.get_ident()
        with self._lock:
            turn = Turn(mark, me if me in self._coming else None)
            self._here()
            self._waiting.append(turn)
            first, self._asking = not self._asking, True
        if not first:
            turn.called.wait()
        if not turn.answered:
            self._ask_for_all()
        if turn.error is not None:
            raise turn.error
        return bool(turn.granted)

    def _ask_for_all(self) -> None:
        """By the thread whose turn it is. Afterwards it is the turn of whoever came meanwhile."""
        with self._lock:
            if self._coming:
                self._all_here.clear()
        self._all_here.wait(LINGER)
        with self._lock:
            turns = self._company()
        try:
            granted = deliveries.mark_sending(self._ledger, [turn.mark for turn in turns])
            for turn in turns:
                turn.granted = turn.mark.id in granted
        except BaseException as error:  # noqa: BLE001 - whatever it is, each of them must hear of it, and raises it
            for turn in turns:
                turn.error = error
        finally:
            with self._lock:
                # With the next mail, once the server has answered: whoever asks now waits for them, or two halves would ask by turns.
                self._coming.update(turn.thread for turn in turns if turn.thread is not None)
                following = self._waiting[:1]
                self._asking = bool(following)
            for turn in turns + following:
                turn.called.set()

    def _company(self) -> list[Turn]:
        """Who is asked for together: at most one mail of a sender, because the ledger counts his day one by one. The oldest is always among them."""
        by_sender: dict[int, Turn] = {}
        for turn in self._waiting:
            by_sender.setdefault(turn.mark.sender_id, turn)
        chosen = list(by_sender.values())
        self._waiting = [turn for turn in self._waiting if turn not in chosen]
        return chosen
