"""`cleanmails bench plan`: what a round of the planner costs while nothing can be sent, and how fast due leads are claimed.

On an embedded Postgres of its own, durable as in production, with twice the rows: as many campaign leads that are not due yet (`idle`), and as many that
are due while every sender has used up its day (`capped`). Nothing is timed before the server has vacuumed them all. A round is the planner's whole
transaction, its commit included. A claim locks due leads and inserts their deliveries, two thousand in a transaction.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from cleanmails import embedded, log, settings
from cleanmails.actors import plan
from cleanmails.actors.broker import Queues
from cleanmails.actors.work import Lease, Work
from cleanmails.ledger import bench, planning, workers
from cleanmails.ledger.db import Database
from cleanmails.ledger.migrate import migrate
from cleanmails.limits.connect import connect
from cleanmails.limits.daily import Daily
from cleanmails.limits.rate import Rate
from cleanmails.records import Planned, WalkView
from cleanmails.vault import Vault

CAMPAIGNS, SENDERS = 10, 20
CLAIM = 2_000
CLAIMS = 15
WARM_UP = 20


class Silent(Queues):
    """Queues that take no message: nobody is there to read them."""

    def __init__(self) -> None:
        """No broker."""

    def _put(self, queue: str, actor: str, *args: object, delay_ms: int | None = None) -> None:
        """Leaves the message out."""


def main(argv: Sequence[str]) -> int:
    """Measures and prints the figures."""
    parser = argparse.ArgumentParser(
        prog="cleanmails bench plan", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="campaign leads (default 1,000,000)")
    parser.add_argument("--rounds", type=int, default=500, help="rounds timed of each kind (default 500)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(argv)
    log.configure("json", level="WARNING")
    with (
        tempfile.TemporaryDirectory(prefix="cleanmails-bench-") as folder,
        embedded.servers(Path(folder)) as servers,
    ):
        migrate(servers.database_url)
        figures = measure(servers, options.rows, options.rounds)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, figure in figures.items():
            print(f"{name:20} {figure:,}")
    return 0


def measure(servers: settings.Servers, rows: int, rounds: int) -> dict[str, float]:
    """The figures, on empty servers."""
    given = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    configured = settings.load(given)
    redis = connect(servers.redis_url)
    with Database(servers.database_url, size=2, checked=False) as database, Lease(database, "bench") as lease:
        work = Work(
            settings=configured,
            database=database,
            queues=Silent(),
            daily=Daily(redis),
            rate=Rate(redis),
            vault=Vault.from_settings(configured),
            lease=lease,
            stop=threading.Event(),
        )
        with database.transaction() as db:
            now = workers.now(db)
        crowd = bench.make_crowd(database, rows, SENDERS)
        later = bench.make_campaigns(database, crowd, CAMPAIGNS, now + timedelta(days=30))
        bench.calm(database)
        idle = _times(rounds, lambda: plan.plan_round(work))
        bench.rest(database, later)
        due = bench.make_campaigns(database, crowd, CAMPAIGNS, now - timedelta(days=30))
        bench.use_up(database)
        bench.calm(database)
        capped = _times(rounds, lambda: plan.plan_round(work))
        claimed = _claims(database, due, min(CLAIMS, rows // 3 // CLAIM or 1))
    return {
        "rows": rows,
        "idle_p50_ms": _percentile(idle, 50),
        "idle_p99_ms": _percentile(idle, 99),
        "capped_p50_ms": _percentile(capped, 50),
        "capped_p99_ms": _percentile(capped, 99),
        "claim_rows_per_s": round(claimed),
    }


def _times(rounds: int, act: Callable[[], object]) -> list[float]:
    """Milliseconds of each round, after some that warm up."""
    times: list[float] = []
    for number in range(WARM_UP + rounds):
        begun = time.perf_counter()
        act()
        if number >= WARM_UP:
            times.append(1000 * (time.perf_counter() - begun))
    return times


def _percentile(times: Sequence[float], percent: int) -> float:
    return round(sorted(times)[min(len(times) - 1, len(times) * percent // 100)], 2)


def _claims(database: Database, campaigns: Sequence[int], claims: int) -> float:
    """Due leads that were locked and got a delivery, by second."""
    rows, begun = 0, time.perf_counter()
    for number in range(claims):
        with database.transaction() as db:
            now = workers.now(db)
            found = planning.due_walks(db, now, [(campaigns[number % len(campaigns)], 0)], CLAIM)
            rows += len(planning.write_planned(db, now, [_planned(walk) for walk in found]))
    return rows / (time.perf_counter() - begun)


def _planned(walk: WalkView) -> Planned:
    return Planned(
        campaign_id=walk.campaign_id,
        lead_id=walk.lead_id,
        step=walk.step,
        sender_id=1 + walk.lead_id % SENDERS,
        provider=walk.provider,
        not_after=None,
    )
