"""What the pages show at a glance. Each figure is counted from the rows that it is about, here and nowhere else."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from cleanmails.errors import NotFoundError
from cleanmails.ledger.campaigns import like
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql
from cleanmails.records import CampaignStatus, WalkCounts, WalkState


def campaigns(
    db: Connection,
    workspace_id: int,
    *,
    status: CampaignStatus | None = None,
    q: str = "",
    archived: bool | None = False,
    before: int | None = None,
    limit: int,
) -> list[Row]:
    """Campaigns, the newest first: what each is, how many `steps` it has, and `sent`, `bounced`, `opened`, `clicked`, `replied`, `unsubscribed` in all."""
    given = {
        "workspace_id": workspace_id,
        "id": None,
        "status": status,
        "q": like(q),
        "archived": archived,
        "before": before,
        "limit": limit,
    }
    return db.execute(sql("overview.campaigns"), given).fetchall()


def campaign(db: Connection, workspace_id: int, campaign_id: int) -> Row:
    """One campaign as `campaigns` gives it. NotFoundError if the workspace has none of this id."""
    given = {"status": None, "q": None, "archived": None, "before": None, "limit": 1}
    row = db.execute(sql("overview.campaigns"), given | {"workspace_id": workspace_id, "id": campaign_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such campaign.")
    return row


def statuses(db: Connection, workspace_id: int) -> dict[str, int]:
    """How many campaigns there are of each status, and `archived` ones."""
    rows = db.execute(sql("overview.statuses"), {"workspace_id": workspace_id})
    return {row["status"]: row["campaigns"] for row in rows}


def running(db: Connection, workspace_id: int, *, limit: int) -> list[int]:
    """The ids of campaigns that run, the newest first."""
    return [row["id"] for row in db.execute(sql("overview.running"), {"workspace_id": workspace_id, "limit": limit})]


def walk_states(db: Connection, campaign_id: int) -> Row:
    """`enrolled` leads = `waiting` + `in_flight` + `held` + `ended`; and `endings`, each with its `outcome` and `leads`, the most frequent first.

    Takes as long as the campaign has leads.
    """
    rows = db.execute(sql("overview.walk_states"), {"campaign_id": campaign_id}).fetchall()
    found: Row = dict.fromkeys(("enrolled", *(state.value for state in WalkState)), 0)
    for row in rows:
        found["enrolled"] += row["leads"]
        found[row["state"]] += row["leads"]
    return found | {"endings": [{"outcome": row["outcome"], "leads": row["leads"]} for row in rows if row["outcome"]]}


def walk_signs(db: Connection, workspace_id: int, ids: Sequence[int], now: datetime) -> list[WalkCounts]:
    """What a sending status asks of the walks: `waiting`, `due` and `ended` are 1 for any, 0 for none; the rest are counts."""
    values = {"workspace_id": workspace_id, "ids": list(ids), "now": now}
    return msgspec.convert(db.execute(sql("overview.walk_signs"), values).fetchall(), list[WalkCounts])


def attention(db: Connection, workspace_id: int, *, limit: int) -> list[Row]:
    """What waits for a person: `kind`, what it is about (`id`, `name`, `detail`), `many` and `since`; at most `limit` of a kind."""
    return db.execute(sql("overview.attention"), {"workspace_id": workspace_id, "limit": limit}).fetchall()


def lists(
    db: Connection,
    workspace_id: int,
    *,
    q: str = "",
    archived: bool = False,
    after: int | None = None,
    limit: int | None = None,
) -> list[Row]:
    """Lists in order of their ids, without how many leads are on them: `id`, `name`, `created_at`, `updated_at`, `archived_at`. All of them without a limit."""
    given = {"workspace_id": workspace_id, "q": q.strip(), "archived": archived, "after": after or 0, "limit": limit}
    return db.execute(sql("overview.lists"), given).fetchall()


def read_list(db: Connection, workspace_id: int, list_id: int) -> Row:
    """One list as `lists` gives it. NotFoundError if the workspace has none of this id."""
    row = db.execute(sql("overview.list"), {"workspace_id": workspace_id, "id": list_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such list.")
    return row


def list_size(db: Connection, list_id: int) -> Row:
    """How many `leads` are on a list. Takes as long as there are."""
    row = db.execute(sql("overview.list_size"), {"list_id": list_id}).fetchone()
    assert row is not None
    return row


def started(db: Connection, workspace_id: int) -> list[Row]:
    """Campaigns that were launched and are not put away: `id` and `name`."""
    return db.execute(sql("overview.started"), {"workspace_id": workspace_id}).fetchall()


def beginnings(db: Connection, workspace_id: int) -> Row:
    """Whether there is a verified `domain`, a `sender`, a `lead`, a `campaign` that was started, and a `postal_address`."""
    row = db.execute(sql("overview.beginnings"), {"workspace_id": workspace_id}).fetchone()
    assert row is not None
    return row


def room(db: Connection, workspace_id: int, today: date, *, floor: int) -> Row:
    """How many `senders` there are, how many are `able` to send, and their `limits` and what is `used` today."""
    row = db.execute(sql("overview.room"), {"workspace_id": workspace_id, "today": today, "floor": floor}).fetchone()
    assert row is not None
    return row


def latest(
    db: Connection, workspace_id: int, *, campaign_id: int | None = None, before: int | None = None, limit: int
) -> list[Row]:
    """The latest events, the newest first, with the names of what they are about."""
    values = {"workspace_id": workspace_id, "before": before, "limit": limit}
    if campaign_id is None:
        return db.execute(sql("overview.latest"), values).fetchall()
    return db.execute(sql("overview.latest_of_campaign"), values | {"campaign_id": campaign_id}).fetchall()


def in_smtp(db: Connection, campaign_id: int) -> int:
    """How many mails of a campaign are inside an SMTP transaction, past the mark."""
    row = db.execute(sql("overview.in_smtp"), {"campaign_id": campaign_id}).fetchone()
    assert row is not None
    return int(row["mails"])


def sample_leads(db: Connection, workspace_id: int, campaign_id: int, *, limit: int) -> list[Row]:
    """A few leads to look at mails with: of the campaign's lists, or while it has none of the workspace."""
    values = {"workspace_id": workspace_id, "campaign_id": campaign_id, "limit": limit}
    return db.execute(sql("overview.sample_leads"), values).fetchall()


def extra_fields(db: Connection, workspace_id: int, campaign_id: int) -> list[str]:
    """The names of the extra fields that leads of the campaign's lists have, as far as a sample shows them."""
    values = {"workspace_id": workspace_id, "campaign_id": campaign_id}
    return [row["name"] for row in db.execute(sql("overview.extra_fields"), values)]


def walk(db: Connection, workspace_id: int, campaign_id: int, lead_id: int) -> Row:
    """Where one lead stands in a campaign: `lead_id`, `email`, `state`, `outcome`. NotFoundError."""
    values = {"workspace_id": workspace_id, "campaign_id": campaign_id, "lead_id": lead_id}
    row = db.execute(sql("overview.walk"), values).fetchone()
    if row is None:
        raise NotFoundError("This lead is not in this campaign.")
    return row


def mails_of_lead(db: Connection, campaign_id: int, lead_id: int) -> list[Row]:
    """The deliveries of a campaign to one lead, by step, with their last time as `at`."""
    return db.execute(sql("overview.mails_of_lead"), {"campaign_id": campaign_id, "lead_id": lead_id}).fetchall()
