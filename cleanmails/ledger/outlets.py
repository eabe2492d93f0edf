"""Outlets: webhooks and CRMs, the messages on their way to them, and the log of attempts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from cleanmails.errors import NotFoundError
from cleanmails.ledger import sync
from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql

Kind = Literal["webhook", "slack", "hubspot", "pipedrive"]

LANES = 4
"""Requests at once to one outlet; what concerns one lead is always in the same lane."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt came to, and how its message stands then: `state` pending with `due_at`, delivered, or given up."""

    message_id: int
    state: Literal["pending", "delivered", "given_up"]
    outcome: str
    at: datetime
    due_at: datetime | None = None
    status: int | None = None
    ms: int = 0
    error: str | None = None
    answer: str = ""


def create(
    db: Connection,
    workspace_id: int,
    *,
    kind: Kind,
    name: str,
    url: str,
    types: Sequence[str],
    campaign_ids: Sequence[int] | None,
    options: Mapping[str, Any],
) -> int:
    """Makes an outlet, which is told what comes from now on; its id. The secret follows, sealed for the id."""
    values = {
        "workspace_id": workspace_id,
        "kind": kind,
        "name": name,
        "url": url,
        "types": list(types),
        "campaign_ids": None if campaign_ids is None else list(campaign_ids),
        "options": msgspec.json.encode(options).decode(),
    }
    row = db.execute(sql("outlets.insert_outlet"), values).fetchone()
    assert row is not None
    return int(row["id"])


def seal(
    db: Connection, workspace_id: int, outlet_id: int, sealed: bytes, *, old_until: datetime | None = None
) -> None:
    """Gives it a secret; the one before holds until `old_until`, or no longer. NotFoundError."""
    values = {"workspace_id": workspace_id, "id": outlet_id, "sealed": sealed, "old_until": old_until}
    if db.execute(sql("outlets.seal_outlet"), values).fetchone() is None:
        raise _none()


def read(db: Connection, workspace_id: int, outlet_id: int, *, webhook: bool) -> Row:
    """A webhook, or an outlet of another kind, with its sealed secrets and `pending`. NotFoundError."""
    values = {"workspace_id": workspace_id, "id": outlet_id, "webhook": webhook}
    row = db.execute(sql("outlets.read_outlet"), values).fetchone()
    if row is None:
        raise _none()
    return row


def page(
    db: Connection,
    workspace_id: int,
    *,
    webhook: bool,
    q: str = "",
    since: datetime | None = None,
    after: int | None,
    limit: int,
) -> list[Row]:
    """Webhooks, or outlets of other kinds, in order of their ids: those with `q` in name or address. `since` a time: as they were changed."""
    values = {"workspace_id": workspace_id, "webhook": webhook, "q": q.strip(), "after": after or 0, "limit": limit}
    return db.execute(sql("outlets.list_outlets"), values | sync.span(db, since)).fetchall()


def change(
    db: Connection,
    workspace_id: int,
    outlet_id: int,
    *,
    webhook: bool,
    now: datetime,
    name: str | None = None,
    url: str | None = None,
    types: Sequence[str] | None = None,
    campaign_ids: Sequence[int] | None = None,
    all_campaigns: bool = False,
    options: Mapping[str, Any] | None = None,
    state: Literal["on", "off"] | None = None,
) -> None:
    """Changes what is given. Switched on, it starts with a clean slate, and what waits is due. NotFoundError."""
    values = {
        "workspace_id": workspace_id,
        "id": outlet_id,
        "webhook": webhook,
        "now": now,
        "name": name,
        "url": url,
        "types": None if types is None else list(types),
        "campaign_ids": None if campaign_ids is None else list(campaign_ids),
        "all_campaigns": all_campaigns,
        "options": None if options is None else msgspec.json.encode(options).decode(),
        "state": state,
    }
    if db.execute(sql("outlets.change_outlet"), values).fetchone() is None:
        raise _none()
    if state == "on":
        db.execute(sql("outlets.make_due"), {"id": outlet_id})


def delete(db: Connection, workspace_id: int, outlet_id: int, *, webhook: bool) -> None:
    """Takes it away with its messages and log. NotFoundError."""
    values = {"workspace_id": workspace_id, "id": outlet_id, "webhook": webhook}
    if db.execute(sql("outlets.delete_outlet"), values).fetchone() is None:
        raise _none()


def behind(db: Connection, room: int) -> list[int]:
    """Outlets that have not read all of the stream, and for which fewer than `room` events wait."""
    return [row["id"] for row in db.execute(sql("outlets.behind"), {"room": room}).fetchall()]


def fan_out(db: Connection, outlet_id: int, limit: int) -> int:
    """Moves an outlet's cursor past up to `limit` events and makes messages of those that it wants; how many were passed."""
    row = db.execute(sql("outlets.fan_out"), {"id": outlet_id, "limit": limit}).fetchone()
    return int(row["passed"]) if row else 0


def open_lanes(db: Connection, now: datetime) -> list[tuple[int, int]]:
    """(outlet, lane) of what is free and has something due."""
    rows = db.execute(sql("outlets.open_lanes"), {"now": now}).fetchall()
    return [(row["outlet_id"], row["lane"]) for row in rows]


def take_lane(db: Connection, outlet_id: int, lane: int, *, now: datetime, lease: float) -> Row | None:
    """Leases a lane for `lease` seconds: the outlet with `token`, and whether who had it before was `lost`; or None if somebody else has it or the outlet takes nothing now."""
    values = {"id": outlet_id, "lane": lane, "now": now, "lease": lease}
    return db.execute(sql("outlets.take_lane"), values).fetchone()


def read_lane(db: Connection, outlet_id: int, lane: int, *, now: datetime, limit: int) -> list[Row]:
    """What is due in a lane, with its events; `id` is None where the event has been dropped since."""
    values = {"id": outlet_id, "lane": lane, "now": now, "limit": limit}
    return db.execute(sql("outlets.read_lane"), values).fetchall()


def return_lane(db: Connection, outlet_id: int, lane: int, token: int) -> bool:
    """Ends a lease; False if another has the lane by now."""
    values = {"id": outlet_id, "lane": lane, "token": token}
    return db.execute(sql("outlets.return_lane"), values).fetchone() is not None


def write(db: Connection, outlet_id: int, results: Sequence[Result]) -> None:
    """What became of messages, with the log; all at once."""
    states = [(r.message_id, r.state, int(r.outcome != "expired"), r.at, r.due_at) for r in results]
    db.execute(sql("outlets.write_results"), columns(("ids", "states", "attempts", "ats", "dues"), states))
    log = [(r.message_id, r.at, r.outcome, r.status, r.ms, r.error, r.answer) for r in results]
    names = ("ids", "ats", "outcomes", "statuses", "ms", "errors", "answers")
    db.execute(sql("outlets.write_attempts"), columns(names, log) | {"id": outlet_id})


def count(db: Connection, outlet_id: int, *, delivered: bool, failures: int, now: datetime) -> Row | None:
    """Adds to an outlet's failures in a row, which a delivery before them sets to none: `failures_in_row`, `state`."""
    values = {"id": outlet_id, "delivered": delivered, "failures": failures, "now": now}
    return db.execute(sql("outlets.count_results"), values).fetchone()


def let_rest(db: Connection, outlet_id: int, until: datetime) -> None:
    """Nothing is sent to it before then."""
    db.execute(sql("outlets.let_rest"), {"id": outlet_id, "until": until})


def switch_off(db: Connection, outlet_id: int, reason: str, *, now: datetime) -> Row | None:
    """Switches it off for a reason that people read; None if it is off already. Nothing that waits is lost."""
    return db.execute(sql("outlets.switch_off"), {"id": outlet_id, "reason": reason, "now": now}).fetchone()


def messages(db: Connection, outlet_id: int, *, state: str | None, before: int | None, limit: int) -> list[Row]:
    """What went to an outlet or waits, newest first."""
    values = {"id": outlet_id, "state": state, "before": before, "limit": limit}
    return db.execute(sql("outlets.list_messages"), values).fetchall()


def attempts(db: Connection, outlet_id: int, *, event_id: int | None, before: int | None, limit: int) -> list[Row]:
    """The log of an outlet, newest first."""
    values = {"id": outlet_id, "event_id": event_id, "before": before, "limit": limit}
    return db.execute(sql("outlets.list_attempts"), values).fetchall()


def replay(
    db: Connection,
    outlet_id: int,
    *,
    first_id: int | None,
    last_id: int | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> int:
    """Sends events of a range once more, with the ids they had; how many. Only what the outlet is subscribed to."""
    values = {
        "id": outlet_id,
        "first_id": first_id,
        "last_id": last_id,
        "since": since,
        "until": until,
        "limit": limit,
    }
    row = db.execute(sql("outlets.replay"), values).fetchone()
    return int(row["replayed"]) if row else 0


def forget(db: Connection, before: datetime) -> None:
    """Drops what was settled before that time, with its log."""
    db.execute(sql("outlets.forget"), {"before": before})


def _none() -> NotFoundError:
    return NotFoundError("There is no such thing in this workspace.")
