"""The pipeline without its queues: messages are kept in a list, and the test says when each is done."""

import threading
from collections import deque

import pytest

from cleanmails import settings
from cleanmails.actors import plan, render, resolve, send
from cleanmails.actors.broker import Queues
from cleanmails.actors.work import Lease, Work
from cleanmails.ledger.db import Database
from cleanmails.ledger.deliveries import Mark
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


@pytest.fixture
def ready(house, new_work):
    """Rendered mails in one worker's hands, to leads of one domain each, with a campaign and a sender each: (worker, marks)."""
    work = new_work()
    marks = []
    for n in range(16):
        domain = f"c{n}.example"
        house.knows(domain)
        sender = house.sender(f"ann{n}@acme.example")
        (lead,) = house.leads(f"bob@{domain}")
        campaign = house.campaign([lead], [sender])
        house.run("UPDATE campaign_leads SET state = 'in_flight', due_at = NULL WHERE campaign_id = %s", campaign)
        row = house.all(
            """INSERT INTO deliveries (workspace_id, campaign_id, lead_id, step, sender_id, provider, state, planned_at, queued_at, rendered_at, message_id, hash,
                                       token, worker_id)
               VALUES (%s, %s, %s, 0, %s, 'other', 'rendered', now(), now(), now(), %s, 'x', nextval('fences'), %s) RETURNING id, token""",
            house.workspace, campaign, lead, sender, f"<{n}@acme.example>", work.worker_id,
        )[0]  # fmt: skip
        marks.append(
            Mark(
                id=row["id"],
                token=row["token"],
                campaign_id=campaign,
                lead_id=lead,
                sender_id=sender,
                worker_id=work.worker_id,
                gap=0.0,
                lease=60.0,
            )
        )
    return work, marks
