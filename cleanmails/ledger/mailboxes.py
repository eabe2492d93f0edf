"""Mailboxes that are read: shared out over the inbox workers, how far each folder is read, and what could not be handled."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from cleanmails.errors import NotFoundError
from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


class Checked(msgspec.Struct, frozen=True):
    """A mailbox that was looked at without error; `idle`: its server tells by itself when mail comes."""

    sender_id: int
    at: datetime
    idle: bool


class Failed(msgspec.Struct, frozen=True):
    """A mailbox that could not be looked at for the `failures`-th time in a row, and when it is tried again."""

    sender_id: int
    at: datetime
    due_at: datetime
    failures: int
    code: str
    error: str


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far a folder is read: everything up to `uid` under this UIDVALIDITY. `account` is whose folder it is."""

    role: str
    account: str
    name: str
    validity: int
    uid: int
    read_at: datetime


def deal(db: Connection, worker_id: int, *, lease: float) -> list[Row]:
    """Brings a worker to its share: gives back what is beyond it, takes what is free. All that it holds then, with what is needed to open it."""
    db.execute(sql("mailboxes.enrol"))
    db.execute(sql("mailboxes.dismiss"))
    me = {"worker_id": worker_id, "lease": lease}
    row = db.execute(sql("mailboxes.share"), me).fetchone()
    assert row is not None
    db.execute(sql("mailboxes.give_back"), {"worker_id": worker_id, "share": row["share"]})
    db.execute(sql("mailboxes.take"), me | {"share": row["share"]})
    return db.execute(sql("mailboxes.held"), {"worker_id": worker_id}).fetchall()


def let_go(db: Connection, worker_id: int) -> None:
    """A worker that stops holds nothing any more."""
    db.execute(sql("mailboxes.let_go"), {"worker_id": worker_id})


def unknowns(db: Connection, worker_id: int) -> list[Row]:
    """Deliveries of a worker's mailboxes whose fate nobody knows, with their `age` in seconds."""
    return db.execute(sql("mailboxes.unknowns"), {"worker_id": worker_id}).fetchall()


def write(db: Connection, worker_id: int, checked: Iterable[Checked], failed: Iterable[Failed]) -> None:
    """Notes how mailboxes were found, those that are still this worker's."""
    rows = [msgspec.structs.astuple(each) for each in checked]
    if rows:
        db.execute(sql("mailboxes.write_checked"), columns(("ids", "ats", "idles"), rows) | {"worker_id": worker_id})
    rows = [msgspec.structs.astuple(each) for each in failed]
    if rows:
        names = ("ids", "ats", "dues", "failures", "codes", "errors")
        db.execute(sql("mailboxes.write_failed"), columns(names, rows) | {"worker_id": worker_id})


def cursors(db: Connection, sender_id: int) -> dict[str, Cursor]:
    """How far each folder is read, by role."""
    rows = db.execute(sql("mailboxes.folders"), {"sender_id": sender_id}).fetchall()
    return {row["role"]: Cursor(**row) for row in rows}


def move(db: Connection, worker_id: int, sender_id: int, cursor: Cursor) -> bool:
    """Writes how far a folder is read now; False if the mailbox is another worker's by now."""
    values = msgspec.structs.asdict(cursor) | {
        "worker_id": worker_id,
        "sender_id": sender_id,
        "now": cursor.read_at,
    }
    return db.execute(sql("mailboxes.move"), values).fetchone() is not None


def set_aside(
    db: Connection,
    sender: Row,
    *,
    role: str,
    validity: int,
    uid: int,
    reason: str,
    raw: bytes | None,
    now: datetime,
) -> None:
    """Keeps a message of `sender` (its `id` and `workspace_id`) that could not be handled, with the reason."""
    values = {
        "workspace_id": sender["workspace_id"],
        "sender_id": sender["id"],
        "role": role,
        "validity": validity,
        "uid": uid,
        "reason": reason,
        "raw": raw,
        "now": now,
    }
    db.execute(sql("mailboxes.set_aside"), values)


def wanted_again(db: Connection, sender_id: int) -> list[Row]:
    """Messages that a person wants tried again."""
    return db.execute(sql("mailboxes.wanted_again"), {"sender_id": sender_id}).fetchall()


def handled(db: Connection, set_aside_id: int) -> None:
    """A message that was set aside is settled."""
    db.execute(sql("mailboxes.handled"), {"id": set_aside_id})


def list_set_aside(db: Connection, workspace_id: int, sender_id: int, *, after: int, limit: int) -> list[Row]:
    """A sender's messages that could not be handled, oldest first."""
    values = {"workspace_id": workspace_id, "sender_id": sender_id, "after": after, "limit": limit}
    return db.execute(sql("mailboxes.list_set_aside"), values).fetchall()


def try_again(db: Connection, workspace_id: int, sender_id: int, set_aside_id: int) -> Row:
    """Has a message tried again at the next look. NotFoundError."""
    values = {"workspace_id": workspace_id, "sender_id": sender_id, "id": set_aside_id}
    row = db.execute(sql("mailboxes.try_again"), values).fetchone()
    if row is None:
        raise NotFoundError("There is no such message that was set aside.")
    return row


def campaign_mails(db: Connection, workspace_id: int, message_ids: Sequence[str]) -> dict[str, Row]:
    """Those of these Message-IDs that are our mails': `id`, and `unknown` if it is not known whether they were sent."""
    rows = db.execute(sql("mailboxes.campaign_mails"), {"workspace_id": workspace_id, "ids": list(message_ids)})
    return {row["message_id"]: row for row in rows.fetchall()}


def forget_set_aside(db: Connection, before: datetime) -> None:
    """Drops what was set aside before that time."""
    db.execute(sql("mailboxes.forget_set_aside"), {"before": before})
