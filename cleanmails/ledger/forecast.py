"""What a forecast is made of: leads that stand alike, and the campaigns and senders that meet in it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.planning import sender_view
from cleanmails.ledger.statements import sql
from cleanmails.records import SenderView

FEW = 50
"""A domain of fewer leads is no provider of its own in a forecast: at the rate of any domain it can bind nothing."""


def sharing(db: Connection, workspace_id: int, sender_ids: Collection[int]) -> list[int]:
    """The running campaigns that use one of these senders."""
    values = {"workspace_id": workspace_id, "senders": sorted(sender_ids)}
    return [row["id"] for row in db.execute(sql("forecast.sharing"), values)]


def senders(
    db: Connection, workspace_id: int, ids: Collection[int], in_pipe: Mapping[int, int], now: datetime
) -> dict[int, SenderView]:
    """Senders by id, as the planner sees them."""
    values = {"workspace_id": workspace_id, "ids": sorted(ids), "now": now}
    rows = db.execute(sql("forecast.senders"), values)
    return {row["id"]: sender_view(row, in_pipe.get(row["id"], 0)) for row in rows}


def cohorts(
    db: Connection,
    workspace_id: int,
    campaign_id: int,
    ids: Collection[int],
    *,
    lists: Collection[int] | None,
    needs: Sequence[tuple[int, str]],
    skip_validation: Sequence[str],
    was: datetime | None,
    begin: datetime,
) -> list[Row]:
    """Leads of the campaigns `ids` that stand alike: the columns of a walk, and `count` of them.

    Whoever is on the lists (None: those of the campaign) and not in it is taken as beginning at `begin`, and so is who waits for the launch `was`.
    `needs` are pairs of a step and a field that its mail cannot go without. Who is of a class in `skip_validation` does not begin.
    """
    values = {
        "workspace_id": workspace_id,
        "campaign_id": campaign_id,
        "ids": sorted(ids),
        "lists": None if lists is None else sorted(lists),
        "need_steps": [step for step, _ in needs],
        "needs": [field for _, field in needs],
        "skip_validation": list(skip_validation),
        "was": was,
        "begin": begin,
        "few": FEW,
    }
    return db.execute(sql("forecast.cohorts"), values).fetchall()
