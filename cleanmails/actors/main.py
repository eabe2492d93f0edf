"""The worker processes. One group of queues a process, threads inside; each has a lease, a sweep, and drains when it is told to stop."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from cleanmails import log, settings
from cleanmails.actors.work import Lease, Progress, Work

if TYPE_CHECKING:
    from dramatiq.middleware import Middleware


class Group(msgspec.Struct, frozen=True):
    """A kind of worker process: the queues it takes from, how many threads it has, how many messages it holds ready, and whether its statements are
    planned once (`ledger.db.Database`)."""

    queues: tuple[str, ...]
    threads: int
    prefetch: int
    planned_once: bool = False


GROUPS = {
    "plan": Group(("plan",), 2, 32),
    "render": Group(("render",), 2, 4, planned_once=True),
    "send": Group(("send",), 0, 16, planned_once=True),
    "upkeep": Group(("upkeep", "resolve", "ask"), 6, 4),
    "webhooks": Group((), 8, 1),
    "inbox": Group((), 8, 1),
    "imports": Group((), 2, 1),
}
"""`send` has as many threads as CLEANMAILS_SEND_THREADS says: they wait for servers, not for the processor."""

logger = log.get(__name__)


def worker(argv: Sequence[str]) -> int:
    """`cleanmails worker GROUP`: takes messages until SIGTERM or SIGINT, then finishes what it holds and returns."""
    parser = argparse.ArgumentParser(prog="cleanmails worker", description=__doc__)
    parser.add_argument("group", choices=sorted(GROUPS))
    options = parser.parse_args(argv)
    configured = settings.load(os.environ)
    log.configure(configured.log_format)
    run(configured, options.group, _stop_on_signals())
    return 0


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def run(
    configured: settings.Settings,
    kind: str,
    stop: threading.Event,
    progress: Progress | None = None,
    middleware: Sequence["Middleware"] = (),
) -> None:
    """A worker of a group, in the calling thread until `stop` is set. `progress` is told the named points of each mail's way."""
    group = GROUPS[kind]
    threads = group.threads or configured.send_threads
    # Read by dramatiq when it is imported: its default of two a thread leaves a consumer asleep most of the time.
    os.environ["dramatiq_queue_prefetch"] = str(group.prefetch)  # noqa: SIM112 - dramatiq's own name
    from dramatiq import Worker

    from cleanmails.actors import figures, hits, imports, inbox, outlets, sweep, trials, validate, watch
    from cleanmails.actors.broker import Queues, make_broker
    from cleanmails.actors.declare import declare
    from cleanmails.ledger.db import Database
    from cleanmails.limits.connect import connect
    from cleanmails.limits.daily import Daily
    from cleanmails.limits.rate import Rate
    from cleanmails.vault import Vault

    servers = configured.servers()
    broker = make_broker(servers.redis_url, middleware=middleware)
    redis = connect(servers.redis_url)
    with (
        Database(
            servers.database_url,
            size=threads + 4,
            name=f"cleanmails {kind}",
            checked=False,
            planned_once=group.planned_once,
        ) as database,
        Lease(database, kind) as lease,
    ):
        work = Work(
            settings=configured,
            database=database,
            queues=Queues(broker),
            daily=Daily(redis),
            rate=Rate(redis),
            vault=Vault.from_settings(configured),
            lease=lease,
            stop=stop,
            progress=progress,
        )
        close = declare(broker, work, group.queues)
        consumer = Worker(broker, queues=set(group.queues), worker_threads=threads, worker_timeout=200)
        duties = [sweep.start(work)]
        if kind == "upkeep":
            duties += [hits.start(work), figures.start(work), trials.start(work), validate.start(work)]
        if kind == "webhooks":
            duties += outlets.start(work)
        if kind == "inbox":
            duties += [watch.start(work, inbox.settle)]
        if kind == "imports":
            duties += imports.start(work)
        if group.queues:
            consumer.start()
        logger.info("worker.started", group=kind, worker=lease.worker_id, threads=threads)
        stop.wait()
        logger.info("worker.draining", group=kind, worker=lease.worker_id)
        if group.queues:
            consumer.stop(timeout=25_000)
        for duty in duties:
            duty.join()
        close()
    logger.info("worker.stopped", group=kind, worker=lease.worker_id)


def scheduler(argv: Sequence[str]) -> int:
    """`cleanmails scheduler`: periodiq, which enqueues a tick each minute."""
    argparse.ArgumentParser(prog="cleanmails scheduler", description=scheduler.__doc__).parse_args(argv)
    from periodiq import entrypoint

    # periodiq reads the command line itself; what it schedules stands in that module.
    sys.argv = ["periodiq", "cleanmails.actors.scheduler"]
    entrypoint()
    return 0
