"""Lists of leads, and the lock that orders who grows a list and who starts a campaign on it."""

from collections.abc import Iterable, Sequence

import psycopg

from cleanmails.errors import ConflictError, NotFoundError, StateError
from cleanmails.ledger import walks
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


def page(db: Connection, workspace_id: int, *, archived: bool, after: int | None, limit: int) -> list[Row]:
    """Lists in order of their ids; archived ones too if they are asked for."""
    values = {"workspace_id": workspace_id, "archived": archived, "after": after or 0, "limit": limit}
    return db.execute(sql("lists.page"), values).fetchall()


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


def _name_taken() -> ConflictError:
    return ConflictError("Another list has this name.", code="name_taken")
