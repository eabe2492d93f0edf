"""Events: facts, appended in the transaction that makes them true and never changed."""

from collections.abc import Iterable
from typing import Any

import msgspec

from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection
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
