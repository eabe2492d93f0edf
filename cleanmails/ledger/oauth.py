"""Consents that are waited for, and what they brought. Tokens come sealed, as `sender:ID:oauth_refresh` and `sender:ID:oauth_access`."""

from datetime import datetime

import msgspec

from cleanmails.errors import NotFoundError
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """A consent that a person is sent away to give. `sender_id`: for which sender, None for a new one, which `name` is for."""

    workspace_id: int
    actor: str
    provider: str
    sender_id: int | None
    name: str
    return_to: str | None


def ask(db: Connection, state_hash: bytes, consent: Consent, *, now: datetime, expires_at: datetime) -> None:
    """Notes that an answer is waited for."""
    values = msgspec.structs.asdict(consent) | {"state_hash": state_hash, "now": now, "expires_at": expires_at}
    db.execute(sql("oauth.ask"), values)


def take(
    db: Connection, state_hash: bytes, *, workspace_id: int, actor: str, provider: str, now: datetime
) -> Row | None:
    """What an answer belongs to (`sender_id`, `name`, `return_to`), once; None if nobody waits for it, or somebody else does."""
    values = {
        "state_hash": state_hash,
        "workspace_id": workspace_id,
        "actor": actor,
        "provider": provider,
        "now": now,
    }
    return db.execute(sql("oauth.take"), values).fetchone()


def grant(
    db: Connection,
    workspace_id: int,
    sender_id: int,
    *,
    provider: str,
    account: str,
    refresh: bytes,
    access: bytes,
    expires_at: datetime,
    now: datetime,
) -> None:
    """Writes what a consent brought, sealed; the sender's passwords are forgotten."""
    values = {
        "workspace_id": workspace_id,
        "sender_id": sender_id,
        "provider": provider,
        "account": account,
        "refresh": refresh,
        "access": access,
        "expires_at": expires_at,
        "now": now,
    }
    db.execute(sql("oauth.grant"), values)
    db.execute(sql("oauth.passwords_end"), {"sender_id": sender_id, "account": account, "now": now})


def forget(db: Connection, workspace_id: int, sender_id: int) -> bool:
    """Takes a grant away; whether there was one."""
    return (
        db.execute(sql("oauth.forget"), {"workspace_id": workspace_id, "sender_id": sender_id}).fetchone() is not None
    )


def disconnect(db: Connection, workspace_id: int, sender_id: int) -> None:
    """As `forget`. NotFoundError if there was none."""
    if not forget(db, workspace_id, sender_id):
        raise NotFoundError("This sender is not connected with a provider.")


def read(db: Connection, sender_id: int) -> Row | None:
    """A grant as it stands, with the ledger's time as `now`; without the refresh token."""
    return db.execute(sql("oauth.read_grant"), {"sender_id": sender_id}).fetchone()


def begin_refresh(db: Connection, sender_id: int, *, seconds: float, spare: float) -> bytes | None:
    """The sealed refresh token, if an access token is to be fetched now and nobody else is at it; it is the caller's for so many seconds."""
    row = db.execute(
        sql("oauth.begin_refresh"), {"sender_id": sender_id, "seconds": seconds, "spare": spare}
    ).fetchone()
    return bytes(row["refresh_sealed"]) if row else None


def write_refreshed(
    db: Connection, sender_id: int, before: bytes, *, access: bytes, expires_at: datetime, refresh: bytes | None
) -> None:
    """A new access token; `before` is the sealed refresh token that it was fetched with."""
    values = {
        "sender_id": sender_id,
        "before": before,
        "access": access,
        "expires_at": expires_at,
        "refresh": refresh,
    }
    db.execute(sql("oauth.write_refreshed"), values)


def write_unrefreshed(db: Connection, sender_id: int, before: bytes, error: str, *, refused: bool) -> None:
    """Why there is none. `refused`: the provider takes the refresh token no more."""
    values = {"sender_id": sender_id, "before": before, "error": error, "refused": refused}
    db.execute(sql("oauth.write_unrefreshed"), values)
