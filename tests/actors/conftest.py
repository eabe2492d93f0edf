"""The pipeline without its queues: messages are kept in a list, and the test says when each is done."""

import threading
from collections import deque

import pytest

from cleanmails import settings
from cleanmails.actors import plan, render, resolve, send
from cleanmails.actors.broker import Queues
from cleanmails.actors.work import Lease, Work
from cleanmails.ledger.db import Database
from cleanmails.limits.connect import connect
from cleanmails.limits.daily import Daily
from cleanmails.limits.rate import Rate
from cleanmails.mail import dkim
from cleanmails.vault import Vault
from tests.actors.house import House


class Kept(Queues):
    """Queues whose messages the test takes out itself."""

    def __init__(self):
        self.messages = deque()

    def _put(self, queue, actor, *args, delay_ms=None):  # noqa: ARG002 - all messages are kept in one row
        self.messages.append((actor, args))


@pytest.fixture(scope="session")
def dkim_pair():
    return dkim.generate_key()


@pytest.fixture
def configured(database_url, redis_url, tmp_path):
    return settings.load(
        {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "CLEANMAILS_STATE_DIR": str(tmp_path),
            "CLEANMAILS_PROVIDER_RATES": "other=1000",
        }
    )


@pytest.fixture
def house(database_url, configured, dkim_pair):
    made = House(database_url, Vault.from_settings(configured), dkim_pair)
    yield made
    made.db.close()


@pytest.fixture
def new_work(configured, database_url, redis_url):
    """Makes the surroundings of one more worker process, in this one."""
    made = []

    def make(**changes):
        database = Database(database_url, size=4)
        redis = connect(redis_url)
        lease = Lease(database, "test").__enter__()
        made.append((database, lease))
        values = {
            "settings": configured,
            "database": database,
            "queues": Kept(),
            "daily": Daily(redis),
            "rate": Rate(redis),
            "vault": Vault.from_settings(configured),
            "lease": lease,
            "stop": threading.Event(),
        }
        return Work(**values | changes)

    yield make
    for database, lease in made:
        lease.__exit__(None, None, None)
        database.close()


@pytest.fixture
def work(new_work):
    return new_work()


@pytest.fixture
def hand(work):
    made = send.Hand(work)
    yield made
    made.close()
    made.journal.close()


@pytest.fixture
def drain(work, hand):
    """Does all messages in the queues, and those that they bring, in order; returns how many."""
    turns = send.Turns()

    bodies = {
        "plan": lambda: plan.plan(work),
        "render": lambda ids: render.render(work, ids),
        "send": lambda sender_id: send.send(work, hand, turns, sender_id),
        "resolve": lambda names: resolve.resolve(work, names),
    }

    def run(limit=200):
        done = 0
        while work.queues.messages and done < limit:
            actor, args = work.queues.messages.popleft()
            bodies[actor](*args)
            done += 1
        return done

    return run
