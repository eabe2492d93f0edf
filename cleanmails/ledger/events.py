"""Events: facts, appended in the transaction that makes them true and never changed."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact of a workspace: its type (`email.sent`, `campaign.started` ...; product page, section 7), what it is about, and what else is known."""

    type: str
    workspace_id: int
    campaign_id: int | None = None
    lead_id: int | None = None
    delivery_id: int | None = None
    sender_id: int | None = None
    data: dict[str, Any] = {}


def append(db: Connection, events: Iterable[Event]) -> None:
    """Writes facts at the time of this transaction; they can be read once it has committed."""
    rows = [
        (
            e.type,
            e.workspace_id,
            e.campaign_id,
            e.lead_id,
            e.delivery_id,
            e.sender_id,
            msgspec.json.encode(e.data).decode(),
        )
        for e in events
    ]
    names = ("types", "workspaces", "campaigns", "leads", "deliveries", "senders", "data")
    if rows:
        db.execute(sql("events.append"), columns(names, rows))


def make_months(db: Connection) -> None:
    """Makes the monthly partitions that are missing, two months ahead."""
    db.execute(sql("events.make_months"))


def drop_months(db: Connection, kept: int) -> int:
    """Drops the monthly partitions that ended more than `kept` months ago; how many."""
    row = db.execute(sql("events.drop_months"), {"kept": kept}).fetchone()
    return int(row["dropped"]) if row else 0


class Place(msgspec.Struct, frozen=True, order=True):
    """A place in the stream: behind the event with this id, written by this transaction. Places are ordered as the stream is."""

    xact: int
    id: int


START = Place(0, 0)
"""Before the first event."""


def read_after(
    db: Connection,
    workspace_id: int,
    after: Place,
    *,
    types: Sequence[str] | None = None,
    campaigns: Sequence[int] | None = None,
    limit: int,
) -> list[Row]:
    """The events behind a place, in the stream's order, of some types and campaigns or (None) of all.

    Nothing ever appears before what was read: an event whose transaction is older than one that still runs waits for it. `xact` and `id` of a row
    are its place.
    """
    values = {
        "workspace_id": workspace_id,
        "xact": after.xact,
        "id": after.id,
        "types": None if types is None else list(types),
        "campaigns": None if campaigns is None else list(campaigns),
        "limit": limit,
    }
    return db.execute(sql("events.read_after"), values).fetchall()


def place_of(db: Connection, workspace_id: int, event_id: int) -> Place | None:
    """Behind the event with this id; the start if it was dropped with its month, or None if the workspace never had it."""
    row = db.execute(sql("events.read_place"), {"workspace_id": workspace_id, "id": event_id}).fetchone()
    if row is not None:
        return Place(row["xact"], row["id"])
    older = db.execute(sql("events.has_older"), {"workspace_id": workspace_id, "id": event_id}).fetchone()
    return None if older and older["older"] else START


def end(db: Connection) -> Place:
    """Behind everything that can be read now."""
    row = db.execute(sql("events.read_end")).fetchone()
    assert row is not None
    return Place(row["xact"], row["id"])
