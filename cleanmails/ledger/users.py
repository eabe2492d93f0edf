"""People who sign in. Passwords come and go as hashes; making and checking them is the API's business."""

from collections.abc import Sequence
from datetime import datetime

from cleanmails.errors import ConflictError
from cleanmails.ledger import workspaces
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def first_owner(db: Connection, *, email: str, password_hash: str, workspace: str = "My workspace") -> int | None:
    """Makes the first workspace with its owner and returns the user's id; None, and nothing is done, if anybody is there already."""
    db.execute(sql("users.lock_first"))
    if exists(db):
        return None
    workspace_id = workspaces.create(db, name=workspace)
    user_id = create(db, email=email, password_hash=password_hash)
    join(db, workspace_id, user_id, role="owner")
    return user_id


def exists(db: Connection) -> bool:
    """Whether there is any user."""
    row = db.execute(sql("users.any_user")).fetchone()
    assert row is not None
    return bool(row["found"])


def create(db: Connection, *, email: str, password_hash: str, name: str = "") -> int:
    """A new user's id; `email` in lower case. ConflictError if the address is taken."""
    if read_by_email(db, email):
        raise ConflictError("There is a user with this e-mail address already.")
    row = db.execute(
        sql("users.insert_user"), {"email": email, "name": name, "password_hash": password_hash}
    ).fetchone()
    assert row is not None
    return int(row["id"])


def join(db: Connection, workspace_id: int, user_id: int, *, role: str) -> None:
    """Makes a user a member of a workspace."""
    db.execute(sql("users.insert_membership"), {"workspace_id": workspace_id, "user_id": user_id, "role": role})


def read_by_email(db: Connection, email: str) -> Row | None:
    """A user who may sign in: `id`, `email`, `name`, `password_hash`, `totp_sealed`, `totp_confirmed_at`, `totp_step`; `email` in lower case."""
    return db.execute(sql("users.read_by_email"), {"email": email}).fetchone()


def read(db: Connection, user_id: int) -> Row | None:
    """The same of a user that is known by id."""
    return db.execute(sql("users.read_user"), {"id": user_id}).fetchone()


def home(db: Connection, user_id: int) -> Row | None:
    """`workspace_id` and `role` of the workspace that a sign-in leads to, or None if the user belongs to none."""
    return db.execute(sql("users.home_workspace"), {"user_id": user_id}).fetchone()


def set_password(db: Connection, user_id: int, password_hash: str) -> None:
    """Replaces a user's password."""
    db.execute(sql("users.set_password"), {"id": user_id, "password_hash": password_hash})


def set_totp(db: Connection, user_id: int, sealed: bytes) -> None:
    """A new second factor, which counts from its first code on."""
    db.execute(sql("users.set_totp"), {"id": user_id, "sealed": sealed})


def use_totp_step(db: Connection, user_id: int, step: int, now: datetime) -> bool:
    """Uses up the code of a step (RFC 6238, 5.2: once), which confirms a new factor; False if it, or a later one, was used before."""
    return db.execute(sql("users.use_totp_step"), {"id": user_id, "step": step, "now": now}).fetchone() is not None


def clear_totp(db: Connection, user_id: int) -> None:
    """No second factor any more."""
    db.execute(sql("users.clear_totp"), {"id": user_id})
    db.execute(sql("users.clear_recovery_codes"), {"user_id": user_id})


def set_recovery_codes(db: Connection, user_id: int, hashes: Sequence[bytes]) -> None:
    """New codes in place of all older ones."""
    db.execute(sql("users.clear_recovery_codes"), {"user_id": user_id})
    db.execute(sql("users.insert_recovery_codes"), {"user_id": user_id, "hashes": list(hashes)})


def use_recovery_code(db: Connection, user_id: int, code_hash: bytes) -> bool:
    """Uses up a recovery code; False if there is no such one."""
    values = {"user_id": user_id, "code_hash": code_hash}
    return db.execute(sql("users.use_recovery_code"), values).fetchone() is not None


def begin_reset(db: Connection, user_id: int, token_hash: bytes, *, now: datetime, expires_at: datetime) -> None:
    """A lost password may be replaced with this token until then; earlier tokens do not count any more."""
    db.execute(sql("users.clear_resets"), {"user_id": user_id, "now": now})
    db.execute(sql("users.insert_reset"), {"token_hash": token_hash, "user_id": user_id, "expires_at": expires_at})


def take_reset(db: Connection, token_hash: bytes, *, now: datetime) -> int | None:
    """Uses up a reset token; whose it is, or None if it does not hold."""
    row = db.execute(sql("users.take_reset"), {"token_hash": token_hash, "now": now}).fetchone()
    return None if row is None else int(row["user_id"])


def members(db: Connection, workspace_id: int, *, after: int | None, limit: int) -> list[Row]:
    """The people of a workspace by id: `id`, `email`, `name`, `role`, `joined_at`, `seen_at`, `second_factor`."""
    values = {"workspace_id": workspace_id, "after": after, "limit": limit}
    return db.execute(sql("users.list_members"), values).fetchall()


def lock_members(db: Connection, workspace_id: int) -> dict[int, str]:
    """The role of each member by user id, locked."""
    rows = db.execute(sql("users.lock_members"), {"workspace_id": workspace_id})
    return {row["user_id"]: row["role"] for row in rows}


def set_role(db: Connection, workspace_id: int, user_id: int, role: str) -> None:
    """Another role for a member; the members must be locked."""
    db.execute(sql("users.set_role"), {"workspace_id": workspace_id, "user_id": user_id, "role": role})


def leave(db: Connection, workspace_id: int, user_id: int) -> None:
    """Takes a member out of a workspace; the members must be locked."""
    db.execute(sql("users.leave_workspace"), {"workspace_id": workspace_id, "user_id": user_id})


def membership(db: Connection, user_id: int, workspace_id: int) -> Row | None:
    """`workspace_id` and `role` of a user in a workspace that is in use, or None."""
    values = {"user_id": user_id, "workspace_id": workspace_id}
    return db.execute(sql("users.membership"), values).fetchone()


def workspaces_of(db: Connection, user_id: int) -> list[Row]:
    """`id`, `name` and `role` of each workspace that a user belongs to."""
    return db.execute(sql("users.workspaces_of"), {"user_id": user_id}).fetchall()
