"""Why a lead is not mailed, and what holds a campaign back, asked over HTTP."""

import pytest

from tests.ledger.conftest import Rows

CAMPAIGNS = "/v1/outreach/campaigns"


@pytest.fixture
def house(database_url, owner):
    made = Rows(database_url)
    made.workspace = owner
    made.person = made.leads("ada@example.com")[0]
    made.prospects = made.list(made.person)
    made.ann = made.sender("ann@acme.example")
    yield made
    made.db.close()


@pytest.fixture
def campaign(api, house):
    request = {
        "name": "Spring",
        "status": "running",
        "lists": [{"id": house.prospects}],
        "senders": [{"id": house.ann}],
        "steps": [{"position": 0, "subjects": ["Hello {{FIRST_NAME}}"], "body": "<p>Hi {{FIRST_NAME}}</p>"}],
    }
    return f"{CAMPAIGNS}/{api.post(CAMPAIGNS, json=request).json()['id']}"


def test_a_lead_that_may_be_mailed_has_every_gate_open(api, campaign, house):
    told = api.get(f"{campaign}/leads/{house.person}/explain").json()
    assert told["blocking"] is None
    assert all(gate["passed"] and gate["sentence"] for gate in told["gates"])
    assert told["next_mail_at"] is not None


def test_a_used_up_day_is_named_with_its_figures_and_its_end(api, campaign, house):
    house.run(
        "INSERT INTO sender_days (sender_id, day, used) VALUES (%s, (now() AT TIME ZONE 'UTC')::date, 50)", house.ann
    )
    blocking = api.get(f"{campaign}/leads/{house.person}/explain").json()["blocking"]
    assert blocking["code"] == "daily_limit_met"
    status = api.get(f"{campaign}/sending-status").json()
    assert (status["code"], status["normal"]) == ("daily_limit_met", True)
    assert status["until"] is not None


def test_a_paused_campaign_says_so(api, campaign):
    api.post(f"{campaign}/pause")
    assert api.get(f"{campaign}/sending-status").json()["code"] == "campaign_paused"


def test_a_lead_of_another_campaign_is_unknown(api, campaign):
    assert api.get(f"{campaign}/leads/999999/explain").status_code == 404
