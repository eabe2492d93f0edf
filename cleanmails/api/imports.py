"""Files of leads: uploaded onto a list, row by row with a verdict, and the rows that were not taken to be read and downloaded."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, Any, Final, Literal

import anyio.to_thread
import msgspec
from litestar import Controller, Request, get, post
from litestar.datastructures import UploadFile
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream

from cleanmails import log
from cleanmails.api.auth import Principal
from cleanmails.api.given import Given
from cleanmails.api.pages import Page, Window, page
from cleanmails.api.reference import also
from cleanmails.errors import Fault, InvalidError
from cleanmails.ledger import imports
from cleanmails.ledger.db import Database
from cleanmails.rules import csvtext, rows

UPLOAD_LIMIT: Final = 50_000_000
"""Bytes of one file, with what a form puts around it."""

REJECTS_SHOWN: Final = 100
_CHUNK: Final = 65_536
_IN_MEMORY: Final = 1_000_000
_ROWS_AT_ONCE: Final = 5_000
_PLAIN: Final = frozenset(
    {"text/csv", "text/plain", "text/tab-separated-values", "application/csv", "application/octet-stream"}
)

_log = log.get(__name__)


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """What a file brought: rows = created + updated + duplicate + suppressed + invalid."""

    id: int
    list_id: int
    filename: str
    rows: int
    created: int
    updated: int
    duplicate: int
    suppressed: int
    invalid: int
    created_at: datetime


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

    def __post_init__(self) -> None:
        text = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        form = Schema(type=OpenAPIType.OBJECT, properties={"file": text}, required=["file"])
        self.request_body = RequestBody(
            content={"multipart/form-data": OpenAPIMediaType(form), "text/csv": OpenAPIMediaType(text)}, required=True
        )


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
        """Upload leads as CSV: a form with the field `file`, or the text itself as `text/csv`. At most 50 MB.

        The first line names the columns. One holds the e-mail addresses; first name, last name and company are found by their usual names, and every
        other column becomes a field for use in mails. Delimiter (`,` `;` tab `|`), line ends, encoding (UTF-8, UTF-16, Windows-1252) and quotes are found out.
        Each row gets a verdict: `created`, `updated` (the address is known), `duplicate` (it stands in an earlier line), `suppressed`, or `invalid`;
        broken rows do not keep the good ones from being taken.
        """
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            name = await receive(request, file) or filename
            take = partial(_take, database, principal.workspace_id, list_id, file, name)
            return await anyio.to_thread.run_sync(take)


class Imports(Controller):
    """`/v1/outreach/imports`."""

    path = "/v1/outreach/imports"
    tags = ("lists",)

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
        """Read what became of a file."""
        with database.transaction() as db:
            return _import(imports.read(db, principal.workspace_id, import_id))

    @get("/{import_id:int}/rejects", sync_to_thread=True)
    def rejects(
        self, import_id: FromPath[int], database: Given[Database], principal: Given[Principal], window: Given[Window]
    ) -> Page[Reject]:
        """List the rows that were not taken, by their line."""
        with database.transaction() as db:
            imports.read(db, principal.workspace_id, import_id)
            found = imports.rejects(db, principal.workspace_id, import_id, after=window.after, limit=window.fetch)
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
    form = await request.form() if kind == "multipart/form-data" else {}
    sent = next((value for value in form.values() if isinstance(value, UploadFile)), None)
    if sent is None:
        message = "Send the file in the field file of a form (multipart/form-data), or as the body with Content-Type: text/csv."
        raise InvalidError([Fault("file", "required", message)])
    while chunk := await sent.read(_CHUNK):
        file.write(chunk)
    return sent.filename


def _take(database: Database, workspace_id: int, list_id: int, file: IO[bytes], filename: str) -> Uploaded:
    file.seek(0)
    name = filename.replace("\0", "")[:255]
    with database.transaction() as db:
        arrivals = rows.arrivals(csvtext.rows(iter(partial(file.read, _CHUNK), b"")))
        totals = imports.take(db, workspace_id, list_id, arrivals)
        import_id = imports.keep(db, workspace_id, list_id, name, totals)
        row = imports.read(db, workspace_id, import_id)
        first = imports.rejects(db, workspace_id, import_id, after=None, limit=REJECTS_SHOWN)
    _log.info("import.taken", import_id=import_id, list_id=list_id, **msgspec.structs.asdict(totals))
    return Uploaded(**row, rejects=[_reject(each) for each in first])


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


def _import(row: dict[str, Any]) -> Import:
    return msgspec.convert(row, Import)


def _reject(row: dict[str, Any]) -> Reject:
    return msgspec.convert(row, Reject)
