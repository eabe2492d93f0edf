"""`cleanmails bench tracking`: how many opens and clicks a second one web process takes, what it loses, and what statistics cost.

A real web process on an embedded Postgres of its own, durable as in production; half of what comes are clicks. First as fast as it goes, then at half that
load for the times; then it is told to stop (SIGTERM) under load, and what it answered is counted in the ledger. Unsubscribes are sent to a second
process, which is killed (SIGKILL) in the middle. Statistics are read over HTTP after so many events were counted.
"""

import argparse
import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

from cleanmails import embedded, log, settings
from cleanmails.actors import figures
from cleanmails.api.auth import KEY_PREFIX, token_hash
from cleanmails.demo.stage import Ports
from cleanmails.ledger import api_keys, bench, workers
from cleanmails.ledger.db import Database
from cleanmails.ledger.migrate import migrate
from cleanmails.mail.tokens import Purpose, Tokens
from cleanmails.vault import Vault

MAILS, SENDERS, CONNECTIONS, READS = 5_000, 20, 32, 400
COUNTED = 100_000
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"


class Load(msgspec.Struct):
    """What a load met with: answers, and how long each took in milliseconds."""

    answered: int = 0
    times: list[float] = msgspec.field(default_factory=list)
    seconds: float = 0.0


def main(argv: Sequence[str]) -> int:
    """Measures and prints the figures."""
    parser = argparse.ArgumentParser(
        prog="cleanmails bench tracking", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10, help="how long each load lasts (default 10)")
    parser.add_argument("--events", type=int, default=10_000_000, help="events to be counted (default 10,000,000)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(argv)
    log.configure("json", level="WARNING")
    with (
        tempfile.TemporaryDirectory(prefix="cleanmails-bench-") as folder,
        embedded.servers(Path(folder)) as servers,
    ):
        migrate(servers.database_url)
        with Database(servers.database_url, size=2, checked=False) as database:
            found = measure(servers, database, options.seconds, options.events)
    if options.json:
        print(json.dumps(found))
    else:
        for name, figure in found.items():
            print(f"{name:20} {figure:,}")
    return 0


def measure(servers: settings.Servers, database: Database, seconds: float, events: int) -> dict[str, float]:
    """The figures, on empty servers."""
    crowd = bench.make_crowd(database, MAILS, SENDERS)
    with database.transaction() as db:
        now = workers.now(db)
    [campaign] = bench.make_campaigns(database, crowd, 1, now)
    ids = bench.make_sent(database, SENDERS)
    port = Ports.free().web
    environ = {
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "PORT": str(port),
        "CLEANMAILS_LOG": "json",
    }
    vault = Vault.from_settings(settings.load(environ))
    tokens = Tokens(vault.derive_all("tokens"), vault.current)
    paths = _paths(tokens, ids)
    web = start_web(environ, port)
    flat_out = asyncio.run(_load(port, paths, seconds))
    rate = flat_out.answered / flat_out.seconds
    paced = asyncio.run(_load(port, paths, seconds, rate=rate / 2))
    stopped = asyncio.run(_load(port, paths, seconds, then=web.terminate, until_gone=True))
    web.wait(60)
    answered = flat_out.answered + paced.answered + stopped.answered
    lost_opens = max(answered - bench.count_hits(database), 0)
    lost_unsubscribes = _leave(environ, port, database, tokens, ids)
    stats = _read_statistics(environ, port, database, crowd.workspace_id, campaign, ids, events)
    return {
        "hits_per_s": round(rate),
        "p99_ms": percentile(paced.times, 99),
        "p50_ms": percentile(paced.times, 50),
        "lost_opens": lost_opens,
        "lost_unsubscribes": lost_unsubscribes,
        "stats_ms_at_10m": stats,
        "events": events,
        "hits": answered,
    }


def _paths(tokens: Tokens, ids: Sequence[int]) -> list[bytes]:
    """Every mail's pixel, and one of its links."""
    return [
        path.encode()
        for id in ids
        for path in (
            f"/t/{tokens.sign(Purpose.OPEN, id)}/pixel.png",
            f"/t/{tokens.sign(Purpose.CLICK, id)}/link/{1 + id % 5}",
        )
    ]


def start_web(environ: dict[str, str], port: int) -> "subprocess.Popen[bytes]":
    """A web process that answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cleanmails.cli", "web"],
        env=os.environ | environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        return process
    process.kill()
    raise SystemExit("the web process does not answer")


async def _load(
    port: int,
    paths: Sequence[bytes],
    seconds: float,
    *,
    rate: float | None = None,
    then: Callable[[], None] | None = None,
    until_gone: bool = False,
) -> Load:
    """Asks over some connections at once: as fast as it goes, or at a rate; `then` is done halfway."""
    load, turn = Load(), iter(range(1_000_000_000))
    begun = time.perf_counter()

    async def visitor() -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while (now := time.perf_counter()) - begun < seconds or until_gone:
                number = next(turn)
                if rate is not None:
                    due = begun + number / rate
                    await asyncio.sleep(max(due - now, 0))
                    asked = max(due, now)
                else:
                    asked = now
                await _ask(reader, writer, paths[number * 7919 % len(paths)])
                load.answered += 1
                load.times.append(1000 * (time.perf_counter() - asked))
            writer.close()
        except (OSError, asyncio.IncompleteReadError):
            if not until_gone:
                raise

    if then is not None:
        asyncio.get_running_loop().call_later(seconds / 2, then)
    await asyncio.gather(*(visitor() for _ in range(CONNECTIONS)))
    load.seconds = time.perf_counter() - begun
    return load


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: bytes) -> None:
    """One request and its whole answer."""
    writer.write(
        b"GET %b HTTP/1.1\r\nHost: localhost\r\nUser-Agent: %b\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n"
        % (path, AGENT.encode())
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 302")):
        raise SystemExit(f"unexpected answer: {head[:60]!r}")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))


def _leave(environ: dict[str, str], port: int, database: Database, tokens: Tokens, ids: Sequence[int]) -> int:
    """Unsubscribes that were answered and are not in the ledger, after a SIGKILL in their midst."""
    web = start_web(environ, port)
    done: list[int] = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        try:
            for number, id in enumerate(ids[:400]):
                if number == 200:
                    os.kill(web.pid, signal.SIGKILL)
                client.post(f"/unsubscribe/{tokens.sign(Purpose.UNSUBSCRIBE, id)}").raise_for_status()
                done.append(id)
        except httpx.TransportError:
            pass
    web.wait(30)
    return len(done) - bench.count_left(database, done)


def _read_statistics(
    environ: dict[str, str],
    port: int,
    database: Database,
    workspace_id: int,
    campaign_id: int,
    ids: list[int],
    events: int,
) -> float:
    """Milliseconds in which all but one of a hundred readings of a campaign's statistics are answered, once so many events were counted."""
    bench.make_events(database, ids, events)
    while figures.count(database, COUNTED):
        pass
    key = KEY_PREFIX + secrets.token_hex(16)
    with database.transaction() as db:
        values: dict[str, Any] = {"created_by": None, "name": "bench", "prefix": key[:14], "role": "viewer"}
        api_keys.create(db, workspace_id, key_hash=token_hash(key), now=workers.now(db), expires_at=None, **values)
    web = start_web(environ, port)
    times: list[float] = []
    with httpx.Client(headers={"Authorization": f"Bearer {key}"}) as client:
        for _ in range(READS):
            begun = time.perf_counter()
            client.get(f"http://127.0.0.1:{port}/v1/outreach/campaigns/{campaign_id}/statistics").raise_for_status()
            times.append(1000 * (time.perf_counter() - begun))
    web.terminate()
    web.wait(60)
    return percentile(times[5:], 99)


def percentile(times: Sequence[float], percent: int) -> float:
    """The time within which so many of a hundred came."""
    return round(sorted(times)[min(len(times) - 1, len(times) * percent // 100)], 2)
