"""Files of senders: many mailboxes by one CSV file, each row with its verdict, and each new sender's servers tried out by a worker before it may send."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, Any, Final, Literal

import anyio.to_thread
import msgspec
from litestar import Controller, Request, get, post
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream
from msgspec.structs import replace

from cleanmails import log
from cleanmails.actors.trial import mailbox_of
from cleanmails.api.auth import Permission, Principal
from cleanmails.api.body import read_value
from cleanmails.api.given import Given
from cleanmails.api.imports import UploadOperation, receive
from cleanmails.api.mailbox import NEW, NewSender, SenderChange, merged, standing
from cleanmails.api.pages import Page, Window, page
from cleanmails.errors import ConflictError, Fault, InvalidError
from cleanmails.ledger import sender_uploads, senders
from cleanmails.ledger.db import Connection, Database, Row
from cleanmails.ledger.sender_uploads import Taken
from cleanmails.records import SenderStatus
from cleanmails.rules import address, csvtext, sender_rows
from cleanmails.rules.sender_rows import SenderRow
from cleanmails.vault import Vault

UPLOAD_LIMIT: Final = 5_000_000
"""Bytes of one file, with what a form puts around it."""

_CHUNK: Final = 65_536
_IN_MEMORY: Final = 1_000_000
_ROWS_AT_ONCE: Final = 500

_log = log.get(__name__)


class SenderTests(msgspec.Struct, frozen=True, kw_only=True):
    """How the tests of an upload's senders stand."""

    waiting: int
    passed: int
    failed: int


class SenderUpload(msgspec.Struct, frozen=True, kw_only=True):
    """What a file of senders brought: rows = created + updated + skipped + invalid. `ignored_columns` mean nothing here."""

    id: int
    filename: str
    rows: int
    created: int
    updated: int
    skipped: int
    invalid: int
    ignored_columns: list[str]
    tests: SenderTests
    created_at: datetime


class SenderUploadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row: the line it begins in (the header is line 1), its address, what became of it, and everything that is wrong with it or that its servers have
    against it. `test` is null where there was nothing to test.
    """

    line: int
    address: str
    verdict: Literal["created", "updated", "skipped", "invalid"]
    faults: list[Fault]
    sender_id: int | None
    test: Literal["waiting", "passed", "failed"] | None
    tested_at: datetime | None


class SenderUploads(Controller):
    """`/v1/outreach/sender-uploads`."""

    path = "/v1/outreach/sender-uploads"
    tags = ("senders",)

    @post(request_max_body_size=UPLOAD_LIMIT, operation_class=UploadOperation, needs=Permission.SETUP)
    async def upload(
        self,
        request: Request[Any, Any, Any],
        database: Given[Database],
        vault: Given[Vault],
        principal: Given[Principal],
        now: Given[datetime],
        filename: Annotated[str, QueryParameter(max_length=255)] = "",
        existing: Annotated[
            Literal["skip", "update"],
            QueryParameter(description="What becomes of an address that is a sender already."),
        ] = "skip",
    ) -> SenderUpload:
        """Upload senders as CSV: a form with the field `file`, or the text itself as `text/csv`. At most 1,000 rows.

        The first line names the columns: `address` and those of a sender's fields (`name`, `smtp_host`, `smtp_password`, `imap_host`, `daily_limit`,
        `ramp_start` ...), or as other tools call them. Where no `smtp_host` stands, the `provider` column or the address says whose settings are meant
        (see `GET /v1/outreach/sender-presets`). Each row gets a verdict with all its faults; broken rows do not keep the good ones from being taken. A new
        sender is `restricted` (`not_tested`) until a worker has tried its servers, which takes seconds; read `tests` and the rows to see how that goes.
        """
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            name = await receive(request, file) or filename
            take = partial(
                _take, database, vault, principal.workspace_id, file, name, update=existing == "update", now=now
            )
            return await anyio.to_thread.run_sync(take)

    @get(sync_to_thread=True, needs=Permission.SETUP)
    def list_all(
        self, database: Given[Database], principal: Given[Principal], window: Given[Window]
    ) -> Page[SenderUpload]:
        """List the uploads, oldest first."""
        with database.transaction() as db:
            found = sender_uploads.page(db, principal.workspace_id, after=window.after, limit=window.fetch)
        return page(found, window, _upload)

    @get("/{upload_id:int}", sync_to_thread=True, needs=Permission.SETUP)
    def read(self, upload_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> SenderUpload:
        """Read what a file brought, and how the tests stand."""
        with database.transaction() as db:
            return _upload(sender_uploads.read(db, principal.workspace_id, upload_id))

    @get("/{upload_id:int}/rows", sync_to_thread=True, needs=Permission.SETUP)
    def rows(
        self, upload_id: FromPath[int], database: Given[Database], principal: Given[Principal], window: Given[Window]
    ) -> Page[SenderUploadRow]:
        """List what became of each row, by its line."""
        with database.transaction() as db:
            sender_uploads.read(db, principal.workspace_id, upload_id)
            found = sender_uploads.rows(db, upload_id, after=window.after, limit=window.fetch)
        return page(found, window, lambda row: msgspec.convert(row, SenderUploadRow), key="line")

    @get("/{upload_id:int}/rows.csv", sync_to_thread=True, media_type="text/csv", needs=Permission.SETUP)
    def rows_csv(self, upload_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> Stream:
        """Download what became of each row, as CSV that is safe to open in a spreadsheet. No passwords are in it."""
        with database.transaction() as db:
            sender_uploads.read(db, principal.workspace_id, upload_id)
        headers = {"Content-Disposition": f'attachment; filename="senders-{upload_id}.csv"'}
        return Stream(_csv(database, upload_id), media_type="text/csv", headers=headers)


def _take(
    database: Database, vault: Vault, workspace_id: int, file: IO[bytes], filename: str, *, update: bool, now: datetime
) -> SenderUpload:
    """All rows in one transaction; no server is asked in it."""
    file.seek(0)
    rows = csvtext.rows(iter(partial(file.read, _CHUNK), b""))
    header = next(rows, None)
    if header is None:
        raise InvalidError([Fault("file", "empty", "The file has no rows.")])
    if header.fault:
        raise InvalidError([Fault("file", "header", f"The first line cannot be read: {header.fault}")])
    known = sender_rows.columns(header.cells)
    given = list(sender_rows.senders(rows, known))
    with database.transaction() as db:
        seen: dict[str, int] = {}
        taken = [_one(db, vault, workspace_id, row, seen, update=update, now=now) for row in given]
        name = filename.replace("\0", "")[:255]
        upload_id = sender_uploads.keep(db, workspace_id, name, taken, known.ignored, now=now)
        answer = _upload(sender_uploads.read(db, workspace_id, upload_id))
    _log.info("senders.uploaded", upload=upload_id, rows=answer.rows, created=answer.created, invalid=answer.invalid)
    return answer


def _one(
    db: Connection,
    vault: Vault,
    workspace_id: int,
    row: SenderRow,
    seen: dict[str, int],
    *,
    update: bool,
    now: datetime,
) -> Taken:
    """What becomes of a row."""
    if row.fault:
        return Taken(line=row.line, address=row.address, verdict="invalid", faults=[row.fault])
    try:
        mail = address.normal(row.address)
    except address.AddressError:
        mail = None
    if mail is not None and mail in seen:
        fault = Fault("address", "duplicate", f"The address stands in line {seen[mail]} already.")
        return Taken(line=row.line, address=mail, verdict="skipped", faults=[fault])
    sender_id = None if mail is None else senders.find(db, workspace_id, mail)
    if mail is not None:
        seen[mail] = row.line
    if mail is not None and sender_id is not None and not update:
        fault = Fault("address", "sender_exists", "There is a sender with this address already.")
        return Taken(line=row.line, address=mail, verdict="skipped", faults=[fault], sender_id=sender_id)
    try:
        if mail is not None and sender_id is not None:
            return _change(db, vault, workspace_id, row, mail, sender_id, now)
        return _create(db, vault, workspace_id, row, now)
    except InvalidError as error:
        return Taken(line=row.line, address=mail or row.address, verdict="invalid", faults=error.faults)
    except ConflictError as error:
        fault = Fault("address", error.code, error.message)
        return Taken(line=row.line, address=mail or row.address, verdict="skipped", faults=[fault])


def _create(db: Connection, vault: Vault, workspace_id: int, row: SenderRow, now: datetime) -> Taken:
    data = read_value(NewSender, row.fields)
    mail, sender_id = address.normal(data.address), senders.next_id(db)
    mailbox = merged(NEW, data, mail, sender_id, vault, today=now.date())
    senders.create(db, workspace_id, sender_id, mail, standing(mailbox, data.status, passed=False, now=now), now=now)
    return Taken(line=row.line, address=mail, verdict="created", sender_id=sender_id, waits=True)


def _change(
    db: Connection, vault: Vault, workspace_id: int, row: SenderRow, mail: str, sender_id: int, now: datetime
) -> Taken:
    """New settings of its server stop a sender until they have passed their test; a pause stays one."""
    fields = {name: value for name, value in row.fields.items() if name != "address"}
    data = read_value(SenderChange, fields)
    tests = any(name.startswith("smtp_") for name in data.fields)
    mailbox = merged(
        mailbox_of(senders.lock(db, workspace_id, sender_id, stop=tests)),
        data,
        mail,
        sender_id,
        vault,
        today=now.date(),
    )
    if tests:
        paused = mailbox.status is SenderStatus.PAUSED
        mailbox = replace(mailbox, tested_at=None) if paused else standing(mailbox, data.status, passed=False, now=now)
    senders.update(db, workspace_id, sender_id, mailbox, now=now)
    return Taken(line=row.line, address=mail, verdict="updated", sender_id=sender_id, waits=tests)


def _csv(database: Database, upload_id: int) -> Iterator[str]:
    """Page by page, so that no transaction lasts as long as the download."""
    yield csvtext.written([("line", "address", "verdict", "test", "faults")])
    after = None
    while True:
        with database.transaction() as db:
            found = sender_uploads.rows(db, upload_id, after=after, limit=_ROWS_AT_ONCE)
        if not found:
            return
        yield csvtext.written(
            (row["line"], row["address"], row["verdict"], row["test"] or "", _said(row["faults"])) for row in found
        )
        after = found[-1]["line"]


def _said(faults: list[Row]) -> str:
    return " ".join(f"{fault['field']}: {fault['message']}".removeprefix(": ") for fault in faults)


def _upload(row: Row) -> SenderUpload:
    tests = {name: row[name] for name in ("waiting", "passed", "failed")}
    return msgspec.convert(row | {"tests": tests}, SenderUpload)
