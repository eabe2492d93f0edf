"""The mailboxes behind the catcher: what a provider keeps for its users, beside the caught mails, in one SQLite file."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

FOLDERS = {"INBOX": "", "Spam": "\\Junk", "Sent": "\\Sent"}
"""Every mailbox has these; the value is the folder's special use (RFC 6154)."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS folders (
    user TEXT NOT NULL, folder TEXT NOT NULL, validity INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (user, folder)
);
CREATE TABLE IF NOT EXISTS letters (
    user TEXT NOT NULL, folder TEXT NOT NULL, uid INTEGER NOT NULL, at REAL NOT NULL, seen INTEGER NOT NULL, raw BLOB NOT NULL,
    PRIMARY KEY (user, folder, uid)
);
"""

Listener = Callable[[str, str], None]
"""Told (user, folder) after a folder has changed, on the thread that changed it."""


class Standing(msgspec.Struct, frozen=True):
    """What STATUS tells of a folder."""

    validity: int
    next: int
    messages: int
    unseen: int


class Entry(msgspec.Struct, frozen=True):
    """A message in a folder, without its bytes. `at`: seconds since 1970, when it came in."""

    uid: int
    at: float
    seen: bool
    size: int


class Boxes:
    """Mailboxes by user (an address, in lower case) in `path`; without a path, in memory. Thread-safe."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Tells `listener` of every change from now on."""
        self._listeners.append(listener)

    def open(self, user: str) -> None:
        """Makes the mailbox, if there is none yet."""
        rows = [(user.lower(), folder, int(time.time()), 1) for folder in FOLDERS]
        with self._lock:
            self._db.executemany("INSERT OR IGNORE INTO folders VALUES (?, ?, ?, ?)", rows)

    def exists(self, user: str) -> bool:
        """Whether the mailbox was made."""
        with self._lock:
            row = self._db.execute("SELECT 1 FROM folders WHERE user = ? LIMIT 1", (user.lower(),)).fetchone()
        return row is not None

    def append(
        self, user: str, folder: str, raw: bytes, *, at: float | None = None, uid: int | None = None, seen: bool = False
    ) -> int:
        """Puts a message into a folder; its UID. With `uid` it gets that one, as no honest server would. KeyError: no such folder."""
        key = (user.lower(), folder)
        with self._lock:
            row = self._db.execute("SELECT next FROM folders WHERE user = ? AND folder = ?", key).fetchone()
            if row is None:
                raise KeyError(key)
            given = row[0] if uid is None else uid
            values = (*key, given, time.time() if at is None else at, int(seen), raw)
            self._db.execute("INSERT INTO letters VALUES (?, ?, ?, ?, ?, ?)", values)
            moved = max(row[0], given + 1)
            self._db.execute("UPDATE folders SET next = ? WHERE user = ? AND folder = ?", (moved, *key))
        self._tell(*key)
        return int(given)

    def remove(self, user: str, folder: str, uid: int) -> None:
        """Expunges a message."""
        key = (user.lower(), folder)
        with self._lock:
            self._db.execute("DELETE FROM letters WHERE user = ? AND folder = ? AND uid = ?", (*key, uid))
        self._tell(*key)

    def renumber(self, user: str, folder: str, *, validity: int | None = None) -> None:
        """Gives every message a new UID, from 1, under a new UIDVALIDITY, as a restored server does."""
        key = (user.lower(), folder)
        with self._lock:
            rows = self._db.execute(
                "SELECT uid FROM letters WHERE user = ? AND folder = ? ORDER BY uid", key
            ).fetchall()
            for number, (uid,) in enumerate(rows, 1):  # in this order no new number meets an old one
                self._db.execute(
                    "UPDATE letters SET uid = ? WHERE user = ? AND folder = ? AND uid = ?", (number, *key, uid)
                )
            self._db.execute(
                "UPDATE folders SET validity = coalesce(?, validity + 1), next = ? WHERE user = ? AND folder = ?",
                (validity, len(rows) + 1, *key),
            )
        self._tell(*key)

    def standing(self, user: str, folder: str) -> Standing | None:
        """How a folder stands; None: there is no such."""
        key = (user.lower(), folder)
        with self._lock:
            row = self._db.execute("SELECT validity, next FROM folders WHERE user = ? AND folder = ?", key).fetchone()
            held = self._db.execute(
                "SELECT count(*), coalesce(sum(1 - seen), 0) FROM letters WHERE user = ? AND folder = ?", key
            ).fetchone()
        return Standing(*row, *held) if row else None

    def entries(self, user: str, folder: str) -> list[Entry]:
        """The messages of a folder in order of their UIDs."""
        with self._lock:
            rows = self._db.execute(
                "SELECT uid, at, seen, length(raw) FROM letters WHERE user = ? AND folder = ? ORDER BY uid",
                (user.lower(), folder),
            ).fetchall()
        return [Entry(uid, at, bool(seen), size) for uid, at, seen, size in rows]

    def raw(self, user: str, folder: str, uid: int) -> bytes:
        """The bytes of a message. KeyError: there is none."""
        with self._lock:
            row = self._db.execute(
                "SELECT raw FROM letters WHERE user = ? AND folder = ? AND uid = ?", (user.lower(), folder, uid)
            ).fetchone()
        if row is None:
            raise KeyError(uid)
        return bytes(row[0])

    def see(self, user: str, folder: str, uid: int) -> None:
        """Sets the flag \\Seen, as reading does."""
        with self._lock:
            self._db.execute(
                "UPDATE letters SET seen = 1 WHERE user = ? AND folder = ? AND uid = ?", (user.lower(), folder, uid)
            )

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()

    def _tell(self, user: str, folder: str) -> None:
        for listener in self._listeners:
            listener(user, folder)
