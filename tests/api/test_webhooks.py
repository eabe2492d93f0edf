"""Webhooks over the API."""

import pytest

from cleanmails.rules import event_types
from tests.receiver import Receiver

URL = "https://receiver.example/hook"


@pytest.fixture
def webhook(api):
    """Makes a webhook over the API."""

    def make(**values):
        answer = api.post("/v1/outreach/webhooks", json={"url": URL} | values)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return make


def test_the_secret_is_shown_once(api, webhook):
    made = webhook(name="CRM")
    assert made["secret"].startswith("whsec_")
    read = api.get(f"/v1/outreach/webhooks/{made['webhook']['id']}")
    assert read.json() == made["webhook"]
    assert "secret" not in read.text.replace("old_secret_until", "")


def test_frequent_types_must_be_named(webhook):
    assert "email.opened" not in webhook()["webhook"]["types"]
    assert set(webhook(types=["*", "email.opened"])["webhook"]["types"]) >= {"email.opened", "email.sent"}
    assert webhook(types=["email.clicked"])["webhook"]["types"] == ["email.clicked"]
    assert {name for name, kind in event_types.TYPES.items() if kind.frequent} == {"email.opened", "email.clicked"}


def test_what_is_wrong_is_refused(api):
    for body in (
        {},
        {"url": "ftp://receiver.example/"},
        {"url": "https://user:pass@receiver.example/"},
        {"url": URL, "types": ["email.send"]},
        {"url": URL, "types": ["webhook.test"]},
        {"url": URL, "types": []},
        {"url": URL, "secret": "mine"},
    ):
        assert api.post("/v1/outreach/webhooks", json=body).status_code == 400, body


def test_it_is_changed_switched_off_and_on_and_deleted(api, webhook):
    campaign = api.post("/v1/outreach/campaigns", json={"name": "Spring"}).json()["id"]
    at = f"/v1/outreach/webhooks/{webhook(campaign_ids=[campaign])['webhook']['id']}"
    off = api.patch(at, json={"state": "off", "name": "Old", "campaign_ids": None}).json()
    assert (off["state"], off["off_reason"], off["name"], off["campaign_ids"]) == (
        "off",
        "Switched off by a person.",
        "Old",
        None,
    )
    assert api.patch(at, json={"state": "on"}).json()["off_reason"] is None
    assert api.get("/v1/outreach/webhooks").json()["items"][0]["name"] == "Old"
    assert api.delete(at).status_code == 204
    assert api.get(at).status_code == 404


def test_a_test_says_what_the_receiver_answered(api, webhook):
    with Receiver(lambda _: (500, {}, b"broken")) as receiver:
        at = f"/v1/outreach/webhooks/{webhook(url=receiver.url)['webhook']['id']}/test"
        assert api.post(at).json() | {"ms": 0} == {
            "passed": False,
            "status": 500,
            "ms": 0,
            "error": None,
            "answer": "broken",
        }
        receiver.answer = lambda _: 200
        assert api.post(at).json()["passed"] is True
    assert receiver.bodies()[1]["type"] == "webhook.test"
    assert api.post(at).json()["error"].startswith("connection_refused")


def test_a_secret_is_rotated_and_the_old_one_ends(api, webhook, clock):
    made = webhook()
    at = f"/v1/outreach/webhooks/{made['webhook']['id']}/rotate-secret"
    fresh = api.post(at, json={"keep_old_hours": 2}).json()
    assert fresh["secret"] != made["secret"]
    assert fresh["webhook"]["old_secret_until"] is not None
    assert api.post(at, json={"keep_old_hours": 0}).json()["webhook"]["old_secret_until"] is None


def test_a_replay_needs_a_range(api, webhook):
    at = f"/v1/outreach/webhooks/{webhook()['webhook']['id']}/replay"
    assert api.post(at, json={}).status_code == 400
    assert api.post(at, json={"event_id": 1, "last_id": 2}).status_code == 400
    assert api.post(at, json={"first_id": 1}).json() == {"replayed": 0, "more": False}


def test_nobody_else_sees_or_uses_it(stranger, webhook):
    at = f"/v1/outreach/webhooks/{webhook()['webhook']['id']}"
    for rest in ("", "/messages", "/attempts"):
        assert stranger.get(at + rest).status_code == 404
    for rest in ("/test", "/rotate-secret", "/replay"):
        assert stranger.post(at + rest, json={"first_id": 1} if rest == "/replay" else {}).status_code == 404
    assert stranger.patch(at, json={}).status_code == 404
    assert stranger.delete(at).status_code == 404


def test_who_may_only_see_changes_nothing(viewer, webhook):
    at = f"/v1/outreach/webhooks/{webhook()['webhook']['id']}"
    assert viewer.get(at).status_code == 200
    assert viewer.delete(at).status_code == 403
    assert viewer.post(f"{at}/test").status_code == 403


class TestInProduction:
    """Where private addresses are closed."""

    @pytest.fixture
    def environ(self):
        return {"CLEANMAILS_ALLOW_PRIVATE_HOSTS": "false", "CLEANMAILS_WEBHOOK_PORTS": "443"}

    def test_places_that_are_never_connected_to_are_refused_at_once(self, api):
        for url, code in (
            ("https://169.254.169.254/latest", "address_refused"),
            ("https://[::1]/", "address_refused"),
            ("https://receiver.example:22/", "port_refused"),
            ("http://receiver.example:443/", "insecure"),
        ):
            answer = api.post("/v1/outreach/webhooks", json={"url": url})
            assert [fault["code"] for fault in answer.json()["faults"]] == [code]
