"""Sealed credentials, wherever they stand: read and written as bytes for a change of keys. What is in them only the vault knows."""

from collections.abc import Sequence
from typing import Final

from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql

PLACES: Final = (
    "ai_settings.key_sealed",
    "dkim_keys.private_sealed",
    "oauth_grants.access_sealed",
    "oauth_grants.refresh_sealed",
    "outlets.old_sealed",
    "outlets.sealed",
    "senders.imap_sealed",
    "senders.smtp_sealed",
    "users.totp_sealed",
)
"""Table and column; a test holds that there are no others."""


def stale(db: Connection, place: str, *, current: int, after: int, limit: int) -> list[Row]:
    """What is not sealed with the key `current`: `id`, `sealed`, `bound_to`, in order of ids from behind `after` on."""
    values = {"place": place, "current": current, "after": after, "limit": limit}
    return db.execute(sql("sealed.stale"), values).fetchall()


def write(db: Connection, place: str, anew: Sequence[tuple[int, bytes, bytes]]) -> int:
    """Puts values in place of others: (id, as it was read, as it is now) each. One that was changed meanwhile stays. How many were written."""
    values = {
        "place": place,
        "ids": [id for id, _, _ in anew],
        "before": [before for _, before, _ in anew],
        "after": [after for _, _, after in anew],
    }
    row = db.execute(sql("sealed.write"), values).fetchone()
    assert row is not None
    return int(row["n"])
