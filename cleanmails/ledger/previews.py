"""One mail of a campaign to one lead, as it will be or was: the facts for `actors.render.make`, without moving anything."""

from cleanmails.errors import NotFoundError
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def facts(
    db: Connection, workspace_id: int, campaign_id: int, lead_id: int, step: int, *, sender_id: int | None = None
) -> Row:
    """What `deliveries.render_facts` gives, and `state`, `mail_date`, `ledger_hash` (hex) of the delivery, None while there is none.

    A mail that was not planned yet has its delivery's id reserved here, so that what is shown is what will be sent. `sender_id` stands in where the lead has
    no sender yet; without any sender the row's `sender_id` is None. NotFoundError.
    """
    values = {
        "workspace_id": workspace_id,
        "campaign_id": campaign_id,
        "lead_id": lead_id,
        "step": step,
        "sender_id": sender_id,
    }
    db.execute(sql("previews.reserve"), values)
    row = db.execute(sql("previews.facts"), values).fetchone()
    if row is None:
        raise NotFoundError("There is no such campaign, step or lead.")
    return row


def own_address(db: Connection, workspace_id: int, address: str) -> bool:
    """Whether an address (lower case) is one of the workspace's people or mailboxes."""
    row = db.execute(sql("previews.own_address"), {"workspace_id": workspace_id, "address": address}).fetchone()
    return bool(row and row["own"])
