"""The mails that were caught, in one SQLite file, so that they outlive the process."""

import re
import sqlite3
import threading
from datetime import UTC, datetime
from email.errors import MessageError
from email.header import decode_header, make_header
from pathlib import Path

import msgspec

KEPT = 5_000
_SWEEP_EVERY = 100

_SCHEMA = """
CREATE TABLE IF NOT EXISTS mails (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at REAL NOT NULL,
    mail_from TEXT NOT NULL,
    recipient TEXT NOT NULL,
    message_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    told TEXT NOT NULL,
    raw BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS met (behaviour TEXT NOT NULL, mail_from TEXT NOT NULL, recipient TEXT NOT NULL);
CREATE VIEW IF NOT EXISTS caught AS
SELECT id, received_at, mail_from, recipient, message_id, subject, told, length(raw) AS size FROM mails;
"""
_NEWEST = """
SELECT * FROM caught WHERE id < ? AND (? = '' OR instr(lower(mail_from), ?) OR instr(lower(recipient), ?))
ORDER BY id DESC LIMIT ?
"""
_INSERT = (
    "INSERT INTO mails (received_at, mail_from, recipient, message_id, subject, told, raw) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_HEADER = re.compile(rb"^(message-id|subject):[ \t]*((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE | re.MULTILINE)


class Caught(msgspec.Struct, frozen=True, kw_only=True):
    """One mail as one recipient would have got it. `told` is what the sender heard of it: the reply, or empty if it heard nothing."""

    id: int
    received_at: datetime
    mail_from: str
    recipient: str
    message_id: str
    subject: str
    told: str
    size: int


class Met(msgspec.Struct, frozen=True):
    """A try of a sender with a recipient (at MAIL it is not known, and empty), and how it was met."""

    behaviour: str
    mail_from: str
    recipient: str


class Store:
    """The newest `kept` mails in `path`; without a path, in memory. Thread-safe."""

    def __init__(self, path: Path | None = None, *, kept: int = KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        # A crash of the process loses nothing; only one of the whole machine could, which is no matter here.
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)

    def add(self, mail_from: str, recipient: str, raw: bytes, *, received_at: float, told: str) -> int:
        """Keeps one mail; gives its id."""
        head = dict(reversed([(name.lower(), value) for name, value in _HEADER.findall(_head(raw))]))
        message_id, subject = (_unfolded(head.get(name, b"")) for name in (b"message-id", b"subject"))
        with self._lock:
            row = self._db.execute(_INSERT, (received_at, mail_from, recipient, message_id, subject, told, raw))
            added = row.lastrowid or 0
            if added % _SWEEP_EVERY == 0:
                self._db.execute("DELETE FROM mails WHERE id <= ?", (added - self._kept,))
        return added

    def mails(self, *, after: int = 0, limit: int = -1) -> list[Caught]:
        """Those that came after the mail with the id `after`, oldest first; `limit` -1: all."""
        return self._read("SELECT * FROM caught WHERE id > ? ORDER BY id LIMIT ?", (after, limit))

    def newest(self, *, address: str = "", before: int | None = None, limit: int = 50) -> list[Caught]:
        """Those that came before the mail with the id `before`, newest first, whose sender or recipient holds `address`."""
        part = address.lower()
        return self._read(_NEWEST, (before or 2**62, part, part, part, limit))

    def mail(self, mail_id: int) -> Caught | None:
        """One mail, or None."""
        return next(iter(self._read("SELECT * FROM caught WHERE id = ?", (mail_id,))), None)

    def raw(self, mail_id: int) -> bytes | None:
        """One mail's bytes as they came, dots taken back; or None."""
        with self._lock:
            row = self._db.execute("SELECT raw FROM mails WHERE id = ?", (mail_id,)).fetchone()
        return bytes(row[0]) if row else None

    def counts(self) -> dict[tuple[str, str], int]:
        """How many copies are kept of each (Message-ID, recipient)."""
        with self._lock:
            rows = self._db.execute("SELECT message_id, recipient, count(*) FROM mails GROUP BY 1, 2").fetchall()
        return {(message_id, recipient): count for message_id, recipient, count in rows}

    def meet(self, behaviour: str, mail_from: str, recipient: str) -> None:
        """Notes that a try met with a behaviour."""
        with self._lock:
            self._db.execute("INSERT INTO met VALUES (?, ?, ?)", (behaviour, mail_from, recipient))

    def met(self) -> list[Met]:
        """Every try that met with a behaviour, in order."""
        with self._lock:
            rows = self._db.execute("SELECT behaviour, mail_from, recipient FROM met ORDER BY rowid").fetchall()
        return [Met(*row) for row in rows]

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()

    def _read(self, statement: str, values: tuple[object, ...]) -> list[Caught]:
        with self._lock:
            rows = self._db.execute(statement, values).fetchall()
        return [_caught(row) for row in rows]


def _caught(row: tuple[int, float, str, str, str, str, str, int]) -> Caught:
    mail_id, received_at, mail_from, recipient, message_id, subject, told, size = row
    return Caught(
        id=mail_id,
        received_at=datetime.fromtimestamp(received_at, UTC),
        mail_from=mail_from,
        recipient=recipient,
        message_id=message_id,
        subject=subject,
        told=told,
        size=size,
    )


def _head(raw: bytes) -> bytes:
    return raw.partition(b"\r\n\r\n")[0]


def _unfolded(value: bytes) -> str:
    """A header's value in one line, encoded words (RFC 2047) decoded where they can be."""
    line = re.sub(r"\r?\n(?=[ \t])", "", value.decode("utf-8", "replace")).strip()
    try:
        return str(make_header(decode_header(line))) if "=?" in line else line
    except (ValueError, LookupError, MessageError):
        return line
