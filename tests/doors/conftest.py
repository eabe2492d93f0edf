"""One ledger with two workspaces for a whole file of tests: what is refused changes nothing, so nothing needs to be made anew."""

from collections import Counter
from datetime import UTC, datetime

import psycopg
import pytest

from cleanmails.demo.zone import Zone, serving
from cleanmails.ledger.db import Database
from cleanmails.settings import load
from cleanmails.web.server import application
from tests.api.conftest import dear_hasher, password_hash  # noqa: F401 - fixtures
from tests.conftest import TEMPLATE
from tests.doors.routes import Route, routes
from tests.doors.wire import Wire
from tests.doors.world import Ledger


@pytest.fixture(scope="module")
def module_url(servers, worker_id, request):
    """A database of this file's own."""
    name = f"doors_{worker_id}_{request.module.__name__.rpartition('.')[2]}"
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
        yield servers.database_url.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def module_settings():
    with serving(Zone()) as port:
        yield load(
            {
                "CLEANMAILS_URL": "http://testserver.localhost",
                "CLEANMAILS_API_RATE": "1000000",
                "CLEANMAILS_DNS_SERVERS": f"127.0.0.1:{port}",
            }
        )


@pytest.fixture(scope="module")
def ledger(module_url, module_settings, password_hash):  # noqa: F811
    made = Ledger(module_url, module_settings, password_hash)
    with made.db:
        yield made


@pytest.fixture(scope="module")
def wire(ledger, module_url, module_settings):
    with (
        Database(module_url, size=2) as database,
        Wire(application(module_settings, database, enqueue=lambda _: None)) as wire,
    ):
        wire.app.state["clock"] = lambda: datetime.now(UTC)
        yield wire


@pytest.fixture(scope="module")
def doors(wire) -> list[Route]:
    """Every route of the application, API and pages."""
    return routes(wire.app)


@pytest.fixture
def count(record_property):
    """Counts what was tried: the last lines of a test run say it."""
    tried: Counter[str] = Counter()
    yield lambda what, number=1: tried.update({what: number})
    for what, number in tried.items():
        record_property(f"tried: {what}", number)
