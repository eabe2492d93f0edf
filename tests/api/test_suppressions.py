"""Suppressions over HTTP: made for addresses and domains, found, and taken back only for a reason."""

import pytest

SUPPRESSIONS = "/v1/outreach/suppressions"
LEADS = "/v1/outreach/leads"


def test_an_address_and_a_domain_are_told_apart(api):
    one = api.post(SUPPRESSIONS, json={"value": " Ada@Example.com ", "note": "asked by phone"})
    assert one.status_code == 201
    entry = one.json()
    assert (entry["kind"], entry["value"], entry["reason"], entry["source"], entry["note"]) == (
        "address", "ada@example.com", "manual", "api", "asked by phone",
    )  # fmt: skip
    assert api.get(f"{SUPPRESSIONS}/{entry['id']}").json() == entry
    for value in ("Example.ORG", "@example.org"):
        assert api.post(SUPPRESSIONS, json={"value": value}).json()["value"] == "example.org"
    assert [each["kind"] for each in api.get(SUPPRESSIONS).json()["items"]] == ["address", "domain"]


def test_many_are_made_at_once(api):
    body = api.post(
        SUPPRESSIONS,
        json=[{"value": "ada@example.com", "reason": "bounced"}, {"value": "example.org", "kind": "domain"}],
    ).json()
    assert [(each["kind"], each["reason"]) for each in body] == [("address", "bounced"), ("domain", "manual")]


def test_every_fault_is_told_at_once_and_none_is_made(api):
    answer = api.post(
        SUPPRESSIONS,
        json=[
            {"value": "ada@example.com"},
            {"value": "nonsense@"},
            {"value": "x", "kind": "domain"},
            {"reason": "because"},
            {"value": "a@b.example", "kind": "domain"},
        ],
    )
    assert answer.status_code == 400
    assert {(fault["field"], fault["code"]) for fault in answer.json()["faults"]} == {
        ("[1].value", "address"), ("[2].value", "domain"), ("[3].value", "required"), ("[3].reason", "choice"), ("[4].value", "domain"),
    }  # fmt: skip
    assert api.get(SUPPRESSIONS).json()["items"] == []


def test_a_suppressed_lead_is_unsubscribed_or_bounced_or_left_as_it_is(api):
    for name, reason in (("a", "unsubscribed"), ("b", "bounced"), ("c", "manual"), ("d", "complained")):
        api.post(LEADS, json={"email": f"{name}@example.com"})
        api.post(SUPPRESSIONS, json={"value": f"{name}@example.com", "reason": reason})
    assert [lead["status"] for lead in api.get(LEADS).json()["items"]] == [
        "unsubscribed",
        "bounced",
        "active",
        "unsubscribed",
    ]


def test_entries_are_found(api):
    api.post(
        SUPPRESSIONS,
        json=[
            {"value": "ada@example.com", "reason": "bounced"},
            {"value": "bob@example.com"},
            {"value": "example.org"},
        ],
    )

    def found(**asked):
        return [each["value"] for each in api.get(SUPPRESSIONS, params=asked).json()["items"]]

    assert found(kind="domain") == ["example.org"]
    assert found(reason="bounced") == found(search="ADA") == ["ada@example.com"]
    assert found(search="example.com", limit=1) == ["ada@example.com"]


@pytest.mark.parametrize("asked", [{}, {"note": ""}, {"note": "  "}])
def test_an_entry_is_not_taken_back_without_a_reason(api, asked):
    made = api.post(SUPPRESSIONS, json={"value": "ada@example.com"}).json()["id"]
    assert api.delete(f"{SUPPRESSIONS}/{made}", params=asked).status_code == 400
    assert api.get(f"{SUPPRESSIONS}/{made}").status_code == 200


def test_an_entry_is_taken_back_for_a_reason(api):
    api.post(LEADS, json={"email": "ada@example.com"})
    made = api.post(SUPPRESSIONS, json={"value": "ada@example.com", "reason": "unsubscribed"}).json()["id"]
    assert api.delete(f"{SUPPRESSIONS}/{made}", params={"note": "she wrote to us"}).status_code == 204
    assert api.delete(f"{SUPPRESSIONS}/{made}", params={"note": "again"}).status_code == 404
    assert api.get(LEADS).json()["items"][0]["status"] == "active"


def test_a_stranger_and_a_viewer_change_nothing(api, stranger, viewer):
    made = api.post(SUPPRESSIONS, json={"value": "ada@example.com"}).json()["id"]
    path = f"{SUPPRESSIONS}/{made}"
    assert stranger.get(SUPPRESSIONS).json()["items"] == []
    assert stranger.get(path).status_code == stranger.delete(path, params={"note": "mine"}).status_code == 404
    assert viewer.get(path).status_code == 200
    assert (
        viewer.delete(path, params={"note": "mine"}).status_code
        == viewer.post(SUPPRESSIONS, json={"value": "x.example"}).status_code
        == 403
    )
