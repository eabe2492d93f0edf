"""`cleanmails bench import`: how long a file of leads takes, what it takes of memory, and whether the API answers meanwhile.

A CSV file of about a hundred bytes a row, of which a tenth stand in it twice, is uploaded to a real web process and taken by a real worker, on an embedded
Postgres that is durable as in production. `seconds` are those from the start of the import to its end, `upload_seconds` those of the upload before;
`peak_rss_mb` is the worker's. Meanwhile the web process is asked for the import and for leads, over and over. Then leads are searched for, at once (`search_ms`) and when all of them are
indexed (`search_ms_indexed`), which is so `indexing_seconds` after the import.
"""

import argparse
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from cleanmails import embedded, log, settings
from cleanmails.api.auth import KEY_PREFIX, token_hash
from cleanmails.bench.tracking import percentile, start_web
from cleanmails.demo.stage import Ports
from cleanmails.ledger import api_keys, lists, workers, workspaces
from cleanmails.ledger.db import Database
from cleanmails.ledger.migrate import migrate

TWICE = 0.1
PAUSE = 0.02
PATIENCE = 600.0
SEARCHES = ("first17", "person4711", "company 512", "lastname3 first1", "nobody", "p", "city", "example")
"""Rare, one alone, common, and what nobody has."""


def main(argv: Sequence[str]) -> int:
    """Measures and prints the figures."""
    parser = argparse.ArgumentParser(
        prog="cleanmails bench import", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the file (default 1,000,000)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(argv)
    log.configure("json", level="WARNING")
    with (
        tempfile.TemporaryDirectory(prefix="cleanmails-bench-") as folder,
        embedded.servers(Path(folder)) as servers,
    ):
        migrate(servers.database_url)
        found = measure(servers, Path(folder), options.rows)
    if options.json:
        print(json.dumps(found))
    else:
        for name, figure in found.items():
            print(f"{name:20} {figure:,}")
    return 0


def measure(servers: settings.Servers, folder: Path, rows: int) -> dict[str, float]:
    """The figures, on empty servers."""
    file = folder / "leads.csv"
    with file.open("w") as out:
        out.writelines(_lines(rows))
    key = KEY_PREFIX + secrets.token_hex(16)
    with Database(servers.database_url, size=1) as database, database.transaction() as db:
        workspace = workspaces.create(db, name="Bench")
        list_id = lists.create(db, workspace, "Leads")["id"]
        values: dict[str, Any] = {"created_by": None, "name": "bench", "prefix": key[:14], "role": "member"}
        api_keys.create(db, workspace, key_hash=token_hash(key), now=workers.now(db), expires_at=None, **values)
    port = Ports.free().web
    environ = {
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "PORT": str(port),
        "CLEANMAILS_STATE_DIR": str(folder / "state"),
        "CLEANMAILS_API_RATE": "1000000",
    }
    serving = start_web(environ, port)
    worker = subprocess.Popen(
        [sys.executable, "-m", "cleanmails.cli", "worker", "imports"],
        env=os.environ | environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}, timeout=60
        ) as api:
            found = _import(api, file, list_id)
            found |= {"search_ms": _search(api), "indexing_seconds": _indexed(api)}
            return found | {"search_ms_indexed": _search(api), "peak_rss_mb": _peak(worker.pid)}
    finally:
        for process in (worker, serving):
            process.terminate()
        for process in (worker, serving):
            process.wait(60)


def _lines(rows: int) -> Iterator[str]:
    """The same file each time."""
    dice = random.Random(1)  # noqa: S311 - a file to be measured with
    yield "email,first_name,last_name,company,job_title,city\n"
    for row in range(rows):
        n = dice.randrange(row) if row and dice.random() < TWICE else row
        yield (
            f"person{n}.name{n % 977}@company{n % 50_021}.example,First{n % 3_001},Lastname{n % 7_001},"
            f"Company {n % 50_021} Ltd,Head of {n % 211},City{n % 503}\n"
        )


def _import(api: httpx.Client, file: Path, list_id: int) -> dict[str, float]:
    begun = time.perf_counter()
    with file.open("rb") as content:
        answer = api.post(
            "/v1/outreach/imports",
            content=iter(lambda: content.read(1 << 20), b""),
            headers={"content-type": "text/csv"},
        )
    path = f"/v1/outreach/imports/{answer.raise_for_status().json()['id']}"
    uploaded = time.perf_counter() - begun
    times: list[float] = []
    over = threading.Event()
    asking = threading.Thread(target=_ask, args=(api, over, times))
    asking.start()
    try:
        begun = time.perf_counter()
        api.post(f"{path}/start", json={"list_id": list_id, "source": "bench"}).raise_for_status()
        while (made := api.get(path).json())["state"] in {"queued", "running"}:
            if time.perf_counter() - begun > PATIENCE:
                raise SystemExit("the import does not come to its end")
            time.sleep(0.05)
        seconds = time.perf_counter() - begun
    finally:
        over.set()
        asking.join()
    if made["state"] != "done":
        raise SystemExit(f"the import {made['state']}: {made['faults']}")
    return {
        "rows": made["rows"],
        "seconds": round(seconds, 2),
        "rows_per_s": round(made["rows"] / seconds),
        "api_p99_ms": percentile(times, 99),
        "api_asked": len(times),
        "upload_seconds": round(uploaded, 2),
        "bytes": made["bytes"],
        "created": made["created"],
        "duplicate": made["duplicate"],
    }


def _ask(api: httpx.Client, over: threading.Event, times: list[float]) -> None:
    """What a person with an open dashboard asks for, fifty times a second."""
    paths = ("/v1/outreach/imports", "/v1/outreach/leads?limit=50", "/v1/outreach/lists")
    while not over.wait(PAUSE):
        begun = time.perf_counter()
        api.get(paths[len(times) % len(paths)]).raise_for_status()
        times.append(1000 * (time.perf_counter() - begun))


def _indexed(api: httpx.Client) -> float:
    """Seconds until every lead is found by its words."""
    begun = time.perf_counter()
    while any(each["indexing"] for each in api.get("/v1/outreach/imports").json()["items"]):
        if time.perf_counter() - begun > PATIENCE:
            raise SystemExit("the leads are not indexed")
        time.sleep(0.1)
    return round(time.perf_counter() - begun, 1)


def _search(api: httpx.Client) -> float:
    """The slowest of some searches, each the best of three."""
    best: list[float] = []
    for words in SEARCHES:
        taken: list[float] = []
        for _ in range(3):
            begun = time.perf_counter()
            api.get("/v1/outreach/leads", params={"search": words}).raise_for_status()
            taken.append(1000 * (time.perf_counter() - begun))
        best.append(min(taken))
    return round(max(best), 1)


def _peak(pid: int) -> float:
    """Megabytes of memory that a process held at its worst."""
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return round(int(line.split()[1]) / 1024, 1)
