"""API keys: what a program signs in with. Only the SHA-256 of a key is kept, and a prefix that people recognise it by."""

from collections.abc import Sequence
from datetime import datetime

from cleanmails.errors import NotFoundError
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def create(
    db: Connection,
    workspace_id: int,
    *,
    created_by: int | None,
    name: str,
    prefix: str,
    key_hash: bytes,
    role: str,
    scopes: Sequence[str] | None = None,
    now: datetime,
    expires_at: datetime | None,
) -> Row:
    """A new key's row: `id`, `name`, `prefix`, `role`, `scopes`, `created_at`, `expires_at`, `used_at`, `revoked_at`."""
    row = db.execute(
        sql("api_keys.insert_key"),
        {
            "workspace_id": workspace_id,
            "created_by": created_by,
            "name": name,
            "prefix": prefix,
            "key_hash": key_hash,
            "role": role,
            "scopes": None if scopes is None else list(scopes),
            "now": now,
            "expires_at": expires_at,
        },
    ).fetchone()
    assert row is not None
    return row


def read_by_hash(db: Connection, key_hash: bytes, *, now: datetime) -> Row | None:
    """`id`, `workspace_id`, `role`, `scopes` of a key that holds at `now`, else None."""
    return db.execute(sql("api_keys.read_by_hash"), {"key_hash": key_hash, "now": now}).fetchone()


def touch(db: Connection, key_id: int, *, now: datetime) -> None:
    """Notes that a key was used."""
    db.execute(sql("api_keys.touch_key"), {"id": key_id, "now": now})


def list_keys(db: Connection, workspace_id: int, *, after: int | None, limit: int) -> list[Row]:
    """Keys in order of their ids, revoked ones too."""
    return db.execute(
        sql("api_keys.list_keys"), {"workspace_id": workspace_id, "after": after, "limit": limit}
    ).fetchall()


def revoke(db: Connection, workspace_id: int, key_id: int, *, now: datetime) -> None:
    """Ends a key at once; twice is nothing. NotFoundError if the workspace has no such key."""
    if not db.execute(sql("api_keys.revoke_key"), {"workspace_id": workspace_id, "id": key_id, "now": now}).fetchone():
        raise NotFoundError("There is no such API key.")
