"""`cleanmails bench validation`: how many addresses a second are looked at, with every domain asked for at a name server on this machine.

The real job of the upkeep workers on an embedded Postgres of its own, durable as in production: leads are read, their domains asked for, classes and events
written. The name server is a process of its own that answers at once; no domain is known before.
"""

import argparse
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cleanmails import embedded, log, settings
from cleanmails.actors import validate
from cleanmails.actors.broker import Queues, make_broker
from cleanmails.actors.work import Lease, Work
from cleanmails.ledger import bench, validations, workers
from cleanmails.ledger.db import Database
from cleanmails.ledger.migrate import migrate
from cleanmails.limits.connect import connect
from cleanmails.limits.daily import Daily
from cleanmails.limits.rate import Rate
from cleanmails.vault import Vault

_ANSWER: Final = b"\xc0\x0c" + struct.pack(">HHIHH", 15, 1, 60, 7, 10) + b"\x02mx\xc0\x0c"
"""An MX record of the name that was asked for: `mx` below it."""


def main(argv: Sequence[str]) -> int:
    """Measures and prints the figures."""
    parser = argparse.ArgumentParser(
        prog="cleanmails bench validation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--addresses", type=int, default=100_000, help="addresses on the list (default 100,000)")
    parser.add_argument("--domains", type=int, default=10_000, help="domains that they are at (default 10,000)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(argv)
    log.configure("json", level="WARNING")
    with (
        tempfile.TemporaryDirectory(prefix="cleanmails-bench-") as folder,
        embedded.servers(Path(folder)) as servers,
    ):
        migrate(servers.database_url)
        found = measure(servers, Path(folder), options.addresses, options.domains)
    if options.json:
        print(json.dumps(found))
    else:
        for name, figure in found.items():
            print(f"{name:16} {figure:,}")
    return 0


def measure(servers: settings.Servers, folder: Path, addresses: int, domains: int) -> dict[str, float]:
    """The figures, on empty servers."""
    name_server = subprocess.Popen(
        [sys.executable, "-m", "cleanmails.bench.validation"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert name_server.stdout is not None
        port = int(name_server.stdout.readline())
        configured = settings.load(
            {
                **os.environ,
                "DATABASE_URL": servers.database_url,
                "REDIS_URL": servers.redis_url,
                "CLEANMAILS_DNS_SERVERS": f"127.0.0.1:{port}",
                "CLEANMAILS_STATE_DIR": str(folder),
            }
        )
        return _measure(configured, servers, addresses, domains)
    finally:
        name_server.kill()
        name_server.wait()


def _measure(
    configured: settings.Settings, servers: settings.Servers, addresses: int, domains: int
) -> dict[str, float]:
    redis = connect(servers.redis_url)
    with (
        Database(servers.database_url, size=4, checked=False) as database,
        Lease(database, "bench") as lease,
    ):
        workspace_id, list_id = bench.make_addresses(database, addresses, domains)
        work = Work(
            settings=configured,
            database=database,
            queues=Queues(make_broker(servers.redis_url)),
            daily=Daily(redis),
            rate=Rate(redis),
            vault=Vault.from_settings(configured),
            lease=lease,
            stop=threading.Event(),
        )
        with database.transaction() as db:
            job = validations.create(db, workspace_id, list_id, again=False, now=workers.now(db))
        began, cpu = time.perf_counter(), time.process_time()
        validate.next_job(work)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        with database.transaction() as db:
            done = validations.read(db, workspace_id, job["id"])
    return {
        "addresses": done["looked"],
        "domains": domains,
        "valid": done["counts"].get("valid", 0),
        "seconds": round(seconds, 2),
        "addresses_per_s": round(done["looked"] / seconds),
        "cpu_us_each": round(cpu / max(done["looked"], 1) * 1e6, 1),
    }


def serve() -> None:
    """Says its port, and answers every question for an MX with one, until it is killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind(("127.0.0.1", 0))
        print(sock.getsockname()[1], flush=True)
        while True:
            asked, peer = sock.recvfrom(512)
            end = asked.index(b"\0", 12) + 5
            head = asked[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, 1, 0, 0)
            sock.sendto(head + asked[12:end] + _ANSWER, peer)


if __name__ == "__main__":
    serve()
