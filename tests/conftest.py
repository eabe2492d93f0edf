"""Real servers for every test that asks: one Postgres and one Valkey a run, a fresh database a test, a Valkey database a worker."""

import itertools
import re
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import hypothesis
import msgspec
import pytest

from cleanmails import embedded, log
from cleanmails.embedded import OccupiedError
from cleanmails.ledger import events
from cleanmails.rules import event_types
from cleanmails.settings import Servers

PREFIX = "cleanmails-test-"
TEMPLATE = "cleanmails_template"

_stack = pytest.StashKey[ExitStack]()
_servers = pytest.StashKey[Servers]()
_numbers = itertools.count()


def pytest_configure(config):
    log.configure("console", level="WARNING")
    # A slow machine is not a slow function.
    hypothesis.settings.register_profile("cleanmails", deadline=None)
    hypothesis.settings.load_profile("cleanmails")
    config.stash[_stack] = ExitStack()
    # Under xdist the controller owns the servers: a worker that ends before the others would take them along.
    if getattr(config.option, "numprocesses", None):
        config.stash[_servers] = config.stash[_stack].enter_context(_running())


def pytest_unconfigure(config):
    config.stash[_stack].close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Tell an xdist worker where the servers are."""
    node.workerinput["servers"] = msgspec.to_builtins(node.config.stash[_servers])


def pytest_terminal_summary(terminalreporter):
    """What generated tests tried, all workers together, and how many of them found something: `tried: 120 roles, ...`."""
    reports = [
        each for several in terminalreporter.stats.values() for each in several if hasattr(each, "user_properties")
    ]
    tried, tests = Counter(), set()
    for report in reports:
        for name, value in report.user_properties:
            if report.when == "teardown" and name.startswith("tried: "):
                tried[name.removeprefix("tried: ")] += value
                tests.add(report.nodeid)
    if tried:
        listed = ", ".join(f"{number:,} {what}" for what, number in sorted(tried.items()))
        findings = sum(report.failed for report in reports if report.nodeid in tests)
        terminalreporter.write_line(f"tried: {listed}; findings: {findings}")


@pytest.fixture(autouse=True, scope="session")
def published():
    """Whatever our code tells in any test has the shape that its published schema says; what a test itself tells may be anything."""
    append = events.append

    def held_to_it(db, told):
        told = list(told)
        ours = sys._getframe(1).f_globals["__name__"].startswith("cleanmails.")
        data = [(each.type, msgspec.json.decode(msgspec.json.encode(each.data))) for each in told if ours]
        assert [wrong for type_, each in data if (wrong := event_types.misfit(type_, each))] == []
        append(db, told)

    events.append = held_to_it
    yield
    events.append = append


@pytest.fixture(scope="session")
def servers(pytestconfig) -> Servers:
    """Where this run's servers are; without xdist they start when the first test asks."""
    if hasattr(pytestconfig, "workerinput"):
        return msgspec.convert(pytestconfig.workerinput["servers"], Servers)
    return pytestconfig.stash[_stack].enter_context(_running())


@pytest.fixture
def database_url(servers, worker_id) -> Iterator[str]:
    """A fresh, migrated database of this test's own."""
    with new_database(servers, worker_id) as url:
        yield url


@contextmanager
def new_database(servers: Servers, worker_id: str) -> Iterator[str]:
    """A fresh, migrated database, for as long as somebody wants it."""
    import psycopg

    name = f"test_{worker_id}_{next(_numbers)}"
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
        yield _named(servers.database_url, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def redis_url(servers, worker_id) -> str:
    """An empty Valkey database; each xdist worker has its own number."""
    import redis

    number = int(re.sub(r"\D", "", worker_id) or 0)
    url = servers.redis_url.replace("?db=0", f"?db={number}")
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def together():
    """Runs callables in threads that set off at the same moment; returns their results in order."""

    def run(*bodies):
        barrier = threading.Barrier(len(bodies))

        def one(body):
            barrier.wait(timeout=30)
            return body()

        with ThreadPoolExecutor(len(bodies)) as pool:
            return [future.result(timeout=60) for future in [pool.submit(one, body) for body in bodies]]

    return run


@contextmanager
def _running() -> Iterator[Servers]:
    """The servers of this run, with the template that each test's database is copied from."""
    import psycopg

    from cleanmails.ledger.migrate import migrate

    place = _place()
    _remove_left_behind(place)
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, dir=place) as folder,
        embedded.servers(Path(folder), fast=True) as servers,
    ):
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(_named(servers.database_url, TEMPLATE))
        yield servers


def _place() -> Path:
    """Where there is room in memory, copying the template takes a tenth of the time."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2**31
    return memory if roomy else Path(tempfile.gettempdir())


def _remove_left_behind(place: Path) -> None:
    """The folders of runs that were killed: nobody holds them."""
    for lock in place.glob(f"{PREFIX}*/lock"):
        with suppress(OccupiedError), embedded.hold(lock.parent):
            shutil.rmtree(lock.parent, ignore_errors=True)


def _named(url: str, database: str) -> str:
    return url.replace("/postgres?", f"/{database}?")
