"""Tenants: what belongs to a workspace as a whole."""

from datetime import datetime

from cleanmails.errors import NotFoundError, StateError
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def create(db: Connection, *, name: str) -> int:
    """A new workspace's id."""
    row = db.execute(sql("workspaces.insert_workspace"), {"name": name}).fetchone()
    assert row is not None
    return int(row["id"])


def read(db: Connection, workspace_id: int) -> Row:
    """`id`, `name`, `postal_address`, `tracking_domain`, `tracking_verified_at`, `created_at`. NotFoundError if it is not in use."""
    row = db.execute(sql("workspaces.read_workspace"), {"id": workspace_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such workspace.")
    return row


def update(
    db: Connection,
    workspace_id: int,
    *,
    name: str | None = None,
    postal_address: str | None = None,
    set_tracking: bool = False,
    tracking_domain: str | None = None,
) -> None:
    """Changes what is given. The tracking domain only with `set_tracking`, since None takes it away; a new one counts as not verified."""
    db.execute(
        sql("workspaces.update_workspace"),
        {
            "id": workspace_id,
            "name": name,
            "postal_address": postal_address,
            "set_tracking": set_tracking,
            "tracking_domain": tracking_domain,
        },
    )


def verify_tracking(db: Connection, workspace_id: int, tracking_domain: str, *, found: bool, now: datetime) -> None:
    """Notes whether the tracking domain's CNAME was found."""
    db.execute(
        sql("workspaces.verify_tracking"),
        {"id": workspace_id, "tracking_domain": tracking_domain, "found": found, "now": now},
    )


def tracking_domains(db: Connection) -> list[str]:
    """The verified tracking domains of all workspaces."""
    return [str(row["tracking_domain"]) for row in db.execute(sql("workspaces.tracking_domains"))]


def archive(db: Connection, workspace_id: int, *, now: datetime) -> None:
    """Takes a workspace out of use. StateError while a campaign of it is running."""
    if not db.execute(sql("workspaces.archive_workspace"), {"id": workspace_id, "now": now}).fetchone():
        raise StateError("A campaign of this workspace is running; pause it first.", code="campaigns_running")
