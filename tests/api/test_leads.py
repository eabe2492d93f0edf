"""Leads over HTTP: made, found, changed, and forgotten while nothing was mailed to them."""

import pytest

LEADS = "/v1/outreach/leads"


@pytest.fixture
def ada(api):
    return api.post(
        LEADS, json={"email": "ada@example.com", "first_name": "Ada", "fields": {"city": "London", "plan": "old"}}
    ).json()


def test_a_lead_is_made_read_and_forgotten(api, ada):
    assert (ada["email"], ada["status"], ada["validation"], ada["lists"]) == (
        "ada@example.com",
        "active",
        "pending",
        [],
    )
    path = f"{LEADS}/{ada['id']}"
    assert api.get(path).json() == ada
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == api.delete(path).status_code == 404


def test_an_address_is_one_lead(api, ada):
    again = api.post(LEADS, json={"email": "ADA@example.com", "first_name": "Eve"})
    assert (again.status_code, again.json()["code"]) == (409, "lead_exists")
    assert api.get(f"{LEADS}/{ada['id']}").json()["first_name"] == "Ada"


def test_a_suppressed_address_is_no_lead(api):
    api.post("/v1/outreach/suppressions", json={"value": "example.com"})
    refused = api.post(LEADS, json={"email": "ada@example.com"})
    assert (refused.status_code, refused.json()["code"]) == (409, "suppressed")


def test_an_address_that_cannot_be_mailed_is_refused(api):
    refused = api.post(LEADS, json={"email": "ada@nowhere"})
    assert refused.status_code == 400
    assert [(fault["field"], fault["code"]) for fault in refused.json()["faults"]] == [("email", "address")]


def test_what_is_changed_is_changed_and_nothing_else(api, ada):
    changed = api.patch(
        f"{LEADS}/{ada['id']}", json={"company": " Engines ", "fields": {"Plan": "new", "CITY": None}}
    ).json()
    assert (changed["first_name"], changed["company"], changed["fields"]) == ("Ada", "Engines", {"plan": "new"})
    assert api.patch(f"{LEADS}/{ada['id']}", json={}).json()["fields"] == {"plan": "new"}
    assert api.patch(f"{LEADS}/{ada['id']}", json={"first_name": "", "fields": {"plan": ""}}).json()["fields"] == {}


def test_an_address_is_not_changed_nor_is_what_the_lead_did(api, ada):
    refused = api.patch(
        f"{LEADS}/{ada['id']}", json={"email": "eve@example.com", "status": "active", "fields": {"email": "x", "": "y"}}
    )
    assert {(fault["field"], fault["code"]) for fault in refused.json()["faults"]} >= {
        ("email", "unknown_field"),
        ("status", "unknown_field"),
    }
    refused = api.patch(f"{LEADS}/{ada['id']}", json={"fields": {"email": "x"}})
    assert [(fault["field"], fault["code"]) for fault in refused.json()["faults"]] == [("fields.email", "own_field")]


def test_leads_are_found(api, ada):
    api.post(LEADS, json={"email": "bob@example.org", "last_name": "Ada"})

    def found(**asked):
        return [lead["email"] for lead in api.get(LEADS, params=asked).json()["items"]]

    assert found() == found(search="ada") == ["ada@example.com", "bob@example.org"]
    assert found(search="EXAMPLE.ORG") == ["bob@example.org"]
    assert found(status="unsubscribed") == []


def test_a_nul_is_refused_wherever_it_stands(api):
    refused = api.post(LEADS, json={"email": "ada@example.com", "company": "a\0b", "fields": {"city": "\0"}})
    assert {(fault["field"], fault["code"]) for fault in refused.json()["faults"]} == {
        ("company", "nul"),
        ("fields.city", "nul"),
    }


def test_a_stranger_sees_and_changes_nothing(stranger, api, ada):
    path = f"{LEADS}/{ada['id']}"
    assert stranger.get(LEADS).json()["items"] == []
    answers = [stranger.get(path), stranger.patch(path, json={"company": "Mine"}), stranger.delete(path)]
    assert {answer.status_code for answer in answers} == {404}
    assert stranger.post(LEADS, json={"email": "ada@example.com"}).status_code == 201
    assert api.get(path).json() == ada


def test_a_viewer_changes_nothing(viewer, ada):
    path = f"{LEADS}/{ada['id']}"
    assert viewer.get(path).status_code == 200
    answers = [
        viewer.post(LEADS, json={"email": "x@example.com"}),
        viewer.patch(path, json={"company": "x"}),
        viewer.delete(path),
    ]
    assert {answer.status_code for answer in answers} == {403}
