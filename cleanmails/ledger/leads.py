"""Leads: one address a workspace, with what is known of it. New ones come in by `imports.take`."""

from collections.abc import Mapping, Sequence

import msgspec

from cleanmails.errors import NotFoundError, StateError
from cleanmails.ledger import walks
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql
from cleanmails.records import LeadStatus


def read(db: Connection, workspace_id: int, lead_id: int) -> Row:
    """`id`, `email`, names, `company`, `fields`, `status`, `validation`, `validation_reasons`, `lists` (ids), times. NotFoundError."""
    row = db.execute(sql("leads.read_lead"), {"workspace_id": workspace_id, "id": lead_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such lead.")
    return row


def page(
    db: Connection,
    workspace_id: int,
    *,
    list_id: int | None = None,
    status: LeadStatus | None = None,
    search: str | None = None,
    after: int | None,
    limit: int,
) -> list[Row]:
    """Leads in order of their ids, of one list or of all. `search` is part of an address, a name or a company."""
    values = {"workspace_id": workspace_id, "status": status, "search": search, "after": after or 0, "limit": limit}
    if list_id is None:
        return db.execute(sql("leads.page"), values).fetchall()
    return db.execute(sql("leads.page_of_list"), values | {"list_id": list_id}).fetchall()


def update(
    db: Connection,
    workspace_id: int,
    lead_id: int,
    *,
    first_name: str | None = None,
    last_name: str | None = None,
    company: str | None = None,
    fields: Mapping[str, str] | None = None,
    removed: Sequence[str] = (),
) -> Row:
    """The lead with its new values: None leaves one as it is, `fields` are set beside those there are, `removed` ones go. NotFoundError.

    What was held because a field was missing goes on.
    """
    values = {
        "workspace_id": workspace_id,
        "id": lead_id,
        "first_name": first_name,
        "last_name": last_name,
        "company": company,
        "fields": msgspec.json.encode(fields or {}).decode(),
        "removed": list(removed),
    }
    walks.free_held(db, workspace_id, lead_ids=[lead_id])
    db.execute(sql("leads.update_lead"), values)
    return read(db, workspace_id, lead_id)


def delete(db: Connection, workspace_id: int, lead_id: int) -> None:
    """Forgets a lead and its walks. NotFoundError; StateError (`was_mailed`) once a mail to it may have left us.

    What was mailed stays: the links of that mail lead to its delivery, and a lead that came back under a new id would get the same mail again.
    """
    walks.hold(db, workspace_id, [lead_id])
    read(db, workspace_id, lead_id)
    found = db.execute(sql("leads.was_mailed"), {"id": lead_id}).fetchone()
    if found and found["mailed"]:
        raise StateError(
            "The lead has been mailed; suppress it or take it off its lists instead of deleting it.", code="was_mailed"
        )
    db.execute(sql("leads.delete_lead"), {"workspace_id": workspace_id, "id": lead_id})
