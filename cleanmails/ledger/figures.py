"""Statistics: figures that events add up to. Each row has `sent`, `bounced`, `opened`, `clicked` (by people; `_machine` and `_unknown` apart), `replied`, `unsubscribed`."""

from datetime import date

from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def try_count(db: Connection) -> bool:
    """Whether this transaction is the one that counts now."""
    row = db.execute(sql("figures.try_count")).fetchone()
    return row is not None and bool(row["mine"])


def count(db: Connection, limit: int) -> tuple[int, int]:
    """Adds what came since, `limit` events of each workspace at most; how many events that were, and how many of one workspace at most."""
    db.execute(sql("figures.by_index"))
    row = db.execute(sql("figures.count"), {"limit": limit}).fetchone()
    assert row is not None
    return int(row["events"]), int(row["most"])


def forget(db: Connection) -> None:
    """Begins anew: nothing counts as counted. Waits for whoever counts, and holds others off until the end of the transaction."""
    db.execute(sql("figures.hold_count"))
    db.execute(sql("figures.forget"))


def of_campaign(db: Connection, workspace_id: int, campaign_id: int) -> list[Row]:
    """A campaign's rows of all `scope`s: `day`, `subject` (with `step`, `subject`, `subject_text`) and `sender` (with `sender_id`, `address`)."""
    return db.execute(sql("figures.of_campaign"), {"workspace_id": workspace_id, "campaign_id": campaign_id}).fetchall()


def by_day(db: Connection, workspace_id: int, since: date, until: date) -> list[Row]:
    """A workspace's days on which something happened, both ends included."""
    return db.execute(sql("figures.by_day"), {"workspace_id": workspace_id, "since": since, "until": until}).fetchall()


def by_sender(db: Connection, workspace_id: int, *, after: int | None, limit: int) -> list[Row]:
    """A workspace's senders in the order of their ids, with their figures over all campaigns."""
    return db.execute(
        sql("figures.by_sender"), {"workspace_id": workspace_id, "after": after or 0, "limit": limit}
    ).fetchall()
