"""Integrations over the API: made, tried, changed and deleted; credentials go in and never come out."""

import pytest

from tests.receiver import Receiver

PATH = "/v1/outreach/integrations"


@pytest.fixture
def hub():
    def answer(request):
        right = request.headers.get("Authorization") == "Bearer pat-secret"
        return (200, {}, b'{"results":[]}') if right else (401, {}, b'{"category":"INVALID_AUTHENTICATION"}')

    with Receiver(answer) as server:
        yield server.url.removesuffix("/hook")


def test_one_is_made_tried_changed_and_deleted(api, hub):
    made = api.post(
        PATH, json={"kind": "hubspot", "credential": "wrong", "url": hub, "fields": {"city": "city"}}
    ).json()
    assert (made["kind"], made["types"], made["fields"]) == (
        "hubspot",
        ["email.replied", "email.sent", "lead.labelled"],
        {"city": "city"},
    )
    at = f"{PATH}/{made['id']}"
    tried = api.post(f"{at}/test").json()
    assert (tried["passed"], tried["status"]) == (False, 401)
    changed = api.patch(at, json={"credential": "pat-secret", "stage": "qualified", "fields": None})
    assert (changed.json()["stage"], changed.json()["fields"]) == ("qualified", None)
    assert api.post(f"{at}/test").json()["passed"] is True
    assert api.patch(at, json={"state": "off"}).json()["off_reason"] == "Switched off by a person."
    assert api.get(f"{at}/messages").json()["items"] == api.get(f"{at}/attempts").json()["items"] == []
    assert api.delete(at).status_code == 204
    assert api.get(at).status_code == 404


def test_a_credential_is_in_no_answer_and_sealed(api, database):
    made = api.post(PATH, json={"kind": "pipedrive", "credential": "pat-secret"})
    assert made.status_code == 201
    assert "pat-secret" not in made.text + api.get(PATH).text
    with database.transaction() as db:
        assert b"pat-secret" not in bytes(db.execute("SELECT sealed FROM outlets").fetchone()["sealed"])


def test_a_webhook_is_no_integration_and_the_other_way_round(api):
    hook = api.post("/v1/outreach/webhooks", json={"url": "http://127.0.0.1:9/hook"}).json()["webhook"]["id"]
    made = api.post(PATH, json={"kind": "slack", "credential": "http://127.0.0.1:9/services/T/B/x"}).json()["id"]
    assert api.get(f"{PATH}/{hook}").status_code == api.get(f"/v1/outreach/webhooks/{made}").status_code == 404
    assert [each["id"] for each in api.get(PATH).json()["items"]] == [made]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "slack", "credential": "xoxb-token"}, "credential"),
        ({"kind": "hubspot", "credential": "two words"}, "credential"),
        ({"kind": "hubspot", "credential": "t\u00f6ken"}, "credential"),
        ({"kind": "pipedrive", "credential": "x", "stage": "Qualified"}, "stage"),
        ({"kind": "salesforce", "credential": "x"}, "kind"),
        ({"kind": "hubspot", "credential": "x", "types": ["mail.sent"]}, "types[0]"),
        ({"kind": "hubspot", "credential": "x", "url": "ftp://crm.example"}, "url"),
        ({"kind": "hubspot", "credential": "x", "campaign_ids": [9]}, "campaign_ids[0]"),
    ],
)
def test_what_is_wrong_is_named(api, body, field):
    answer = api.post(PATH, json=body)
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["faults"]] == [field]


def test_pipedrives_stages_are_numbers_when_they_change_too(api):
    made = api.post(PATH, json={"kind": "pipedrive", "credential": "x", "stage": "3"}).json()["id"]
    assert api.patch(f"{PATH}/{made}", json={"stage": "Qualified"}).status_code == 400
    assert api.patch(f"{PATH}/{made}", json={"credential": "two words"}).status_code == 400
