"""Campaigns as people make and change them: settings, steps, lists, senders, and the changes of status that a person asks for.

Who changes a campaign holds it first (`hold`): its row, then its lists. Who pauses it holds off its marks before that (`hold_marks`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from cleanmails.errors import NotFoundError, StateError
from cleanmails.ledger import campaign_runs, events, lists, sync, walks
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.deliveries import forget
from cleanmails.ledger.events import Event
from cleanmails.ledger.statements import sql
from cleanmails.records import CampaignStatus, DeliveryState, OnSenderLoss, Step

_STEPS_A_LEAD = 32_768  # what a smallint can tell apart: a delivery's place is lead times this, plus step


def create(db: Connection, workspace_id: int, name: str) -> int:
    """The id of a new draft, which is to be written in the same transaction."""
    row = db.execute(sql("campaigns.insert_campaign"), {"workspace_id": workspace_id, "name": name}).fetchone()
    assert row is not None
    return int(row["id"])


def read(db: Connection, workspace_id: int, campaign_id: int) -> Row:
    """The whole campaign: its columns, `lists` and `senders` (id and name or address), `steps` by position. NotFoundError."""
    rows = _read_all(db, workspace_id, [campaign_id])
    if not rows:
        raise NotFoundError("There is no such campaign.")
    return rows[0]


def page(
    db: Connection,
    workspace_id: int,
    *,
    status: CampaignStatus | None,
    q: str = "",
    archived: bool = False,
    since: datetime | None = None,
    after: int | None,
    limit: int,
) -> list[Row]:
    """Whole campaigns in order of their ids, of one status or all, with `q` in their name; those that were put away, or the others. `since` a time: both, as they changed."""
    values = {
        "workspace_id": workspace_id,
        "status": status,
        "q": like(q),
        "archived": archived,
        "after": after or 0,
        "limit": limit,
        **sync.span(db, since),
    }
    found = db.execute(sql("campaigns.page"), values).fetchall()
    return _read_all(db, workspace_id, [row["id"] for row in found])


def hold(db: Connection, workspace_id: int, campaign_id: int, more_lists: Iterable[int] = ()) -> Row:
    """The campaign as it is once it and all its lists are held until the transaction ends; `more_lists` are about to be attached. NotFoundError."""
    values = {"workspace_id": workspace_id, "id": campaign_id}
    if db.execute(sql("campaigns.hold_campaign"), values).fetchone() is None:
        raise NotFoundError("There is no such campaign.")
    attached = db.execute(sql("campaigns.list_ids"), {"id": campaign_id}).fetchall()
    lists.hold_exclusive(db, workspace_id, [*(row["id"] for row in attached), *more_lists])
    return read(db, workspace_id, campaign_id)


def hold_marks(db: Connection, workspace_id: int, campaign_id: int) -> None:
    """Waits for the mail of this campaign that is being marked as `sending`, and holds off the next until the transaction ends. NotFoundError.

    It comes before everything else of a transaction that pauses: whoever holds the row must not wait for this.
    """
    read(db, workspace_id, campaign_id)
    db.execute(sql("campaign_runs.hold_marks"), {"campaign_id": campaign_id})


def write(db: Connection, campaign_id: int, values: Mapping[str, Any]) -> None:
    """All settings at once, as columns; the campaign gets its next version."""
    schedule = msgspec.json.encode(values["schedule"]).decode() if values["schedule"] is not None else None
    db.execute(sql("campaigns.write_settings"), {**values, "schedule": schedule, "id": campaign_id})


def put_steps(db: Connection, campaign_id: int, steps: Sequence[Step]) -> None:
    """The sequence as it is to be; to come after `write`. What is not rendered yet uses it; a lead whose step is gone is finished."""
    wanted = [msgspec.to_builtins(step) | {"trigger_condition": step.trigger} for step in steps]
    db.execute(sql("campaigns.put_steps"), {"id": campaign_id, "steps": msgspec.json.encode(wanted).decode()})


def known_lists(db: Connection, workspace_id: int, ids: Collection[int]) -> set[int]:
    """Those of these lists that the workspace has, archived ones not counted."""
    values = {"workspace_id": workspace_id, "ids": list(ids)}
    return {row["id"] for row in db.execute(sql("campaigns.known_lists"), values)}


def known_senders(db: Connection, workspace_id: int, ids: Collection[int]) -> set[int]:
    """Those of these senders that the workspace has, deleted ones not counted."""
    values = {"workspace_id": workspace_id, "ids": list(ids)}
    return {row["id"] for row in db.execute(sql("campaigns.known_senders"), values)}


def known(db: Connection, workspace_id: int, ids: Collection[int]) -> set[int]:
    """Which of these ids are campaigns of the workspace."""
    rows = db.execute(sql("campaigns.known_campaigns"), {"workspace_id": workspace_id, "ids": list(ids)}).fetchall()
    return {row["id"] for row in rows}


def put_lists(db: Connection, workspace_id: int, current: Row, list_ids: Collection[int]) -> None:
    """The campaign's lists as they are to be. `current` is what `hold` returned, with these lists among those held.

    Leads of lists that go end their walks unless another list has them; leads of lists that come begin theirs if the campaign runs.
    """
    values = {"workspace_id": workspace_id, "id": current["id"], "ids": list(list_ids)}
    db.execute(sql("campaigns.detach_lists"), values)
    db.execute(sql("campaigns.attach_lists"), values)
    if current["status"] == CampaignStatus.DRAFT:
        return
    walks.end_strays(db, [current["id"]])
    if current["status"] == CampaignStatus.RUNNING:
        walks.enroll(db, current["id"])


def put_senders(
    db: Connection, workspace_id: int, campaign_id: int, sender_ids: Collection[int], on_sender_loss: OnSenderLoss
) -> None:
    """The campaign's senders as they are to be. Follow-ups of a sender that goes wait for it to come back, or take another, as `on_sender_loss` says."""
    values = {"workspace_id": workspace_id, "id": campaign_id, "ids": list(sender_ids)}
    db.execute(sql("campaigns.detach_senders"), values)
    db.execute(sql("campaigns.attach_senders"), values)
    if on_sender_loss == OnSenderLoss.REASSIGN:
        walks.free_of_senders(db, campaign_id)


def start(db: Connection, workspace_id: int, campaign_id: int, *, user_id: int | None) -> None:
    """Begins a run of a draft or paused campaign that is held: its counts are new, and whoever is on its lists and not yet in it begins to walk."""
    run = db.execute(sql("campaigns.begin_run"), {"id": campaign_id}).fetchone()
    if run is None:
        raise StateError("The campaign is neither a draft nor paused.")
    enrolled = walks.enroll(db, campaign_id)
    kind = "campaign.started" if run["run"] == 1 else "campaign.resumed"
    tell(db, workspace_id, campaign_id, kind, run=run["run"], enrolled=enrolled, user_id=user_id)


def pause(db: Connection, workspace_id: int, campaign_id: int, *, user_id: int | None) -> None:
    """Pauses a running campaign; `hold_marks` must come first. Once this has committed, no mail of it starts.

    What is planned or rendered stays where it is: the send path turns it back when it comes to it.
    """
    campaign_runs.pause(db, campaign_id, None)
    tell(db, workspace_id, campaign_id, "campaign.paused", reason=None, user_id=user_id)


def delete(db: Connection, workspace_id: int, campaign_id: int, *, user_id: int | None) -> None:
    """Forgets a campaign. NotFoundError; StateError: `campaign_running`, or `was_mailed` once a mail of it may have left us.

    What was mailed stays: the unsubscribe links of those mails lead to their deliveries.
    """
    current = hold(db, workspace_id, campaign_id)
    if current["status"] == CampaignStatus.RUNNING:
        raise StateError("The campaign is running; pause it first.", code="campaign_running")
    found = db.execute(sql("campaigns.was_mailed"), {"id": campaign_id}).fetchone()
    if found and found["mailed"]:
        raise StateError(
            "The campaign has sent mail, and the links in it must keep working; leave it paused instead.",
            code="was_mailed",
        )
    db.execute(sql("campaigns.delete_campaign"), {"id": campaign_id})
    # A statement of its own: a planner that was at one of its walks was waited for.
    gone = db.execute(sql("campaigns.forget_deliveries"), {"id": campaign_id})
    forget(db, [row["id"] for row in gone])
    tell(db, workspace_id, campaign_id, "campaign.deleted", name=current["name"], user_id=user_id)


def put_away(db: Connection, workspace_id: int, campaign_id: int, *, away: bool) -> None:
    """Puts a campaign away, or takes it back. NotFoundError; StateError (`campaign_running`)."""
    current = hold(db, workspace_id, campaign_id)
    if away and current["status"] == CampaignStatus.RUNNING:
        raise StateError("The campaign is running; pause it first.", code="campaign_running")
    db.execute(sql("campaigns.put_away"), {"id": campaign_id, "away": away})


def like(q: str) -> str | None:
    """A pattern for names that hold a text; None for all names."""
    text = q.strip()
    for sign in ("\\", "%", "_"):
        text = text.replace(sign, f"\\{sign}")
    return f"%{text}%" if text else None


def audience(db: Connection, workspace_id: int, campaign_id: int, fields: Iterable[str]) -> Row:
    """Who may be mailed: `leads` (how many), of these with a `first_name`, `last_name`, `company`, and in `fields` by extra field those who have it."""
    values = {"workspace_id": workspace_id, "id": campaign_id, "fields": list(fields)}
    row = db.execute(sql("campaigns.audience"), values).fetchone()
    assert row is not None
    return row


def deliveries(
    db: Connection, workspace_id: int, campaign_id: int, *, state: DeliveryState | None, after: int | None, limit: int
) -> list[Row]:
    """A campaign's deliveries by lead and step; `cursor` is the key of the page."""
    lead, step = divmod(after if after is not None else -1, _STEPS_A_LEAD)
    values = {
        "workspace_id": workspace_id,
        "id": campaign_id,
        "state": state,
        "after_lead": lead,
        "after_step": step,
        "limit": limit,
    }
    return db.execute(sql("campaigns.deliveries"), values).fetchall()


def _read_all(db: Connection, workspace_id: int, ids: Sequence[int]) -> list[Row]:
    values = {"workspace_id": workspace_id, "ids": list(ids)}
    return db.execute(sql("campaigns.read_campaigns"), values).fetchall()


def tell(db: Connection, workspace_id: int, campaign_id: int, kind: str, **data: object) -> None:
    """Writes that something happened to a campaign."""
    events.append(db, [Event(type=kind, workspace_id=workspace_id, campaign_id=campaign_id, data=data)])
