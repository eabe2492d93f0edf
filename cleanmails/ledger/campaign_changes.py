"""Who changed what of a campaign: a row for each change that a person or a key made."""

from collections.abc import Sequence

from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def append(
    db: Connection, campaign_id: int, fields: Sequence[str], *, user_id: int | None, api_key_id: int | None
) -> None:
    """Writes a change down at the campaign's version, in the transaction that makes it."""
    values = {"campaign_id": campaign_id, "fields": list(fields), "user_id": user_id, "api_key_id": api_key_id}
    db.execute(sql("campaign_changes.append"), values)


def read(
    db: Connection, workspace_id: int, campaign_id: int, *, since: int = 0, before: int | None = None, limit: int
) -> list[Row]:
    """Changes behind the version `since`, the newest first: `version`, `at`, `fields`, `user_id`, `api_key_id`, `who` (None: gone)."""
    values = {
        "workspace_id": workspace_id,
        "campaign_id": campaign_id,
        "since": since,
        "before": before,
        "limit": limit,
    }
    return db.execute(sql("campaign_changes.list_changes"), values).fetchall()
