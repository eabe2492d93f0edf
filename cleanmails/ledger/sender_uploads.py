"""Files of senders: what became of each row, and the tests that follow. What stood in a row is not kept, because there are passwords in it."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from cleanmails.errors import Fault, NotFoundError
from cleanmails.ledger.columns import columns
from cleanmails.ledger.db import Connection, Row
from cleanmails.ledger.statements import sql

Verdict = Literal["created", "updated", "skipped", "invalid"]


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a row; `waits`: its sender is to be tested."""

    line: int
    address: str
    verdict: Verdict
    faults: Sequence[Fault] = ()
    sender_id: int | None = None
    waits: bool = False


def keep(
    db: Connection, workspace_id: int, filename: str, taken: Sequence[Taken], ignored: Sequence[str], *, now: datetime
) -> int:
    """Writes down what became of a file; the id of that."""
    counts = Counter(each.verdict for each in taken)
    values = {
        "workspace_id": workspace_id,
        "filename": filename,
        "rows": len(taken),
        "ignored_columns": list(ignored),
        "now": now,
        **{verdict: counts[verdict] for verdict in ("created", "updated", "skipped", "invalid")},
    }
    row = db.execute(sql("sender_uploads.insert"), values).fetchone()
    assert row is not None
    rows = [
        (each.line, each.address, each.verdict, _json(each.faults), each.sender_id, "waiting" if each.waits else None)
        for each in taken
    ]
    names = ("lines", "addresses", "verdicts", "faults", "senders", "tests")
    db.execute(sql("sender_uploads.insert_rows"), columns(names, rows) | {"upload_id": row["id"]})
    return int(row["id"])


def read(db: Connection, workspace_id: int, upload_id: int) -> Row:
    """An upload with its totals, and how many tests are `waiting`, have `passed` and `failed`. NotFoundError."""
    row = db.execute(sql("sender_uploads.read"), {"workspace_id": workspace_id, "id": upload_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such upload.")
    return row


def page(db: Connection, workspace_id: int, *, after: int | None, limit: int) -> list[Row]:
    """Uploads as `read` gives them, in order of their ids."""
    values = {"workspace_id": workspace_id, "after": after or 0, "limit": limit}
    return db.execute(sql("sender_uploads.page"), values).fetchall()


def rows(db: Connection, upload_id: int, *, after: int | None, limit: int) -> list[Row]:
    """What became of the rows of an upload, by their lines."""
    return db.execute(
        sql("sender_uploads.rows"), {"upload_id": upload_id, "after": after or 0, "limit": limit}
    ).fetchall()


def take(db: Connection, limit: int) -> list[Row]:
    """Senders that wait for their test, for two minutes the caller's: `workspace_id`, `upload_id`, `line`, `sender_id`."""
    return db.execute(sql("sender_uploads.take"), {"limit": limit}).fetchall()


def tested(db: Connection, upload_id: int, line: int, faults: Sequence[Fault]) -> None:
    """A sender was tested; `faults` are what its servers have against it, none if it has passed."""
    values = {"upload_id": upload_id, "line": line, "test": "failed" if faults else "passed", "faults": _json(faults)}
    db.execute(sql("sender_uploads.tested"), values)


def _json(faults: Sequence[Fault]) -> str:
    return msgspec.json.encode(faults).decode()
