"""Suppressions as files: a whole list taken in, or all of them handed out."""

from collections.abc import Iterator, Sequence
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

import anyio.to_thread
import msgspec
from litestar import Controller, Request, get, post
from litestar.response import Stream

from cleanmails import log
from cleanmails.api.auth import Principal
from cleanmails.api.given import Given
from cleanmails.api.imports import UPLOAD_LIMIT, UploadOperation, receive
from cleanmails.ledger import suppressions
from cleanmails.ledger.db import Database
from cleanmails.ledger.suppressions import Entry
from cleanmails.rules import address, csvtext

_CHUNK: Final = 65_536
_IN_MEMORY: Final = 1_000_000
_ROWS_AT_ONCE: Final = 1_000
_SHOWN: Final = 100
_COLUMNS: Final = ("value", "kind", "reason", "source", "note", "created_at")
_NAMES: Final = frozenset({"value", "email", "e-mail", "email address", "address", "domain"})

_log = log.get(__name__)


class BadLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that names neither an address nor a domain."""

    line: int
    reason: str


class SuppressionUpload(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file: rows = added + known + invalid. `bad_lines` are the first hundred of the invalid ones."""

    rows: int
    added: int
    known: int
    invalid: int
    bad_lines: list[BadLine]


class SuppressionFiles(Controller):
    """`/v1/outreach/suppressions` as CSV."""

    path = "/v1/outreach/suppressions"
    tags = ("suppressions",)

    @post("/upload", request_max_body_size=UPLOAD_LIMIT, status_code=200, operation_class=UploadOperation)
    async def upload(
        self, request: Request[Any, Any, Any], database: Given[Database], principal: Given[Principal]
    ) -> SuppressionUpload:
        """Upload addresses and domains that are never to be mailed, as CSV or one a line. At most 10 MB.

        Of several columns the one called value, email, address or domain counts, else the first. Their leads' walks end; when this has answered,
        no mail to them starts. It goes by a thousand rows at a time: a file that is broken off may be sent again.
        """
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            await receive(request, file)
            return await anyio.to_thread.run_sync(_take, database, principal.workspace_id, file)

    @get("/download", sync_to_thread=True, media_type="text/csv")
    def download(self, database: Given[Database], principal: Given[Principal]) -> Stream:
        """Download all suppressions as CSV that is safe to open in a spreadsheet."""
        headers = {"Content-Disposition": 'attachment; filename="suppressions.csv"'}
        return Stream(_csv(database, principal.workspace_id), media_type="text/csv", headers=headers)


def _take(database: Database, workspace_id: int, file: IO[bytes]) -> SuppressionUpload:
    file.seek(0)
    column, rows, added, bad, invalid = 0, 0, 0, list[BadLine](), 0
    waiting: list[Entry] = []
    for number, row in enumerate(csvtext.rows(iter(partial(file.read, _CHUNK), b""))):
        if number == 0 and (named := _named(row.cells)) is not None:
            column = named
            continue
        rows += 1
        try:
            waiting.append(_entry(row.cells[column] if column < len(row.cells) else ""))
        except address.AddressError as error:
            invalid += 1
            bad += [BadLine(line=row.line, reason=row.fault or str(error))][: _SHOWN - len(bad)]
        if len(waiting) >= _ROWS_AT_ONCE:
            added += _suppress(database, workspace_id, waiting)
            waiting = []
    added += _suppress(database, workspace_id, waiting)
    _log.info("suppressions.taken", rows=rows, added=added, invalid=invalid)
    return SuppressionUpload(rows=rows, added=added, known=rows - added - invalid, invalid=invalid, bad_lines=bad)


def _named(cells: Sequence[str]) -> int | None:
    """Which column of a first line says what is in it; None if it is a row like the others."""
    return next((place for place, cell in enumerate(cells) if cell.strip().lower() in _NAMES), None)


def _entry(text: str) -> Entry:
    """AddressError."""
    text = text.strip()
    if "@" in text[1:]:
        return Entry(kind="address", value=address.recipient(text), reason="imported", source="upload")
    return Entry(kind="domain", value=address.domain(text.removeprefix("@")), reason="imported", source="upload")


def _suppress(database: Database, workspace_id: int, entries: Sequence[Entry]) -> int:
    """How many were new."""
    unique = list({(entry.kind, entry.value): entry for entry in entries}.values())
    if not unique:
        return 0
    with database.transaction() as db:
        known = suppressions.known(db, workspace_id, unique)
        suppressions.suppress_all(db, workspace_id, unique)
    return len(unique) - known


def _csv(database: Database, workspace_id: int) -> Iterator[str]:
    """Page by page, so that neither memory nor a transaction grows with the list."""
    yield csvtext.written([_COLUMNS])
    after = 0
    while True:
        with database.transaction() as db:
            found = suppressions.page(db, workspace_id, after=after, limit=_ROWS_AT_ONCE)
        if not found:
            return
        yield csvtext.written([row[name] for name in _COLUMNS] for row in found)
        after = found[-1]["id"]
