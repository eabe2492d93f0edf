"""Rows of a table to leads: which column says what, and a verdict on each row. Where the rows come from is another file's matter.

What a column means is a word (`Target`): `email`, `first_name`, `last_name`, `company`, `full_name` (split at its first space, for what the two before it leave empty), the name of an extra field,
or None for a column that is left out. A table proposes one for each of its columns (`propose`), and a person may say otherwise (`chosen`).
"""

import operator
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import Final

import msgspec

from cleanmails.errors import Fault, InvalidError
from cleanmails.records import Arrival, Arrivals
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
    "full_name": ("FULLNAME", "CONTACTNAME", "PERSONNAME", "LEADNAME"),
}  # fmt: skip

FIRST_ROWS: Final = 20
"""How many rows a proposal looks at."""

_CLIPPED: Final = 200
_ESCAPED: Final = re.compile(r'["\\\x00-\x1f]')  # what stands in JSON text as something else


class Columns(msgspec.Struct, frozen=True):
    """Where a lead's values stand in a row: indexes of those that every lead has (None: nowhere), and of extra fields by name."""

    width: int
    email: int
    first_name: int | None
    last_name: int | None
    company: int | None
    fields: tuple[tuple[str, int], ...]
    full_name: int | None = None


class Column(msgspec.Struct, frozen=True):
    """A column as it is proposed: its name in the first line (empty if there is none), what it seems to mean, and how many of the rows seen fill it."""

    name: str
    target: str | None
    filled: int


class Proposal(msgspec.Struct, frozen=True):
    """What the first rows of a table tell: whether the first names the columns, what these mean, and the rows as they stand (cells cut to 200 characters)."""

    header: bool
    columns: list[Column]
    rows: list[list[str]]


def propose(rows: Iterable[Row]) -> Proposal:
    """Looks at the first rows of a table. InvalidError (field `file`) for what cannot be one of leads."""
    seen = [row for row, _ in zip(rows, range(FIRST_ROWS + 1), strict=False)]
    if not seen:
        raise InvalidError([Fault("file", "empty", "The file has no rows.")])
    if seen[0].fault:
        raise InvalidError([Fault("file", "header", f"The first line cannot be read: {seen[0].fault}")])
    table = [[cell.replace("\0", "\ufffd") for cell in row.cells] for row in seen if not row.fault]
    _check_width(table[0])
    header = not any(_is_address(cell) for cell in table[0])
    width = len(table[0]) if header else max(map(len, table))
    names = [cell.strip() for cell in table[0]] if header else [""] * width
    body = table[1:] if header else table
    targets = _proposed(names, body)
    filled = Counter(index for row in body for index, cell in enumerate(row) if cell.strip())
    columns = [Column(name[:_CLIPPED], targets[index], filled[index]) for index, name in enumerate(names)]
    return Proposal(header, columns, [[cell[:_CLIPPED] for cell in row[:MOST_COLUMNS]] for row in table])


def chosen(targets: Sequence[str | None]) -> Columns:
    """Columns as a person says what they mean. InvalidError names every one that cannot be (`columns[2]`)."""
    found: dict[str, int] = {}
    fields: list[tuple[str, int]] = []
    faults: list[Fault] = []
    for index, target in enumerate(targets):
        name = None if target is None else field_name(target).lower()
        if name is None:
            continue
        if not name:
            faults.append(Fault(f"columns[{index}]", "field_name", "A field's name needs a letter or a digit."))
        elif name == "unsubscribe_url":
            faults.append(Fault(f"columns[{index}]", "own_field", "Every mail has this by itself."))
        elif name in found:
            message = f"Column {found[name] + 1} is {name} already; leave one of them out (null), or name it otherwise."
            faults.append(Fault(f"columns[{index}]", "same_field", message))
        else:
            found[name] = index
            fields += [] if name in _NAMES else [(name, index)]
    if "email" not in found:
        faults.append(Fault("columns", "no_email_column", "Say which column holds the e-mail addresses: one is email."))
    if faults:
        raise InvalidError(faults)
    own = {name: found.get(name) for name in ("first_name", "last_name", "company", "full_name")}
    return Columns(len(targets), found["email"], **own, fields=tuple(fields))


def columns(header: Sequence[str]) -> Columns:
    """What the first line of a table says. InvalidError (field `file`) when no column holds e-mail addresses, or there are too many."""
    _check_width(header)
    found = _named(header)
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
    first = "" if known.first_name is None else cells[known.first_name]
    last = "" if known.last_name is None else cells[known.last_name]
    if known.full_name is not None:
        first, last = _named_as(first, last, cells[known.full_name])
    return Arrival(
        line=row.line,
        raw=row.raw,
        email=email,
        first_name=first,
        last_name=last,
        company="" if known.company is None else cells[known.company],
        fields={name: cells[index] for name, index in known.fields if cells[index]},
    )


def verdicts(table: Sequence[Row], known: Columns) -> Arrivals:
    """`verdict` on each row, column by column where rows are alike: a large file is read in a third of the time."""
    alike, others = _sorted_out(table, known.width)
    cells = [list(map(str.strip, column)) for column in zip(*(row.cells for row in alike), strict=True)]
    cells = cells or [[] for _ in range(known.width)]
    emails = address.recipients(cells[known.email])
    good = [isinstance(email, str) for email in emails]
    if not all(good):
        others += compress(alike, map(operator.not_, good))
        alike = list(compress(alike, good))
        cells = [list(compress(column, good)) for column in cells]
    nothing = [""] * len(alike)
    first = nothing if known.first_name is None else cells[known.first_name]
    last = nothing if known.last_name is None else cells[known.last_name]
    if known.full_name is not None:
        names = list(map(_named_as, first, last, cells[known.full_name]))
        first, last = [name for name, _ in names], [name for _, name in names]
    return Arrivals(
        line=[row.line for row in alike],
        email=[email for email in emails if isinstance(email, str)],
        first_name=first,
        last_name=last,
        company=nothing if known.company is None else cells[known.company],
        fields=_as_json([name for name, _ in known.fields], [cells[index] for _, index in known.fields], len(alike)),
        raw=[row.raw for row in alike],
        others=[verdict(row, known) for row in others],
    )


def _sorted_out(table: Sequence[Row], width: int) -> tuple[list[Row], list[Row]]:
    """Rows that have as many cells as there are columns and nothing wrong with any, and the others; all are others where one holds what is rare."""
    alike = [row for row in table if row.fault is None and len(row.cells) == width]
    for column in zip(*(row.cells for row in alike), strict=True):
        if "\0" in "".join(column) or len(max(column, key=len)) > VALUE_LIMIT:
            return [], list(table)
    return alike, [row for row in table if row.fault is not None or len(row.cells) != width]


def _named_as(first: str, last: str, full: str) -> tuple[str, str]:
    """First and last name, of which the full one gives what is empty."""
    if first and last:
        return first, last
    name, _, rest = full.partition(" ")
    return first or name, last or rest.strip()


def _as_json(names: Sequence[str], columns: Sequence[Sequence[str]], count: int) -> list[str]:
    """The fields of each lead that has so many; empty ones are left out."""
    if not names:
        return ["{}"] * count
    if all(map(all, columns)) and not any(map(_ESCAPED.search, map("".join, columns))):
        quoted = (msgspec.json.encode(name).decode().replace("%", "%%") for name in names)
        template = "{" + ",".join(f'{name}:"%s"' for name in quoted) + "}"
        return [template % cells for cells in zip(*columns, strict=True)]
    rows = (
        {name: cell for name, cell in zip(names, cells, strict=True) if cell} for cells in zip(*columns, strict=True)
    )
    return [msgspec.json.encode(fields).decode() for fields in rows]


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


def _check_width(header: Sequence[str]) -> None:
    if len(header) > MOST_COLUMNS:
        message = f"A file may have {MOST_COLUMNS} columns; this one has {len(header):,}."
        raise InvalidError([Fault("file", "too_many_columns", message)])


def _is_address(text: str) -> bool:
    if "@" not in text:
        return False
    try:
        address.recipient(text)
    except address.AddressError:
        return False
    return True


def _named(header: Sequence[str]) -> dict[str, int | None]:
    """Which column has which of the usual names."""
    keys = [field_name(name).replace("_", "") for name in header]
    return {field: _first(keys, names) for field, names in _NAMES.items()}


def _proposed(names: Sequence[str], body: Sequence[Sequence[str]]) -> list[str | None]:
    """What each column seems to mean: by its name, and for the addresses by what stands in it. A column without a name and without anything is left out."""
    found = _named(names)
    if found["email"] is None:
        counts = Counter(index for row in body for index, cell in enumerate(row) if _is_address(cell))
        taken = {index for index in found.values() if index is not None}
        likely = [index for index, _ in counts.most_common() if index not in taken or not any(names)]
        found["email"] = next(iter(likely), None)
    own = {index: field for field, index in found.items() if index is not None}
    extra = [index for index in range(len(names)) if index not in own]
    fields = {index: name for name, index in _extra_fields(names, extra)}
    filled = {index for row in body for index, cell in enumerate(row) if cell.strip()}
    return [
        own.get(index) or (fields[index] if names[index] or index in filled else None) for index in range(len(names))
    ]


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
