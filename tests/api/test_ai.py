"""The workspace's model: its key is never shown, it can be tried, and a preview reads the words that the mail will have."""

import pytest

from tests.ledger.conftest import Rows
from tests.modelserver import playing

PATH = "/v1/workspace/ai"


@pytest.fixture
def played():
    with playing() as server:
        yield server


@pytest.fixture
def environ(redis_url, database_url):
    return {"REDIS_URL": redis_url, "DATABASE_URL": database_url}


@pytest.fixture
def model(played):
    return {"kind": "openai", "model": "small", "url": played.url, "key": "secret-key", "timeout_seconds": 5}


def test_without_a_model_it_is_off(api):
    assert api.get(PATH).json()["enabled"] is False
    assert api.post(f"{PATH}/test", json={}).json()["code"] == "off"


def test_a_model_is_kept_and_its_key_never_shown(api, model, database_url):
    answers = [api.put(PATH, json=model), api.get(PATH)]
    assert [each.status_code for each in answers] == [200, 200]
    assert all("secret" not in each.text and each.json()["enabled"] for each in answers)
    house = Rows(database_url)
    assert b"secret-key" not in bytes(house.one("SELECT key_sealed FROM ai_settings"))
    house.db.close()
    changed = {name: value for name, value in model.items() if name != "key"} | {"model": "large"}
    assert api.put(PATH, json=changed).json()["model"] == "large"
    assert api.delete(PATH).status_code == 204
    assert api.get(PATH).json()["enabled"] is False


def test_a_model_needs_a_key_and_a_real_address(api, model):
    answer = api.put(PATH, json=model | {"url": "file:///etc/passwd", "model": "a b"})
    assert {fault["field"] for fault in answer.json()["faults"]} == {"url", "model"}
    del model["key"]
    assert api.put(PATH, json=model).json()["faults"][0]["field"] == "key"


def test_who_may_only_look_sets_no_model(viewer, model):
    assert viewer.put(PATH, json=model).status_code == 403
    assert viewer.get(PATH).status_code == 200


def test_a_model_is_tried(api, model, played):
    api.put(PATH, json=model)
    assert api.post(f"{PATH}/test", json={"prompt": "Hello?"}).json()["answer"] == "a kind word"
    played.status = 401
    tried = api.post(f"{PATH}/test", json={}).json()
    assert (tried["passed"], tried["code"]) == (False, "model_refused")


def test_a_preview_asks_once_and_keeps_the_words_for_the_mail(api, owner, model, played, database_url):
    house = Rows(database_url)
    house.workspace = owner
    [bob] = house.leads("bob@x.example")
    campaign = house.campaign([bob], [house.sender()], steps=[{"body": "<p>{{AI:Praise {{COMPANY}}|nice}}</p>"}])
    api.put(PATH, json=model)
    path = f"/v1/outreach/campaigns/{campaign}/preview"
    first = api.post(path, json={"lead_id": bob}).json()
    played.say = "other words"
    again = api.post(path, json={"lead_id": bob}).json()
    house.db.close()
    assert "a kind word" in first["html"]
    assert first["hash"] == again["hash"]
    assert len(played.asked) == 1
