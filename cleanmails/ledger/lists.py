"""Lists of leads, and the lock that orders who grows a list and who starts a campaign on it."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import psycopg

from cleanmails.errors import ConflictError, NotFoundError, StateError
from cleanmails.ledger import sync, walks
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql


def create(db: Connection, workspace_id: int, name: str) -> Row:
    """A new list, as `read` returns it. ConflictError if one that is not archived has this name, in whatever case."""
    try:
        row = db.execute(sql("lists.insert_list"), {"workspace_id": workspace_id, "name": name}).fetchone()
    except psycopg.errors.UniqueViolation as error:
        raise _name_taken() from error
    assert row is not None
    return read(db, workspace_id, row["id"])


def read(db: Connection, workspace_id: int, list_id: int) -> Row:
    """`id`, `name`, `leads` (how many), `created_at`, `updated_at`, `archived_at`. NotFoundError if the workspace has no such list."""
    row = db.execute(sql("lists.read_list"), {"workspace_id": workspace_id, "id": list_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such list.")
    return row


def page(
    db: Connection,
    workspace_id: int,
    *,
    archived: bool,
    q: str = "",
    since: datetime | None = None,
    after: int | None,
    limit: int,
) -> list[Row]:
    """Lists in order of their ids, those with `q` in their name; archived ones too if they are asked for. `since` a time: all, as they changed."""
    values = {"workspace_id": workspace_id, "archived": archived, "q": q.strip(), "after": after or 0, "limit": limit}
    return db.execute(sql("lists.page"), values | sync.span(db, since)).fetchall()


def rename(db: Connection, workspace_id: int, list_id: int, name: str) -> Row:
    """The list under its new name. ConflictError if another one has it; NotFoundError."""
    try:
        db.execute(sql("lists.rename_list"), {"workspace_id": workspace_id, "id": list_id, "name": name})
    except psycopg.errors.UniqueViolation as error:
        raise _name_taken() from error
    return read(db, workspace_id, list_id)


def archive(db: Connection, workspace_id: int, list_id: int) -> None:
    """Puts a list away; its leads stay, its name is free again. StateError (`list_in_use`) while a campaign that is not completed uses it."""
    read(db, workspace_id, list_id)
    hold_exclusive(db, workspace_id, [list_id])
    using = db.execute(sql("lists.open_campaigns"), {"id": list_id}).fetchall()
    if using:
        names = ", ".join(row["name"] for row in using[:5])
        raise StateError(f"The list is used by campaigns that are not completed: {names}.", code="list_in_use")
    db.execute(sql("lists.archive_list"), {"workspace_id": workspace_id, "id": list_id})


def restore(db: Connection, workspace_id: int, list_id: int) -> Row:
    """A list that was put away is in use again. NotFoundError; ConflictError (`name_taken`) if another has its name by now."""
    try:
        db.execute(sql("lists.restore_list"), {"workspace_id": workspace_id, "id": list_id})
    except psycopg.errors.UniqueViolation as error:
        raise _name_taken() from error
    return read(db, workspace_id, list_id)


def add_leads(db: Connection, workspace_id: int, list_id: int, lead_ids: Sequence[int]) -> int:
    """Puts leads that are there already on a list, suppressed ones not counted, and enrolls them; returns how many joined. StateError (`list_archived`)."""
    _grow(db, workspace_id, list_id)
    values = {"workspace_id": workspace_id, "id": list_id, "lead_ids": list(lead_ids)}
    return _joined(db, list_id, db.execute(sql("lists.add_leads"), values).fetchall())


def merge(db: Connection, workspace_id: int, list_id: int, others: Sequence[int]) -> int:
    """Puts everybody who is on other lists on this one too; returns how many joined. NotFoundError, StateError (`list_archived`)."""
    for each in others:
        read(db, workspace_id, each)
    _grow(db, workspace_id, list_id)
    values = {"workspace_id": workspace_id, "id": list_id, "others": list(others)}
    return _joined(db, list_id, db.execute(sql("lists.merge_lists"), values).fetchall())


def split(db: Connection, workspace_id: int, list_id: int, names: Sequence[str]) -> list[Row]:
    """New lists of these names over which the leads of a list are dealt out evenly; the list stays as it is. NotFoundError, ConflictError (`name_taken`)."""
    read(db, workspace_id, list_id)
    parts = [create(db, workspace_id, name)["id"] for name in names]
    db.execute(sql("lists.deal_out"), {"id": list_id, "parts": parts})
    return [read(db, workspace_id, each) for each in parts]


def on_others(db: Connection, workspace_id: int, list_id: int, others: Sequence[int] | None) -> list[int]:
    """Who of a list is on these others too, or (None) on any other that is in use."""
    values = {"workspace_id": workspace_id, "id": list_id, "others": None if others is None else list(others)}
    return [row["lead_id"] for row in db.execute(sql("lists.on_others"), values)]


def same_mailbox(db: Connection, workspace_id: int, list_id: int) -> list[int]:
    """Who of a list has the mailbox of another one who stays, spelt another way."""
    values = {"workspace_id": workspace_id, "id": list_id}
    return [row["lead_id"] for row in db.execute(sql("lists.same_mailbox"), values)]


def hold_shared(db: Connection, workspace_id: int, list_id: int) -> None:
    """For whoever adds leads to a list, before the first read of who uses it; until the transaction ends. Of an unknown list nothing is held."""
    db.execute(sql("lists.hold_shared"), {"workspace_id": workspace_id, "id": list_id})


def hold_exclusive(db: Connection, workspace_id: int, list_ids: Iterable[int]) -> None:
    """For whoever starts a campaign or changes its lists: all its lists, before the first read of who is on them; until the transaction ends."""
    db.execute(sql("lists.hold_exclusive"), {"workspace_id": workspace_id, "ids": list(list_ids)})


def remove_leads(db: Connection, workspace_id: int, list_id: int, lead_ids: Sequence[int]) -> int:
    """Takes leads off a list; returns how many were on it. Their walks end where no other list of the campaign has them. NotFoundError."""
    read(db, workspace_id, list_id)
    fellows = db.execute(sql("lists.fellows"), {"id": list_id}).fetchall()
    hold_exclusive(db, workspace_id, [row["id"] for row in fellows])
    walks.hold(db, workspace_id, lead_ids)
    values = {"workspace_id": workspace_id, "id": list_id, "lead_ids": list(lead_ids)}
    removed = db.execute(sql("lists.remove_leads"), values).rowcount
    using = db.execute(sql("lists.open_campaigns"), {"id": list_id}).fetchall()
    if removed and using:
        walks.end_strays(db, [row["id"] for row in using], lead_ids)
    return removed


def _grow(db: Connection, workspace_id: int, list_id: int) -> None:
    hold_shared(db, workspace_id, list_id)
    if read(db, workspace_id, list_id)["archived_at"] is not None:
        raise StateError("The list is archived; leads are added to lists in use.", code="list_archived")


def _joined(db: Connection, list_id: int, rows: Sequence[Row]) -> int:
    ids = [row["lead_id"] for row in rows]
    if ids:
        walks.enroll_members(db, list_id, ids)
    return len(ids)


def _name_taken() -> ConflictError:
    return ConflictError("Another list has this name.", code="name_taken")
