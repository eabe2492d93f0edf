"""`cleanmails bench pages`: how long the server takes for each page of the dashboard, in a workspace with many leads and events.

On embedded servers of its own: a million leads on one list, dealt out to ten campaigns that have been mailed and all in one that waits, with ten million events
and twenty thousand conversations, unless told otherwise. Each page is asked for by HTTP, one after the other, as a browser with a session does; printed are
milliseconds in the middle and for 95 of 100, the processor time of the web process a page, and its bytes. `assets_bytes` are stylesheet, icons and all scripts together: what a first visit loads beside the page.
"""

import argparse
import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx
import msgspec

from cleanmails import embedded, log, settings
from cleanmails.api.auth import COOKIE, token_hash
from cleanmails.bench.tracking import percentile, start_web
from cleanmails.demo.stage import Ports
from cleanmails.ledger import bench, figures, sessions, users, workers
from cleanmails.ledger.db import Database
from cleanmails.ledger.migrate import migrate
from cleanmails.web.render import STATIC

CAMPAIGNS, SENDERS = 10, 20

FIXED: Final = (
    "/", "/campaigns", "/campaigns?q=9", "/campaigns/new", "/leads", "/leads?q=p77", "/lists", "/uploads", "/inbox", "/senders", "/domains", "/suppressions",
    "/webhooks", "/unknown", "/settings", "/settings/audit", "/leads?status=bounced", "/leads?tag=fair", "/leads?engagement=silent", "/leads/50", "/lists/1",
    "/lists/1?q=p77", "/senders/1", "/inbox/1", "/inbox?show=interested",
)  # fmt: skip
OF_A_CAMPAIGN: Final = (
    "", "/leads", "/leads?state=waiting", "/leads?state=held", "/leads?outcome=finished", "/leads?q=zzz", "/steps", "/schedule", "/lists", "/senders", "/settings", "/activity",
)  # fmt: skip


class Times(msgspec.Struct, frozen=True):
    """How one page fared."""

    p50_ms: float
    p95_ms: float
    cpu_ms: float
    bytes: int


def main(argv: Sequence[str]) -> int:
    """Measures and prints the figures."""
    parser = argparse.ArgumentParser(
        prog="cleanmails bench pages", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--leads", type=int, default=1_000_000, help="leads (default 1,000,000)")
    parser.add_argument("--events", type=int, default=10_000_000, help="events (default 10,000,000)")
    parser.add_argument("--times", type=int, default=40, help="how often each page is asked for (default 40)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(argv)
    log.configure("json", level="WARNING")
    with (
        tempfile.TemporaryDirectory(prefix="cleanmails-bench-") as folder,
        embedded.servers(Path(folder)) as servers,
    ):
        migrate(servers.database_url)
        with Database(servers.database_url, size=2, checked=False) as database:
            found = measure(servers, database, options.leads, options.events, options.times)
    assets = sum(file.stat().st_size for file in STATIC.iterdir())
    if options.json:
        print(json.dumps({"assets_bytes": assets, "pages": msgspec.to_builtins(found)}))
        return 0
    print(f"{'page':36} {'p50 ms':>8} {'p95 ms':>8} {'cpu ms':>8} {'bytes':>8}")
    for path, page in found.items():
        print(f"{path:36} {page.p50_ms:8.1f} {page.p95_ms:8.1f} {page.cpu_ms:8.1f} {page.bytes:8,}")
    print(f"{'assets_bytes':36} {assets:35,}")
    return 0


def measure(servers: settings.Servers, database: Database, leads: int, events: int, times: int) -> dict[str, Times]:
    """The figures by page, on empty servers."""
    workspace_id, paths = seed(database, leads, events)
    port = Ports.free().web
    environ = {
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "PORT": str(port),
        "CLEANMAILS_LOG": "json",
    }
    web = start_web(os.environ | environ, port)
    cookies = {COOKIE: _session(database, workspace_id), "zone": "Europe/Berlin"}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies=cookies, timeout=60) as browser:
            return {path: _ask(browser, path, times, web.pid) for path in paths}
    finally:
        web.terminate()
        web.wait(60)


def seed(database: Database, leads: int, events: int) -> tuple[int, list[str]]:
    """Fills an empty ledger; its workspace, and the pages to ask for."""
    crowd = bench.make_crowd(database, leads, SENDERS)
    bench.make_list(database, crowd)
    with database.transaction() as db:
        now = workers.now(db)
    mailed = bench.make_campaigns(database, crowd, CAMPAIGNS, now, walked=True)
    bench.make_events(database, bench.make_sent(database, SENDERS), events)
    bench.make_threads(database)
    waiting = bench.make_campaigns(database, crowd, 1, now + timedelta(days=30))
    while _count(database):
        pass
    return crowd.workspace_id, list(_paths(mailed[0], waiting[0]))


def _paths(*campaigns: int) -> Iterator[str]:
    yield from FIXED
    for campaign in campaigns:
        yield from (f"/campaigns/{campaign}{end}" for end in OF_A_CAMPAIGN)


def _cpu(pid: int) -> float:
    """Milliseconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ask(browser: httpx.Client, path: str, times: int, pid: int) -> Times:
    """One page, often; the first time is not counted."""
    took, size, used = [], 0, 0.0
    for turn in range(times + 1):
        used = _cpu(pid) if turn == 1 else used
        begun = time.perf_counter()
        answer = browser.get(path, headers={"Accept": "text/html"})
        took.append(1000 * (time.perf_counter() - begun))
        if answer.status_code != 200:
            raise SystemExit(f"{path} answered {answer.status_code}")
        size = len(answer.content)
    return Times(percentile(took[1:], 50), percentile(took[1:], 95), round((_cpu(pid) - used) / times, 1), size)


def _count(database: Database) -> bool:
    """Adds events to the figures; whether there may be more."""
    with database.transaction() as db:
        figures.try_count(db)
        return figures.count(db, 200_000)[0] > 0


def _session(database: Database, workspace_id: int) -> str:
    """The token of an owner who is signed in."""
    token = secrets.token_urlsafe(32)
    with database.transaction() as db:
        now = workers.now(db)
        user = users.create(db, email="owner@bench.example", password_hash="")
        users.join(db, workspace_id, user, role="owner")
        sessions.create(
            db, token_hash(token), user_id=user, workspace_id=workspace_id, now=now, expires_at=now + timedelta(days=1), ends_at=now + timedelta(days=1), user_agent="", remote_address=""
        )  # fmt: skip
    return token
