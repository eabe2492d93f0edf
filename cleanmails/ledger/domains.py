"""Sending domains, their signing keys, and what DNS said of them at the last look."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from cleanmails.errors import ConflictError, NotFoundError, StateError
from cleanmails.ledger import events
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.events import Event
from cleanmails.ledger.statements import sql
from cleanmails.records import DomainStatus


def create(db: Connection, workspace_id: int, name: str) -> int:
    """A new domain's id; `name` in lower case, in A-labels. ConflictError if the workspace has it already. It needs a key: `add_key`."""
    row = db.execute(sql("domains.insert_domain"), {"workspace_id": workspace_id, "name": name}).fetchone()
    if row is None:
        raise ConflictError(f"{name} is among your domains already.")
    return int(row["id"])


def next_key_id(db: Connection) -> int:
    """The id that the next signing key will have: its private half is sealed for it, as `dkim_key:ID:private`."""
    row = db.execute(sql("domains.next_key_id")).fetchone()
    assert row is not None
    return int(row["id"])


def add_key(
    db: Connection,
    workspace_id: int,
    domain_id: int,
    key_id: int,
    *,
    selector: str,
    private_sealed: bytes,
    public_key: str,
) -> None:
    """Gives a domain the active key that it signs with; `public_key` is base64 for DNS."""
    db.execute(
        sql("domains.insert_key"),
        {
            "id": key_id,
            "workspace_id": workspace_id,
            "domain_id": domain_id,
            "selector": selector,
            "private_sealed": private_sealed,
            "public_key": public_key,
        },
    )


def read(db: Connection, workspace_id: int, domain_id: int) -> Row:
    """A domain with `selector` and `public_key` of its active key, the number of its `senders` and the `smtp_hosts` and `imap_hosts` that they use, and the
    workspace's `tracking_domain`.

    NotFoundError if the workspace has none of this id.
    """
    row = db.execute(sql("domains.read_domain"), {"workspace_id": workspace_id, "id": domain_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such domain.")
    return row


def list_domains(db: Connection, workspace_id: int, *, after: int | None, limit: int) -> list[Row]:
    """Domains as `read` gives them, in order of their ids."""
    return db.execute(
        sql("domains.list_domains"), {"workspace_id": workspace_id, "after": after, "limit": limit}
    ).fetchall()


def find(db: Connection, workspace_id: int, name: str) -> Row | None:
    """`id`, `name`, `status` of the workspace's domain of this name, held against deletion until the transaction ends; None if it has none."""
    return db.execute(sql("domains.find_domain"), {"workspace_id": workspace_id, "name": name}).fetchone()


def record_check(
    db: Connection,
    workspace_id: int,
    domain_id: int,
    *,
    findings: Sequence[dict[str, Any]],
    status: DomainStatus | None,
    now: datetime,
) -> None:
    """Writes down what a look at DNS found. Without a `status` (DNS could not say) the domain's stays. NotFoundError if it was deleted meanwhile.

    Once verified, the domain takes in the senders of its name that were here before it. What is otherwise than at the look before is an event
    (`domain.changed`); what DNS could not say changes nothing.
    """
    before = db.execute(sql("domains.hold_domain"), {"workspace_id": workspace_id, "id": domain_id}).fetchone()
    if before is None:
        raise NotFoundError("There is no such domain.")
    given = {
        "workspace_id": workspace_id,
        "id": domain_id,
        "findings": msgspec.json.encode(findings).decode(),
        "status": status,
        "now": now,
    }
    db.execute(sql("domains.record_check"), given)
    db.execute(sql("domains.adopt_senders"), {"workspace_id": workspace_id, "id": domain_id, "now": now})
    changed = _changed(before["findings"], findings)
    if changed or (status is not None and status != before["status"]):
        data = {
            "domain_id": domain_id,
            "name": before["name"],
            "status": status or before["status"],
            "was": before["status"],
            "records": changed,
        }
        events.append(db, [Event(type="domain.changed", workspace_id=workspace_id, data=data)])


def _changed(before: Sequence[Row], now: Sequence[Row]) -> list[Row]:
    """The records that stand otherwise than they did, each with its state, what that was, and the sentence. At the first look all were unknown."""
    was = {finding["kind"]: finding["state"] for finding in before}
    return [
        {
            "kind": finding["kind"],
            "state": finding["state"],
            "was": was.get(finding["kind"]),
            "sentence": finding["sentence"],
        }
        for finding in now
        if finding["state"] != was.get(finding["kind"])
        and "unreachable" not in {finding["state"], was.get(finding["kind"])}
    ]


def put_spf_hosts(db: Connection, workspace_id: int, domain_id: int, hosts: Sequence[str]) -> None:
    """Servers that may send for the domain beside those of its senders. NotFoundError."""
    given = {"workspace_id": workspace_id, "id": domain_id, "hosts": list(hosts)}
    if db.execute(sql("domains.write_spf_hosts"), given).fetchone() is None:
        raise NotFoundError("There is no such domain.")


def due(db: Connection, *, before: datetime, limit: int) -> list[Row]:
    """`workspace_id` and `id` of domains that were verified once and last looked at before a time, the longest ago first."""
    return db.execute(sql("domains.due"), {"before": before, "limit": limit}).fetchall()


def delete(db: Connection, workspace_id: int, domain_id: int) -> None:
    """Deletes a domain with its keys. NotFoundError, or StateError while it has senders."""
    given = {"workspace_id": workspace_id, "id": domain_id}
    row = db.execute(sql("domains.lock_domain"), given).fetchone()
    if row is None:
        raise NotFoundError("There is no such domain.")
    if row["senders"]:
        raise StateError(f"{row['senders']} senders send from this domain; delete them first.", code="domain_in_use")
    db.execute(sql("domains.release_deleted_senders"), given)
    db.execute(sql("domains.delete_domain"), given)
