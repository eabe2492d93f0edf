"""Suppressions: addresses and domains that are never mailed, and why. A domain stands for itself alone, not for its subdomains.

One transaction makes an entry true: the entry, the lead's status, the end of its walks, the event. Locks in the one order: walks, deliveries, then the rest.
A walk that another transaction begins at the same moment cannot be seen here; it is stopped by the entry itself, which the send path reads before each mail.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from cleanmails.errors import NotFoundError
from cleanmails.ledger import events, sync, walks
from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.events import Event
from cleanmails.ledger.statements import sql
from cleanmails.records import LeadStatus, WalkOutcome

Kind = Literal["address", "domain"]
Reason = Literal["unsubscribed", "bounced", "complained", "manual", "imported"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be suppressed: `value` normalised (`rules/address.py`), `source` where the wish came from, the delivery it was answered to, if any."""

    kind: Kind
    value: str
    reason: Reason
    source: str = ""
    note: str = ""
    campaign_id: int | None = None
    delivery_id: int | None = None


# What an entry for an address means for its lead, if more than that it is not mailed.
_STATUS: Final[Mapping[Reason, LeadStatus]] = {
    "unsubscribed": LeadStatus.UNSUBSCRIBED,
    "complained": LeadStatus.UNSUBSCRIBED,
    "bounced": LeadStatus.BOUNCED,
}
_OUTCOME: Final[Mapping[LeadStatus | None, WalkOutcome]] = {
    LeadStatus.UNSUBSCRIBED: WalkOutcome.UNSUBSCRIBED,
    LeadStatus.BOUNCED: WalkOutcome.BOUNCED,
    None: WalkOutcome.SUPPRESSED,
}


def suppress(
    db: Connection, workspace_id: int, kind: Kind, value: str, reason: Reason, source: str = "", note: str = ""
) -> Row:
    """One entry; see `suppress_all`."""
    return suppress_all(db, workspace_id, [Entry(kind=kind, value=value, reason=reason, source=source, note=note)])[0]


def suppress_all(db: Connection, workspace_id: int, entries: Sequence[Entry]) -> list[Row]:
    """Suppresses addresses and domains; returns their entries in the order given, as `read` does. What is suppressed already stays as it is.

    Leads that leave by it become `unsubscribed` or `bounced`; all their walks end. Once this has committed, no mail to them starts.
    """
    keys = columns(("kinds", "values"), [(e.kind, e.value) for e in entries]) | {"workspace_id": workspace_id}
    found = db.execute(sql("suppressions.leads_of"), keys).fetchall()
    stopped = {row["id"]: entries[row["n"] - 1] for row in found}
    walks.hold(db, workspace_id, list(stopped))
    for outcome, lead_ids in _by_outcome(stopped).items():
        walks.end(db, lead_ids, outcome, workspace_id)
    more = columns(("reasons", "sources", "notes"), [(e.reason, e.source, e.note) for e in entries])
    db.execute(sql("suppressions.insert_entries"), keys | more)
    _stop_leads(db, workspace_id, stopped)
    return db.execute(sql("suppressions.read_entries"), keys).fetchall()


def unsubscribe(db: Connection, recipient: Row, source: str) -> None:
    """Who got a delivery (`recipient`) wants no more mail from this workspace. Doing it again changes nothing."""
    entry = Entry(
        kind="address",
        value=recipient["email"],
        reason="unsubscribed",
        source=source,
        campaign_id=recipient["campaign_id"],
        delivery_id=recipient["delivery_id"],
    )
    suppress_all(db, recipient["workspace_id"], [entry])


def leave_by_mail(db: Connection, workspace_id: int, email: str, delivery_id: int | None) -> bool:
    """Somebody wrote that he wants no more mail: to the `mailto:` of List-Unsubscribe (RFC 2369), or in words. For the inbox; whether anything is new.

    `email` is the normalised address that wrote, `delivery_id` the mail that it answers, if that is known: then whoever got that mail leaves too,
    for an address that forwards its mail is not the one that was mailed. Commit before the message counts as read.
    """
    about = recipient(db, delivery_id) if delivery_id is not None else None
    mine = about if about is not None and about["workspace_id"] == workspace_id else None
    entries = [
        Entry(
            kind="address",
            value=value,
            reason="unsubscribed",
            source="mailto",
            campaign_id=mine["campaign_id"] if mine else None,
            delivery_id=mine["delivery_id"] if mine else None,
        )
        for value in dict.fromkeys([*([mine["email"]] if mine else []), email])
    ]
    new = known(db, workspace_id, entries) < len(entries)
    suppress_all(db, workspace_id, entries)
    return new


def known(db: Connection, workspace_id: int, entries: Sequence[Entry]) -> int:
    """How many of these are suppressed already."""
    keys = columns(("kinds", "values"), [(e.kind, e.value) for e in entries]) | {"workspace_id": workspace_id}
    return len(db.execute(sql("suppressions.read_entries"), keys).fetchall())


def recipient(db: Connection, delivery_id: int) -> Row | None:
    """To whom a delivery went: `delivery_id`, `workspace_id`, `campaign_id`, `lead_id`, `email`; None if there is no such delivery."""
    return db.execute(sql("suppressions.recipient"), {"delivery_id": delivery_id}).fetchone()


def read(db: Connection, workspace_id: int, entry_id: int) -> Row:
    """`id`, `kind`, `value`, `reason`, `source`, `note`, `created_at`. NotFoundError."""
    row = db.execute(sql("suppressions.read_entry"), {"workspace_id": workspace_id, "id": entry_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such suppression.")
    return row


def page(
    db: Connection,
    workspace_id: int,
    *,
    kind: Kind | None = None,
    reason: Reason | None = None,
    search: str | None = None,
    since: datetime | None = None,
    after: int | None,
    limit: int,
) -> list[Row]:
    """Entries in order of their ids, or those that came `since` a time. `search` is part of the address or domain."""
    values = {
        "workspace_id": workspace_id,
        "kind": kind,
        "reason": reason,
        "search": search,
        "after": after or 0,
        "limit": limit,
    }
    if since is None:
        return db.execute(sql("suppressions.page"), values).fetchall()
    return db.execute(sql("suppressions.changed"), values | sync.span(db, since)).fetchall()


def remove(db: Connection, workspace_id: int, entry_id: int, *, note: str, user_id: int | None) -> None:
    """Takes an entry back, for a reason that is kept as an event. The lead may be mailed again; walks that ended stay ended. NotFoundError."""
    row = db.execute(sql("suppressions.delete_entry"), {"workspace_id": workspace_id, "id": entry_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such suppression.")
    lead = None
    if row["kind"] == "address":
        values = {"workspace_id": workspace_id, "email": row["value"]}
        lead = db.execute(sql("suppressions.restore_lead"), values).fetchone()
    told = row | {"note": note, "user_id": user_id}
    lead_id = lead["id"] if lead else None
    events.append(db, [Event(type="suppression.removed", workspace_id=workspace_id, lead_id=lead_id, data=told)])


def _by_outcome(stopped: Mapping[int, Entry]) -> dict[WalkOutcome, list[int]]:
    groups: dict[WalkOutcome, list[int]] = {}
    for lead_id, entry in stopped.items():
        groups.setdefault(_OUTCOME[_status(entry)], []).append(lead_id)
    return groups


def _status(entry: Entry) -> LeadStatus | None:
    return _STATUS.get(entry.reason) if entry.kind == "address" else None


def _stop_leads(db: Connection, workspace_id: int, stopped: Mapping[int, Entry]) -> None:
    """The leads' new status, and an event for each that left by it."""
    new = [(lead_id, status) for lead_id, entry in stopped.items() if (status := _status(entry))]
    values = columns(("lead_ids", "statuses"), new) | {"workspace_id": workspace_id}
    changed = db.execute(sql("suppressions.stop_leads"), values).fetchall()
    left = [row["id"] for row in changed if row["status"] == LeadStatus.UNSUBSCRIBED]
    events.append(db, _left(workspace_id, {lead_id: stopped[lead_id] for lead_id in sorted(left)}))


def _left(workspace_id: int, stopped: Mapping[int, Entry]) -> Iterable[Event]:
    for lead_id, entry in stopped.items():
        yield Event(
            type="lead.unsubscribed",
            workspace_id=workspace_id,
            campaign_id=entry.campaign_id,
            lead_id=lead_id,
            delivery_id=entry.delivery_id,
            data={"reason": entry.reason, "source": entry.source},
        )
