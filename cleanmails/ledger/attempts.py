"""Attempts: one row for each SMTP transaction of a delivery. They are written where a delivery's result is (`deliveries.write_attempts`)."""

from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def of_delivery(db: Connection, workspace_id: int, delivery_id: int) -> list[Row] | None:
    """A delivery's attempts, the oldest first; None if the workspace has no such delivery."""
    rows = db.execute(
        sql("attempts.of_delivery"), {"workspace_id": workspace_id, "delivery_id": delivery_id}
    ).fetchall()
    return [row for row in rows if row["outcome"]] if rows else None
