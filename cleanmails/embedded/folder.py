"""The state folder: held by one process, left by the servers of the run before, with a place for sockets."""

import fcntl
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cleanmails.errors import CleanmailsError
from cleanmails.supervisor import StartError

_LONGEST: Final = 107 - len("/.s.PGSQL.5432")
"""Bytes. A socket's path ends at 107 (sockaddr_un)."""

_LEAVING: Final = 60.0
"""Seconds for the servers of a run that was killed to write down what they hold."""


class OccupiedError(CleanmailsError):
    """Somebody else runs on this state folder."""

    code = "occupied"


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Make the state folder ours alone. OccupiedError names the process that holds it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as lock:
        if not _take(lock.fileno()):
            lock.seek(0)
            raise OccupiedError(f"{folder} is in use by process {lock.read().strip()}; stop that one first.")
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def await_end(lock: Path) -> None:
    """Wait until no server holds its lock file: one whose parent was killed needs a moment to end. StartError if it does not."""
    deadline = time.monotonic() + _LEAVING
    with lock.open("a") as file:
        while not _take(file.fileno()):
            if time.monotonic() > deadline:
                raise StartError(f"A server of a former run still holds {lock} after {_LEAVING:g} seconds.")
            time.sleep(0.01)


def for_sockets(folder: Path) -> Path:
    """The folder for a server's socket, closed to others: inside its own, or a short one where that is too long for a socket."""
    sockets = folder / "sockets"
    if len(os.fsencode(sockets)) > _LONGEST:
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        sockets = Path(tempfile.gettempdir()) / f"cleanmails-{digest}"
    sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = sockets.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise StartError(f"{sockets} must be a folder that is ours and closed to others; remove it.")
    return sockets


def tail(log: Path) -> str:
    """The last lines of a log, for the message about a server that did not start."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-5:]) if log.exists() else ""


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
