"""Rows of a table to leads: which column says what, and a verdict on each row. Where the rows come from is another file's matter."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from cleanmails.errors import Fault, InvalidError
from cleanmails.records import Arrival
from cleanmails.rules import address
from cleanmails.rules.content.values import VALUE_LIMIT, field_name
from cleanmails.rules.csvtext import Row

MOST_COLUMNS: Final = 500

# What a column may be called, best first; compared without case, spaces and signs. The first line may be in any of these.
_NAMES: Final = {
    "email": ("EMAIL", "EMAILADDRESS", "MAIL", "WORKEMAIL", "BUSINESSEMAIL", "CONTACTEMAIL", "PRIMARYEMAIL", "EMAIL1", "EMAIL1VALUE"),
    "first_name": ("FIRSTNAME", "FIRST", "GIVENNAME", "FORENAME"),
    "last_name": ("LASTNAME", "LAST", "SURNAME", "FAMILYNAME"),
    "company": ("COMPANY", "COMPANYNAME", "ORGANIZATION", "ORGANISATION", "ORGANIZATIONNAME", "ACCOUNTNAME", "BUSINESSNAME"),
}  # fmt: skip


class Columns(msgspec.Struct, frozen=True):
    """Where a lead's values stand in a row: indexes of the four that every lead has (None: nowhere), and of extra fields by name."""

    width: int
    email: int
    first_name: int | None
    last_name: int | None
    company: int | None
    fields: tuple[tuple[str, int], ...]


def columns(header: Sequence[str]) -> Columns:
    """What the first line of a table says. InvalidError (field `file`) when no column holds e-mail addresses, or there are too many."""
    if len(header) > MOST_COLUMNS:
        raise InvalidError([Fault("file", "too_many_columns", f"A file may have {MOST_COLUMNS} columns.")])
    keys = [field_name(name).replace("_", "") for name in header]
    found = {field: _first(keys, names) for field, names in _NAMES.items()}
    email = found.pop("email")
    if email is None:
        seen = ", ".join(name.strip()[:40] for name in header[:20])
        raise InvalidError(
            [
                Fault(
                    "file",
                    "no_email_column",
                    f"The first line must name the columns, one of them email; it has: {seen}.",
                )
            ]
        )
    known = {email, *found.values()}
    extra = [index for index in range(len(header)) if index not in known]
    return Columns(len(header), email, **found, fields=_extra_fields(header, extra))


def arrivals(rows: Iterable[Row]) -> Iterator[Arrival]:
    """The leads of a table whose first row is its header. InvalidError (field `file`) for a table that cannot be one of leads."""
    rest = iter(rows)
    header = next(rest, None)
    if header is None:
        raise InvalidError([Fault("file", "empty", "The file has no rows.")])
    if header.fault:
        raise InvalidError([Fault("file", "header", f"The first line cannot be read: {header.fault}")])
    known = columns(header.cells)
    return (verdict(row, known) for row in rest)


def verdict(row: Row, known: Columns) -> Arrival:
    """The lead of a row, or why it is none."""
    fault = row.fault or _fault(row.cells, known)
    if fault:
        return Arrival(line=row.line, raw=row.raw, fault=fault)
    cells = [cell.strip() for cell in row.cells]
    cells += [""] * (known.width - len(cells))
    try:
        email = address.recipient(cells[known.email])
    except address.AddressError as error:
        return Arrival(line=row.line, raw=row.raw, fault=str(error))
    return Arrival(
        line=row.line,
        raw=row.raw,
        email=email,
        first_name="" if known.first_name is None else cells[known.first_name],
        last_name="" if known.last_name is None else cells[known.last_name],
        company="" if known.company is None else cells[known.company],
        fields={name: cells[index] for name, index in known.fields if cells[index]},
    )


def _fault(cells: Sequence[str], known: Columns) -> str | None:
    """What is wrong with the cells as such."""
    if len(cells) > known.width and "".join(cells[known.width :]).strip():
        return f"The row has {len(cells)} cells, the first line {known.width}."
    text = "".join(cells)
    if "\0" in text:
        return "The row holds a NUL character."
    if len(text) > VALUE_LIMIT and max(map(len, cells)) > VALUE_LIMIT:
        return f"A cell is longer than {VALUE_LIMIT:,} characters."
    return None


def _first(keys: Sequence[str], names: Iterable[str]) -> int | None:
    return next((keys.index(name) for name in names if name in keys), None)


def _extra_fields(header: Sequence[str], indexes: Iterable[int]) -> tuple[tuple[str, int], ...]:
    """A name of its own for each: `job_title`; `column_4` where the header has none; a number behind what is there already."""
    taken = {*_NAMES}
    named = []
    for index in indexes:
        wanted = name = field_name(header[index]).lower() or f"column_{index + 1}"
        number = 1
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        taken.add(name)
        named.append((name, index))
    return tuple(named)
