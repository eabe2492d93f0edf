"""The pages on a real ledger, as a browser asks for them."""

import pytest
from litestar.testing import TestClient

from cleanmails.web import server
from tests.actors.house import House
from tests.api.conftest import (  # noqa: F401 - fixtures
    EMAIL,
    PASSWORD,
    clock,
    database,
    dear_hasher,
    environ,
    owner,
    password_hash,
    settings,
)

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="session")
def site():
    """Read once: its handlers cost most of a second."""
    return server.site()


@pytest.fixture
def visitor(site, settings, database):  # noqa: F811
    """Somebody's browser, nobody signed in."""
    with TestClient(site.furnish(settings, database), raise_server_exceptions=False) as client:
        client.headers.update(BROWSER)
        client.follow_redirects = False
        yield client


@pytest.fixture
def browser(visitor, owner):  # noqa: F811
    """The owner's browser."""
    answer = visitor.post("/sign-in", data={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 303
    return visitor


class Filled(House):
    """The house, in a workspace that is there already."""

    def __init__(self, database_url, workspace):
        super().__init__(database_url, vault=None, dkim_pair=("", ""))
        self.run("DELETE FROM workspaces WHERE id = %s", self.workspace)
        self.workspace = workspace

    def sent(self, campaign, lead, sender, subject="Hello"):
        """A mail that a server has taken, and the end of its walk."""
        self.run(
            """INSERT INTO deliveries (workspace_id, campaign_id, lead_id, step, sender_id, provider, state, subject, planned_at, queued_at, rendered_at,
                                       message_id, hash, sending_at, token, settled_at)
               VALUES (%s, %s, %s, 0, %s, 'other', 'sent', %s, now(), now(), now(), gen_random_uuid()::text, ''::bytea, now(), 1, now())""",
            self.workspace, campaign, lead, sender, subject,
        )  # fmt: skip
        self.end(campaign, lead, "finished")

    def failed(self, campaign, lead, sender, text):
        """A mail that a server has refused for good."""
        self.run(
            """INSERT INTO deliveries (workspace_id, campaign_id, lead_id, step, sender_id, provider, state, planned_at, settled_at, failure, reason,
                                       reply_code, reply_text)
               VALUES (%s, %s, %s, 0, %s, 'other', 'failed', now(), now(), 'recipient_bad', 'refused', 550, %s)""",
            self.workspace, campaign, lead, sender, text,
        )  # fmt: skip
        self.end(campaign, lead, "bounced")

    def end(self, campaign, lead, outcome):
        self.run(
            "UPDATE campaign_leads SET state = 'ended', due_at = NULL, outcome = %s, ended_at = now() WHERE campaign_id = %s AND lead_id = %s",
            outcome, campaign, lead,
        )  # fmt: skip


@pytest.fixture
def house(database_url, owner):  # noqa: F811
    """The owner's workspace, to be filled straight in the tables."""
    made = Filled(database_url, owner)
    with made.db:
        yield made
