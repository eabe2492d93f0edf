"""What the planner gathers and writes. All functions run inside the planner's one transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from cleanmails.errors import NotFoundError
from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql
from cleanmails.records import (
    CampaignView,
    Ends,
    Planned,
    Schedule,
    SenderView,
    Skipped,
    Step,
    Waits,
    WalkView,
)

T = TypeVar("T", bound=msgspec.Struct)


class Written(msgspec.Struct, frozen=True):
    """A delivery as the planner left it: `planned` (to be rendered) or `rendered` (its bytes go out again). `fresh`: it was not there before."""

    id: int
    campaign_id: int
    lead_id: int
    sender_id: int
    state: str
    fresh: bool


def try_lock(db: Connection) -> datetime | None:
    """The ledger's clock if this transaction is the one planner now, None if another one is at it."""
    return _turn(db.execute(sql("planning.try_lock")).fetchone())


def take_turn(db: Connection) -> datetime | None:
    """The same for a round, whose time is noted (`duties`)."""
    return _turn(db.execute(sql("planning.take_turn")).fetchone())


def _turn(row: Row | None) -> datetime | None:
    assert row is not None
    now: datetime = row["now"]
    return now if row["mine"] else None


def campaigns(db: Connection, now: datetime, ids: Sequence[int] | None = None) -> dict[int, CampaignView]:
    """Running campaigns by id, or those of `ids` whatever their state."""
    rows = db.execute(sql("planning.campaigns"), {"now": now, "ids": None if ids is None else list(ids)})
    return {row["id"]: _campaign(row) for row in rows}


def _campaign(row: Row) -> CampaignView:
    steps = msgspec.convert(row["steps"], tuple[Step, ...])
    values = row | {"steps": steps, "schedule": schedule(row["schedule"]), "sender_ids": frozenset(row["sender_ids"])}
    return _view(CampaignView, values)


def schedule(stored: Mapping[str, Any] | None) -> Schedule | None:
    """A campaign's window as it is stored (the product's form, `HH:MM`) to the value."""
    if stored is None:
        return None
    return Schedule(frozenset(stored["days"]), _minutes(stored["start"]), _minutes(stored["end"]), stored["timezone"])


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _view(kind: type[T], values: Mapping[str, Any]) -> T:
    return msgspec.convert(values, kind)  # columns that are no field of it are left out


def pipe(db: Connection) -> tuple[dict[int, int], dict[str, int]]:
    """How many mails are planned and not settled: by sender, by provider."""
    senders: dict[int, int] = {}
    providers: dict[str, int] = {}
    for row in db.execute(sql("planning.pipe")):
        senders[row["sender_id"]] = senders.get(row["sender_id"], 0) + row["n"]
        providers[row["provider"]] = providers.get(row["provider"], 0) + row["n"]
    return senders, providers


def senders(
    db: Connection, now: datetime, campaign_ids: Sequence[int], in_pipe: Mapping[int, int]
) -> dict[int, SenderView]:
    """The senders of these campaigns by id. What is in the pipe and not yet marked counts as used today."""
    rows = db.execute(sql("planning.senders"), {"now": now, "campaigns": list(campaign_ids)})
    return {row["id"]: sender_view(row, in_pipe.get(row["id"], 0)) for row in rows}


def sender_view(row: Row, waiting: int) -> SenderView:
    """A sender with what waits in the pipe and is not marked yet, which counts as used today."""
    return _view(SenderView, row | {"in_pipe": waiting, "used_today": row["used_today"] + waiting})


def nothing_to_keep(db: Connection) -> None:
    """This transaction need not be durable when it commits."""
    db.execute(sql("planning.nothing_to_keep"))


def due_pairs(db: Connection, now: datetime, pairs: Collection[tuple[int, int]]) -> list[tuple[int, int]]:
    """Of (campaign id, sender id or 0) those in which anybody is due, in any order."""
    if not pairs:
        return []
    values = columns(("campaigns", "senders"), pairs) | {"now": now}
    return [(row["campaign_id"], row["sender_id"]) for row in db.execute(sql("planning.due_pairs"), values)]


def lost_pairs(db: Connection, campaign_ids: Sequence[int]) -> list[tuple[int, int]]:
    """(campaign id, sender id) where walks wait for a sender that was deleted, or taken from the campaign."""
    if not campaign_ids:
        return []
    rows = db.execute(sql("planning.lost_pairs"), {"campaigns": list(campaign_ids)})
    return [(row["campaign_id"], row["sender_id"]) for row in rows]


def due_walks(db: Connection, now: datetime, pairs: Sequence[tuple[int, int]], limit: int) -> list[WalkView]:
    """Locks and returns the oldest due walks, at most `limit` for each (campaign id, sender id or 0 for nobody yet), oldest first."""
    if not pairs:
        return []
    values = columns(("campaigns", "senders"), pairs) | {"now": now, "limit": limit}
    # Not prepared: a generic plan would not know the limit, and read far too much.
    found = db.execute(sql("planning.due_walks"), values, prepare=False).fetchall()
    return msgspec.convert(found, list[WalkView])


def write_planned(db: Connection, now: datetime, planned: Sequence[Planned]) -> list[Written]:
    """Deliveries for these decisions; a walk that has moved on since is left out."""
    rows = [(p.campaign_id, p.lead_id, p.step, p.sender_id, p.provider, p.not_after) for p in planned]
    values = columns(("campaigns", "leads", "steps", "senders", "providers", "not_after"), rows)
    found = db.execute(sql("planning.write_planned"), values | {"now": now}).fetchall()
    return msgspec.convert(found, list[Written])


def count_new(db: Connection, now: datetime, started: Mapping[int, int]) -> None:
    """Adds first mails (campaign id to number) to the campaign's day."""
    db.execute(sql("planning.count_new"), columns(("campaigns", "started"), sorted(started.items())) | {"now": now})


def note_planned(db: Connection, now: datetime, campaign_ids: Iterable[int]) -> None:
    """These campaigns had their turn."""
    db.execute(sql("planning.note_planned"), {"now": now, "campaigns": sorted(campaign_ids)})


def write_skipped(db: Connection, now: datetime, skipped: Iterable[Skipped]) -> None:
    """Steps that are not sent; their walks move on."""
    rows = [(s.campaign_id, s.lead_id, s.step, s.reason, s.next_step, s.due_at) for s in skipped]
    names = ("campaigns", "leads", "steps", "reasons", "next_steps", "due")
    db.execute(sql("planning.write_skipped"), columns(names, rows) | {"now": now})


def step_aside(db: Connection, waits: Iterable[Waits]) -> None:
    """Walks that cannot go before a known time are not due until then: whoever stands behind them is not held up."""
    rows = [(w.campaign_id, w.lead_id, w.until) for w in waits]
    if not rows:
        return
    db.execute(sql("planning.step_aside"), columns(("campaigns", "leads", "due"), rows))


def write_ends(db: Connection, now: datetime, ends: Iterable[Ends]) -> None:
    """Walks that are over."""
    rows = [(e.campaign_id, e.lead_id, e.outcome) for e in ends]
    db.execute(sql("planning.write_ends"), columns(("campaigns", "leads", "outcomes"), rows) | {"now": now})


def complete(db: Connection, now: datetime) -> list[Row]:
    """Completes running campaigns of which every walk has ended; their `id` and `workspace_id`. One whose lists grow at this moment is left for the next round."""
    ids = [row["id"] for row in db.execute(sql("planning.over"), {"now": now})]
    if not ids:
        return []
    growing = {row["id"] for row in db.execute(sql("planning.growing"), {"ids": ids})}
    still = [id for id in ids if id not in growing]
    return db.execute(sql("planning.complete"), {"ids": still, "now": now}).fetchall()


def walk(db: Connection, workspace_id: int, campaign_id: int, lead_id: int) -> WalkView:
    """One walk as the planner sees it; NotFoundError if the lead is not in the campaign."""
    values = {"workspace_id": workspace_id, "campaign_id": campaign_id, "lead_id": lead_id}
    row = db.execute(sql("planning.walk"), values).fetchone()
    if row is None:
        raise NotFoundError("This lead is not in this campaign.")
    return _view(WalkView, row)


def due_sample(db: Connection, campaign_ids: Sequence[int], now: datetime, most: int) -> list[WalkView]:
    """Due walks of campaigns, at most `most` of each, the oldest of each lane: a sample, without locks."""
    values = {"campaigns": list(campaign_ids), "now": now, "most": most}
    return msgspec.convert(db.execute(sql("planning.due_sample"), values).fetchall(), list[WalkView])
