"""The counts of campaigns' current runs: what was sent and what bounced since launch or the last resume, and the pause that follows from too much."""

from collections.abc import Mapping

from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def count(db: Connection, sent: Mapping[int, int], bounced: Mapping[int, int]) -> list[Row]:
    """Adds to the counts, by campaign id; the new ones (`campaign_id`, `sent`, `bounced`)."""
    rows = [(id, sent.get(id, 0), bounced.get(id, 0)) for id in sorted(sent.keys() | bounced.keys())]
    return db.execute(sql("campaign_runs.count"), columns(("campaigns", "sent", "bounced"), rows)).fetchall()


def hold_for_pause(db: Connection, campaign_id: int) -> Row | None:
    """The counts and the workspace of a running campaign, with its marks held off until this transaction ends; None if it is not running."""
    db.execute(sql("campaign_runs.hold_marks"), {"campaign_id": campaign_id})
    return db.execute(sql("campaign_runs.read"), {"campaign_id": campaign_id}).fetchone()


def pause(db: Connection, campaign_id: int, reason: str | None) -> None:
    """Pauses it, with a reason for people if it is not a person who does it. Its marks must be held."""
    db.execute(sql("campaign_runs.pause"), {"campaign_id": campaign_id, "reason": reason})
