"""Deliveries of which nobody knows whether the server took them (RFC 1047), and the only ways out: evidence, or a person."""

from collections.abc import Sequence
from datetime import datetime

from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def walks(db: Connection, workspace_id: int, ids: Sequence[int]) -> list[tuple[int, int]]:
    """The walks (campaign id, lead id) of those that are unknown, to be locked before `lock`."""
    found = db.execute(sql("unknowns.walks"), {"workspace_id": workspace_id, "ids": list(ids)})
    return [(row["campaign_id"], row["lead_id"]) for row in found]


def lock(db: Connection, workspace_id: int, ids: Sequence[int]) -> list[Row]:
    """Those of `ids` that are still unknown, locked."""
    return db.execute(sql("unknowns.lock"), {"workspace_id": workspace_id, "ids": list(ids)}).fetchall()


def write_sent(db: Connection, now: datetime, ids: Sequence[int], evidence: str) -> None:
    """They were sent, because of `evidence`. They must be locked."""
    db.execute(sql("unknowns.write_sent"), {"now": now, "ids": list(ids), "evidence": evidence})


def write_resend(db: Connection, ids: Sequence[int], evidence: str) -> None:
    """They go out again, because a person said so. They must be locked."""
    db.execute(sql("unknowns.write_resend"), {"ids": list(ids), "evidence": evidence})


def page(db: Connection, workspace_id: int, *, campaign_id: int | None, after: int, limit: int) -> list[Row]:
    """Unknown deliveries with what a person needs to decide, from the one after `after`, oldest first."""
    values = {"workspace_id": workspace_id, "campaign_id": campaign_id, "after": after, "limit": limit}
    return db.execute(sql("unknowns.page"), values).fetchall()
