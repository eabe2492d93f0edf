"""A step's subjects against each other, and the one that won."""

from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def figures(db: Connection, workspace_id: int, campaign_id: int) -> list[Row]:
    """By step and subject `index`: `subject`, `sent`, `opened` (by people), `replied`, and the step's `winner`, `winner_at`, `version`."""
    values = {"workspace_id": workspace_id, "campaign_id": campaign_id}
    return db.execute(sql("subjects.figures"), values).fetchall()


def undecided(db: Connection) -> list[tuple[int, int]]:
    """(workspace id, campaign id) of running campaigns that look for their best subjects."""
    return [(row["workspace_id"], row["id"]) for row in db.execute(sql("subjects.undecided"))]


def promote(db: Connection, campaign_id: int, step: int, version: int, winner: int) -> bool:
    """Later mails of the step have this subject; False if it was changed meanwhile, or has a winner."""
    values = {"campaign_id": campaign_id, "step": step, "version": version, "winner": winner}
    return db.execute(sql("subjects.promote"), values).rowcount == 1
