"""Leads: one address a workspace, with what is known of it. New ones come in by `imports.take`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from cleanmails.errors import NotFoundError, StateError
from cleanmails.ledger import deliveries, sync, walks
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql
from cleanmails.records import LeadStatus, Validation

REACH: Final = 3_000
"""Leads that are looked at one by one before an index is asked for what is rare."""

Engagement = Literal["mailed", "not_mailed", "silent", "opened", "clicked", "replied", "bounced"]
"""What became of mails to a lead; `silent`: it was mailed, and did nothing."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which leads are asked for; None asks for nothing. `words` as `rules.search.words` makes them; `field` is a field and its exact value.

    `walk` is a state or an outcome of the walk in the campaign; `engagement` concerns that campaign if one is given.
    """

    words: tuple[str, ...] = ()
    status: LeadStatus | None = None
    validation: Validation | None = None
    tag: str | None = None
    field: tuple[str, str] | None = None
    domain: str | None = None
    list_id: int | None = None
    campaign_id: int | None = None
    walk: str | None = None
    engagement: Engagement | None = None


ALL: Final = Filter()


def read(db: Connection, workspace_id: int, lead_id: int) -> Row:
    """`id`, `email`, names, `company`, `fields`, `status`, `validation`, `source`, `tags`, `lists` (ids), times. NotFoundError."""
    row = db.execute(sql("leads.read_lead"), {"workspace_id": workspace_id, "id": lead_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such lead.")
    return row


def page(
    db: Connection, workspace_id: int, wanted: Filter = ALL, *, after: int | None, limit: int, whole: bool = False
) -> list[Row]:
    """Leads in order of their ids. Words are looked for in the index, which a large import fills after it is done; `whole` misses none of its leads even then."""
    values: dict[str, Any] = msgspec.structs.asdict(wanted) | {
        "workspace_id": workspace_id,
        "after": after or 0,
        "limit": limit,
        "reach": max(REACH, limit),
        "words": list(wanted.words),
        "field": None if wanted.field is None else msgspec.json.encode(dict([wanted.field])).decode(),
    }
    if wanted.words:
        one_by_one = whole and is_arriving(db, workspace_id)
        return _found(db, sql("leads.search_whole") if one_by_one else sql("leads.search"), values)
    near = sql("leads.near") if wanted.list_id is None else sql("leads.near_on_list")
    rows = _found(db, near, values)
    if len(rows) >= limit or wanted == Filter(list_id=wanted.list_id):
        return rows
    return _found(db, _far(wanted), values | {"whole": is_arriving(db, workspace_id)})


def changed(db: Connection, workspace_id: int, since: datetime, *, after: int | None, limit: int) -> list[Row]:
    """Leads that changed `since` a time, in that order, behind the one with the id `after` if it changed then."""
    values = {"workspace_id": workspace_id, "after": after or 0, "limit": limit}
    return db.execute(sql("leads.changed"), values | sync.span(db, since)).fetchall()


def is_arriving(db: Connection, workspace_id: int) -> bool:
    """Whether leads of an import are still to be indexed."""
    row = db.execute(sql("leads.is_arriving"), {"workspace_id": workspace_id}).fetchone()
    assert row is not None
    return bool(row["arriving"])


def sort_in(db: Connection) -> None:
    """Sorts in what imports added to the indexes that searches use; seconds after a million leads, and nothing without."""
    db.execute(sql("leads.sort_in"))


def field_names(db: Connection, workspace_id: int, list_id: int | None) -> list[str]:
    """Every extra field that leads have, of a list or of all."""
    values = {"workspace_id": workspace_id, "list_id": list_id}
    return [row["name"] for row in db.execute(sql("leads.field_names"), values)]


def tags(db: Connection, workspace_id: int, *, limit: int) -> list[Row]:
    """`tag` and how many `leads` have it, by name."""
    return db.execute(sql("leads.tag_names"), {"workspace_id": workspace_id, "limit": limit}).fetchall()


def known(db: Connection, workspace_id: int, lead_ids: Sequence[int]) -> list[Row]:
    """`id` and `email` of those leads that the workspace has."""
    return db.execute(sql("leads.known"), {"workspace_id": workspace_id, "ids": list(lead_ids)}).fetchall()


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
    source: str | None = None,
    lawful_basis: str | None = None,
    tags: Sequence[str] | None = None,
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
        "source": source,
        "lawful_basis": lawful_basis,
        "tags": None if tags is None else sorted(set(tags)),
    }
    walks.free_held(db, workspace_id, lead_ids=[lead_id])
    db.execute(sql("leads.update_lead"), values)
    return read(db, workspace_id, lead_id)


def change_all(
    db: Connection,
    workspace_id: int,
    lead_ids: Sequence[int],
    *,
    added: Sequence[str] = (),
    removed: Sequence[str] = (),
    fields: Mapping[str, str] | None = None,
    dropped: Sequence[str] = (),
) -> int:
    """Adds and removes tags, sets and drops fields of many leads; returns how many changed. What was held because a field was missing goes on."""
    values = {
        "workspace_id": workspace_id,
        "ids": list(lead_ids),
        "added": list(added),
        "removed": list(removed),
        "fields": msgspec.json.encode(fields or {}).decode(),
        "dropped": list(dropped),
    }
    if fields:
        walks.free_held(db, workspace_id, lead_ids=lead_ids)
    return db.execute(sql("leads.change_all"), values).rowcount


def delete(db: Connection, workspace_id: int, lead_id: int) -> None:
    """Forgets a lead and its walks. NotFoundError; StateError (`was_mailed`) once a mail to it may have left us."""
    read(db, workspace_id, lead_id)
    if not delete_all(db, workspace_id, [lead_id]):
        raise StateError(
            "The lead has been mailed; suppress it or take it off its lists instead of deleting it.", code="was_mailed"
        )


def delete_all(db: Connection, workspace_id: int, lead_ids: Sequence[int]) -> int:
    """Forgets leads and their walks, but those to whom a mail may have left us; returns how many went.

    What was mailed stays: the links of that mail lead to its delivery, and a lead that came back under a new id would get the same mail again.
    """
    walks.hold(db, workspace_id, lead_ids)
    mailed = {row["lead_id"] for row in db.execute(sql("leads.mailed"), {"ids": list(lead_ids)})}
    values = {"workspace_id": workspace_id, "ids": [each for each in lead_ids if each not in mailed]}
    deleted = [row["id"] for row in db.execute(sql("leads.delete_leads"), values)]
    # Statements of their own: whoever was planning one, or putting it on a list, held it and was waited for.
    gone = db.execute(sql("leads.forget_deliveries"), {"workspace_id": workspace_id, "ids": deleted})
    deliveries.forget(db, [row["id"] for row in gone])
    db.execute(sql("leads.leave_lists"), {"ids": deleted})
    return len(deleted)


def _far(wanted: Filter) -> bytes:
    """The way in that leads to the fewest."""
    if wanted.engagement in {"opened", "clicked", "replied", "bounced"}:
        return sql("leads.far_engaged")
    if wanted.campaign_id is not None:
        return sql("leads.far_in_campaign")
    return sql("leads.far") if wanted.list_id is None else sql("leads.far_on_list")


def _found(db: Connection, statement: bytes, values: Mapping[str, Any]) -> list[Row]:
    # Never prepared: planned with the values at hand, what is not asked for falls away.
    return db.execute(statement, values, prepare=False).fetchall()
