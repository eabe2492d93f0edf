"""One lead: its walks through campaigns, and everything that happened to it."""

from typing import Final

from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql

_LARGEST: Final = 2**63 - 1


def walks(db: Connection, workspace_id: int, lead_id: int, *, limit: int) -> list[Row]:
    """Where it stands in its campaigns, the newest first."""
    values = {"workspace_id": workspace_id, "lead_id": lead_id, "limit": limit}
    return db.execute(sql("timeline.walks"), values).fetchall()


def events(db: Connection, workspace_id: int, lead_id: int, *, before: int | None, limit: int) -> list[Row]:
    """What happened, the newest first, before the event with the id `before`."""
    values = {"workspace_id": workspace_id, "lead_id": lead_id, "before": before or _LARGEST, "limit": limit}
    return db.execute(sql("timeline.events"), values).fetchall()


def beside(
    db: Connection, workspace_id: int, lead_id: int, *, since: int | None, until: int | None, limit: int
) -> list[Row]:
    """What is no event but happened to it too, the newest first: from the time of its event `since` to before that of `until` (ids; None: no bound)."""
    values = {"workspace_id": workspace_id, "lead_id": lead_id, "since": since, "until": until, "limit": limit}
    return db.execute(sql("timeline.beside"), values).fetchall()
