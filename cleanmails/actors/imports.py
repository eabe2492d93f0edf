"""imports: takes files of leads into the ledger. Threads of a worker process of their own, because reading a file keeps a processor busy.

A file is read from its pieces and brought to the worker's own connection; then one transaction takes all of it, or nothing. Whatever stops the worker
before that leaves the file as it was, and another one begins anew; what was cancelled meanwhile finds no state to leave, and is rolled back. The leads of a
large file are sorted into the indexes of searches, and told of as events, after that: piece by piece, by whoever has nothing else to do.
"""

import gc
import io
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from cleanmails import log
from cleanmails.actors.work import Work, stopwatch
from cleanmails.errors import BusyError, CleanmailsError, Fault, InvalidError, NotFoundError
from cleanmails.ledger import imports, leads
from cleanmails.ledger.db import Connection, Database
from cleanmails.ledger.imports import Claim, File, Terms, Totals
from cleanmails.records import Arrivals
from cleanmails.rules import content, csvtext, rows, xlsx
from cleanmails.rules.content import parser

logger = log.get(__name__)

EVERY_SECONDS: Final = 0.5
THREADS: Final = 2
"""A large file must not keep a small one waiting."""

ARRIVING: Final = 5_000
"""Leads that are indexed and told of by one transaction: a few tenths of a second, in which nobody waits for them."""

MOST_ATTEMPTS: Final = 3
_SHED: Final = "The workers that took this import up stopped in the middle of it, three times; nothing of it was taken."


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is said at the start of an import: what the columns mean, whether the first row names them, and what holds for all leads."""

    columns: list[str | None]
    header: bool
    terms: Terms


class LostError(Exception):
    """The import is this worker's no more: cancelled, or another one has it."""


class Stopped(Exception):  # noqa: N818 - it is no error: the process was told to stop
    """The process stops; the import goes back to its place."""


def start(work: Work) -> list[threading.Thread]:
    """Starts the threads."""
    # Rows are many small objects and make no cycles: to look for some at every seven hundredth was half of the reading.
    gc.set_threshold(20_000, 50, 100)
    threads = [threading.Thread(target=keep, args=(work,), name=f"imports {n}", daemon=True) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    return threads


def keep(work: Work) -> None:
    """One thread: an import after another, until the process stops."""
    lease = work.settings.worker_lease_seconds
    while not work.stop.is_set():
        try:
            found = take_next(
                work.database, work.worker_id, lease, stopping=work.stop.is_set, wake=work.queues.plan
            ) or index_next(work.database)
        except BusyError as error:
            logger.warning("imports.wait", reason=error.message)
            found = False
        except Exception:
            logger.exception("imports.failed")
            found = False
        if not found:
            work.stop.wait(EVERY_SECONDS)


def take_next(
    database: Database,
    worker_id: int,
    lease: float,
    *,
    stopping: Callable[[], bool] = lambda: False,
    wake: Callable[[], object] = lambda: None,
) -> bool:
    """Takes the import whose turn it is; False if there is none. `wake` is called once leads are there."""
    with database.transaction() as db:
        it = imports.claim(db, worker_id, lease)
    if it is None:
        return False
    if it.attempts > MOST_ATTEMPTS:
        _fail(database, it, [Fault("file", "given_up", _SHED)])
        return True
    begun = stopwatch()
    try:
        totals = _take(database, it, stopping)
    except Stopped:
        _give_back(database, it, stopping)
    except (LostError, NotFoundError):
        logger.info("import.left", import_id=it.id)
        _drop(database, it)
    except InvalidError as error:
        _fail(database, it, error.faults)
    except BusyError as error:
        logger.warning("import.put_back", import_id=it.id, reason=error.message)
        _give_back(database, it, stopping)
    except CleanmailsError as error:
        _fail(database, it, [Fault("list_id", error.code, error.message)])
    else:
        _drop(database, it)
        wake()
        figures = msgspec.structs.asdict(totals)
        logger.info(
            "import.taken", import_id=it.id, list_id=it.list_id, seconds=round(stopwatch() - begun, 1), **figures
        )
    return True


def index_next(database: Database) -> bool:
    """Has the next leads arrive of an import that is done: they are found by searches then, and told of. False if there are none."""
    with database.transaction() as db:
        found = imports.arrive(db, ARRIVING)
    if found:
        with database.transaction() as db:
            leads.sort_in(db)
    return found


def _give_back(database: Database, it: Claim, stopping: Callable[[], bool]) -> None:
    """Puts an import back in its place, also where the ledger is away for a while: what a living worker holds, nobody else takes."""
    while True:
        try:
            with database.transaction() as db:
                imports.release(db, it)
        except BusyError:
            if stopping():
                return  # and so it is a dead worker's
        else:
            return


def _take(database: Database, it: Claim, stopping: Callable[[], bool]) -> Totals:
    options = msgspec.convert(it.options, Options)
    file = File(database, it.id, it.bytes)
    count = 0
    with database.session() as db:
        for count in imports.bring(db, _batches(file, it.kind, options)):
            if stopping():
                raise Stopped
            _tell(database, it, "reading", count, file.furthest)
        _tell(database, it, "taking", count, it.bytes)
        large = count > imports.FEW
        with db.transaction():
            totals = imports.take_brought(
                db, it.workspace_id, it.list_id, options.terms, large=large, arriving=it.id if large else None
            )
            missing = [] if it.list_id is None else list(_missing(db, it.workspace_id, it.list_id))
            if not imports.finish(db, it, totals, msgspec.json.encode(missing), indexing=large):
                raise LostError
    return totals


def _batches(file: File, kind: str, options: Options) -> Iterator[Arrivals]:
    known = rows.chosen(options.columns)
    table = csvtext.rows(file.pieces()) if kind == "csv" else xlsx.rows(io.BufferedReader(file, imports.PIECE))
    if options.header:
        next(table, None)
    while batch := list(islice(table, imports.BATCH)):
        yield rows.verdicts(batch, known)


def _missing(db: Connection, workspace_id: int, list_id: int) -> Iterator[dict[str, Any]]:
    """By campaign that the list feeds, and field that its mails need: how many of the leads just taken have nothing in it."""
    needed: dict[tuple[int, str], set[str]] = {}
    for row in imports.needs(db, workspace_id, list_id):
        texts = [parser.read(each, "subject")[0] for each in row["subjects"]] + [parser.read(row["body"], "body")[0]]
        names = needed.setdefault((row["id"], row["name"]), set())
        names.update(name.lower() for text in texts for name in content.required_fields(text))
    lacking = imports.lacking(db, sorted(set().union(*needed.values()))) if needed else {}
    for (campaign_id, name), fields in needed.items():
        for field in sorted(fields & lacking.keys()):
            yield {"campaign_id": campaign_id, "campaign": name, "field": field, "leads": lacking[field]}


def _tell(database: Database, it: Claim, phase: Any, count: int, size: int) -> None:  # noqa: ANN401 - one of two words
    with database.transaction() as db:
        if not imports.progress(db, it, phase=phase, rows=count, size=size):
            raise LostError


def _fail(database: Database, it: Claim, faults: list[Fault]) -> None:
    with database.transaction() as db:
        imports.fail(db, it, faults)
    _drop(database, it)
    logger.info("import.refused", import_id=it.id, codes=[fault.code for fault in faults])


def _drop(database: Database, it: Claim) -> None:
    with database.transaction() as db:
        imports.drop_pieces(db, it.id)
