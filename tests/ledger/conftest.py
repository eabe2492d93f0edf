"""The ledger on a real Postgres: a pool as the processes have it, and a workspace written straight into the tables."""

import pytest

from cleanmails.ledger.db import Database
from cleanmails.records import Arrival
from tests.actors.house import House


class Rows(House):
    """The house, with lists: what these tests look at is read by plain SQL."""

    def __init__(self, database_url):
        super().__init__(database_url, vault=None, dkim_pair=("", ""))

    def list(self, *leads, name="Prospects"):
        made = self.one("INSERT INTO lists (workspace_id, name) VALUES (%s, %s) RETURNING id", self.workspace, name)
        for lead in leads:
            self.run("INSERT INTO list_leads (list_id, lead_id) VALUES (%s, %s)", made, lead)
        return made

    def campaign_on(self, *lists, status="running", leads=(), **columns):
        started = {} if status == "draft" else {"started_at": "now", "run": 1}
        campaign = self.campaign(leads, [], status=status, **({"started_at": None, "run": 0} | started | columns))
        for each in lists:
            self.run("INSERT INTO campaign_lists VALUES (%s, %s, %s)", self.workspace, campaign, each)
        return campaign

    def planned(self, campaign, lead, state="planned", *, sender, step=0):
        """A delivery in a state, with all that the state asks for; its walk is in flight."""
        self.run(
            "UPDATE campaign_leads SET state = 'in_flight', due_at = NULL WHERE campaign_id = %s AND lead_id = %s",
            campaign,
            lead,
        )
        rendered = state in {"rendered", "sending", "sent", "unknown"}
        marked = state in {"sending", "sent", "unknown"}
        delivery = self.one(
            """INSERT INTO deliveries (workspace_id, campaign_id, lead_id, step, sender_id, provider, state, planned_at, queued_at, rendered_at, message_id,
                                       hash, sending_at, token, settled_at, reason)
               VALUES (%s, %s, %s, %s, %s, 'other', %s, now(), now(), CASE WHEN %s THEN now() END, CASE WHEN %s THEN gen_random_uuid()::text END,
                       CASE WHEN %s THEN ''::bytea END, CASE WHEN %s THEN now() END, 1, CASE WHEN %s THEN now() END, %s) RETURNING id""",
            self.workspace, campaign, lead, step, sender, state, rendered, rendered, rendered, marked, state == "sent",
            "why" if state in {"unknown", "held", "cancelled"} else None,
        )  # fmt: skip
        if rendered:
            self.run("INSERT INTO mails VALUES (%s, 'bytes')", delivery)
        return delivery

    def walkers(self, campaign):
        """Who walks through a campaign: address to state."""
        rows = self.all(
            "SELECT l.email, cl.state FROM campaign_leads cl JOIN leads l ON l.id = cl.lead_id WHERE campaign_id = %s",
            campaign,
        )
        return {row["email"]: row["state"] for row in rows}

    def events(self, *types):
        return self.all("SELECT * FROM events WHERE type = ANY (%s) ORDER BY id", list(types))


@pytest.fixture
def database(database_url):
    with Database(database_url, size=8) as database:
        yield database


@pytest.fixture
def db(database):
    """One transaction, which the test's end commits."""
    with database.transaction() as db:
        yield db


@pytest.fixture
def house(database_url):
    made = Rows(database_url)
    yield made
    made.db.close()


@pytest.fixture
def arrival():
    """`arrival("ada@example.com", 2, first_name="Ada")`: a row on its way to a list."""

    def make(email, line=1, **values):
        return Arrival(email=email, line=line, raw=email, **values)

    return make
