"""Walks: one lead's way through one campaign. Who begins one, and how it ends from outside.

Locks are taken in one order everywhere: rows of `campaign_leads` by (campaign_id, lead_id), then deliveries. The send path takes the walk's row before it
marks a mail as `sending`, so once a transaction that ended the walk has committed, no new mail to that lead starts.
"""

from collections.abc import Sequence
from datetime import datetime

from cleanmails.ledger import deliveries
from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql
from cleanmails.records import WalkOutcome, WalkState


def enroll(db: Connection, campaign_id: int) -> int:
    """Begins a walk for every lead of the campaign's lists that may be mailed and has none; returns how many.

    The caller holds the lists (`lists.hold_exclusive`).
    """
    return db.execute(sql("walks.enroll"), {"campaign_id": campaign_id}).rowcount


def enroll_arrivals(db: Connection, list_id: int) -> int:
    """The same for leads that join a list now (`imports.take`), in the running campaigns that it feeds. The caller holds the list (`lists.hold_shared`)."""
    return db.execute(sql("walks.enroll_arrivals"), {"list_id": list_id}).rowcount


def enroll_members(db: Connection, list_id: int, lead_ids: Sequence[int]) -> int:
    """The same for leads that were there before and have just been put on a list."""
    return db.execute(sql("walks.enroll_members"), {"list_id": list_id, "lead_ids": list(lead_ids)}).rowcount


def end(db: Connection, lead_ids: Sequence[int], outcome: WalkOutcome, workspace_id: int) -> int:
    """Ends every open walk of these leads, and cancels what was prepared for them; returns how many walks ended.

    A mail that is being sent, or may have been, is left alone: it may be out, and its own end is written down as it comes.
    """
    values = {"lead_ids": list(lead_ids), "outcome": outcome, "workspace_id": workspace_id}
    return _cancel(db, db.execute(sql("walks.end_walks"), values).fetchall(), outcome)


def end_in_campaign(db: Connection, campaign_id: int, lead_ids: Sequence[int], outcome: WalkOutcome) -> int:
    """The same in one campaign alone; the walks of all these leads must be held (`hold`)."""
    values = {"campaign_id": campaign_id, "lead_ids": list(lead_ids), "outcome": outcome}
    return _cancel(db, db.execute(sql("walks.end_in_campaign"), values).fetchall(), outcome)


def tell_late_reply(db: Connection, campaign_id: int, lead_id: int) -> None:
    """A walk that was finished when its lead answered ended by a reply after all."""
    db.execute(sql("walks.tell_late_reply"), {"campaign_id": campaign_id, "lead_id": lead_id})


def end_strays(db: Connection, campaign_ids: Sequence[int], lead_ids: Sequence[int] | None = None) -> int:
    """Ends walks (as `removed`) of leads that are on none of their campaign's lists any more; returns how many.

    The caller holds the lists (`lists.hold_exclusive`).
    """
    values = {"campaign_ids": list(campaign_ids), "lead_ids": None if lead_ids is None else list(lead_ids)}
    return _cancel(db, db.execute(sql("walks.end_strays"), values).fetchall(), WalkOutcome.REMOVED)


def hold(db: Connection, workspace_id: int, lead_ids: Sequence[int]) -> None:
    """Holds all walks of these leads until this transaction ends: no mail to them starts meanwhile."""
    db.execute(sql("walks.hold_walks"), {"workspace_id": workspace_id, "lead_ids": list(lead_ids)})


def free_of_senders(db: Connection, campaign_id: int) -> int:
    """Lets waiting walks whose sender was taken from the campaign go on with another; returns how many."""
    return db.execute(sql("walks.free_of_senders"), {"campaign_id": campaign_id}).rowcount


def free_held(
    db: Connection, workspace_id: int, *, campaign_id: int | None = None, lead_ids: Sequence[int] | None = None
) -> int:
    """Lets walks go on that were held for a missing field: of these leads, of this campaign, or all of the workspace; returns how many.

    To come before the leads are changed, in the same transaction: walks are locked first.
    """
    values = {
        "workspace_id": workspace_id,
        "campaign_id": campaign_id,
        "lead_ids": None if lead_ids is None else list(lead_ids),
    }
    db.execute(sql("ai.forget_failures"), values)
    return db.execute(sql("walks.free_held"), values).rowcount


def move_launch(db: Connection, campaign_id: int, was: datetime, launch_at: datetime | None) -> None:
    """Lets walks that are due at the launch `was` be due at the new one, or now."""
    db.execute(sql("walks.move_launch"), {"campaign_id": campaign_id, "was": was, "launch_at": launch_at})


def page(
    db: Connection,
    workspace_id: int,
    campaign_id: int,
    *,
    state: WalkState | None,
    outcome: WalkOutcome | None = None,
    q: str = "",
    after: int | None,
    limit: int,
) -> list[Row]:
    """A campaign's walks with their leads, in order of `lead_id`: of one state or outcome, or whose address begins with `q`.

    Planned anew each time: which index is worth it depends on what is asked for.
    """
    values = {
        "workspace_id": workspace_id,
        "campaign_id": campaign_id,
        "state": state,
        "outcomes": [outcome] if outcome else list(WalkOutcome),
        "q": q.strip().lower() or None,
        "after": after or 0,
        "limit": limit,
    }
    if outcome and state not in {None, WalkState.ENDED}:
        return []
    statement = sql("walks.page_ended") if outcome or state == WalkState.ENDED else sql("walks.page")
    return db.execute(statement, values, prepare=False).fetchall()


def _cancel(db: Connection, ended: list[Row], reason: str) -> int:
    if ended:
        pairs = columns(("campaigns", "leads"), [(row["campaign_id"], row["lead_id"]) for row in ended])
        cancelled = db.execute(sql("walks.cancel_deliveries"), pairs | {"reason": reason})
        deliveries.drop_bytes(db, [row["id"] for row in cancelled])
    return len(ended)
