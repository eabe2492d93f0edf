"""Rows of a table to senders: which column says what, and the fields of a request that a row stands for. Whether they are right is another's business."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from cleanmails.errors import Fault, InvalidError
from cleanmails.rules import presets
from cleanmails.rules.content.values import field_name
from cleanmails.rules.csvtext import Row
from cleanmails.rules.presets import Preset

MOST_ROWS: Final = 1_000

# What a column may be called, compared without case, spaces and signs: the names of the fields, and those that other tools write.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "address": ("ADDRESS", "EMAIL", "EMAILADDRESS", "FROMEMAIL", "MAILBOX", "SENDER", "EMAILACCOUNT"),
    "name": ("NAME", "FIRSTNAME", "FROMNAME", "DISPLAYNAME", "SENDERNAME", "FULLNAME"),
    "last_name": ("LASTNAME", "SURNAME"),
    "provider": ("PROVIDER", "PRESET"),
    "reply_to": ("REPLYTO", "REPLYTOADDRESS"),
    "signature": ("SIGNATURE",),
    "smtp_host": ("SMTPHOST", "SMTPSERVER", "HOST", "SERVER"),
    "smtp_port": ("SMTPPORT", "PORT"),
    "smtp_security": ("SMTPSECURITY", "SMTPENCRYPTION", "SECURITY", "ENCRYPTION"),
    "smtp_username": ("SMTPUSERNAME", "SMTPUSER", "USERNAME", "USER", "LOGIN"),
    "smtp_password": ("SMTPPASSWORD", "SMTPPASS", "PASSWORD", "APPPASSWORD"),
    "imap_host": ("IMAPHOST", "IMAPSERVER"),
    "imap_port": ("IMAPPORT",),
    "imap_security": ("IMAPSECURITY", "IMAPENCRYPTION"),
    "imap_username": ("IMAPUSERNAME", "IMAPUSER"),
    "imap_password": ("IMAPPASSWORD", "IMAPPASS"),
    "daily_limit": ("DAILYLIMIT", "MAILSPERDAY", "DAILYSENDINGLIMIT", "MAXPERDAY"),
    "min_gap_seconds": ("MINGAPSECONDS", "MINGAP"),
    "max_gap_seconds": ("MAXGAPSECONDS", "MAXGAP"),
    "ramp_start": ("RAMPSTART", "RAMPUPSTART"),
    "ramp_step_per_day": ("RAMPSTEPPERDAY", "RAMPUPSTEPPERDAY", "RAMPSTEP", "RAMPUPINCREMENT"),
    "ramp_ceiling": ("RAMPCEILING", "RAMPUPCEILING"),
}
_NUMBERS: Final = frozenset(
    name for name in _NAMES if name.endswith(("_port", "_limit", "_seconds", "_start", "_per_day", "_ceiling"))
)
_SECURITY: Final = {
    "ssl": "tls",
    "ssl/tls": "tls",
    "tls/ssl": "tls",
    "start tls": "starttls",
    "start_tls": "starttls",
    "none": "plain",
    "no": "plain",
}
_BY_PORT: Final = {465: "tls", 993: "tls", 587: "starttls", 143: "starttls"}
_RAMP: Final = {"ramp_start": "start", "ramp_step_per_day": "step_per_day", "ramp_ceiling": "ceiling"}


class Columns(msgspec.Struct, frozen=True):
    """Where the fields of a sender stand in a row, and the columns that mean nothing."""

    width: int
    fields: Mapping[str, int]
    ignored: list[str]


class SenderRow(msgspec.Struct, frozen=True):
    """A row: the line it begins in, the address as it stands there, and the fields of a request for a sender; or in `fault` why it has none."""

    line: int
    address: str
    fields: dict[str, Any]
    fault: Fault | None = None


def columns(header: Sequence[str]) -> Columns:
    """What the first line of a table says. InvalidError (field `file`) when no column holds addresses."""
    keys = [field_name(name).replace("_", "") for name in header]
    found = {field: next((keys.index(name) for name in names if name in keys), None) for field, names in _NAMES.items()}
    fields = {field: index for field, index in found.items() if index is not None}
    if "address" not in fields:
        seen = ", ".join(name.strip()[:40] for name in header[:20])
        message = f"The first line must name the columns, one of them address; it has: {seen}."
        raise InvalidError([Fault("file", "no_address_column", message)])
    known = set(fields.values())
    return Columns(
        len(header),
        fields,
        [name.strip()[:100] for index, name in enumerate(header) if index not in known and name.strip()],
    )


def senders(rows: Iterator[Row], known: Columns) -> Iterator[SenderRow]:
    """The rows behind the header. InvalidError (field `file`) when they are too many."""
    for number, row in enumerate(rows, 1):
        if number > MOST_ROWS:
            raise InvalidError([Fault("file", "too_many_rows", f"A file may have {MOST_ROWS:,} senders.")])
        yield _sender(row, known)


def _sender(row: Row, known: Columns) -> SenderRow:
    if row.fault:
        return SenderRow(row.line, "", {}, Fault("", "row", row.fault))
    if len(row.cells) > known.width and "".join(row.cells[known.width :]).strip():
        message = f"The row has {len(row.cells)} cells, the first line {known.width}."
        return SenderRow(row.line, "", {}, Fault("", "row", message))
    cells = {field: row.cells[index].strip() for field, index in known.fields.items() if index < len(row.cells)}
    cells = {field: cell for field, cell in cells.items() if cell}
    address = cells.get("address", "")
    if "\0" in "".join(cells.values()):
        return SenderRow(row.line, "", {}, Fault("", "nul", "The row holds a NUL character."))
    return SenderRow(row.line, address[:320], _fields(cells))


def _fields(cells: dict[str, str]) -> dict[str, Any]:
    """The fields of a request; a provider that is named, or whose own domain the address is at, says where its servers are."""
    last = cells.pop("last_name", "")
    if last:
        cells["name"] = f"{cells.get('name', '')} {last}".strip()
    named = cells.pop("provider", "").lower()
    fields: dict[str, Any] = {
        name: int(cell) if name in _NUMBERS and cell.isdecimal() else cell for name, cell in cells.items()
    }
    if "smtp_host" not in fields:
        domain = cells.get("address", "").rpartition("@")[2].lower()
        preset = (
            next((each for each in presets.presets() if each.id == named), None) if named else presets.of_domain(domain)
        )
        if preset is not None:
            fields = _at(preset) | fields
    for kind in ("smtp", "imap"):
        said = str(fields.get(f"{kind}_security", "")).lower()
        by_port = _BY_PORT.get(fields.get(f"{kind}_port", 0))
        if said or by_port:
            fields[f"{kind}_security"] = _SECURITY.get(said, said) or by_port
    ramp = {name: fields.pop(column) for column, name in _RAMP.items() if column in fields}
    return fields | ({"ramp_up": ramp} if ramp else {})


def _at(preset: Preset) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "smtp_host": preset.smtp.host,
        "smtp_port": preset.smtp.port,
        "smtp_security": preset.smtp.security.value,
    }
    if preset.imap is not None:
        fields |= {
            "imap_host": preset.imap.host,
            "imap_port": preset.imap.port,
            "imap_security": preset.imap.security.value,
        }
    return fields
