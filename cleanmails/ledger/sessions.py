"""Sessions of people in a browser. A session is known by the SHA-256 of its token; the token itself is never kept."""

from datetime import datetime

from cleanmails.errors import NotFoundError
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def create(
    db: Connection,
    token_hash: bytes,
    *,
    user_id: int,
    workspace_id: int,
    now: datetime,
    expires_at: datetime,
    ends_at: datetime,
    user_agent: str,
    remote_address: str,
) -> None:
    """Begins a session, and clears away those of anybody that have expired: sign-ins are rare enough to carry the broom."""
    db.execute(sql("sessions.delete_expired"), {"now": now})
    db.execute(
        sql("sessions.insert_session"),
        {
            "token_hash": token_hash,
            "user_id": user_id,
            "workspace_id": workspace_id,
            "now": now,
            "expires_at": expires_at,
            "ends_at": ends_at,
            "user_agent": user_agent,
            "remote_address": remote_address,
        },
    )


def read(db: Connection, token_hash: bytes, *, now: datetime) -> Row | None:
    """`user_id`, `workspace_id`, `role`, `expires_at`, `ends_at` of a session that holds at `now`, else None."""
    return db.execute(sql("sessions.read_session"), {"token_hash": token_hash, "now": now}).fetchone()


def touch(db: Connection, token_hash: bytes, *, now: datetime, expires_at: datetime) -> None:
    """Moves the expiry of a session that is in use, up to its end."""
    db.execute(sql("sessions.touch_session"), {"token_hash": token_hash, "now": now, "expires_at": expires_at})


def delete(db: Connection, token_hash: bytes) -> None:
    """Ends a session; twice is nothing."""
    db.execute(sql("sessions.delete_session"), {"token_hash": token_hash})


def delete_of_user(db: Connection, user_id: int) -> None:
    """Ends all sessions of a user."""
    db.execute(sql("sessions.delete_of_user"), {"user_id": user_id})


def list_of_user(db: Connection, user_id: int, *, now: datetime) -> list[Row]:
    """A user's sessions that hold: `id`, `token_hash`, `workspace_id`, `workspace`, times, `user_agent`, `remote_address`."""
    return db.execute(sql("sessions.list_sessions"), {"user_id": user_id, "now": now}).fetchall()


def end(db: Connection, user_id: int, session_id: int) -> None:
    """Ends one of a user's sessions. NotFoundError if there is none."""
    if not db.execute(sql("sessions.end_session"), {"user_id": user_id, "id": session_id}).fetchone():
        raise NotFoundError("There is no such session.")


def end_others(db: Connection, user_id: int, token_hash: bytes) -> None:
    """Ends all of a user's sessions but this one."""
    db.execute(sql("sessions.end_others"), {"user_id": user_id, "token_hash": token_hash})


def end_of_member(db: Connection, workspace_id: int, user_id: int) -> None:
    """Ends a user's sessions in one workspace."""
    db.execute(sql("sessions.end_of_member"), {"workspace_id": workspace_id, "user_id": user_id})
