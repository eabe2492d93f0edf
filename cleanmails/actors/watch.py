"""The inbox workers: each watches its share of the mailboxes. One thread waits for all that idle; a few take turns at looking into them.

A mailbox that idles costs a socket and no thread. Whoever hangs or fails holds one of a few threads of its own kind, and none of those that work; a host that
many mailboxes share never gets more than some of the threads.
"""

import os
import queue
import random
import resource
import selectors
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from cleanmails import log
from cleanmails.actors import oauth
from cleanmails.actors.reader import FencedError, Reader, Settle, StoppedError, Unknown
from cleanmails.actors.work import Work
from cleanmails.errors import BusyError, CleanmailsError, UnreachableError
from cleanmails.ledger import mailboxes, workers
from cleanmails.ledger.db import Row
from cleanmails.ledger.mailboxes import Checked, Failed
from cleanmails.mail.connector import Connector
from cleanmails.mail.imap import Endpoint, Session, Timeouts
from cleanmails.records import Security
from cleanmails.rules import mailboxes as mailbox_rules
from cleanmails.rules.mailboxes import POLL_SECONDS, SIDE_SECONDS, next_search

THREADS: Final = 12
DOUBTFUL_THREADS: Final = 4
"""Looks at once: at mailboxes that answered last time, and at those that did not."""

HOST_MOST: Final = 8
"""Looks at once at one host."""

BEAT_SECONDS: Final = 5.0
"""Between two dealings of the mailboxes: also how long a new sender, or a changed password, waits at most."""

UNKNOWN_SECONDS: Final = 20.0

logger = log.get(__name__)


class Line:
    """A mailbox as this process holds it."""

    def __init__(self, sender: Row, due: float) -> None:
        self.sender = sender
        self.session: Session | None = None
        self.reader: Reader | None = None
        self.due = due
        self.side_due = due
        self.failures: int = sender["failures"]
        self.busy = False
        self.gone = False
        """It is not ours any more, and is closed when it is no longer busy."""
        self.wanted: tuple[Unknown, ...] = ()
        self.watched: int | None = None
        """The number of the socket that is waited for."""

    def close(self) -> None:
        """Lets the connection go."""
        if self.session is not None:
            self.session.drop()
        self.session = self.reader = None


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How a look ended: `idle` if the server tells when mail comes; or with an error, by its code."""

    line: Line
    at: datetime
    idle: bool = False
    side: bool = False
    code: str | None = None
    error: str = ""


class Watch:
    """The mailboxes of one worker process. `turn` is called by one thread, again and again."""

    def __init__(
        self,
        work: Work,
        settle: Settle,
        *,
        timeouts: Timeouts | None = None,
        poll_seconds: float = POLL_SECONDS,
        again: Callable[[int, str, float], float] = mailbox_rules.again,
    ) -> None:
        """`again` says how many seconds to wait after so many failures, the last with this code; its third argument are dice."""
        self._work, self._settle = work, settle
        self._timeouts, self._poll, self._again = timeouts, poll_seconds, again
        self._connector = Connector(allow_private=work.settings.allow_private_hosts)
        self._lines: dict[int, Line] = {}
        self._selector = selectors.DefaultSelector()
        self._woken = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._looks: queue.SimpleQueue[Look] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="look")
        self._doubtful = ThreadPoolExecutor(DOUBTFUL_THREADS, thread_name_prefix="doubtful")
        self._at_host: Counter[str] = Counter()
        self._checked: dict[int, Checked] = {}
        self._failed: dict[int, Failed] = {}
        self._searched: dict[int, float] = {}
        self._beat_due = self._unknown_due = 0.0
        self._dice = random.Random()  # noqa: S311 - it spreads looks

    @property
    def idling(self) -> int:
        """How many mailboxes wait for their server to speak."""
        return len(self._selector.get_map()) - 1

    def turn(self, *, longest: float = 1.0) -> None:
        """Deals, starts what is due, and waits up to `longest` seconds for servers to speak or looks to end."""
        now = time.monotonic()
        if now >= self._beat_due:
            self._beat_due = now + BEAT_SECONDS
            self._beat()
        next_due = self._start_due(now)
        wait = max(0.0, min(next_due, self._beat_due, now + longest) - time.monotonic())
        for key, _ in self._selector.select(wait):
            if key.fd == self._woken:
                os.eventfd_read(self._woken)
            else:
                self._hear(key.data)
        while True:
            try:
                self._end(self._looks.get_nowait())
            except queue.Empty:
                return

    def close(self) -> None:
        """Waits for the looks that were begun, and leaves everything free for others."""
        self._pool.shutdown(cancel_futures=True)
        self._doubtful.shutdown(cancel_futures=True)
        for line in self._lines.values():
            self._forget(line)
            line.close()
        self._selector.close()
        os.close(self._woken)
        try:
            with self._work.database.transaction() as db:
                mailboxes.write(db, self._work.worker_id, self._checked.values(), self._failed.values())
                mailboxes.let_go(db, self._work.worker_id)
        except BusyError:
            logger.warning("mailboxes.not_let_go", worker=self._work.worker_id)

    # Dealing.

    def _beat(self) -> None:
        """Writes how mailboxes were found, and takes what is ours."""
        work, checked, failed = self._work, dict(self._checked), dict(self._failed)
        try:
            with work.database.transaction() as db:
                mailboxes.write(db, work.worker_id, checked.values(), failed.values())
                rows = mailboxes.deal(db, work.worker_id, lease=work.settings.worker_lease_seconds)
                workers.did(db, "inbox")
                unknown = mailboxes.unknowns(db, work.worker_id) if self._unknowns_are_due() else None
        except BusyError as error:
            logger.warning("mailboxes.not_dealt", reason=error.message)
            return
        self._checked = {id: each for id, each in self._checked.items() if checked.get(id) is not each}
        self._failed = {id: each for id, each in self._failed.items() if failed.get(id) is not each}
        self._hold(rows)
        if unknown is not None:
            self._want(unknown)

    def _unknowns_are_due(self) -> bool:
        now = time.monotonic()
        if now < self._unknown_due:
            return False
        self._unknown_due = now + UNKNOWN_SECONDS
        return True

    def _hold(self, rows: Sequence[Row]) -> None:
        """Makes what is held here the same as what the ledger says."""
        now, clock = time.monotonic(), datetime.now(UTC)
        held = {row["id"]: row for row in rows}
        for sender_id, line in list(self._lines.items()):
            row = held.get(sender_id)
            if row is None:
                self._drop(line)
            elif _place(row) != _place(line.sender):
                # What was wrong may be right now: it is tried at once.
                self._drop(line)
                self._lines[sender_id] = Line(row, now)
            else:
                line.sender = row
                if row["again"] and not line.busy and not line.failures:
                    line.due = min(line.due, now)
        fresh = [row for sender_id, row in held.items() if sender_id not in self._lines]
        for row in fresh:
            wait = (row["due_at"] - clock).total_seconds() if row["due_at"] else 0.0
            self._lines[row["id"]] = Line(row, now + max(0.0, wait))
        if fresh:
            logger.info("mailboxes.taken", worker=self._work.worker_id, taken=len(fresh), held=len(self._lines))

    def _want(self, rows: Sequence[Row]) -> None:
        """Has the Sent folders searched for mails whose fate nobody knows, as often as their age is worth."""
        now = time.monotonic()
        self._searched = {row["id"]: self._searched.get(row["id"], 0.0) for row in rows}
        wanted: dict[int, list[Unknown]] = {}
        for row in rows:
            if self._searched[row["id"]] <= now:
                self._searched[row["id"]] = now + next_search(row["age"])
                unknown = Unknown(row["id"], row["workspace_id"], row["message_id"])
                wanted.setdefault(row["sender_id"], []).append(unknown)
        for sender_id, unknowns in wanted.items():
            line = self._lines.get(sender_id)
            if line is not None and not line.failures:
                line.wanted, line.due = tuple(unknowns), min(line.due, now)

    def _drop(self, line: Line) -> None:
        del self._lines[line.sender["id"]]
        self._forget(line)
        line.gone = True
        if not line.busy:
            line.close()

    # Looking.

    def _start_due(self, now: float) -> float:
        """Starts looks that are due; when the next one is."""
        soonest = now + 60.0
        for line in self._lines.values():
            if line.busy:
                continue
            if line.due > now:
                soonest = min(soonest, line.due)
            elif self._at_host[line.sender["imap_host"]] < HOST_MOST:
                self._start(line, now)
        return soonest

    def _start(self, line: Line, now: float) -> None:
        self._forget(line)
        line.busy = True
        side, wanted = now >= line.side_due, line.wanted
        line.wanted = ()
        self._at_host[line.sender["imap_host"]] += 1
        pool = self._doubtful if line.failures > 1 else self._pool
        pool.submit(self._look, line, wanted, side=side)

    def _look(self, line: Line, wanted: Sequence[Unknown], *, side: bool) -> None:
        """One look, in a thread of a pool. Whatever happens, its end is told."""
        try:
            ended = Look(line=line, at=datetime.now(UTC), idle=self._visit(line, wanted, side=side), side=side)
        except (FencedError, StoppedError):
            ended = Look(line=line, at=datetime.now(UTC), code="left")
        except BusyError as error:
            ended = Look(line=line, at=datetime.now(UTC), code="ledger", error=error.message)
        except CleanmailsError as error:
            ended = Look(line=line, at=datetime.now(UTC), code=error.code, error=error.message)
        except Exception as error:  # a thread of a pool tells nobody of its end
            logger.exception("mailbox.failed", sender=line.sender["id"])
            ended = Look(line=line, at=datetime.now(UTC), code="error", error=f"{type(error).__name__}: {error}")
        self._looks.put(ended)
        os.eventfd_write(self._woken, 1)

    def _visit(self, line: Line, wanted: Sequence[Unknown], *, side: bool) -> bool:
        """Reads what is new; whether the mailbox idles afterwards."""
        session = line.session
        if session is None or line.reader is None or not session.is_open:
            session = Session(
                endpoint_of(self._work, line.sender), connect=self._connector.connect, timeouts=self._timeouts
            )
            line.session = session
            session.open()
            line.reader = Reader(self._work, self._settle, line.sender, session)
        elif session.idles:
            session.done()
        reader = line.reader
        if line.sender["again"]:
            reader.again()
        if wanted:
            reader.find_sent(wanted)
        reader.read(side=side)
        if not session.offers_idle:
            return False
        for _ in range(20):
            if reader.rest():
                return True
            reader.read(side=False)
        return False

    def _end(self, look: Look) -> None:
        """A look has ended: what follows for the mailbox."""
        line, now, sender_id = look.line, time.monotonic(), look.line.sender["id"]
        line.busy = False
        self._at_host[line.sender["imap_host"]] -= 1
        if line.gone:
            line.close()
            return
        if look.code is None:
            line.failures = 0
            self._failed.pop(sender_id, None)
            self._checked[sender_id] = Checked(sender_id, look.at, look.idle)
            if look.side:
                line.side_due = now + (SIDE_SECONDS if look.idle else 0.0) * (0.9 + 0.2 * self._dice.random())
            line.due = line.side_due if look.idle else now + self._poll * (0.9 + 0.2 * self._dice.random())
            if look.idle:
                self._wait_for(line)
            return
        line.close()
        if look.code in {"left", "ledger"}:
            line.due = now + self._again(1, look.code, self._dice.random())
            return
        self._fail(line, look, now)

    def _fail(self, line: Line, look: Look, now: float) -> None:
        line.failures += 1
        line.side_due = now
        wait = self._again(line.failures, look.code or "", self._dice.random())
        line.due = now + wait
        sender_id = line.sender["id"]
        # The first one is most often a connection that the server closed because it was idle.
        say = logger.info if line.failures == 1 else logger.warning
        say("mailbox.unread", sender=sender_id, code=look.code, reason=look.error, again_in=round(wait))
        self._checked.pop(sender_id, None)
        due = look.at + timedelta(seconds=wait)
        self._failed[sender_id] = Failed(sender_id, look.at, due, line.failures, look.code or "error", look.error)

    # Waiting.

    def _wait_for(self, line: Line) -> None:
        assert line.session is not None
        number = line.session.fileno()
        if number >= 0:
            self._selector.register(number, selectors.EVENT_READ, line)
            line.watched = number
        # What was read along with the answer to IDLE lies in our hands, not in the socket.
        self._hear(line)

    def _hear(self, line: Line) -> None:
        """Its server said something: perhaps that there is mail."""
        try:
            if line.session is not None and line.session.heard():
                line.due = time.monotonic()
        except UnreachableError as error:
            look = Look(line=line, at=datetime.now(UTC), code=error.code, error=error.message)
            self._forget(line)
            self._fail(line, look, time.monotonic())
            line.close()

    def _forget(self, line: Line) -> None:
        """No longer waits for its server."""
        number, line.watched = line.watched, None
        if number is not None:
            self._selector.unregister(number)


def endpoint_of(work: Work, sender: Row) -> Endpoint:
    """Where and as whom a mailbox is read. SealError: the password does not open. OauthError: there is no access token."""
    sealed = sender["imap_sealed"]
    password = work.vault.open(bytes(sealed), f"sender:{sender['id']}:imap_password").decode() if sealed else None
    access = oauth.access(work, sender["id"]) if sender["granted_at"] else None
    return Endpoint(
        host=sender["imap_host"],
        port=sender["imap_port"],
        security=Security(sender["imap_security"]),
        username=access.account if access else sender["imap_username"] or sender["address"],
        password=password,
        oauth_token=access.token if access else None,
        ca_file=str(work.settings.ca_file) if work.settings.ca_file else None,
    )


def _place(sender: Mapping[str, object]) -> tuple[object, ...]:
    """What a connection rests on: it is made anew when one of these changes."""
    names = ("address", "imap_host", "imap_port", "imap_security", "imap_username", "imap_sealed", "granted_at")
    return tuple(sender[name] for name in names)


def start(work: Work, settle: Settle) -> threading.Thread:
    """Starts the watching of an inbox worker; it ends when `work.stop` is set. A socket a mailbox: the process may have as many as the system lets it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    thread = threading.Thread(target=_keep, args=(work, settle), name="mailboxes")
    thread.start()
    return thread


def _keep(work: Work, settle: Settle) -> None:
    watch = Watch(work, settle)
    try:
        while not work.stop.is_set():
            try:
                watch.turn()
            except Exception:
                logger.exception("mailboxes.failed")
                work.stop.wait(1.0)
    finally:
        watch.close()
