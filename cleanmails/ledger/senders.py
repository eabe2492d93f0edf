"""Mailboxes that campaigns send by. Passwords come sealed, as `sender:ID:smtp_password` and `sender:ID:imap_password`, and never leave in rows for people."""

from datetime import date, datetime

import msgspec

from cleanmails.errors import ConflictError, NotFoundError
from cleanmails.ledger import domains, oauth, sync
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql
from cleanmails.records import Security, SenderStatus


class Mailbox(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of a sender: the columns that are written as a whole."""

    name: str
    reply_to: str | None
    signature: str
    smtp_host: str
    smtp_port: int
    smtp_security: Security
    smtp_username: str
    smtp_sealed: bytes | None
    imap_host: str | None
    imap_port: int | None
    imap_security: Security | None
    imap_username: str | None
    imap_sealed: bytes | None
    daily_limit: int
    min_gap_seconds: int
    max_gap_seconds: int
    ramp_from: date | None
    ramp_start: int | None
    ramp_step: int | None
    ramp_ceiling: int | None
    status: SenderStatus
    status_reason: str | None
    tested_at: datetime | None


def next_id(db: Connection) -> int:
    """The id that the next sender will have."""
    row = db.execute(sql("senders.next_id")).fetchone()
    assert row is not None
    return int(row["id"])


def create(db: Connection, workspace_id: int, sender_id: int, address: str, mailbox: Mailbox, *, now: datetime) -> None:
    """Writes a new sender under an id of `next_id`; it belongs to the workspace's domain of its address, if there is one.

    `address` in lower case. ConflictError if the workspace has a sender with it.
    """
    domain = domains.find(db, workspace_id, address.rpartition("@")[2])
    row = db.execute(
        sql("senders.insert_sender"),
        {
            **msgspec.structs.asdict(mailbox),
            "id": sender_id,
            "workspace_id": workspace_id,
            "domain_id": domain["id"] if domain else None,
            "address": address,
            "now": now,
        },
    ).fetchone()
    if row is None:
        raise ConflictError(f"There is a sender {address} already.")


def read(db: Connection, workspace_id: int, sender_id: int, *, today: date) -> Row:
    """A sender with `domain_name`, `domain_status`, and `used_today` and `limit_today` of the UTC day `today`. NotFoundError if there is none of this id."""
    given = {"workspace_id": workspace_id, "id": sender_id, "today": today}
    return _found(db.execute(sql("senders.read_sender"), given).fetchone())


def find(db: Connection, workspace_id: int, address: str) -> int | None:
    """The id of the sender with this address, in lower case."""
    row = db.execute(sql("senders.find_sender"), {"workspace_id": workspace_id, "address": address}).fetchone()
    return int(row["id"]) if row else None


def list_senders(
    db: Connection,
    workspace_id: int,
    *,
    now: datetime,
    q: str = "",
    standing: str | None = None,
    since: datetime | None = None,
    after: int | None,
    limit: int,
) -> list[Row]:
    """Senders as `read` gives them, in order of their ids: those with `q` in address or name, and of a status, or `cooling_down`. `since` a time: as they changed."""
    given = {"workspace_id": workspace_id, "now": now, "today": now.date(), "after": after, "limit": limit}
    return db.execute(
        sql("senders.list_senders"), given | sync.span(db, since) | {"q": q.strip(), "standing": standing}
    ).fetchall()


def health_days(db: Connection, workspace_id: int, sender_id: int, *, first: date, today: date) -> list[Row]:
    """The UTC days from `first` to `today` on which the sender was there, in order: `day`, `used`, `health` at its end, `lowest`, `errors`, `last_error`."""
    given = _key(workspace_id, sender_id) | {"first": first, "today": today}
    return db.execute(sql("senders.health_days"), given).fetchall()


def lock(db: Connection, workspace_id: int, sender_id: int, *, stop: bool) -> Row:
    """A sender's row, held until the transaction ends. NotFoundError if there is none.

    `stop`: what follows ends its sending (pause, restriction, deletion); no mail goes by it once the transaction has committed.
    """
    if stop:
        # Taken first, and only for ids that can be: the send path takes this lock before rows, and so does everybody.
        _found(db.execute(sql("senders.read_sender"), _key(workspace_id, sender_id) | {"today": None}).fetchone())
        db.execute(sql("senders.stop_sending"), {"id": sender_id})
    return _found(db.execute(sql("senders.lock_sender"), _key(workspace_id, sender_id)).fetchone())


def update(db: Connection, workspace_id: int, sender_id: int, mailbox: Mailbox, *, now: datetime) -> None:
    """Writes a sender that `lock` holds."""
    db.execute(
        sql("senders.update_sender"), msgspec.structs.asdict(mailbox) | _key(workspace_id, sender_id) | {"now": now}
    )


def record_pass(db: Connection, workspace_id: int, sender_id: int, *, now: datetime) -> None:
    """Notes a passed test: a restriction and a cooldown end. NotFoundError if the sender was deleted meanwhile."""
    _found(db.execute(sql("senders.record_pass"), _key(workspace_id, sender_id) | {"now": now}).fetchone())


def delete(db: Connection, workspace_id: int, sender_id: int, *, now: datetime) -> None:
    """Takes a sender out of use for good and forgets its passwords. NotFoundError if there is none."""
    lock(db, workspace_id, sender_id, stop=True)
    db.execute(sql("senders.delete_sender"), _key(workspace_id, sender_id) | {"now": now})
    oauth.forget(db, workspace_id, sender_id)


def _key(workspace_id: int, sender_id: int) -> Row:
    return {"workspace_id": workspace_id, "id": sender_id}


def _found(row: Row | None) -> Row:
    if row is None:
        raise NotFoundError("There is no such sender.")
    return row
