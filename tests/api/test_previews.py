"""A preview is the mail: the same hash as the ledger's, before and after it was sent; a test goes to oneself and counts nowhere."""

import email
import email.policy
import re

import dkim as dkimpy
import pytest

from cleanmails.actors import plan, render
from cleanmails.actors.work import Lease, Work
from cleanmails.demo.catcher import server as catcher
from cleanmails.ledger.db import Database
from cleanmails.limits.connect import connect
from cleanmails.limits.daily import Daily
from cleanmails.limits.rate import Rate
from cleanmails.mail import dkim
from cleanmails.vault import Vault
from tests.actors.conftest import Kept
from tests.actors.house import House

BODY = '<p>{Hi|Hello|Good day} {{FIRST_NAME}},</p><p>{I saw|We read of} <a href="https://acme.example/{{COMPANY}}">{{COMPANY}}</a>.</p>'


@pytest.fixture(scope="module")
def pair():
    return dkim.generate_key()


@pytest.fixture
def house(database_url, owner, settings, pair):
    made = House(database_url, Vault.from_settings(settings), pair)
    made.workspace = owner
    made.run("UPDATE workspaces SET postal_address = '1 Main Street' WHERE id = %s", owner)
    yield made
    made.db.close()


@pytest.fixture
def work(settings, database_url, redis_url):
    redis = connect(redis_url)
    with Database(database_url, size=3) as database, Lease(database, "test") as lease:
        yield Work(
            settings=settings,
            database=database,
            queues=Kept(),
            daily=Daily(redis),
            rate=Rate(redis),
            vault=Vault.from_settings(settings),
            lease=lease,
            stop=None,
        )


@pytest.fixture
def spring(house):
    """A running campaign of two steps to two leads whose domain is known."""
    house.knows("initech.example")
    house.leads_ = house.leads("bob@initech.example", "eve@initech.example")
    house.ann = house.sender(domain=house.domain())
    house.run("UPDATE senders SET signature = %s WHERE id = %s", "Ann Miller\nAcme {not a tag|at all}", house.ann)
    steps = (
        {"subjects": ["Hello {{FIRST_NAME}}", "About {{COMPANY}}", "A question"], "body": BODY},
        {"subjects": [], "body": BODY},
    )
    return house.campaign(house.leads_, [house.ann], steps=steps)


def preview(api, campaign, lead, step=0, **more):
    answer = api.post(f"/v1/outreach/campaigns/{campaign}/preview", json={"lead_id": lead, "step": step, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_body_of_plain_text_keeps_its_lines_above_a_signature(api, house, spring):
    shown = preview(api, spring, house.leads_[0], body="Hi {{FIRST_NAME}},\r\n\r\nstill well?")
    assert "Hi Bob,<br>\n<br>\nstill well?\n<div>Ann Miller<br>" in shown["html"]
    assert shown["text"].startswith("Hi Bob,\n\nstill well?\nAnn Miller\n")


def test_what_was_previewed_before_it_was_planned_is_what_is_rendered(api, house, spring, work):
    shown = {lead: preview(api, spring, lead) for lead in house.leads_}
    assert {each["ledger_hash"] for each in shown.values()} == {None}
    plan.plan(work)
    ids = [id for actor, (ids,) in work.queues.messages if actor == "render" for id in ids]
    render.render(work, ids)
    for lead in house.leads_:
        delivery = house.delivery(spring, lead)
        again = preview(api, spring, lead)
        assert delivery["state"] == again["state"] == "rendered"
        assert shown[lead]["hash"] == again["hash"] == again["ledger_hash"] == delivery["hash"].hex()
        sent = house.one("SELECT raw FROM mails WHERE delivery_id = %s", delivery["id"])
        assert sent.decode() == again["raw"]


def test_a_preview_shows_every_part_of_the_bytes(api, house, spring, pair):
    shown = preview(api, spring, house.leads_[0])
    parsed = email.message_from_string(shown["raw"], policy=email.policy.default)
    assert shown["subject"] == parsed["Subject"]
    assert "1 Main Street" in shown["text"]
    assert "Bob" in shown["html"]
    assert "Acme &#123;not a tag|at all&#125;" in shown["html"]
    assert "Ann Miller\nAcme {not a tag|at all}" in shown["text"]
    assert {"From", "To", "Subject", "Message-ID", "List-Unsubscribe"} <= {each["name"] for each in shown["headers"]}
    assert shown["signed"]
    assert dkimpy.verify(shown["raw"].encode(), dnsfunc=lambda *_, **__: b"v=DKIM1; k=rsa; p=" + pair[1].encode())


def test_a_preview_of_a_follow_up_goes_on_with_the_thread_once_there_is_one(api, house, spring):
    assert preview(api, spring, house.leads_[0], step=1)["subject"] in {"Hello Bob", "About Initech", "A question"}


@pytest.mark.parametrize("changed", [{"lead_id": 9_999}, {"step": 7}])
def test_a_preview_of_what_is_not_there_is_refused(api, house, spring, changed):
    wanted = {"lead_id": house.leads_[0], "step": 0} | changed
    assert api.post(f"/v1/outreach/campaigns/{spring}/preview", json=wanted).status_code == 404


def test_a_lead_of_another_workspace_is_not_there(api, house, spring):
    other = house.one("INSERT INTO workspaces (name) VALUES ('Other') RETURNING id")
    lead = house.one("INSERT INTO leads (workspace_id, email) VALUES (%s, 'x@y.example') RETURNING id", other)
    assert api.post(f"/v1/outreach/campaigns/{spring}/preview", json={"lead_id": lead}).status_code == 404


def test_a_preview_says_which_field_is_missing(api, house, spring):
    house.run("UPDATE leads SET company = '' WHERE id = %s", house.leads_[0])
    answer = api.post(f"/v1/outreach/campaigns/{spring}/preview", json={"lead_id": house.leads_[0]})
    assert answer.status_code == 400
    assert [(each["code"], "COMPANY" in each["message"]) for each in answer.json()["faults"]] == [
        ("missing_field", True)
    ]


def test_a_test_goes_to_oneself_marked_and_counts_nowhere(api, house, spring):
    with catcher.running() as server:
        house.run("UPDATE senders SET smtp_port = %s WHERE id = %s", server.port, house.ann)
        sent = api.post(
            f"/v1/outreach/campaigns/{spring}/test-send",
            json={"lead_id": house.leads_[0], "to": "Owner@agency.example"},
        )
        [letter] = server.mails()
        raw = server.raw(letter.id)
    assert sent.json()["accepted"], sent.text
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert parsed["To"] == "owner@agency.example"
    assert parsed["Subject"].startswith("[Test] ")
    assert (
        house.all("SELECT FROM deliveries")
        == house.all("SELECT FROM sender_days")
        == house.all("SELECT FROM events WHERE type LIKE 'email%%'")
        == []
    )
    leave = re.search(r"/unsubscribe/(\w+)", parsed["List-Unsubscribe"])[1]
    api.client.post(f"/unsubscribe/{leave}")
    assert house.all("SELECT FROM suppressions") == []


def test_a_test_goes_to_nobody_else(api, house, spring):
    answer = api.post(
        f"/v1/outreach/campaigns/{spring}/test-send",
        json={"lead_id": house.leads_[0], "to": "bob@initech.example"},
    )
    assert answer.status_code == 400
    assert answer.json()["faults"][0]["code"] == "not_own"


def test_the_words_of_a_step_are_checked_as_they_are_written(api):
    text = {"subjects": ["FREE MONEY NOW"], "body": '<p>Act now {{NOPE}}<b><img src="x.png">', "known_fields": []}
    answer = api.post("/v1/outreach/step-checks", json=text).json()
    codes = {finding["code"] for finding in answer["findings"]}
    assert {"unknown_tag", "trigger_words", "broken_html", "no_alt", "capitals"} <= codes
    assert not answer["passed"]
    assert api.post(
        "/v1/outreach/step-checks",
        json={"subjects": ["Hello {{NAME}}"], "body": "<p>How are you these days, {{NAME}}?</p>"},
    ).json()["passed"]


def test_a_held_lead_goes_on_once_its_field_is_filled(api, house, spring, work, woken):
    [bob, eve] = house.leads_
    house.run("UPDATE leads SET company = '' WHERE id = %s", bob)
    plan.plan(work)
    render.render(work, [id for actor, (ids,) in work.queues.messages if actor == "render" for id in ids])
    assert (house.walk(spring, bob)["state"], house.walk(spring, eve)["state"]) == ("held", "in_flight")
    assert api.patch(f"/v1/outreach/leads/{bob}", json={"company": "Initech"}).status_code == 200
    assert house.walk(spring, bob)["state"] == "waiting"
    assert woken == ["plan"]
    work.queues.messages.clear()
    plan.plan(work)
    render.render(work, [id for actor, (ids,) in work.queues.messages if actor == "render" for id in ids])
    assert house.delivery(spring, bob)["state"] == "rendered"


@pytest.mark.parametrize("mend", ["step", "blank", "import"])
def test_a_held_lead_goes_on_after_other_ways_of_mending(api, house, spring, mend):
    bob = house.leads_[0]
    house.run("UPDATE leads SET company = '' WHERE id = %s", bob)
    house.run(
        "UPDATE campaign_leads SET state = 'held', due_at = NULL, hold_reason = 'missing_field' WHERE lead_id = %s", bob
    )
    if mend == "import":
        prospects = api.post("/v1/outreach/lists", json={"name": "More"}).json()["id"]
        upload = "email,company\nbob@initech.example,Initech\n"
        answer = api.post(
            f"/v1/outreach/lists/{prospects}/upload", content=upload, headers={"Content-Type": "text/csv"}
        )
    else:
        house.run("INSERT INTO lists (workspace_id, name) VALUES (%s, 'All')", house.workspace)
        house.run(
            "INSERT INTO campaign_lists (workspace_id, campaign_id, list_id) SELECT workspace_id, %s, id FROM lists",
            spring,
        )
        house.run("INSERT INTO list_leads (list_id, lead_id) SELECT lists.id, leads.id FROM lists, leads")
        steps = [{"position": 0, "subjects": ["Hello"], "body": "<p>Hi</p>"}]
        change = {"steps": steps} if mend == "step" else {"missing_field": "blank"}
        answer = api.patch(f"/v1/outreach/campaigns/{spring}", json=change)
    assert answer.status_code in {200, 201}, answer.text
    assert house.walk(spring, bob)["state"] == "waiting"
