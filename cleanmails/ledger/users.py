"""People who sign in. Passwords come and go as hashes; making and checking them is the API's business."""

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
    """`id`, `email`, `name`, `password_hash` of a user who may sign in; `email` in lower case."""
    return db.execute(sql("users.read_by_email"), {"email": email}).fetchone()


def read(db: Connection, user_id: int) -> Row | None:
    """`id`, `email`, `name` of a user."""
    return db.execute(sql("users.read_user"), {"id": user_id}).fetchone()


def home(db: Connection, user_id: int) -> Row | None:
    """`workspace_id` and `role` of the workspace that a sign-in leads to, or None if the user belongs to none."""
    return db.execute(sql("users.home_workspace"), {"user_id": user_id}).fetchone()


def set_password(db: Connection, user_id: int, password_hash: str) -> None:
    """Replaces a user's password."""
    db.execute(sql("users.set_password"), {"id": user_id, "password_hash": password_hash})
