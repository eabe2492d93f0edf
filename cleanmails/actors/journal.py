"""Answers written down before anything else happens: a line on the local disk for each mail that was marked.

Between a server's answer and the ledger's commit a worker may die. Its journal outlives it, and the next sweep on this machine settles from it.
A journal that is lost with its machine costs certainty, nothing more: those deliveries end as `unknown`.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from cleanmails import log
from cleanmails.records import Answer

logger = log.get(__name__)


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that has an end: which delivery under which fencing token, and what the server answered. Times are of this machine's clock."""

    id: int
    token: int
    campaign_id: int
    lead_id: int
    answer: Answer
    started_at: datetime
    finished_at: datetime


ROOM = 1 << 20
"""Bytes that must be free before a chunk is sent: its answers take less than a twentieth of that."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Ended).decode


class Journal:
    """One thread's journal. Its lock, held as long as the process lives, tells the sweep that its owner is still there to settle by itself."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{name}.jsonl"
        self._file = _own(self._path)

    def note(self, ended: Ended) -> None:
        """Writes an answer down; once this has returned, the death of the process loses nothing. OSError: it could not be written, and no part of it stands."""
        line = _encode(ended) + b"\n"
        written = os.write(self._file, line)
        if written < len(line):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, "the journal's disk is full")

    @property
    def roomy(self) -> bool:
        """Whether the disk has room for the answers of many chunks."""
        disk = os.fstatvfs(self._file)
        return disk.f_bavail * disk.f_frsize > ROOM

    def clear(self) -> None:
        """All that stands here has been settled."""
        os.ftruncate(self._file, 0)

    def leave(self) -> None:
        """What stands here is for the sweep to settle."""
        os.close(self._file)

    def close(self) -> None:
        """The thread ends with everything settled."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def _own(path: Path) -> int:
    """Opens and locks the file; again, if a sweep took the new file for an orphan and removed it before it was locked."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists() and path.stat().st_ino == os.fstat(file).st_ino:
            return file
        os.close(file)


def orphans(folder: Path) -> Iterator["Orphan"]:
    """The journals whose owners have died. Each is locked while it is looked at, so that two sweeps do not meet."""
    for path in sorted(folder.glob("*.jsonl")):
        with _adopted(path) as lines:
            if lines is not None:
                yield Orphan(path, lines)


class Orphan(msgspec.Struct, frozen=True):
    """A dead worker's journal: its answers, and where it lies."""

    path: Path
    ended: list[Ended]

    def settled(self) -> None:
        """The ledger has it all: the journal goes."""
        self.path.unlink(missing_ok=True)


@contextmanager
def _adopted(path: Path) -> Iterator[list[Ended] | None]:
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield None
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield list(_lines(path.read_bytes()))
    except BlockingIOError:
        yield None
    finally:
        os.close(file)


def _lines(content: bytes) -> Iterator[Ended]:
    """Whole lines only: one that was cut off by the end of its writer was never acted upon. What a broken disk made of a line costs that one answer."""
    for line in content.split(b"\n")[:-1]:
        try:
            yield _decode(line)
        except msgspec.DecodeError as error:
            logger.error("journal.unreadable", line=line[:200].decode("ascii", "replace"), reason=str(error))  # noqa: TRY400 - nothing of ours failed
