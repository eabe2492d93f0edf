"""Sending domains, their signing keys, and what DNS said of them at the last look."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from cleanmails.errors import ConflictError, NotFoundError, StateError
from cleanmails.ledger import events, sync
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.events import Event
from cleanmails.ledger.statements import sql
from cleanmails.records import DomainStatus

_UNREACHABLE: Final = "unreachable"
"""The state of a record that DNS could not speak of."""


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


def list_domains(
    db: Connection, workspace_id: int, *, q: str = "", since: datetime | None = None, after: int | None, limit: int
) -> list[Row]:
    """Domains as `read` gives them, in order of their ids: those with `q` in their name. `since` a time: as they changed."""
    given = {"workspace_id": workspace_id, "q": q.strip(), "after": after, "limit": limit}
    return db.execute(sql("domains.list_domains"), given | sync.span(db, since)).fetchall()


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
    known = {finding["kind"]: finding.get("known") or finding["state"] for finding in before["findings"]}
    kept = [finding | _known(finding, known) for finding in findings]
    given = {
        "workspace_id": workspace_id,
        "id": domain_id,
        "findings": msgspec.json.encode(kept).decode(),
        "status": status,
        "now": now,
    }
    db.execute(sql("domains.record_check"), given)
    db.execute(sql("domains.adopt_senders"), {"workspace_id": workspace_id, "id": domain_id, "now": now})
    changed = _changed(known, findings)
    if changed or (status is not None and status != before["status"]):
        data = {
            "domain_id": domain_id,
            "name": before["name"],
            "status": status or before["status"],
            "was": before["status"],
            "records": changed,
        }
        events.append(db, [Event(type="domain.changed", workspace_id=workspace_id, data=data)])


def _known(finding: Row, known: Mapping[str, str]) -> Row:
    """What is remembered of a record that DNS could not speak of now: how it stood before."""
    before = known.get(finding["kind"])
    return {"known": before} if finding["state"] == _UNREACHABLE and before not in {None, _UNREACHABLE} else {}


def _changed(known: Mapping[str, str], now: Sequence[Row]) -> list[Row]:
    """The records that stand otherwise than they did, each with its state, what that was (null at the first look), and the sentence."""
    return [
        {
            "kind": finding["kind"],
            "state": finding["state"],
            "was": None if known.get(finding["kind"]) == _UNREACHABLE else known.get(finding["kind"]),
            "sentence": finding["sentence"],
        }
        for finding in now
        if finding["state"] not in {_UNREACHABLE, known.get(finding["kind"])}
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
