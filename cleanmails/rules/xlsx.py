"""XLSX workbooks to rows of text, one at a time: the first visible sheet, as its owner sees it.

A formula counts as the value that stands in the file beside it, and a date as ISO 8601. What a workbook unpacks to is bounded before anything of it is read, by the sizes
in its directory, beyond which `zipfile` reads nothing; strings shared between cells are all held in memory by the reader, so their bound is close.
"""

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import IO, Any, Final

from cleanmails.errors import Fault, InvalidError
from cleanmails.rules.csvtext import Row
from cleanmails.rules.rows import MOST_COLUMNS

MARK: Final = b"PK\x03\x04"
"""What a file begins with that is a ZIP archive, as every XLSX is."""

OLD_MARK: Final = b"\xd0\xcf\x11\xe0"
"""What XLS begins with, and an XLSX under a password."""

MOST_ROWS: Final = 1_048_576
"""Of a sheet, by the format."""

MOST_SHEET: Final = 2_000_000_000
"""Bytes that a sheet may unpack to: more than a full one of a hundred columns."""

MOST_BESIDE: Final = 150_000_000
"""Bytes that everything beside the sheets may unpack to."""

_MOST_PARTS: Final = 10_000
_RAW_KEPT: Final = 2_000


def rows(file: IO[bytes]) -> Iterator[Row]:
    """Every row that has something in it; lines are the sheet's own numbers. InvalidError (field `file`) for what is no workbook that can be read."""
    _check(file)
    try:
        yield from _read(file)
    except InvalidError:
        raise
    except Exception as error:
        # Whatever a broken file makes its reader say, it says of the file.
        raise _bad("not_xlsx", f"The workbook cannot be read: {str(error)[:200] or type(error).__name__}.") from error


def _read(file: IO[bytes]) -> Iterator[Row]:
    from openpyxl import load_workbook  # 20 MB that no other process needs

    book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    sheet = next((each for each in book.worksheets if each.sheet_state == "visible"), None)
    if sheet is None:
        raise _bad("no_sheet", "The workbook has no visible sheet.")
    sheet.reset_dimensions()  # what the file says of its own size is often wrong
    for number, values in enumerate(sheet.iter_rows(max_col=MOST_COLUMNS + 1, values_only=True), 1):
        if number > MOST_ROWS:
            raise _bad("too_many_rows", f"A sheet has at most {MOST_ROWS:,} rows.")
        cells = [_text(value) for value in values]
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            yield Row(number, cells, _raw(cells))


def _check(file: IO[bytes]) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _bad("not_xlsx", "The file begins like a workbook (XLSX) and is none, or is cut off.") from error
    if len(parts) > _MOST_PARTS:
        raise _bad("too_large_inside", "The workbook has too many parts.")
    sheets = [part.file_size for part in parts if part.filename.startswith("xl/worksheets/")]
    beside = sum(part.file_size for part in parts) - sum(sheets)
    if max(sheets, default=0) > MOST_SHEET or beside > MOST_BESIDE:
        message = "The workbook unpacks to more than can be taken; save the sheet as CSV and upload that."
        raise _bad("too_large_inside", message)
    file.seek(0)


def _text(value: Any) -> str:  # noqa: ANN401 - what a cell holds
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _raw(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()[:_RAW_KEPT].replace("\0", "\ufffd")


def _bad(code: str, message: str) -> InvalidError:
    return InvalidError([Fault("file", code, message)])
