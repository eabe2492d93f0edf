"""A campaign's ledger as a file: every person on its lists and every step, sent or not."""

import csv
import io
import json

import pytest

from tests.ledger.conftest import Rows

CAMPAIGNS = "/v1/outreach/campaigns"
UNKNOWNS = "/v1/outreach/unknowns"


@pytest.fixture
def house(database_url, owner):
    made = Rows(database_url)
    made.workspace = owner
    yield made
    made.db.close()


@pytest.fixture
def campaign(house, api):
    """Two steps to four people: one got the first, of one it is unknown, one has left, and one is suppressed and never began."""
    leads = house.leads("ada@b.example", "bob@b.example", "=cleo@b.example", "dan@never.example")
    house.run("INSERT INTO suppressions (workspace_id, kind, value, reason) VALUES (%s, 'domain', 'never.example', 'manual')", house.workspace)  # fmt: skip
    house.sender_id = house.sender("ann@acme.example")
    step = {"subjects": ["Hello"], "body": "<p>Hi</p>"}
    made = api.post(
        CAMPAIGNS,
        json={
            "name": "Spring",
            "status": "running",
            "lists": [{"id": house.list(*leads)}],
            "senders": [{"id": house.sender_id}],
            "steps": [step | {"position": 0}, step | {"position": 1, "wait_days": 3}],
        },
    ).json()["id"]
    for lead, state in zip(leads, ("sent", "unknown"), strict=False):
        house.run(
            """INSERT INTO deliveries (workspace_id, campaign_id, lead_id, step, sender_id, provider, state, attempts, token, planned_at, rendered_at, sending_at,
                                       settled_at, message_id, hash, subject, reason)
               VALUES (%s, %s, %s, 0, %s, 'other', %s, 1, nextval('fences'), now(), now(), now(), CASE WHEN %s = 'sent' THEN now() END, %s, 'hash', 'Hello',
                       CASE WHEN %s = 'unknown' THEN 'cut' END)""",
            house.workspace, made, lead, house.sender_id, state, state, f"<{lead}@acme.example>", state,
        )  # fmt: skip
    house.run(
        "UPDATE campaign_leads SET state = 'ended', outcome = 'unsubscribed', ended_at = now(), due_at = NULL WHERE lead_id = %s",
        leads[2],
    )
    return made


def told(api, campaign):
    lines = api.get(f"{CAMPAIGNS}/{campaign}/ledger.jsonl").text.splitlines()
    return [json.loads(line) for line in lines]


def test_it_says_who_was_sent_what_and_who_was_not_and_why(api, campaign):
    lines = told(api, campaign)
    assert [(line["email"], line["step"], line["sent"], line["why"]) for line in lines] == [
        ("ada@b.example", 0, "yes", ""),
        ("ada@b.example", 1, "no", "its turn has not come"),
        ("bob@b.example", 0, "unknown", "cut"),
        ("bob@b.example", 1, "no", "its turn has not come"),
        ("=cleo@b.example", 0, "no", "ended: unsubscribed"),
        ("=cleo@b.example", 1, "no", "ended: unsubscribed"),
        ("dan@never.example", 0, "no", "not enrolled: suppressed"),
        ("dan@never.example", 1, "no", "not enrolled: suppressed"),
    ]
    first = lines[0]
    assert (first["sender"], first["subject"], first["hash"]) == ("ann@acme.example", "Hello", b"hash".hex())
    assert first["message_id"].endswith("@acme.example>")
    assert first["sent_at"]


def test_the_same_stands_in_the_csv_which_no_spreadsheet_takes_for_formulas(api, campaign):
    answer = api.get(f"{CAMPAIGNS}/{campaign}/ledger.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    lines = told(api, campaign)
    assert [row["why"] for row in rows] == [line["why"] for line in lines]
    assert list(rows[0]) == list(lines[0])
    assert rows[4]["email"] == "'=cleo@b.example"


def test_portions_leave_nobody_out(api, house, campaign, monkeypatch):
    monkeypatch.setattr("cleanmails.api.exports._PEOPLE_AT_ONCE", 1)
    assert len(told(api, campaign)) == 8


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_another_workspace_finds_nothing(stranger, campaign, kind):
    assert stranger.get(f"{CAMPAIGNS}/{campaign}/ledger.{kind}").status_code == 404


def test_many_unknown_deliveries_are_decided_at_once(api, campaign):
    (row,) = api.get(UNKNOWNS, params={"campaign_id": campaign}).json()["items"]
    answer = api.post(
        f"{UNKNOWNS}/decide", json={"ids": [row["id"], 999], "decision": "assume_sent", "note": "in the server's log"}
    )
    assert answer.json() == {"decided": [row["id"]], "left": [999]}
    assert api.get(UNKNOWNS).json()["items"] == []
    assert told(api, campaign)[2]["sent"] == "yes"
    assert "in the server's log" in told(api, campaign)[2]["evidence"]


@pytest.mark.parametrize("number", [0, 2**63, 10**30])
def test_a_number_that_no_id_can_be_is_a_fault_of_the_request(api, number):
    answer = api.get(UNKNOWNS, params={"campaign_id": number})
    assert (answer.status_code, answer.json()["faults"][0]["field"]) == (400, "campaign_id")
