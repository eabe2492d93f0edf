"""Imports: how leads come into a workspace and onto a list, one or a million, by whole sets.

An import suppresses nothing and never takes a suppression back: rows of suppressed addresses are counted and not added.
"""

from collections.abc import Iterable

import msgspec

from cleanmails.errors import NotFoundError, StateError
from cleanmails.ledger import lists, walks
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql
from cleanmails.records import Arrival

_FEW = 1_000  # rows up to which a join is quick without statistics


class Totals(msgspec.Struct, frozen=True):
    """What became of the rows of an import: rows = created + updated + duplicate + suppressed + invalid."""

    rows: int
    created: int
    updated: int
    duplicate: int
    suppressed: int
    invalid: int


def take(db: Connection, workspace_id: int, list_id: int | None, arrivals: Iterable[Arrival]) -> Totals:
    """Takes leads into the workspace and onto a list, and enrolls them in the running campaigns that it feeds; at most once a transaction.

    `arrivals` may come as slowly as memory likes: they are streamed to the server. NotFoundError, StateError (`list_archived`).
    """
    if list_id is not None:
        lists.read(db, workspace_id, list_id)
    _stage(db, arrivals)
    workspace = {"workspace_id": workspace_id}
    db.execute(sql("imports.mark_suppressed"), workspace)
    db.execute(sql("imports.mark_duplicates"))
    db.execute(sql("imports.recognise"), workspace)
    db.execute(sql("imports.create_leads"), workspace)
    db.execute(sql("imports.tell_created"), workspace | {"list_id": list_id})
    if news := [row["lead_id"] for row in db.execute(sql("imports.brings_news"))]:
        walks.free_held(db, workspace_id, lead_ids=news)
        db.execute(sql("imports.update_known"))
    if list_id is not None:
        _put_on_list(db, workspace_id, list_id)
    row = db.execute(sql("imports.totals")).fetchone()
    return msgspec.convert(row, Totals)


def outcomes(db: Connection) -> list[Row]:
    """What became of each row that `take` took in this transaction: `line`, `email`, `lead_id`, `verdict`, `reason`."""
    return db.execute(sql("imports.outcomes")).fetchall()


def keep(db: Connection, workspace_id: int, list_id: int, filename: str, totals: Totals) -> int:
    """Writes down an import that `take` did in this transaction, with the rows that were not taken; returns its id."""
    values = msgspec.structs.asdict(totals) | {"workspace_id": workspace_id, "list_id": list_id, "filename": filename}
    row = db.execute(sql("imports.insert_import"), values).fetchone()
    assert row is not None
    db.execute(sql("imports.keep_rejects"), {"id": row["id"]})
    return int(row["id"])


def read(db: Connection, workspace_id: int, import_id: int) -> Row:
    """`id`, `list_id`, `filename`, the totals, `created_at`. NotFoundError."""
    row = db.execute(sql("imports.read_import"), {"workspace_id": workspace_id, "id": import_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such import.")
    return row


def page(db: Connection, workspace_id: int, *, list_id: int | None, after: int | None, limit: int) -> list[Row]:
    """Imports in order of their ids, into one list or all."""
    values = {"workspace_id": workspace_id, "list_id": list_id, "after": after or 0, "limit": limit}
    return db.execute(sql("imports.page"), values).fetchall()


def rejects(db: Connection, workspace_id: int, import_id: int, *, after: int | None, limit: int) -> list[Row]:
    """Rows that an import did not take: `line`, `verdict`, `reason`, `raw`, in order of the lines."""
    values = {"workspace_id": workspace_id, "id": import_id, "after": after or 0, "limit": limit}
    return db.execute(sql("imports.rejects"), values).fetchall()


def _stage(db: Connection, arrivals: Iterable[Arrival]) -> None:
    db.execute(sql("imports.make_arrivals"))
    encode = msgspec.json.Encoder().encode
    rows = 0
    with db.cursor() as cursor, cursor.copy(sql("imports.copy_arrivals")) as copy:
        for a in arrivals:
            verdict = "invalid" if a.fault else None
            fields = encode(a.fields).decode()
            copy.write_row((a.line, a.email, a.first_name, a.last_name, a.company, fields, a.raw, verdict, a.fault))
            rows += 1
    if rows > _FEW:
        db.execute(sql("imports.analyse_arrivals"))


def _put_on_list(db: Connection, workspace_id: int, list_id: int) -> None:
    """Late, because it holds the list: whoever wants to start a campaign on it waits from here to the end."""
    lists.hold_shared(db, workspace_id, list_id)
    if lists.read(db, workspace_id, list_id)["archived_at"] is not None:
        raise StateError("The list is archived; leads are added to lists in use.", code="list_archived")
    db.execute(sql("imports.put_on_list"), {"list_id": list_id})
    walks.enroll_arrivals(db, list_id)
