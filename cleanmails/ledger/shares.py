"""Reports of campaigns that are shared by a link. Only the SHA-256 of the token in it is kept."""

from datetime import datetime

from cleanmails.errors import NotFoundError
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def create(
    db: Connection,
    workspace_id: int,
    campaign_id: int,
    *,
    name: str,
    token_hash: bytes,
    created_by: int | None,
    now: datetime,
    expires_at: datetime,
) -> Row:
    """A new share's row: `id`, `campaign_id`, `name`, `created_at`, `expires_at`, `revoked_at`. NotFoundError without such a campaign."""
    values = {
        "workspace_id": workspace_id,
        "campaign_id": campaign_id,
        "name": name,
        "token_hash": token_hash,
        "created_by": created_by,
        "now": now,
        "expires_at": expires_at,
    }
    row = db.execute(sql("shares.insert_share"), values).fetchone()
    if row is None:
        raise NotFoundError("There is no such campaign.")
    return row


def list_all(db: Connection, workspace_id: int, campaign_id: int, *, after: int | None, limit: int) -> list[Row]:
    """A campaign's shares in order of their ids."""
    values = {"workspace_id": workspace_id, "campaign_id": campaign_id, "after": after, "limit": limit}
    return db.execute(sql("shares.list_shares"), values).fetchall()


def revoke(db: Connection, workspace_id: int, campaign_id: int, share_id: int, *, now: datetime) -> None:
    """The link shows nothing any more; twice is the same. NotFoundError if there is no such share."""
    values = {"workspace_id": workspace_id, "campaign_id": campaign_id, "id": share_id, "now": now}
    if not db.execute(sql("shares.revoke_share"), values).fetchone():
        raise NotFoundError("There is no such share.")


def read(db: Connection, token_hash: bytes, *, now: datetime) -> Row:
    """The campaign that a token opens: `workspace_id`, `campaign_id`, `workspace`, `name`, `status`, times. NotFoundError if it does not hold."""
    row = db.execute(sql("shares.shared_campaign"), {"token_hash": token_hash, "now": now}).fetchone()
    if row is None:
        raise NotFoundError("This link does not show anything any more.")
    return row
