"""What a campaign sent, and what it did not and why."""

from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def portion(db: Connection, campaign_id: int, *, after: int, limit: int) -> list[Row]:
    """A row for each person and step, of the next `limit` people after the lead with the id `after`. None: that was all."""
    values = {"campaign_id": campaign_id, "after": after, "limit": limit}
    return db.execute(sql("exports.portion"), values).fetchall()
