"""Who did what: an entry for each request that changed something, and for each sign-in."""

from datetime import datetime

import msgspec

from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is written down. `action` is `noun.verb`; `object_id` is the thing it was done to, where it has an id. Values are never kept."""

    at: datetime
    workspace_id: int
    user_id: int | None
    api_key_id: int | None
    action: str
    object_id: int | None
    path: str
    remote_address: str
    user_agent: str


def append(db: Connection, entry: Entry) -> None:
    """Writes it down."""
    db.execute(sql("audit.insert_entry"), msgspec.structs.asdict(entry))


def search(
    db: Connection,
    workspace_id: int,
    *,
    before: int | None,
    limit: int,
    action: str | None,
    user_id: int | None,
    since: datetime | None,
    until: datetime | None,
) -> list[Row]:
    """Entries, the newest first. `action` is one action, or a noun for all of its actions."""
    values = {
        "workspace_id": workspace_id,
        "before": before,
        "limit": limit,
        "action": action,
        "user_id": user_id,
        "since": since,
        "until": until,
    }
    return db.execute(sql("audit.list_entries"), values).fetchall()
