"""Leads in any number, for the planner's benchmark and for tests of how statements are carried out."""

from datetime import datetime

import msgspec

from cleanmails.ledger.db import Database
from cleanmails.ledger.statements import sql


class Crowd(msgspec.Struct, frozen=True):
    """A workspace with senders without gaps, which all of its campaigns use."""

    workspace_id: int
    senders: list[int]


def make_crowd(database: Database, leads: int, senders: int) -> Crowd:
    """So many leads and senders in an empty database."""
    with database.transaction() as db:
        db.execute(sql("bench.unchecked"))
        row = db.execute(sql("bench.make_workspace")).fetchone()
        assert row is not None
        workspace = row["id"]
        made = db.execute(sql("bench.make_senders"), {"workspace_id": workspace, "senders": senders}).fetchall()
        db.execute(sql("bench.make_leads"), {"workspace_id": workspace, "leads": leads})
    return Crowd(workspace, [row["id"] for row in made])


def make_campaigns(database: Database, crowd: Crowd, campaigns: int, due_at: datetime) -> list[int]:
    """Running campaigns among which all leads are dealt out, due from a time on."""
    values = {"workspace_id": crowd.workspace_id, "campaigns": campaigns, "senders": crowd.senders}
    with database.transaction() as db:
        db.execute(sql("bench.unchecked"))
        ids = [row["id"] for row in db.execute(sql("bench.make_campaigns"), values)]
        db.execute(sql("bench.make_walks"), {"campaigns": ids, "senders": crowd.senders, "due_at": due_at})
    with database.transaction() as db:
        db.execute(sql("bench.analyze"))
    return ids


def use_up(database: Database) -> None:
    """Every sender has sent what it may today (and tomorrow, should midnight come)."""
    with database.transaction() as db:
        db.execute(sql("bench.use_up"))


def rest(database: Database, campaigns: list[int]) -> None:
    """These campaigns are paused."""
    with database.transaction() as db:
        db.execute(sql("bench.rest"), {"campaigns": campaigns})
