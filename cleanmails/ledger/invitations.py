"""Invitations into a workspace. Only the SHA-256 of the token in the link is kept."""

from datetime import datetime

from cleanmails.errors import NotFoundError
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def create(
    db: Connection,
    workspace_id: int,
    *,
    email: str,
    role: str,
    token_hash: bytes,
    invited_by: int | None,
    now: datetime,
    expires_at: datetime,
) -> Row:
    """A new invitation's row: `id`, `email`, `role`, `created_at`, `expires_at`, `accepted_at`, `revoked_at`."""
    values = {
        "workspace_id": workspace_id,
        "email": email,
        "role": role,
        "token_hash": token_hash,
        "invited_by": invited_by,
        "now": now,
        "expires_at": expires_at,
    }
    row = db.execute(sql("invitations.insert_invitation"), values).fetchone()
    assert row is not None
    return row


def list_all(db: Connection, workspace_id: int, *, after: int | None, limit: int) -> list[Row]:
    """Invitations in order of their ids."""
    values = {"workspace_id": workspace_id, "after": after, "limit": limit}
    return db.execute(sql("invitations.list_invitations"), values).fetchall()


def revoke(db: Connection, workspace_id: int, invitation_id: int, *, now: datetime) -> None:
    """The link does not lead in any more. NotFoundError if there is no such invitation, or it was accepted."""
    values = {"workspace_id": workspace_id, "id": invitation_id, "now": now}
    if not db.execute(sql("invitations.revoke_invitation"), values).fetchone():
        raise NotFoundError("There is no such open invitation.")


def read(db: Connection, token_hash: bytes, *, now: datetime) -> Row:
    """The invitation behind a token, locked: `id`, `workspace_id`, `workspace`, `email`, `role`. NotFoundError if it does not hold."""
    row = db.execute(sql("invitations.read_invitation"), {"token_hash": token_hash, "now": now}).fetchone()
    if row is None:
        raise NotFoundError("This invitation does not hold any more; ask for a new one.")
    return row


def accept(db: Connection, invitation_id: int, *, now: datetime) -> None:
    """It was used."""
    db.execute(sql("invitations.accept_invitation"), {"id": invitation_id, "now": now})
