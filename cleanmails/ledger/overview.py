"""What the pages show at a glance. Each figure is counted from the rows that it is about, here and nowhere else."""

from cleanmails.errors import NotFoundError
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def campaigns(db: Connection, workspace_id: int, *, limit: int) -> list[Row]:
    """Campaigns, running ones first, then the newest: `id`, `name`, `status`, `pause_reason`, times, and figures.

    `enrolled` leads = `waiting` + `in_flight` + `held` + `ended`. `sent` counts mails that a server has accepted.
    """
    given = {"workspace_id": workspace_id, "id": None, "limit": limit}
    return db.execute(sql("overview.campaigns"), given).fetchall()


def campaign(db: Connection, workspace_id: int, campaign_id: int) -> Row:
    """One campaign as `campaigns` gives it. NotFoundError if the workspace has none of this id."""
    given = {"workspace_id": workspace_id, "id": campaign_id, "limit": 1}
    row = db.execute(sql("overview.campaigns"), given).fetchone()
    if row is None:
        raise NotFoundError("There is no such campaign.")
    return row


def endings(db: Connection, workspace_id: int, campaign_id: int) -> list[Row]:
    """How walks ended: `outcome` and `leads`, the most frequent first."""
    return db.execute(sql("overview.endings"), {"workspace_id": workspace_id, "id": campaign_id}).fetchall()


def deliveries(db: Connection, workspace_id: int, campaign_id: int, *, limit: int) -> list[Row]:
    """The latest deliveries: `id`, `step`, `state`, `subject`, `reason`, `failure`, `reply_code`, `reply_text`, `email`, `sender`, `at`."""
    given = {"workspace_id": workspace_id, "id": campaign_id, "limit": limit}
    return db.execute(sql("overview.deliveries"), given).fetchall()
