"""The API on a real ledger, called as a browser or a program would call it."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from argon2 import PasswordHasher
from litestar.testing import TestClient

from cleanmails.api import passwords
from cleanmails.api.app import routed
from cleanmails.api.auth import KEY_PREFIX, token_hash
from cleanmails.ledger import api_keys, users, workspaces
from cleanmails.ledger.db import Database
from cleanmails.settings import load

EMAIL = "owner@agency.example"
PASSWORD = "correct horse battery"
DEAR_HASHER = passwords._hasher


@pytest.fixture(autouse=True, scope="session")
def dear_hasher():
    """The hasher as it is configured; meanwhile real Argon2id with parameters that make no test wait."""
    passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    passwords._nobodys_hash.cache_clear()
    yield DEAR_HASHER
    passwords._hasher = DEAR_HASHER


@pytest.fixture(scope="session")
def password_hash(dear_hasher):
    return passwords.hash_password(PASSWORD)


@pytest.fixture
def database(database_url):
    with Database(database_url, size=4) as database:
        yield database


@pytest.fixture
def environ():
    """What the settings of this installation are read from; a file of tests may have its own."""
    return {}


@pytest.fixture
def settings(environ):
    return load({"CLEANMAILS_URL": "http://testserver.localhost", **environ})


class Clock:
    """The time of all requests, moved by hand."""

    def __init__(self):
        self.now = datetime.now(UTC)

    def __call__(self):
        return self.now

    def forward(self, **span):
        self.now += timedelta(**span)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def woken():
    """The actors that were woken."""
    return []


@pytest.fixture
def owner(database, password_hash):
    """The id of the first workspace; its owner can sign in."""
    with database.transaction() as db:
        users.first_owner(db, email=EMAIL, password_hash=password_hash, workspace="Agency")
        return users.home(db, users.read_by_email(db, EMAIL)["id"])["workspace_id"]


@pytest.fixture(scope="session")
def routes():
    """Read once: they cost most of a second."""
    return routed()


@pytest.fixture
def app(routes, settings, database, clock, woken):
    return routes.furnish(settings, database, clock=clock, enqueue=woken.append)


@pytest.fixture
def anonymous(app):
    """A client that is nobody."""
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def key_of(database, clock):
    """Makes an API key and returns its headers: `key_of(workspace_id, "viewer")`."""

    def make(workspace_id, role="admin"):
        key = f"{KEY_PREFIX}{workspace_id}_{role}_{datetime.now(UTC).timestamp()}"
        with database.transaction() as db:
            api_keys.create(
                db,
                workspace_id,
                created_by=None,
                name=role,
                prefix=key[:14],
                key_hash=token_hash(key),
                role=role,
                now=clock(),
                expires_at=None,
            )
        return {"Authorization": f"Bearer {key}"}

    return make


@pytest.fixture
def lines(caplog):
    """Calls for what was logged since: a list of the lines' fields."""
    with caplog.at_level("INFO"):
        yield lambda: [record.msg for record in caplog.records if isinstance(record.msg, dict)]


class Acting:
    """Calls the API in somebody's name."""

    def __init__(self, client, headers):
        self.client, self.headers = client, headers

    def request(self, method, path, headers=None, **rest):
        return self.client.request(method, path, headers={**self.headers, **(headers or {})}, **rest)

    def __getattr__(self, name):
        return partial(self.request, name.upper())


@pytest.fixture
def api(anonymous, owner, key_of):
    """An admin of the first workspace, by API key."""
    return Acting(anonymous, key_of(owner))


@pytest.fixture
def viewer(anonymous, owner, key_of):
    """A viewer of the first workspace, by API key."""
    return Acting(anonymous, key_of(owner, "viewer"))


@pytest.fixture
def stranger(anonymous, database, key_of):
    """An admin of another workspace, by API key."""
    with database.transaction() as db:
        other = workspaces.create(db, name="Others")
    return Acting(anonymous, key_of(other))
