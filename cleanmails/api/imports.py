"""Files of leads: received in pieces, looked into, mapped by a person, taken by a worker, and the rows that were not taken to be read and downloaded.

A small file may go straight onto a list, in one request that answers when it is done (`Uploads`): for scripts, and the same in all other ways.
"""

import io
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, Any, ClassVar, Final, Literal

import anyio
import anyio.to_thread
import msgspec
from litestar import Controller, Request, get, post
from litestar.datastructures import UploadFile
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage, Stream

from cleanmails import log
from cleanmails.actors.imports import Options
from cleanmails.api.auth import Principal
from cleanmails.api.body import Id
from cleanmails.api.events import streams
from cleanmails.api.fields import SourceNote, Tag
from cleanmails.api.given import Given
from cleanmails.api.pages import Page, Window, page
from cleanmails.api.reference import also
from cleanmails.errors import BusyError, Fault, InvalidError, StateError
from cleanmails.ledger import imports, lists
from cleanmails.ledger.db import Database
from cleanmails.ledger.imports import Terms
from cleanmails.records import LawfulBasis
from cleanmails.rules import csvtext, progress, rows, xlsx
from cleanmails.rules.csvtext import Row

UPLOAD_LIMIT: Final = 10_000_000
"""Bytes of one file that is taken while its sender waits, with what a form puts around it."""

FILE_LIMIT: Final = 2**31
"""Bytes of one file that a worker takes."""

_TOO_LARGE: Final = f"A file is taken here up to {UPLOAD_LIMIT // 1_000_000} MB. Send a larger one to POST /v1/outreach/imports, then start it with this list_id: it may have 2 GB."

REJECTS_SHOWN: Final = 100
STREAM_SECONDS: Final = 600
_CHUNK: Final = 65_536
_IN_MEMORY: Final = 1_000_000
_ROWS_AT_ONCE: Final = 5_000
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_PLAIN: Final = frozenset(
    {"text/csv", "text/plain", "text/tab-separated-values", "application/csv", "application/octet-stream", _XLSX}
)
_OVER: Final = frozenset({"done", "failed", "cancelled"})

_log = log.get(__name__)

ImportState = Literal["mapping", "queued", "running", "done", "failed", "cancelled"]


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a file: its name in the first row, what it is proposed to mean, how many of the rows of the preview fill it."""

    name: str
    target: Annotated[
        str | None,
        msgspec.Meta(
            description="`email`, `first_name`, `last_name`, `company`, `full_name`, the name of a field, or null: left out."
        ),
    ]
    filled: int


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """The first rows of a file as they stand, the header included, and what its columns seem to mean. Cells are cut to 200 characters."""

    header: bool
    columns: list[Column]
    rows: list[list[str]]


class ImportProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a running import is: `done` is a share from 0 to 1. It is read row by row (`reading`), then taken as a whole (`taking`)."""

    phase: Literal["reading", "taking"]
    done: float
    seconds_left: float | None
    rows_read: int


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """So many of the leads taken have nothing in a field that the mails of a campaign on their list need, without a fallback."""

    campaign_id: int
    campaign: str
    field: str
    leads: int


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """A file of leads. Once it is `done`: rows = created + updated + duplicate + suppressed + invalid. Before that, nothing of it is taken.

    `mapping`: say what its columns mean (`start`); `queued`, `running`: a worker's turn; `failed`: `faults` say why. `indexing`: it is done, but for a
    while more (under a minute for a million) a search by words does not find all of its leads yet, and `lead.created` is still to be told of them.
    """

    id: int
    list_id: int | None
    filename: str
    state: ImportState
    kind: Literal["csv", "xlsx"]
    bytes: int
    rows: int
    created: int
    updated: int
    duplicate: int
    suppressed: int
    invalid: int
    preview: Preview | None
    progress: ImportProgress | None
    faults: list[Fault]
    missing: list[Missing]
    indexing: bool
    created_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None


class ImportStart(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is to be taken. What is left out is as it was proposed.

    `columns` says for each column of the file, in order, what it means: see `target` of the preview. `existing`: leads that are there already are updated
    by what a row says (what it leaves empty stays), or left as they are (`skip`; they count as `duplicate`). `source` and `lawful_basis` (GDPR, article 6)
    are kept with leads that have none yet; `tags` join those they have.
    """

    columns: (
        Annotated[
            list[Annotated[str, msgspec.Meta(max_length=100)] | None],
            msgspec.Meta(min_length=1, max_length=rows.MOST_COLUMNS),
        ]
        | None
    ) = None
    header: bool | None = None
    list_id: Id | None = None
    existing: Literal["update", "skip"] = "update"
    source: SourceNote = ""
    lawful_basis: LawfulBasis | None = None
    tags: Annotated[list[Tag], msgspec.Meta(max_length=20)] = []


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was not taken: the line it begins in (the header is line 1), why, and its text (at most 2,000 characters)."""

    line: int
    verdict: Literal["duplicate", "suppressed", "invalid"]
    reason: str
    raw: str


class Uploaded(Import, frozen=True, kw_only=True):
    """An import just made; `rejects` are the first hundred of the rows that were not taken."""

    rejects: list[Reject]


@dataclass
class UploadOperation(Operation):
    """Says in the reference what the handler reads from the request itself."""

    kinds: ClassVar[tuple[str, ...]] = ("text/csv",)

    def __post_init__(self) -> None:
        text = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        form = Schema(type=OpenAPIType.OBJECT, properties={"file": text}, required=["file"])
        bodies = {"multipart/form-data": OpenAPIMediaType(form)} | {each: OpenAPIMediaType(text) for each in self.kinds}
        self.request_body = RequestBody(content=bodies, required=True)


@dataclass
class FileOperation(UploadOperation):
    """The same for a file that may be a workbook."""

    kinds: ClassVar[tuple[str, ...]] = ("text/csv", _XLSX)


class Uploads(Controller):
    """`/v1/outreach/lists/{id}/upload`."""

    path = "/v1/outreach/lists"
    tags = ("lists",)

    @post(
        "/{list_id:int}/upload",
        request_max_body_size=UPLOAD_LIMIT,
        responses=also(409),
        operation_class=UploadOperation,
    )
    async def upload(
        self,
        request: Request[Any, Any, Any],
        list_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        filename: FromQuery[str] = "",
    ) -> Uploaded:
        """Upload a small file of leads straight onto a list, and wait for it: a form with the field `file`, or the CSV itself as `text/csv`. At most 10 MB.

        For scripts; a larger file, a workbook, or one whose columns are to be mapped goes by `POST /v1/outreach/imports`. The first line names the columns.
        One holds the e-mail addresses; first name, last name and company are found by their usual names, and every other column becomes a field for
        use in mails. Delimiter (`,` `;` tab `|`), line ends, encoding (UTF-8, UTF-16, Windows-1252) and quotes are found out.
        Each row gets a verdict: `created`, `updated` (the address is known), `duplicate` (it stands in an earlier line), `suppressed`, or `invalid`;
        broken rows do not keep the good ones from being taken.
        """
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            try:
                name = await receive(request, file) or filename
            except RequestEntityTooLarge as error:
                raise RequestEntityTooLarge(detail=_TOO_LARGE) from error
            take = partial(_take, database, principal.workspace_id, list_id, file, name)
            return await anyio.to_thread.run_sync(take)


class Imports(Controller):
    """`/v1/outreach/imports`."""

    path = "/v1/outreach/imports"
    tags = ("lists",)

    @post(request_max_body_size=FILE_LIMIT, operation_class=FileOperation)
    async def create(
        self,
        request: Request[Any, Any, Any],
        database: Given[Database],
        principal: Given[Principal],
        filename: FromQuery[str] = "",
    ) -> Import:
        """Upload a file of leads, to be mapped and started then: CSV or XLSX, as a form with the field `file` or as the body itself. At most 2 GB.

        The answer shows its first rows and proposes what each column means. Delimiter (`,` `;` tab `|`), line ends, encoding (UTF-8, UTF-16,
        Windows-1252) and quotes are found out. Of a workbook the first visible sheet counts, and of a formula its value. Nothing is taken before `start`;
        a file that is not started within a week is forgotten.
        """
        workspace = principal.workspace_id
        import_id = await anyio.to_thread.run_sync(_begin, database, workspace, filename)
        try:
            name, size = await _spool(request, partial(_put_piece, database, import_id))
            return await anyio.to_thread.run_sync(_look_into, database, workspace, import_id, name or filename, size)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_forget, database, import_id)
            raise

    @get(sync_to_thread=True)
    def list_all(
        self,
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        list_id: Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1)] = None,
    ) -> Page[Import]:
        """List the imports, oldest first, of one list or all."""
        with database.transaction() as db:
            found = imports.page(db, principal.workspace_id, list_id=list_id, after=window.after, limit=window.fetch)
        return page(found, window, _import)

    @get("/{import_id:int}", sync_to_thread=True)
    def read(self, import_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> Import:
        """Read how far a file is, or what became of it. Before its start: its first rows, and what its columns seem to mean."""
        with database.transaction() as db:
            return _import(imports.read(db, principal.workspace_id, import_id))

    @post("/{import_id:int}/start", sync_to_thread=True, status_code=202, responses=also(409))
    def start(
        self,
        import_id: FromPath[int],
        data: JSONBody[ImportStart],
        database: Given[Database],
        principal: Given[Principal],
    ) -> Import:
        """Let a worker take a file, with its columns as proposed or as said here. Follow it by `GET` or by `progress`.

        Its rows are taken all at once at the end, or none of them.
        """
        workspace = principal.workspace_id
        with database.transaction() as db:
            row = imports.read(db, workspace, import_id)
            if row["state"] != "mapping":
                raise StateError("The import has been started, or is over.", code="import_started")
            if data.list_id is not None:
                lists.read(db, workspace, data.list_id)
            options = _options(data, msgspec.convert(row["preview"], Preview))
            imports.enqueue(db, workspace, import_id, data.list_id, msgspec.json.encode(options))
            return _import(imports.read(db, workspace, import_id))

    @post("/{import_id:int}/cancel", sync_to_thread=True, status_code=200, responses=also(409))
    def cancel(self, import_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> Import:
        """End an import before its rows are taken; nothing of it comes after this. One that is over answers 409 (`import_over`)."""
        with database.transaction() as db:
            imports.cancel(db, principal.workspace_id, import_id)
            return _import(imports.read(db, principal.workspace_id, import_id))

    @get("/{import_id:int}/progress", sync_to_thread=True, media_type="text/event-stream")
    def progress(
        self,
        import_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        seconds: Annotated[
            int, QueryParameter(ge=0, le=STREAM_SECONDS, description="After so long it ends; the client comes back.")
        ] = STREAM_SECONDS,
    ) -> ServerSentEvent:
        """Follow an import as server-sent events: the import as `GET` shows it, each time that it has changed, until it is over."""

        def look() -> Import:
            with database.transaction() as db:
                return _import(imports.read(db, principal.workspace_id, import_id))

        first = look()
        streams.enter()
        return ServerSentEvent(
            _follow(look, first, seconds), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )

    @get("/{import_id:int}/rejects", sync_to_thread=True)
    def rejects(
        self,
        import_id: FromPath[int],
        database: Given[Database],
        principal: Given[Principal],
        window: Given[Window],
        verdict: FromQuery[Literal["duplicate", "suppressed", "invalid"] | None] = None,
    ) -> Page[Reject]:
        """List the rows that were not taken, by their line; of one verdict or all."""
        with database.transaction() as db:
            imports.read(db, principal.workspace_id, import_id)
            found = imports.rejects(
                db, principal.workspace_id, import_id, after=window.after, limit=window.fetch, verdict=verdict
            )
        return page(found, window, _reject, key="line")

    @get("/{import_id:int}/rejects.csv", sync_to_thread=True, media_type="text/csv")
    def rejects_csv(self, import_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> Stream:
        """Download the rows that were not taken, as CSV that is safe to open in a spreadsheet."""
        with database.transaction() as db:
            imports.read(db, principal.workspace_id, import_id)
        headers = {"Content-Disposition": f'attachment; filename="import-{import_id}-rejects.csv"'}
        return Stream(_csv(database, principal.workspace_id, import_id), media_type="text/csv", headers=headers)


async def receive(request: Request[Any, Any, Any], file: IO[bytes]) -> str:
    """The request's file into `file`, and its name. A slow sender so holds neither a connection to the ledger nor a list."""
    kind, _ = request.content_type
    if kind in _PLAIN:
        async for chunk in request.stream():
            file.write(chunk)
        return ""
    sent = await _sent(request)
    while chunk := await sent.read(_CHUNK):
        file.write(chunk)
    return sent.filename


async def _sent(request: Request[Any, Any, Any]) -> UploadFile:
    """The file of a form."""
    kind, _ = request.content_type
    form = await request.form() if kind == "multipart/form-data" else {}
    sent = next((value for value in form.values() if isinstance(value, UploadFile)), None)
    if sent is None:
        message = "Send the file in the field file of a form (multipart/form-data), or as the body with Content-Type: text/csv."
        raise InvalidError([Fault("file", "required", message)])
    return sent


def _take(database: Database, workspace_id: int, list_id: int, file: IO[bytes], filename: str) -> Uploaded:
    file.seek(0)
    name = filename.replace("\0", "")[:255]
    with database.transaction() as db:
        arrivals = rows.arrivals(csvtext.rows(iter(partial(file.read, _CHUNK), b"")))
        totals = imports.take(db, workspace_id, list_id, arrivals)
        import_id = imports.keep(db, workspace_id, list_id, name, totals, size=file.tell())
        row = imports.read(db, workspace_id, import_id)
        first = imports.rejects(db, workspace_id, import_id, after=None, limit=REJECTS_SHOWN)
    _log.info("import.taken", import_id=import_id, list_id=list_id, **msgspec.structs.asdict(totals))
    made = {each: getattr(_import(row), each) for each in Import.__struct_fields__}
    return Uploaded(**made, rejects=[_reject(each) for each in first])


def _csv(database: Database, workspace_id: int, import_id: int) -> Iterator[str]:
    """Page by page, so that neither memory nor a transaction grows with the file."""
    columns = ("line", "verdict", "reason", "raw")
    yield csvtext.written([columns])
    after = None
    while True:
        with database.transaction() as db:
            found = imports.rejects(db, workspace_id, import_id, after=after, limit=_ROWS_AT_ONCE)
        if not found:
            return
        yield csvtext.written([row[name] for name in columns] for row in found)
        after = found[-1]["line"]


async def _spool(request: Request[Any, Any, Any], put: Callable[[int, bytes], None]) -> tuple[str, int]:
    """The request's file in pieces; its name and its size. No transaction is open while its sender is slow."""
    held, number, size = bytearray(), 0, 0
    kind, _ = request.content_type
    sent = None if kind in _PLAIN else await _sent(request)
    async for chunk in request.stream() if sent is None else _chunks(sent):
        held += chunk
        while len(held) >= imports.PIECE:
            await anyio.to_thread.run_sync(put, number, bytes(held[: imports.PIECE]))
            del held[: imports.PIECE]
            number, size = number + 1, size + imports.PIECE
    if held:
        await anyio.to_thread.run_sync(put, number, bytes(held))
    return "" if sent is None else sent.filename, size + len(held)


async def _chunks(sent: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await sent.read(imports.PIECE):
        yield chunk


def _begin(database: Database, workspace_id: int, filename: str) -> int:
    with database.transaction() as db:
        return imports.receive(db, workspace_id, filename[:255])


def _put_piece(database: Database, import_id: int, number: int, data: bytes) -> None:
    with database.transaction() as db:
        imports.put_piece(db, import_id, number, data)


def _forget(database: Database, import_id: int) -> None:
    with database.transaction() as db:
        imports.forget(db, import_id)


def _look_into(database: Database, workspace_id: int, import_id: int, filename: str, size: int) -> Import:
    """Reads the first rows of a file that is whole. InvalidError for what is none of leads."""
    file = imports.File(database, import_id, size)
    start = next(file.pieces(), b"")
    if start.startswith(xlsx.OLD_MARK):
        message = "This is an old workbook (XLS), or one under a password: save it as XLSX without one, or as CSV."
        raise InvalidError([Fault("file", "old_workbook", message)])
    kind: Literal["csv", "xlsx"] = "xlsx" if start.startswith(xlsx.MARK) else "csv"
    table: Iterator[Row] = (
        xlsx.rows(io.BufferedReader(file, imports.PIECE)) if kind == "xlsx" else csvtext.rows(file.pieces())
    )
    preview = msgspec.json.encode(rows.propose(table))
    name = filename.replace("\0", "")[:255]
    with database.transaction() as db:
        imports.received(db, import_id, kind=kind, filename=name, size=size, preview=preview)
        return _import(imports.read(db, workspace_id, import_id))


def _options(data: ImportStart, preview: Preview) -> Options:
    """What was said, and what was proposed where nothing was. InvalidError names the columns that cannot be."""
    columns = [each.target for each in preview.columns] if data.columns is None else list(data.columns)
    if len(columns) != len(preview.columns):
        message = f"The file has {len(preview.columns)} columns; say of each what it means, null for those left out."
        raise InvalidError([Fault("columns", "columns", message)])
    rows.chosen(columns)
    return Options(
        columns=columns,
        header=preview.header if data.header is None else data.header,
        terms=Terms(
            existing=data.existing,
            source=data.source.strip(),
            lawful_basis=data.lawful_basis or "",
            tags=tuple(tag.strip() for tag in data.tags),
        ),
    )


async def _follow(look: Callable[[], Import], first: Import, seconds: int) -> AsyncIterator[ServerSentEventMessage]:
    """Looks twice a second, tells what changed, and breaks the silence each fifteen seconds. The ledger out of reach ends it; the browser comes back."""
    try:
        ends, seen, quiet = anyio.current_time() + seconds, b"", 0
        now = first
        while True:
            text = msgspec.json.encode(now)
            quiet = 0 if text != seen else quiet + 1
            if text != seen:
                yield ServerSentEventMessage(data=text.decode(), event="import", retry=2_000)
                seen = text
            elif quiet % 30 == 0:
                yield ServerSentEventMessage(data=None, comment="still here")
            if now.state in _OVER or anyio.current_time() >= ends:
                return
            await anyio.sleep(min(0.5, max(0.0, ends - anyio.current_time())))
            now = await anyio.to_thread.run_sync(look)
    except BusyError:
        return
    finally:
        streams.leave()


def _import(row: dict[str, Any]) -> Import:
    return msgspec.convert(row | {"progress": _progress(row), "indexing": row["phase"] == "indexing"}, Import)


def _progress(row: dict[str, Any]) -> dict[str, Any] | None:
    if row["state"] != "running":
        return None
    taking = None if row["taking_at"] is None else (row["now"] - row["taking_at"]).total_seconds()
    reading = (row["now"] - row["begun_at"]).total_seconds()
    far = progress.of(read=row["bytes_read"], size=row["bytes"], reading=reading, taking=taking)
    return msgspec.structs.asdict(far) | {"phase": row["phase"], "rows_read": row["rows_read"]}


def _reject(row: dict[str, Any]) -> Reject:
    return msgspec.convert(row, Reject)
