"""A domain's signing keys while one takes the place of another. A domain signs with its one active key at every moment."""

from datetime import datetime

from cleanmails.errors import ConflictError, NotFoundError
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def page(db: Connection, workspace_id: int, domain_id: int) -> list[Row]:
    """All keys of a domain, oldest first, each with the `domain`'s name. NotFoundError if the workspace has no such domain: every domain has a key."""
    rows = db.execute(sql("dkim_keys.keys"), {"workspace_id": workspace_id, "domain_id": domain_id}).fetchall()
    if not rows:
        raise NotFoundError("There is no such domain.")
    return rows


def read(db: Connection, workspace_id: int, domain_id: int, key_id: int) -> Row:
    """One key. NotFoundError."""
    for row in page(db, workspace_id, domain_id):
        if row["id"] == key_id:
            return row
    raise NotFoundError("The domain has no such key.")


def hold(db: Connection, workspace_id: int, domain_id: int) -> None:
    """Nobody else changes the domain's keys until this transaction ends. NotFoundError."""
    values = {"workspace_id": workspace_id, "domain_id": domain_id}
    if db.execute(sql("dkim_keys.hold"), values).fetchone() is None:
        raise NotFoundError("There is no such domain.")


def add(
    db: Connection,
    workspace_id: int,
    domain_id: int,
    key_id: int,
    *,
    selector: str,
    private_sealed: bytes,
    public_key: str,
) -> None:
    """A key that waits to be published, under an id of `domains.next_key_id`. ConflictError: the selector is taken, or another key waits."""
    values = {
        "id": key_id,
        "workspace_id": workspace_id,
        "domain_id": domain_id,
        "selector": selector,
        "private_sealed": private_sealed,
        "public_key": public_key,
    }
    if db.execute(sql("dkim_keys.insert_waiting"), values).fetchone() is None:
        raise ConflictError("Another key waits already, or the selector was used before.", code="key_waiting")


def note_published(
    db: Connection, workspace_id: int, domain_id: int, key_id: int, *, found: bool, now: datetime
) -> None:
    """Notes whether DNS shows a key."""
    values = {"workspace_id": workspace_id, "domain_id": domain_id, "id": key_id, "found": found, "now": now}
    db.execute(sql("dkim_keys.published"), values)


def switch(db: Connection, workspace_id: int, domain_id: int, key_id: int, *, now: datetime) -> None:
    """From here on the domain signs with this key, and the one before it is retired. Held by `hold`."""
    values = {"workspace_id": workspace_id, "domain_id": domain_id, "id": key_id, "now": now}
    db.execute(sql("dkim_keys.retire"), values)
    db.execute(sql("dkim_keys.activate"), values)


def delete(db: Connection, workspace_id: int, domain_id: int, key_id: int) -> None:
    """Forgets a key that does not sign."""
    db.execute(sql("dkim_keys.delete"), {"workspace_id": workspace_id, "domain_id": domain_id, "id": key_id})
