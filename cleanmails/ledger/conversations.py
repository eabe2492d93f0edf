"""Conversations as people read them: listed, labelled, assigned, noted on, answered; and messages of which a person has to say whose they are."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from cleanmails.errors import NotFoundError
from cleanmails.ledger import events
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.events import Event
from cleanmails.ledger.statements import sql

Label = Literal["interested", "not_interested", "meeting_booked", "wrong_person", "out_of_office"]


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which conversations are asked for; None is any. `label` "none": without one; `assigned_to` 0: nobody's."""

    label: str | None = None
    unread: bool | None = None
    kind: str | None = None
    assigned_to: int | None = None
    campaign_id: int | None = None
    sender_id: int | None = None
    lead_id: int | None = None
    search: str | None = None


ALL = Filters()


def page(db: Connection, workspace_id: int, filters: Filters, *, before: int | None, limit: int) -> list[Row]:
    """Conversations whose last message is older than that of id `before`, newest first."""
    asked = msgspec.structs.asdict(filters)
    values = {"workspace_id": workspace_id, "before": before, "limit": limit, "id": None, **asked}
    return db.execute(sql("conversations.page"), values).fetchall()


def read(db: Connection, workspace_id: int, id: int) -> Row:
    """One conversation, as it stands in a page. NotFoundError."""
    values = {"workspace_id": workspace_id, "before": None, "limit": 1, "id": id, **msgspec.structs.asdict(ALL)}
    row = db.execute(sql("conversations.page"), values).fetchone()
    if row is None:
        raise _not_found()
    return row


def counts(db: Connection, workspace_id: int) -> Row:
    """How many there are, by label, unread and in review."""
    row = db.execute(sql("conversations.counts"), {"workspace_id": workspace_id}).fetchone()
    assert row is not None
    return row


def messages(db: Connection, id: int) -> list[Row]:
    """What came in, oldest first."""
    return db.execute(sql("conversations.messages"), {"thread_id": id}).fetchall()


def mails(db: Connection, campaign_id: int, lead_id: int) -> list[Row]:
    """What the campaign sent to the lead."""
    return db.execute(sql("conversations.mails"), {"campaign_id": campaign_id, "lead_id": lead_id}).fetchall()


def answers(db: Connection, id: int, *, lost: datetime) -> list[Row]:
    """What was answered; what has been on its way since before `lost` is `unknown`."""
    return db.execute(sql("conversations.answers"), {"thread_id": id, "lost": lost}).fetchall()


def notes(db: Connection, id: int) -> list[Row]:
    """What people of the workspace wrote down about it."""
    return db.execute(sql("conversations.notes"), {"thread_id": id}).fetchall()


def lock(db: Connection, workspace_id: int, id: int) -> Row:
    """A conversation, to be changed. NotFoundError."""
    row = db.execute(sql("conversations.lock"), {"workspace_id": workspace_id, "id": id}).fetchone()
    if row is None:
        raise _not_found()
    return row


def update(
    db: Connection,
    workspace_id: int,
    row: Row,
    *,
    label: str | None,
    unread: bool,
    assigned_to: int | None,
    email: str,
) -> None:
    """Changes a locked conversation; a new label is a fact that others may be told."""
    values = {"id": row["id"], "label": label, "unread": unread, "assigned_to": assigned_to}
    db.execute(sql("conversations.update"), values)
    if label != row["label"] and label is not None:
        event = Event(
            type="lead.labelled",
            workspace_id=workspace_id,
            campaign_id=row["campaign_id"],
            lead_id=row["lead_id"],
            data={"email": email, "label": label},
        )
        events.append(db, [event])


def is_member(db: Connection, workspace_id: int, user_id: int) -> bool:
    """Whether somebody belongs to the workspace."""
    row = db.execute(sql("conversations.is_member"), {"workspace_id": workspace_id, "user_id": user_id}).fetchone()
    return bool(row and row["member"])


def add_note(db: Connection, workspace_id: int, id: int, user_id: int | None, text: str, now: datetime) -> Row:
    """Writes a note; NotFoundError if there is no such conversation."""
    lock(db, workspace_id, id)
    values = {"workspace_id": workspace_id, "thread_id": id, "user_id": user_id, "text": text, "now": now}
    row = db.execute(sql("conversations.add_note"), values).fetchone()
    assert row is not None
    return row


def delete_note(db: Connection, workspace_id: int, id: int, note_id: int) -> None:
    """NotFoundError if there is no such note."""
    values = {"workspace_id": workspace_id, "thread_id": id, "id": note_id}
    if not db.execute(sql("conversations.delete_note"), values).rowcount:
        raise NotFoundError("There is no such note.")


def answer_facts(db: Connection, workspace_id: int, id: int) -> Row:
    """All that an answer is made of; the conversation is held, so that two answers at once are seen. NotFoundError."""
    row = db.execute(sql("conversations.answer_facts"), {"workspace_id": workspace_id, "id": id}).fetchone()
    if row is None:
        raise _not_found()
    return row


def is_suppressed(db: Connection, workspace_id: int, addresses: Sequence[str]) -> bool:
    """Whether one of these is never to be written to."""
    values = {"workspace_id": workspace_id, "addresses": list(addresses)}
    row = db.execute(sql("conversations.is_suppressed"), values).fetchone()
    return bool(row and row["suppressed"])


def answered_lately(db: Connection, id: int, body: str, *, since: datetime) -> bool:
    """Whether the same was answered since, or may have been."""
    values = {"thread_id": id, "body": body, "since": since}
    row = db.execute(sql("conversations.answered_lately"), values).fetchone()
    return bool(row and row["answered"])


def begin_answer(
    db: Connection,
    row: Row,
    *,
    user_id: int | None,
    to_address: str,
    subject: str,
    body: str,
    message_id: str,
    now: datetime,
) -> int:
    """Writes an answer down as on its way, before any byte of it is; its id."""
    values = {
        "workspace_id": row["workspace_id"],
        "thread_id": row["thread_id"],
        "sender_id": row["sender_id"],
        "user_id": user_id,
        "to_address": to_address,
        "subject": subject,
        "body": body,
        "message_id": message_id,
        "now": now,
    }
    found = db.execute(sql("conversations.begin_answer"), values).fetchone()
    assert found is not None
    db.execute(sql("conversations.mark_read"), {"id": row["thread_id"]})
    return int(found["id"])


def end_answer(db: Connection, answer_id: int, state: str, reply: str, now: datetime) -> None:
    """What became of an answer: `sent`, `failed` or `unknown`, and what the server said."""
    values = {"id": answer_id, "state": state, "reply": reply, "now": now}
    db.execute(sql("conversations.end_answer"), values)


def reviews(db: Connection, workspace_id: int, *, after: int, limit: int) -> list[Row]:
    """Messages of which a person has to say whose they are."""
    values = {"workspace_id": workspace_id, "after": after, "limit": limit}
    return db.execute(sql("conversations.reviews"), values).fetchall()


def _not_found() -> NotFoundError:
    return NotFoundError("There is no such conversation.")
