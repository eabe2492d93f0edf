"""One look into a mailbox: what came since the last one is fetched, settled, and the cursor moves on. No message twice, none lost.

The cursor (UIDVALIDITY and UID) moves behind what is settled; a crash between the two brings messages again, which `settle` knows by their digest. A server
that renumbers its messages, or whose words contradict each other, has the last days read again, for the same reason.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import msgspec

from cleanmails import log
from cleanmails.actors import evidence
from cleanmails.actors.work import Work
from cleanmails.errors import BusyError, CleanmailsError
from cleanmails.ledger import mailboxes
from cleanmails.ledger.db import Row
from cleanmails.ledger.mailboxes import Cursor
from cleanmails.mail.folders import Role
from cleanmails.mail.imap import Session, Standing

BATCH: Final = 50
BATCH_BYTES: Final = 4_000_000
"""Messages, and bytes of them, that are fetched at once."""

MOST_BYTES: Final = 25_000_000
"""Of a larger message only the beginning is fetched: who sends a film along has answered all the same."""

BEGINNING: Final = 1_000_000
CHUNK: Final = 500
"""UIDs whose sizes are asked for at once."""

BACK: Final = timedelta(days=90)
"""How far a mailbox is read back when it is seen for the first time, at most: nothing can have come back before its sender existed."""

OVERLAP: Final = timedelta(days=2)
"""What is read again of a folder whose numbers no longer hold: servers' days begin at different hours."""

SENT: Final = "a copy in Sent"

Settle = Callable[[Work, int, str, int, bytes, datetime], object]
"""(work, sender id, folder, uid, raw, now): makes one message a fact, once however often it is called. BusyError: the ledger does not answer."""

logger = log.get(__name__)


class FencedError(CleanmailsError):
    """The mailbox is another worker's by now."""

    code = "fenced"


class StoppedError(CleanmailsError):
    """The worker is told to stop, in the middle of a look."""

    code = "stopped"


class Unknown(msgspec.Struct, frozen=True):
    """A delivery whose copy is looked for in Sent."""

    id: int
    workspace_id: int
    message_id: str


class Reader:
    """Reads one mailbox through an open session. `sender` is a row of `mailboxes.deal`."""

    def __init__(self, work: Work, settle: Settle, sender: Row, session: Session) -> None:
        self._work, self._settle = work, settle
        self._sender, self._session = sender, session
        self._account = account(sender)
        with work.database.transaction() as db:
            self._cursors = mailboxes.cursors(db, sender["id"])
        self._counts: dict[Role, int] = {}
        self._examined: Role | None = None
        self._doubted: datetime | None = None
        self._moment: datetime | None = None

    def read(self, *, side: bool) -> int:
        """Everything new: of the inbox, and with `side` of the other folders too, which are opened only if STATUS tells of something. How many messages."""
        settled = 0
        if side:
            others = [role for role in self._session.folders if role is not Role.INBOX]
            settled = sum(self._read(role) for role in others if self._has_news(role))
        return settled + self._read(Role.INBOX)

    def again(self) -> None:
        """What was set aside and a person wants tried again."""
        with self._work.database.transaction() as db:
            rows = mailboxes.wanted_again(db, self._sender["id"])
        self._moment = None
        for row in rows:
            raw = bytes(row["raw"]) if row["raw"] is not None else None
            if raw is None:
                standing = self._examine(Role(row["role"]))
                raw = (
                    self._session.fetch([row["uid"]]).get(row["uid"]) if standing.validity == row["validity"] else None
                )
            if self._take(Role(row["role"]), row["validity"], row["uid"], raw):
                with self._work.database.transaction() as db:
                    mailboxes.handled(db, row["id"])

    def find_sent(self, wanted: Sequence[Unknown]) -> None:
        """Deliveries whose fate nobody knows, and of which Sent holds a copy, were sent."""
        if Role.SENT not in self._session.folders:
            return
        self._examine(Role.SENT)
        for each in wanted:
            if self._session.holds(each.message_id):
                with self._work.database.transaction() as db:
                    evidence.assume_sent(db, each.workspace_id, [each.id], SENT)

    def rest(self) -> bool:
        """Has the server tell when mail comes; False if some has come already."""
        if self._examined is not Role.INBOX:
            self._read(Role.INBOX)
        return self._session.idle()

    def _has_news(self, role: Role) -> bool:
        cursor = self._cursor(role)
        standing = self._session.look(self._session.folders[role])
        known = cursor and standing.validity == cursor.validity and standing.next == cursor.uid + 1
        return not known

    def _cursor(self, role: Role) -> Cursor | None:
        cursor = self._cursors.get(role)
        same = cursor and (cursor.account, cursor.name) == (self._account, self._session.folders[role])
        return cursor if same else None

    def _examine(self, role: Role) -> Standing:
        self._examined = None
        standing = self._session.examine(self._session.folders[role])
        self._examined = role
        return standing

    def _read(self, role: Role) -> int:
        """One folder; how many messages were settled."""
        cursor, validity = self._cursor(role), 0
        if self._examined is role and cursor is not None:
            validity = cursor.validity
        else:
            standing = self._examine(role)
            validity = standing.validity or 1
            # A next number below what was read already: the messages were numbered anew, whatever the server says of it.
            lower = cursor is not None and standing.next is not None and standing.next <= cursor.uid
            if cursor is None or cursor.validity != validity or lower:
                cursor = self._begin(role, validity, standing, cursor)
        uids = self._session.after(cursor.uid)
        if not uids and self._grew(role) and self._may_doubt():
            logger.warning("mailbox.doubted", sender=self._sender["id"], folder=role)
            uids = self._session.since(self._day(cursor))
        self._take_all(role, validity, uids)
        self._counts[role] = self._session.messages
        return len(uids)

    def _grew(self, role: Role) -> bool:
        """Whether there are more messages than at the last look, although no new number is told: one of the two is not true."""
        return self._session.messages > self._counts.get(role, self._session.messages)

    def _may_doubt(self) -> bool:
        now = datetime.now(UTC)
        if self._doubted is not None and now - self._doubted < timedelta(minutes=10):
            return False
        self._doubted = now
        return True

    def _begin(self, role: Role, validity: int, standing: Standing, before: Cursor | None) -> Cursor:
        """The cursor of a folder that is seen for the first time, or whose numbers no longer hold: before what may be new."""
        uids = self._session.since(self._day(before))
        if before is not None:
            logger.warning("mailbox.renumbered", sender=self._sender["id"], folder=role, messages=len(uids))
        last = (uids[0] if uids else standing.next or max(self._session.after(0), default=0) + 1) - 1
        return self._move(role, validity, last)

    def _day(self, cursor: Cursor | None) -> date:
        """The day from which on what came may be new."""
        now = datetime.now(UTC)
        since = cursor.read_at - OVERLAP if cursor else self._sender["created_at"] - OVERLAP
        return max(since, now - BACK).astimezone(UTC).date()

    def _move(self, role: Role, validity: int, uid: int) -> Cursor:
        cursor = Cursor(
            role=role,
            account=self._account,
            name=self._session.folders[role],
            validity=validity,
            uid=uid,
            read_at=datetime.now(UTC),
        )
        with self._work.database.transaction() as db:
            if not mailboxes.move(db, self._work.worker_id, self._sender["id"], cursor):
                raise FencedError("The mailbox is another worker's by now.")
        self._cursors[role] = cursor
        return cursor

    def _take_all(self, role: Role, validity: int, uids: Sequence[int]) -> None:
        """Fetches and settles messages in order; the cursor follows, and never goes back."""
        for start in range(0, len(uids), CHUNK):
            chunk = self._without_copies(role, uids[start : start + CHUNK])
            sizes = self._session.sizes(chunk) if chunk else {}
            for batch in batches(chunk, sizes):
                if self._work.stop.is_set():
                    raise StoppedError("The worker stops.")
                large = len(batch) == 1 and sizes.get(batch[0], 0) > MOST_BYTES
                raws = self._session.fetch(batch, most=BEGINNING if large else None)
                self._moment = None
                for uid in batch:
                    self._take_one(role, validity, uid, raws)
                self._pass(role, validity, batch[-1])
            self._pass(role, validity, uids[min(start + CHUNK, len(uids)) - 1])

    def _pass(self, role: Role, validity: int, uid: int) -> None:
        """Everything up to `uid` is settled; the cursor never goes back."""
        if uid > self._cursors[role].uid:
            self._move(role, validity, uid)

    def _without_copies(self, role: Role, uids: Sequence[int]) -> Sequence[int]:
        """In Sent lies a copy of each mail of a campaign: it is known by its Message-ID, proves what it proves, and need not be fetched."""
        if role is not Role.SENT:
            return uids
        ids = self._session.message_ids(uids)
        with self._work.database.transaction() as db:
            known = mailboxes.campaign_mails(db, self._sender["workspace_id"], list(ids.values()))
            unknown = [row["id"] for row in known.values() if row["unknown"]]
            if unknown:
                evidence.assume_sent(db, self._sender["workspace_id"], unknown, SENT)
        return [uid for uid in uids if ids.get(uid) not in known]

    def _now(self) -> datetime:
        """The ledger's time, asked once a batch."""
        if self._moment is None:
            with self._work.database.transaction() as db:
                self._moment = self._work.clock(db)
        return self._moment

    def _take_one(self, role: Role, validity: int, uid: int, raws: Mapping[int, bytes]) -> None:
        raw = raws.get(uid)
        if raw is None:
            raw = self._session.fetch([uid], most=BEGINNING).get(uid)
        if raw is None and not self._session.listed(uid):
            return  # deleted between the look and the fetch
        self._take(role, validity, uid, raw)

    def _take(self, role: Role, validity: int, uid: int, raw: bytes | None) -> bool:
        """Settles one message; what cannot be is set aside with its reason, and the next one's turn comes. False: set aside."""
        now = self._now()
        reason = "The server lists this message and does not hand it out."
        try:
            if raw is not None:
                self._settle(self._work, self._sender["id"], role, uid, raw, now)
                return True
        except BusyError:
            raise
        except Exception as error:
            reason = error.message if isinstance(error, CleanmailsError) else f"{type(error).__name__}: {error}"
            logger.exception("message.failed", sender=self._sender["id"], folder=role, uid=uid)
        logger.warning("message.set_aside", sender=self._sender["id"], folder=role, uid=uid, reason=reason)
        with self._work.database.transaction() as db:
            mailboxes.set_aside(
                db, self._sender, role=role, validity=validity, uid=uid, reason=reason[:1_000], raw=raw, now=now
            )
        return False


def account(sender: Mapping[str, object]) -> str:
    """Whose mailbox it is: with another host or user, old numbers mean nothing."""
    return f"{sender['imap_username'] or sender['address']}@{sender['imap_host']}"


def batches(uids: Sequence[int], sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """UIDs in groups that are fetched at once: few enough, and not too large together; what is too large by itself stands alone."""
    batch: list[int] = []
    total = 0
    for uid in uids:
        size = sizes.get(uid, 0)
        if batch and (len(batch) >= BATCH or total + size > BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(uid)
        total += size
    if batch:
        yield batch
