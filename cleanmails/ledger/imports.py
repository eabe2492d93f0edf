"""Imports: how leads come into a workspace and onto a list, one or a million, by whole sets.

An import suppresses nothing and never takes a suppression back: rows of suppressed addresses are counted and not added. A file is a job (`receive` to
`finish`): its pieces lie in the ledger, which all processes share; whoever claims it brings the rows to its own connection by many short transactions
(`bring`) and takes them by one (`take`), whose last word is `finish`. A crash, a cancel or a second worker before that leaves nothing. What can wait comes
after it by short transactions again (`arrive`).
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, count, islice
from typing import Any, Final, Literal

import msgspec
import psycopg

from cleanmails.errors import BusyError, Fault, NotFoundError, StateError
from cleanmails.ledger import lists, walks
from cleanmails.ledger.db import Connection, Database, Row
from cleanmails.ledger.statements import sql
from cleanmails.records import Arrival, Arrivals

PIECE: Final = 1_048_576
"""Bytes of a piece of a file; only its last one is shorter."""

BATCH: Final = 2_000
"""Rows that are read and brought at a time: few enough to stay in a processor's caches."""

_AT_ONCE: Final = 10  # batches that are brought by one transaction
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
FEW: Final = 1_000
"""Rows up to which a join is quick without statistics."""


class Totals(msgspec.Struct, frozen=True):
    """What became of the rows of an import: rows = created + updated + duplicate + suppressed + invalid."""

    rows: int
    created: int
    updated: int
    duplicate: int
    suppressed: int
    invalid: int


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all leads of an import. `existing`: leads that are there already are updated, or left as they are (and count as `duplicate`).

    `source` and `lawful_basis` are kept where a lead has none yet; `tags` join those it has.
    """

    existing: Literal["update", "skip"] = "update"
    source: str = ""
    lawful_basis: str = ""
    tags: tuple[str, ...] = ()


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An import in a worker's hands. `options` is what was said at its start; `token` fences off whoever had it before."""

    id: int
    workspace_id: int
    list_id: int | None
    kind: Literal["csv", "xlsx"]
    bytes: int
    options: dict[str, Any]
    attempts: int
    token: int


PLAIN: Final = Terms()


def take(
    db: Connection,
    workspace_id: int,
    list_id: int | None,
    arrivals: Iterable[Arrival],
    terms: Terms = PLAIN,
) -> Totals:
    """Takes leads into the workspace and onto a list, and enrolls them in the running campaigns that it feeds; at most once a transaction.

    `arrivals` may come as slowly as memory likes: they are streamed to the server. NotFoundError, StateError (`list_archived`); BusyError where
    another transaction creates one of many leads at the same moment.
    """
    if list_id is not None:
        lists.read(db, workspace_id, list_id)
    db.execute(sql("imports.make_arrivals"))
    rows = _copy(db, arrivals)
    return take_brought(db, workspace_id, list_id, terms, large=rows > FEW)


def take_brought(
    db: Connection,
    workspace_id: int,
    list_id: int | None,
    terms: Terms = PLAIN,
    *,
    large: bool,
    arriving: int | None = None,
) -> Totals:
    """The same of rows that stand in `arrivals` already. Of many leads, the index of searches and the events may be left to `arrive`: `arriving` is the import."""
    workspace = {"workspace_id": workspace_id}
    given = workspace | msgspec.structs.asdict(terms) | {"tags": sorted(set(terms.tags)), "arriving": arriving}
    db.execute(sql("imports.make_refused"))
    db.execute(sql("imports.make_taken"))
    if large:
        db.execute(sql("imports.allow_memory"))
        db.execute(sql("imports.hold_workspace"), workspace)
        db.execute(sql("imports.analyse_arrivals"))
    db.execute(sql("imports.refuse_invalid"))
    db.execute(sql("imports.refuse_suppressed"), workspace)
    db.execute(sql("imports.refuse_duplicates"))
    if large:
        db.execute(sql("imports.analyse_refused"))
    known = sql("imports.recognise") if terms.existing == "update" else sql("imports.refuse_known")
    db.execute(known, workspace)
    if large:
        db.execute(sql("imports.analyse_taken"))
    _create(db, given, large=large)
    if arriving is None:
        data = {} if list_id is None else {"list_id": list_id}
        db.execute(sql("imports.tell_created"), workspace | {"data": msgspec.json.encode(data).decode()})
    if large:
        db.execute(sql("imports.analyse_taken"))
    if terms.existing == "update" and (
        news := [row["lead_id"] for row in db.execute(sql("imports.brings_news"), given)]
    ):
        walks.free_held(db, workspace_id, lead_ids=news)
        db.execute(sql("imports.update_known"), given)
    if list_id is not None:
        _put_on_list(db, workspace_id, list_id)
    row = db.execute(sql("imports.totals")).fetchone()
    return msgspec.convert(row, Totals)


def bring(db: Connection, batches: Iterable[Arrivals]) -> Iterator[int]:
    """Brings rows to this connection, which no transaction may be open on; yields how many have come so far, after each few batches."""
    db.execute(sql("imports.keep_arrivals"))
    rest, rows = iter(batches), 0
    while first := next(rest, None):
        others: list[Arrival] = []
        with (
            db.cursor() as cursor,
            cursor.copy(sql("imports.copy_leads")) as copy,
        ):  # the server reads one batch while we make the next
            for batch in chain([first], islice(rest, _AT_ONCE - 1)):
                copy.write(_lines(batch))
                others += batch.others
                rows += len(batch.line) + len(batch.others)
        _copy(db, others)
        yield rows


def outcomes(db: Connection) -> list[Row]:
    """What became of each row that `take` took in this transaction: `line`, `email`, `lead_id`, `verdict`, `reason`."""
    return db.execute(sql("imports.outcomes")).fetchall()


def keep(db: Connection, workspace_id: int, list_id: int, filename: str, totals: Totals, *, size: int = 0) -> int:
    """Writes down an import that `take` did in this transaction, with the rows that were not taken; returns its id."""
    values = {"workspace_id": workspace_id, "list_id": list_id, "filename": filename, "bytes": size}
    row = db.execute(sql("imports.insert_done"), msgspec.structs.asdict(totals) | values).fetchone()
    assert row is not None
    db.execute(sql("imports.keep_rejects"), {"id": row["id"]})
    return int(row["id"])


def lacking(db: Connection, names: Sequence[str]) -> dict[str, int]:
    """By field (lower case): how many of the leads taken in this transaction have nothing in it; fields that all have are left out."""
    return {row["name"]: row["leads"] for row in db.execute(sql("imports.lacking"), {"names": list(names)})}


def needs(db: Connection, workspace_id: int, list_id: int) -> list[Row]:
    """The mails of the campaigns that a list feeds and that are not completed: `id` and `name` of the campaign, `subjects`, `body`."""
    return db.execute(sql("imports.needs"), {"workspace_id": workspace_id, "list_id": list_id}).fetchall()


def read(db: Connection, workspace_id: int, import_id: int) -> Row:
    """`id`, `list_id`, `filename`, `state`, how far it is, the totals, times; and `now`, by which they are compared. NotFoundError."""
    row = db.execute(sql("imports.read_import"), {"workspace_id": workspace_id, "id": import_id}).fetchone()
    if row is None:
        raise NotFoundError("There is no such import.")
    return row


def page(db: Connection, workspace_id: int, *, list_id: int | None, after: int | None, limit: int) -> list[Row]:
    """Imports in order of their ids, into one list or all; without their previews."""
    values = {"workspace_id": workspace_id, "list_id": list_id, "after": after or 0, "limit": limit}
    return db.execute(sql("imports.page"), values).fetchall()


def rejects(
    db: Connection, workspace_id: int, import_id: int, *, after: int | None, limit: int, verdict: str | None = None
) -> list[Row]:
    """Rows that an import did not take, for one reason or any: `line`, `verdict`, `reason`, `raw`, in order of the lines."""
    values = {
        "workspace_id": workspace_id,
        "id": import_id,
        "after": after or 0,
        "limit": limit,
        "verdict": verdict,
    }
    return db.execute(sql("imports.rejects"), values).fetchall()


def receive(db: Connection, workspace_id: int, filename: str) -> int:
    """The id of a file that begins to come."""
    row = db.execute(sql("imports.receive"), {"workspace_id": workspace_id, "filename": filename}).fetchone()
    assert row is not None
    return int(row["id"])


def put_piece(db: Connection, import_id: int, number: int, data: bytes) -> None:
    """The next `PIECE` bytes of a file."""
    db.execute(sql("imports.put_piece"), {"id": import_id, "number": number, "data": data})


def received(db: Connection, import_id: int, *, kind: str, filename: str, size: int, preview: bytes) -> None:
    """The file is whole; `preview` is JSON."""
    values = {"id": import_id, "kind": kind, "filename": filename, "bytes": size, "preview": preview.decode()}
    db.execute(sql("imports.received"), values)


def forget(db: Connection, import_id: int) -> None:
    """Forgets a file that is not whole."""
    db.execute(sql("imports.forget"), {"id": import_id})


def enqueue(db: Connection, workspace_id: int, import_id: int, list_id: int | None, options: bytes) -> None:
    """Lets a worker take the file, as `options` (JSON) say. NotFoundError; StateError: `import_started`, or `list_archived`."""
    read(db, workspace_id, import_id)
    if list_id is not None and lists.read(db, workspace_id, list_id)["archived_at"] is not None:
        raise _archived()
    values = {"workspace_id": workspace_id, "id": import_id, "list_id": list_id, "options": options.decode()}
    if db.execute(sql("imports.enqueue"), values).fetchone() is None:
        raise StateError("The import has been started, or is over.", code="import_started")


def cancel(db: Connection, workspace_id: int, import_id: int) -> None:
    """Ends an import before its rows are taken; after this nothing of it comes. NotFoundError; StateError (`import_over`)."""
    read(db, workspace_id, import_id)
    if db.execute(sql("imports.cancel"), {"workspace_id": workspace_id, "id": import_id}).fetchone() is None:
        raise StateError("The import is over already.", code="import_over")
    db.execute(sql("imports.drop_pieces"), {"id": import_id})


def claim(db: Connection, worker_id: int, lease: float) -> Claim | None:
    """The next import whose turn it is, or whose worker has been silent for `lease` seconds; None if there is none."""
    row = db.execute(sql("imports.claim"), {"worker_id": worker_id, "lease": lease}).fetchone()
    return None if row is None else msgspec.convert(row, Claim)


def progress(db: Connection, it: Claim, *, phase: Literal["reading", "taking"], rows: int, size: int) -> bool:
    """Tells how many rows and bytes were read; False if it is this worker's no more."""
    values = {"id": it.id, "token": it.token, "phase": phase, "rows": rows, "bytes": size}
    return db.execute(sql("imports.progress"), values).fetchone() is not None


def finish(db: Connection, it: Claim, totals: Totals, missing: bytes, *, indexing: bool = False) -> bool:
    """The last word of the transaction that took the rows; False: it is this worker's no more, and the transaction must be rolled back.

    `indexing`: its leads are still to `arrive`.
    """
    db.execute(sql("imports.keep_rejects"), {"id": it.id})
    values = {"id": it.id, "token": it.token, "missing": missing.decode(), "indexing": indexing}
    return db.execute(sql("imports.finish"), msgspec.structs.asdict(totals) | values).fetchone() is not None


def arrive(db: Connection, limit: int) -> bool:
    """Sorts the next leads of an import that is done into the indexes of searches, and tells of them; False where there is none, or another worker has it."""
    row = db.execute(sql("imports.hold_indexing")).fetchone()
    if row is None:
        return False
    if not db.execute(sql("imports.arrive"), {"id": row["id"], "limit": limit}).rowcount:
        return db.execute(sql("imports.arrived"), {"id": row["id"]}).rowcount > 0
    return True


def fail(db: Connection, it: Claim, faults: Sequence[Fault]) -> None:
    """The file cannot be taken, and `faults` say why."""
    values = {"id": it.id, "token": it.token, "faults": msgspec.json.encode(faults).decode()}
    db.execute(sql("imports.fail"), values)


def release(db: Connection, it: Claim) -> None:
    """Puts it back in its place: the worker stops."""
    db.execute(sql("imports.release"), {"id": it.id, "token": it.token})


def drop_pieces(db: Connection, import_id: int) -> None:
    """Forgets the bytes of a file that is done with."""
    db.execute(sql("imports.drop_pieces"), {"id": import_id})


def tidy(db: Connection, *, received_before: datetime, mapped_before: datetime) -> None:
    """Forgets files that broke off, and those that nobody said a word about since."""
    db.execute(sql("imports.expire"), {"received_before": received_before, "mapped_before": mapped_before})
    db.execute(sql("imports.sweep_pieces"))


class File(io.RawIOBase):
    """A file's bytes as they lie in the ledger, read from any place; each piece by a transaction of its own. `furthest`: the last byte that was read."""

    def __init__(self, database: Database, import_id: int, size: int) -> None:
        self._database, self._id, self._size = database, import_id, size
        self._at = 0
        self._held: tuple[int, bytes] = (-1, b"")
        self.furthest = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As files do."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        """The place."""
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any buffer, as in the base class
        """What is left of the piece at this place, as far as there is room."""
        if self._at >= self._size:
            return 0
        number, offset = divmod(self._at, PIECE)
        data = self._piece(number)[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        self.furthest = max(self.furthest, self._at)
        return len(data)

    def pieces(self) -> Iterator[bytes]:
        """All of it in order."""
        for number in count():
            if number * PIECE >= self._size:
                return
            yield (piece := self._piece(number))
            self.furthest = number * PIECE + len(piece)

    def _piece(self, number: int) -> bytes:
        if self._held[0] != number:
            with self._database.transaction() as db:
                row = db.execute(sql("imports.read_piece"), {"id": self._id, "number": number}).fetchone()
            if row is None:
                raise NotFoundError("The file is gone: the import was cancelled.")
            self._held = (number, bytes(row["data"]))
        return self._held[1]


def _create(db: Connection, given: dict[str, Any], *, large: bool) -> None:
    try:
        db.execute(sql("imports.create_many") if large else sql("imports.create_leads"), given)
    except psycopg.errors.UniqueViolation as error:
        raise BusyError("Somebody else added one of these leads at this moment; it is tried again.") from error


def _copy(db: Connection, arrivals: Iterable[Arrival]) -> int:
    encode = msgspec.json.Encoder().encode
    rows = 0
    with db.cursor() as cursor, cursor.copy(sql("imports.copy_arrivals")) as copy:
        for a in arrivals:
            fields = encode(a.fields).decode() if a.fields else "{}"
            copy.write_row((a.line, a.email, a.first_name, a.last_name, a.company, fields, a.raw, a.fault))
            rows += 1
    return rows


def _lines(batch: Arrivals) -> str:
    """The text that COPY reads. What it would take for a sign of its own is looked for in the whole, and only then in each value."""
    columns = [batch.email, batch.first_name, batch.last_name, batch.company, batch.fields, batch.raw]
    text, rows = _joined(batch.line, columns), len(batch.line)
    if "\\" in text or "\r" in text or text.count("\t") != len(columns) * rows or text.count("\n") != rows:
        text = _joined(batch.line, [[value.translate(_ESCAPES) for value in column] for column in columns])
    return text


def _joined(numbers: Sequence[int], columns: Sequence[Sequence[str]]) -> str:
    return "".join([f"{line}\n" for line in map("\t".join, zip(map(str, numbers), *columns, strict=True))])


def _put_on_list(db: Connection, workspace_id: int, list_id: int) -> None:
    """Late, because it holds the list: whoever wants to start a campaign on it waits from here to the end."""
    lists.hold_shared(db, workspace_id, list_id)
    if lists.read(db, workspace_id, list_id)["archived_at"] is not None:
        raise _archived()
    db.execute(sql("imports.put_known_on_list"), {"list_id": list_id})
    db.execute(sql("imports.put_fresh_on_list"), {"list_id": list_id})
    walks.enroll_arrivals(db, list_id)


def _archived() -> StateError:
    return StateError("The list is archived; leads are added to lists in use.", code="list_archived")
