"""Webhooks: events a second to a fast receiver, and the lag of healthy receivers while others hang.

Events are written straight into the stream; the workers and the clock are the real ones. The receiver is a process-local server that answers 200.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles

from cleanmails import embedded, settings
from cleanmails.actors import outlets as sending
from cleanmails.ledger import events, outlets, workspaces
from cleanmails.ledger.db import Database
from cleanmails.ledger.events import Event
from cleanmails.ledger.migrate import migrate
from cleanmails.rules import signing
from cleanmails.settings import Servers
from cleanmails.vault import Vault

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_PATIENCE = 240.0


class Sink:
    """A receiver that reads requests as fast as it can. `seen` holds (event id, monotonic time)."""

    def __init__(self, *, hangs: bool = False) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._hangs = hangs
        self.port: int = self._server.getsockname()[1]
        self.seen: list[tuple[bytes, float]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._server.accept()
            if self._hangs:
                self.seen.append((b"", 0.0))
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        if self._hangs:
            connection.recv(1)
            threading.Event().wait(_PATIENCE)
            return
        held = b""
        while data := connection.recv(65_536):
            held += data
            while b"\r\n\r\n" in held:
                head, _, rest = held.partition(b"\r\n\r\n")
                size = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
                if len(rest) < size:
                    break
                self.seen.append((head.partition(b"webhook-id: ")[2].partition(b"\r\n")[0], time.monotonic()))
                connection.sendall(_OK)
                held = rest[size:]


def _outlet(database: Database, vault: Vault, workspace: int, port: int) -> int:
    with database.transaction() as db:
        made = outlets.create(
            db,
            workspace,
            kind="webhook",
            name="",
            url=f"http://127.0.0.1:{port}/",
            types=["email.sent"],
            campaign_ids=None,
            options={},
        )
        secret = signing.secret_of(os.urandom(32)).encode()
        outlets.seal(db, workspace, made, vault.seal(secret, sending.secret_name(made)))
        return made


def _write(database: Database, workspace: int, count: int) -> None:
    for start in range(0, count, 500):
        with database.transaction() as db:
            told = range(start, min(start + 500, count))
            events.append(
                db, (Event(type="email.sent", workspace_id=workspace, lead_id=1 + n, data={"step": 0}) for n in told)
            )


def _await(done: int, sinks: Sequence[Sink]) -> float:
    """Waits until so many events came; the time of the last."""
    ends = time.monotonic() + _PATIENCE
    while sum(len(sink.seen) for sink in sinks) < done and time.monotonic() < ends:
        time.sleep(0.02)
    return max((at for sink in sinks for _, at in sink.seen), default=time.monotonic())


def measure(servers: Servers, *, count: int, endpoints: int, hanging: int) -> dict[str, object]:
    """`events_per_s` to one fast endpoint, then `healthy_lag_p99_s` with `hanging` of `endpoints` hanging; two workers."""
    environment = {**os.environ, "DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    configured = settings.load(environment)
    vault = Vault.from_settings(configured)
    line = [sys.executable, "-m", "cleanmails.cli", "worker", "webhooks"]
    with Database(servers.database_url, size=4, name="bench") as database:
        with database.transaction() as db:
            fast, many = workspaces.create(db, name="Fast"), workspaces.create(db, name="Many")
        sink = Sink()
        _outlet(database, vault, fast, sink.port)
        workers = [subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
        try:
            _write(database, fast, 1)
            _await(1, [sink])
            sink.seen.clear()
            began = time.monotonic()
            _write(database, fast, count)
            took = _await(count, [sink]) - began
            delivered = len({id for id, _ in sink.seen})
            sinks = [Sink(hangs=n < hanging) for n in range(endpoints)]
            for each in sinks:
                _outlet(database, vault, many, each.port)
            healthy = sinks[hanging:]
            lags: list[float] = []
            for _ in range(10):
                for each in healthy:
                    each.seen.clear()
                began = time.monotonic()
                _write(database, many, 20)
                _await(20 * len(healthy), healthy)
                lags += [at - began for each in healthy for _, at in each.seen]
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait()
    return {
        "events_per_s": round(delivered / took, 1),
        "healthy_lag_p99_s": round(quantiles(lags, n=100)[98], 3),
        "conditions": {
            "events": delivered,
            "workers": 2,
            "endpoints": endpoints,
            "hanging": hanging,
            "healthy_events": len(lags),
            "healthy_expected": 200 * len(healthy),
            "cores": os.cpu_count(),
            "load": [round(load, 1) for load in os.getloadavg()],
        },
    }


def main(argv: Sequence[str]) -> int:
    """`cleanmails bench webhooks [--json] [--events N] [--endpoints N] [--hanging N]`."""
    parser = argparse.ArgumentParser(prog="cleanmails bench webhooks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--events", type=int, default=10_000, help="events to the fast endpoint (default %(default)s)")
    parser.add_argument("--endpoints", type=int, default=50, help="endpoints of the second part (default %(default)s)")
    parser.add_argument("--hanging", type=int, default=10, help="how many of them hang (default %(default)s)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="cleanmails-bench-") as folder, embedded.servers(Path(folder)) as servers:
        migrate(servers.database_url)
        figures = measure(servers, count=options.events, endpoints=options.endpoints, hanging=options.hanging)
    if options.json:
        print(json.dumps(figures))
        return 0
    print(f"events a second to a fast endpoint   {figures['events_per_s']}")
    print(f"p99 lag of healthy endpoints, s      {figures['healthy_lag_p99_s']}")
    print(f"conditions: {figures['conditions']}")
    return 0
