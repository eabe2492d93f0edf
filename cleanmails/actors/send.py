"""send: a chunk of one sender's mails goes out over one connection.

Each mail: the provider's slot, the envelope, the body, then the mark that the ledger commits, then the final dot, then the answer into the journal.
Answers are settled in batches. What cannot go now goes back to where it came from, with the reason.
"""

import itertools
import threading
from collections import OrderedDict
from datetime import UTC, datetime, timedelta

from cleanmails import log
from cleanmails.actors import oauth, record
from cleanmails.actors.journal import Ended, Journal
from cleanmails.actors.oauth import Access
from cleanmails.actors.work import Work, stopwatch
from cleanmails.errors import BusyError, SealError
from cleanmails.ledger import deliveries
from cleanmails.ledger.db import Row
from cleanmails.ledger.deliveries import Mark
from cleanmails.mail import message
from cleanmails.mail.connector import Connector
from cleanmails.mail.oauth import OauthError
from cleanmails.mail.smtp import Endpoint, Session
from cleanmails.records import Answer, Security, Stage
from cleanmails.rules import content, providers, rotation

logger = log.get(__name__)

CHUNK = 100
"""Mails a chunk: enough that a settling is worth its price, few enough that a sender with many does not keep a thread from the others."""

SETTLE_AFTER = 50
"""Answers in hand that are settled in one transaction; the journal holds them until then."""

SETTLE_WITHIN = 1.0
"""Seconds an answer may be in hand. A transaction costs the same for one answer as for fifty, so haste here is dear."""

IDLE = 0.2
"""Seconds: the longest wait for a slot that is taken with answers in hand."""

PATIENCE = 3.0
"""Seconds a chunk may wait for providers' slots before what is left goes back to the queue."""

SHORTEST_PAUSE = 0.01
"""Seconds: looking for slots more often than this costs more than it gains."""

FENCED = "fenced"
"""A mark's refusal when the delivery has moved on without us: nothing is ours to put back."""

LET_GO = {"limiter_unreachable", "journal_unwritable"}
"""What halts a chunk without speaking against its mails: they return to the queue as they are."""

OF_THE_CAMPAIGN = {"campaign_paused", "out_of_schedule"}
OF_THE_LEAD = {FENCED, "lead_stopped"}
"""How far a refused mark reaches; any other reason is the sender's, and ends the chunk."""

KEPT_SESSIONS = 8
"""Connections a thread keeps open between chunks; the one unused longest is closed first."""


class Hand:
    """What a thread of a send worker keeps from chunk to chunk: its journal, and its connections to mail servers."""

    def __init__(self, work: Work) -> None:
        self._name = f"{work.worker_id}-{threading.get_native_id()}"
        self._numbers = itertools.count()
        self._folder = work.journals
        self.journal = self._new_journal()
        self._sessions: OrderedDict[int, tuple[Endpoint, Session]] = OrderedDict()
        self._access: dict[int, Access] = {}

    def _new_journal(self) -> Journal:
        return Journal(self._folder, f"{self._name}-{next(self._numbers)}")

    def leave_journal(self) -> None:
        """Leaves what could not be settled to the sweep, and begins a new journal."""
        left, self.journal = self.journal, self._new_journal()
        left.leave()

    def session(self, work: Work, sender: Row) -> Session:
        """The sender's connection, kept or new (not yet open). OauthError: there is no access token to open it with."""
        endpoint = endpoint_of(work, sender, self._token(work, sender))
        kept = self._sessions.pop(sender["id"], None)
        if kept and kept[0] != endpoint:
            kept[1].close()
            kept = None
        session = kept[1] if kept else Session(endpoint, connect=connector(work).connect)
        self._sessions[sender["id"]] = (endpoint, session)
        if len(self._sessions) > KEPT_SESSIONS:
            self._sessions.popitem(last=False)[1][1].close()
        return session

    def _token(self, work: Work, sender: Row) -> Access | None:
        """The access token of a sender that signs in by consent; asked for once, not for each mail, while it is good."""
        if not sender["oauth"]:
            return None
        held = self._access.pop(sender["id"], None)
        if held is None or held.until < datetime.now(UTC) + timedelta(minutes=1):
            held = oauth.access(work, sender["id"])
        if held is not None:
            self._access[sender["id"]] = held
        return held

    def close(self) -> None:
        """Takes leave of every server."""
        while self._sessions:
            self._sessions.popitem()[1][1].close()


def connector(work: Work) -> Connector:
    """Connections to senders' servers: private addresses only where the settings allow them."""
    return Connector(allow_private=work.settings.allow_private_hosts)


def endpoint_of(work: Work, sender: Row, access: Access | None = None) -> Endpoint:
    """Where and as whom the sender's mail is handed in."""
    sealed = sender["smtp_sealed"]
    password = work.vault.open(bytes(sealed), f"sender:{sender['id']}:smtp_password").decode() if sealed else None
    return Endpoint(
        host=sender["smtp_host"],
        port=sender["smtp_port"],
        security=Security(sender["smtp_security"]),
        username=access.account if access else sender["smtp_username"] or None,
        password=password,
        oauth_token=access.token if access else None,
        helo=sender["address"].rpartition("@")[2],
        ca_file=str(work.settings.ca_file) if work.settings.ca_file else None,
    )


def _no_token(error: OauthError) -> Answer:
    """Without an access token the sign-in fails before it begins: for good if the provider refused, else as a server that is out of reach."""
    refused = error.code == "oauth_refused"
    return Answer(
        stage=Stage.AUTH if refused else Stage.CONNECT,
        code=535 if refused else None,
        enhanced="5.7.8" if refused else None,
        text=error.message,
    )


class Turns:
    """One thread at a time sends for a sender: one connection to its server, and whole chunks. Who comes meanwhile leaves word."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._word: dict[int, bool] = {}

    def begin(self, sender_id: int) -> bool:
        """Whether it is the caller's turn; if not, whoever has it is told to look again."""
        with self._lock:
            if sender_id in self._word:
                self._word[sender_id] = True
                return False
            self._word[sender_id] = False
            return True

    def end(self, sender_id: int) -> bool:
        """The turn is over; whether somebody came meanwhile."""
        with self._lock:
            return self._word.pop(sender_id)


def send(work: Work, hand: Hand, turns: Turns, sender_id: int) -> None:
    """Sends a chunk of what is ready of this sender, and leaves a message for the rest. One that comes twice finds nothing left to do."""
    if not turns.begin(sender_id):
        return
    more = False
    try:
        with work.finishing(lambda db: deliveries.release_sender(db, sender_id, work.worker_id)):
            more = _send(work, hand, sender_id)
    finally:
        if turns.end(sender_id) or more:
            work.queues.send([sender_id])


def _send(work: Work, hand: Hand, sender_id: int) -> bool:
    """One chunk; whether there may be more to send at once."""
    with work.database.transaction() as db:
        sender = deliveries.sender(db, sender_id)
        rows = deliveries.take_rendered(db, sender_id, work.worker_id, CHUNK) if sender else []
    if not sender or not rows:
        return False
    work.told("after_claim", [row["id"] for row in rows])
    chunk = Chunk(work, hand, sender, rows)
    chunk.run()
    return len(rows) == CHUNK and not chunk.waiting


class Chunk:
    """One sender's mails in hand, from the taking to the last settling."""

    def __init__(self, work: Work, hand: Hand, sender: Row, rows: list[Row]) -> None:
        self.work, self.hand, self.sender = work, hand, sender
        self.waiting = rows
        self.ended: list[Ended] = []
        self.oldest = 0.0
        self.answered = 0
        self.back: list[tuple[Row, str]] = []
        self.halted = ""
        self.refused, self.marked = "", False
        self.shut: dict[str, float] = {}

    def run(self) -> None:
        """All mails, until each is answered, put back to be planned again, or let go for the next chunk."""
        begun, asked = stopwatch(), len(self.waiting)
        self._sort_out(self.sender["against"])
        try:
            self._send_all(begun)
        except Exception:
            # The next chunk must not clear what this one could not settle.
            self.hand.leave_journal()
            raise
        figures = {
            "asked": asked,
            "answered": self.answered,
            "back": len(self.back),
            "let_go": len(self.waiting),
            "halted": self.halted or None,
        }
        logger.info("chunk.sent", sender=self.sender["id"], **figures, ms=round(1000 * (stopwatch() - begun), 1))

    def _send_all(self, begun: float) -> None:
        if not self.hand.journal.roomy:
            self.halted = "journal_unwritable"
            logger.error(
                "journal.full", sender=self.sender["id"], reason="The disk of the journals is full; nothing is sent."
            )
        while self.waiting and not self.halted:
            shortest = self._pass()
            if self.work.stop.is_set() or stopwatch() + shortest > begun + PATIENCE:
                break
            if self.waiting and not self.halted:
                self._pause(shortest)
        self.settle()
        self._give_up_the_rest()

    def _sort_out(self, against: str | None) -> None:
        """Puts back, unsent, what something stands against."""
        self.back += [(row, against or row["against"]) for row in self.waiting if against or row["against"]]
        self.waiting = [row for row in self.waiting if not (against or row["against"])]

    def _pass(self) -> float:
        """Sends what may go now; a mail whose provider has no slot waits for the next pass and holds up nobody. Seconds until the next slot."""
        rows, self.waiting = self.waiting, []
        shortest = PATIENCE
        for row in rows:
            if self.halted or self.work.stop.is_set():
                self.waiting.append(row)
            elif not self._connected(row):
                continue  # it bore the answer
            elif (wait := self._slot(row)) > 0:
                self.waiting.append(row)
                shortest = min(shortest, wait)
            else:
                self._send(row)
        return shortest

    def _connected(self, row: Row) -> bool:
        """A connection that stands. If none is to be had, the mail whose turn it is bears the answer, and the others wait to be planned again.

        Where a credential does not open no server was asked: no mail bears anything, and the sender is held.
        """
        begun = datetime.now(UTC)
        try:
            session = self.hand.session(self.work, self.sender)
        except OauthError as error:
            answer: Answer | None = _no_token(error)
        except SealError as error:
            why = error.message
            self.work.until_done(lambda: record.hold_sender(self.work, self.sender["id"], why))
            self.back.append((row, record.SEALED))
            self.halted = record.SEALED
            return False
        else:
            if session.usable:
                return True
            answer = session.open()
        if answer is not None:
            self._answered(row, answer, begun)
            self.halted = self.halted or "sender_unreachable"
        return answer is None

    def _slot(self, row: Row) -> float:
        """Takes the provider's slot; else the seconds until there is one. Without Redis nobody knows, and no mail may go.

        A provider that had none is not asked again before its time: a chunk may hold a hundred mails for it.
        """
        provider = row["provider"]
        wait = self.shut.get(provider, 0.0) - stopwatch()
        if wait > 0:
            return wait
        rate = providers.rate_of(provider, self.work.settings.provider_rates)
        try:
            slot = self.work.rate.take(provider, rate)
        except BusyError:
            self.halted = "limiter_unreachable"
            return PATIENCE
        if slot.granted:
            return 0.0
        wait = max(slot.wait, SHORTEST_PAUSE)
        self.shut[provider] = stopwatch() + wait
        return wait

    def _send(self, row: Row) -> None:
        session = self.hand.session(self.work, self.sender)
        begun, self.refused, self.marked = datetime.now(UTC), "", False
        with self.work.marks.coming():
            answer = session.send(
                message.wire_address(self.sender["address"]),
                message.wire_address(row["email"]),
                row["raw"],
                mark=lambda: self._mark(row),
                progress=lambda point: self.work.told(point, [row["id"]]),
            )
        if self.refused:
            self._stopped(row, self.refused)
        else:
            self._answered(row, answer, begun)

    def _mark(self, row: Row) -> bool:
        """The last word. What it refuses, or what the ledger could not commit, is not sent."""
        seed = content.Seed.of(row["campaign_id"], row["lead_id"], row["step"])
        mark = Mark(
            id=row["id"],
            token=row["token"],
            campaign_id=row["campaign_id"],
            lead_id=row["lead_id"],
            sender_id=self.sender["id"],
            worker_id=self.work.worker_id,
            gap=rotation.gap(seed, self.sender["min_gap_seconds"], self.sender["max_gap_seconds"]),
            lease=self.work.settings.worker_lease_seconds,
        )
        try:
            self.marked = self.work.marks.ask(mark)
            if self.marked:
                return True
            with self.work.database.transaction() as db:
                self.refused = deliveries.why_not(db, mark)
        except BusyError as error:
            self.refused = error.code
        return False

    def _stopped(self, row: Row, reason: str) -> None:
        """A mark was refused: the mail goes back, and with it whatever the same reason stands against."""
        if reason != FENCED:
            self.back.append((row, reason))
        if reason in OF_THE_CAMPAIGN:
            for other in self.waiting:
                other["against"] = other["against"] or (reason if other["campaign_id"] == row["campaign_id"] else None)
            self._sort_out(None)
        elif reason not in OF_THE_LEAD:
            self.halted = reason

    def _answered(self, row: Row, answer: Answer, begun: datetime) -> None:
        """Into the journal first, if it was marked; then into the batch. A refusal is settled at once, because it may speak against the sender.

        A server that hangs up between mark and dot leaves a mail that is marked and safe: without the journal's word it would end as unknown.
        """
        ended = Ended(
            id=row["id"],
            token=row["token"],
            campaign_id=row["campaign_id"],
            lead_id=row["lead_id"],
            answer=answer,
            started_at=begun,
            finished_at=datetime.now(UTC),
        )
        if self.marked or answer.stage is Stage.DOT:
            self._note(ended)
        self.oldest = self.oldest or stopwatch()
        self.ended.append(ended)
        self.answered += 1
        self.work.told("before_commit", [row["id"]])
        if not answer.accepted or self.halted:
            self.settle()
            self.halted = self.halted or self._against_sender()
        elif len(self.ended) >= SETTLE_AFTER or stopwatch() - self.oldest > SETTLE_WITHIN:
            self.settle()

    def _note(self, ended: Ended) -> None:
        """A journal that cannot be written halts the chunk: this one answer rests on memory until it is settled, which is at once."""
        try:
            self.hand.journal.note(ended)
        except OSError:
            logger.exception("journal.unwritable", delivery=ended.id)
            self.halted = "journal_unwritable"

    def settle(self) -> None:
        """All answers in hand become facts; the journal is empty again."""
        if self.ended:
            self.work.until_done(lambda: record.settle(self.work, self.ended))
            self.work.told("after_commit", [ended.id for ended in self.ended])
            self.hand.journal.clear()
            self.ended, self.oldest = [], 0.0

    def _against_sender(self) -> str:
        def ask() -> str:
            with self.work.database.transaction() as db:
                sender = deliveries.sender(db, self.sender["id"])
            return "sender_gone" if sender is None else sender["against"] or ""

        return self.work.until_done(ask)

    def _pause(self, seconds: float) -> None:
        """Waits for a slot, at most a second, with nothing in hand that others could miss."""
        if seconds > IDLE:
            self.settle()
        self.work.stop.wait(min(seconds, 1.0))

    def _give_up_the_rest(self) -> None:
        """What is left: back to be planned again if something stands against it, else back to the queue."""
        if self.halted and self.halted not in LET_GO:
            self.back += [(row, self.halted) for row in self.waiting]
            self.waiting = []
        if self.back:
            self.work.until_done(lambda: record.put_back(self.work, [(row, reason) for row, reason in self.back]))
        if self.waiting:
            self.work.until_done(self._let_go)

    def _let_go(self) -> None:
        with self.work.database.transaction() as db:
            deliveries.let_go(db, self.work.clock(db), [(row["id"], row["token"]) for row in self.waiting])
        delay = None if self.work.stop.is_set() else 1000
        self.work.queues.send([self.sender["id"]], delay_ms=delay)
