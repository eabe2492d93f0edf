"""Whether anybody does the work: the age of the last tick, over HTTP."""

import pytest

from cleanmails.ledger import workers
from tests.api.test_explain import campaign, house  # noqa: F401 - fixtures


@pytest.fixture
def all_done(database):
    with database.transaction() as db:
        for duty in ("tick", "plan", "sweep", "inbox", "upkeep"):
            workers.did(db, duty)
        workers.register(db, "send", "host", 1)


def test_the_age_of_every_duty_and_the_living_workers_are_shown(viewer, all_done):
    status = viewer.get("/v1/status").json()
    assert status["ok"]
    assert {duty["name"] for duty in status["duties"]} == {"tick", "plan", "sweep", "inbox", "upkeep"}
    assert all(0 <= duty["age_seconds"] < 60 for duty in status["duties"])
    assert status["workers"] == {"send": 1}


def test_a_scheduler_that_is_gone_for_an_hour_is_seen(viewer, all_done, database):
    with database.transaction() as db:
        db.execute("UPDATE duties SET done_at = done_at - interval '1 hour' WHERE name = 'tick'")
    status = viewer.get("/v1/status").json()
    [late] = [duty for duty in status["duties"] if duty["late"]]
    assert (status["ok"], late["name"], late["age_seconds"] >= 3_600) == (False, "tick", True)
    assert "60 minutes" in late["sentence"]


def test_a_campaign_that_nobody_plans_is_not_called_healthy(api, all_done, campaign, database):  # noqa: F811
    assert api.get(f"{campaign}/sending-status").json()["code"] == "healthy"
    with database.transaction() as db:
        db.execute("UPDATE duties SET done_at = done_at - interval '1 hour' WHERE name = 'plan'")
    status = api.get(f"{campaign}/sending-status").json()
    assert (status["code"], status["normal"]) == ("planner_silent", False)
